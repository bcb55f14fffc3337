import { readCallers } from '../../core/caller-mark.ts'
import { systemClock, type Clock, type Timer } from '../../core/clock.ts'
import { OptionError } from '../../core/errors.ts'
import type { PoolEvents } from '../../core/events.ts'
import { coreOf, type ManagedPool } from '../../core/managed-pool.ts'
import { checkOption } from '../../core/option-check.ts'
import type { PoolStats } from '../../core/stats.ts'
import { idleLimitsOf, type IdleLimits } from '../look.ts'
import { conventionOf } from '../metrics/table.ts'
import type { MeterLike, MeterProviderLike, ObserverLike, OpenTelemetryApi, SpanLike } from './api.ts'
import { DurationRecorder } from './durations.ts'
import { Instruments, type Part } from './instruments.ts'

const SCOPE = 'millpond'
/** How often durations are handed on, besides at every collection. */
const RECORD_MILLIS = 1_000
/** So many pools that are closed are still told of. */
const MOST_GONE = 100

export interface InstrumentOptions {
  /** Where the metrics go. @defaultValue the provider that is registered with `api`, also one that is registered later */
  meterProvider?: MeterProviderLike | undefined
  /** `@opentelemetry/api`, handed in: for the registered provider, and for traces. @defaultValue none */
  api?: OpenTelemetryApi | undefined
  /**
   * Whether durations are recorded, one by one, about half a microsecond each; `false` where a {@link durationProducer}
   * hands them over. @defaultValue true
   */
  durations?: boolean | undefined
  /** How a long wait shows in the trace of whoever waited: an event of the active span, a span of its own, or not. @defaultValue 'event' */
  traces?: 'event' | 'span' | 'off' | undefined
  /** How long a wait must be to show in a trace, in milliseconds. @defaultValue 100 */
  longWaitMillis?: number | undefined
  /** @defaultValue the process's clock */
  clock?: Clock | undefined
}

/** The part of a registry that is used. */
interface Followable extends Iterable<ManagedPool> {
  follow(follower: (pool: ManagedPool) => void): () => void
}

/**
 * Tells OpenTelemetry of every pool of a registry, present and to come, under the names of its semantic conventions
 * where these have one. Driver instrumentation keeps its own spans and metrics; a pool of this package is told of here
 * only. Returns what ends it.
 *
 * @throws {OptionError} on a wrong option, or where neither `meterProvider` nor `api` is given
 */
export function instrument(registry: Followable, options: InstrumentOptions): () => void {
  const { meterProvider, api, traces = 'event', longWaitMillis = 100, durations = true, clock = systemClock } = options
  checkOption('opentelemetry', 'traces', traces, { type: 'one-of', values: ['event', 'span', 'off'] })
  checkOption('opentelemetry', 'durations', durations, { type: 'boolean' })
  checkOption('opentelemetry', 'longWaitMillis', longWaitMillis, { type: 'duration', zero: true, infinity: true })
  if (meterProvider === undefined && api === undefined)
    throw new OptionError('opentelemetry', 'api', 'Expected `meterProvider` or `api` (the module @opentelemetry/api)')
  const metrics = new Metrics(registry, () => meterProvider ?? api?.metrics.getMeterProvider(), durations, clock)
  const unsubscribes = new Set<() => void>()
  const endReading = api === undefined || traces === 'off' ? undefined : readSpans(api, longWaitMillis)
  const unfollow = registry.follow((pool) => {
    metrics.add(pool)
    if (api === undefined || traces === 'off') return
    const listener = (event: PoolEvents['waited']): void => traceWait(api, traces, longWaitMillis, clock, event)
    const core = coreOf(pool)
    core.on('waited', listener)
    const unsubscribe = (): void => void core.off?.('waited', listener)
    unsubscribes.add(unsubscribe)
    core.on('closed', () => {
      if (pool.state === 'closed') unsubscribes.delete(unsubscribe)
    })
  })
  return () => {
    unfollow()
    endReading?.()
    for (const unsubscribe of unsubscribes) unsubscribe()
    metrics.end()
  }
}

function partsOf(pool: ManagedPool): Part[] {
  return Array.from(coreOf(pool).parts?.() ?? [], ([origin, part]) => ({ origin, stats: part.stats() }))
}

/** The origin of a part, which is named `<pool> <origin>` or by the origin alone. */
function originOf(pool: ManagedPool, part: string): string {
  return part.startsWith(`${pool.name} `) ? part.slice(pool.name.length + 1) : part
}

