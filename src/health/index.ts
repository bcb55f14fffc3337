export { healthHandler } from './handler.ts'
export type { HealthHandlerOptions } from './handler.ts'
export { HealthMonitor } from './monitor.ts'
export type {
  HealthKind,
  HealthMonitorOptions,
  HealthRegistry,
  HealthReport,
  HealthStatus,
  PoolHealth,
} from './monitor.ts'
export { toHealthJson, toSimple } from './formats.ts'
export type { FormattedHealth, FormatOptions } from './formats.ts'
export { toNodeHandler } from './node-handler.ts'
export type { NodeRequest, NodeResponse, WebHandler } from './node-handler.ts'
export { followGrpcHealth, terminusIndicator, toFastify, toKoa } from './frameworks.ts'
export type {
  FastifyLike,
  FastifyReplyLike,
  GrpcHealth,
  GrpcHealthOptions,
  KoaContext,
  TerminusResult,
} from './frameworks.ts'
