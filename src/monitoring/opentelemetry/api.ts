// The parts of `@opentelemetry/api` that are used, as minima: it is handed in, so that whoever does not use it needs
// not have it, and whoever does keeps one copy. Its own types are assignable to these.

export type Attributes = Record<string, string | number | boolean>

interface InstrumentOptions {
  readonly description?: string
  readonly unit?: string
  readonly advice?: { readonly explicitBucketBoundaries?: number[] }
}

/** An asynchronous instrument; opaque, as it is only handed back to the meter. */
export type ObservableLike = object

export interface ObserverLike {
  // A method, so that an observer of the API's own exact instruments is one.
  observe(instrument: never, value: number, attributes?: Attributes): void
}

export interface HistogramLike {
  record(value: number, attributes?: Attributes): void
}

export interface MeterLike {
  createHistogram(name: string, options?: InstrumentOptions): HistogramLike
  createObservableUpDownCounter(name: string, options?: InstrumentOptions): ObservableLike
  createObservableCounter(name: string, options?: InstrumentOptions): ObservableLike
  createObservableGauge(name: string, options?: InstrumentOptions): ObservableLike
  addBatchObservableCallback(callback: (observer: ObserverLike) => void, observables: never[]): void
  removeBatchObservableCallback(callback: (observer: ObserverLike) => void, observables: never[]): void
}

export interface MeterProviderLike {
  getMeter(name: string, version?: string): MeterLike
}

export interface SpanLike {
  isRecording(): boolean
  addEvent(name: string, attributes?: Attributes): unknown
}

export interface TracerLike {
  startSpan(
    name: string,
    options: { readonly startTime?: number; readonly attributes?: Attributes },
    context: never,
  ): { end(): void }
}

export interface OpenTelemetryApi {
  readonly metrics: { getMeterProvider(): MeterProviderLike }
  readonly trace: {
    getActiveSpan(): SpanLike | undefined
    getTracer(name: string): TracerLike
    /** The context with this span as its active one. */
    setSpan(context: never, span: never): unknown
  }
  readonly context: { active(): unknown }
}