/** The instruments, made anew when another provider is registered: those of the one before lead nowhere. */
class Metrics {
  readonly #pools: Iterable<ManagedPool>
  readonly #provider: () => MeterProviderLike | undefined
  readonly #records: boolean
  readonly #clock: Clock
  readonly #recorders = new Map<ManagedPool, DurationRecorder>()
  /**
   * Pools that are closed. The SDK goes on telling the last value of what is no longer observed, so they are observed as
   * what they are: nothing open, nothing allowed, and what they counted.
   */
  readonly #gone = new Map<string, { readonly stats: PoolStats; readonly idle: IdleLimits | undefined }>()
  #known: MeterProviderLike | undefined
  #meter: MeterLike | undefined
  #instruments: Instruments | undefined
  #timer: Timer | undefined
  #ended = false

  constructor(
    pools: Iterable<ManagedPool>,
    provider: () => MeterProviderLike | undefined,
    durations: boolean,
    clock: Clock,
  ) {
    this.#pools = pools
    this.#provider = provider
    this.#records = durations
    this.#clock = clock
    this.#attach()
    this.#schedule()
  }

  add(pool: ManagedPool): void {
    if (this.#records) this.#recorders.set(pool, new DurationRecorder(pool))
    this.#gone.delete(pool.name)
    const core = coreOf(pool)
    core.on('destroyed', ({ pool: part, ageMillis }) => {
      // Asked for only now: what a group is of turns out with its first pool.
      if (this.#ended || conventionOf(pool.kind) !== 'http') return
      this.#instruments?.connectionEnded(originOf(pool, part), ageMillis)
    })
    core.on('closed', () => {
      if (pool.state !== 'closed' || this.#ended) return
      this.#record(pool)
      this.#recorders.delete(pool)
      this.#remember(pool)
    })
    this.#attach()
  }

  #remember(pool: ManagedPool): void {
    const nothing = { total: 0, idle: 0, used: 0, maintaining: 0, closing: 0, creating: 0, zombies: 0, waiting: 0 }
    const limits = { min: 0, max: 0, leases: 0, oldestWaiterMillis: 0, utilization: 0 }
    const stats = pool.stats()
    const idle = idleLimitsOf(coreOf(pool), stats) && { min: 0, max: 0 }
    this.#gone.set(pool.name, { stats: { ...stats, ...nothing, ...limits }, idle })
    if (this.#gone.size > MOST_GONE) this.#gone.delete(this.#gone.keys().next().value ?? '')
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
    this.#detach()
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#attach()
      this.#recordAll()
      this.#schedule()
    }, RECORD_MILLIS)
    this.#timer.unref()
  }

  #attach(): void {
    const provider = this.#provider()
    if (provider === undefined || provider === this.#known) return
    this.#detach()
    this.#known = provider
    this.#meter = provider.getMeter(SCOPE)
    this.#instruments = new Instruments(this.#meter)
    this.#meter.addBatchObservableCallback(this.#collect, this.#instruments.observables as never[])
  }

  #detach(): void {
    if (this.#instruments !== undefined)
      this.#meter?.removeBatchObservableCallback(this.#collect, this.#instruments.observables as never[])
  }

  readonly #collect = (observer: ObserverLike): void => {
    // Histograms are collected after what is observed: this is the last chance.
    this.#recordAll()
    for (const pool of this.#pools) {
      const stats = pool.stats()
      this.#instruments?.observe(stats, idleLimitsOf(coreOf(pool), stats), partsOf(pool), observer)
    }
    for (const { stats, idle } of this.#gone.values()) this.#instruments?.observe(stats, idle, [], observer)
  }

  #recordAll(): void {
    for (const pool of this.#recorders.keys()) this.#record(pool)
  }

  #record(pool: ManagedPool): void {
    if (this.#instruments !== undefined) this.#recorders.get(pool)?.record(this.#instruments)
  }
}

/** Remembers the span of whoever must wait: when the wait turns out to be long, it is not the active one any more. */
function readSpans({ trace }: OpenTelemetryApi, fromMillis: number): () => void {
  const read = (): SpanLike | undefined => {
    const span = trace.getActiveSpan()
    return span?.isRecording() === true ? span : undefined
  }
  return readCallers({ read, fromMillis })
}

/** Shows a long wait in the trace of whoever waited. */
function traceWait(
  { trace, context }: OpenTelemetryApi,
  traces: 'event' | 'span',
  longWaitMillis: number,
  clock: Clock,
  { pool, label, waitMillis, acquired, caller }: PoolEvents['waited'],
): void {
  const span = caller as SpanLike // of the one API that a process has, whoever read it
  if (waitMillis < longWaitMillis || !span.isRecording()) return
  const attributes = {
    'millpond.pool.name': pool,
    'millpond.acquired': acquired,
    'millpond.wait_millis': Math.round(waitMillis),
    ...(label === undefined ? {} : { 'millpond.label': label }),
  }
  if (traces === 'event') {
    span.addEvent('millpond.acquire', attributes)
    return
  }
  const parent = trace.setSpan(context.active() as never, span as never)
  const startTime = clock.wallNow() - waitMillis
  trace
    .getTracer(SCOPE)
    .startSpan('millpond.acquire', { startTime, attributes }, parent as never)
    .end()
}
