export { instrument } from './instrument.ts'
export type { InstrumentOptions } from './instrument.ts'
export type { MeterProviderLike, OpenTelemetryApi } from './api.ts'
