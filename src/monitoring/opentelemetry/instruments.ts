import type { ManagedPool } from '../../core/managed-pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { IdleLimits } from '../look.ts'
import { ADVISED_BUCKETS, DB, HTTP, LIFETIME_BUCKETS } from '../metrics/semconv.ts'
import { conventionOf, DURATIONS, METRICS, OTEL_NAMES, type MetricRow } from '../metrics/table.ts'
import type { Attributes, HistogramLike, MeterLike, ObservableLike, ObserverLike } from './api.ts'

type Observe = (observable: ObservableLike, value: number, attributes: Attributes) => void

/** A pool of an origin. */
export interface Part {
  readonly origin: string
  readonly stats: PoolStats
}

/** `acquires_total` is `millpond.acquires` here: exporters add the unit and `_total` themselves. */
const ownName = (name: string): string => `millpond.${name.replace(/_(total|seconds)$/, '')}`

export const DURATION_KINDS = ['wait', 'use', 'create'] as const
export type DurationKind = (typeof DURATION_KINDS)[number]

const DB_DURATIONS: Readonly<Record<DurationKind, { readonly name: string; readonly description: string }>> = {
  wait: { name: DB.waitTime, description: 'The time it took to obtain an open connection from the pool.' },
  use: { name: DB.useTime, description: 'The time between borrowing a connection and returning it to the pool.' },
  create: { name: DB.createTime, description: 'The time it took to create a new connection.' },
}

/** Under which name a duration of a pool is told, and with which attributes. */
export function durationOf(
  { name: pool, kind }: Pick<ManagedPool, 'name' | 'kind'>,
  of: DurationKind,
): { readonly name: string; readonly description: string; readonly attributes: Attributes } {
  if (conventionOf(kind) === 'db') return { ...DB_DURATIONS[of], attributes: { [DB.poolName]: pool } }
  const { name, help: description } = DURATIONS.find((row) => row.of === of) ?? DURATIONS[0]
  return { name: ownName(name), description, attributes: { pool, kind } }
}

/** The instruments of one meter, and what is observed with them. */
export class Instruments {
  readonly #observables = new Map<string, ObservableLike>()
  readonly #histograms = new Map<string, HistogramLike>()

  constructor(meter: MeterLike) {
    const upDown = (name: string, unit: string, description: string): void => {
      this.#observables.set(name, meter.createObservableUpDownCounter(name, { unit, description }))
    }
    upDown(
      DB.count,
      '{connection}',
      'The number of connections that are in the state described by the state attribute.',
    )
    upDown(DB.max, '{connection}', 'The maximum number of open connections allowed.')
    upDown(DB.idleMax, '{connection}', 'The maximum number of idle open connections allowed.')
    upDown(DB.idleMin, '{connection}', 'The minimum number of idle open connections allowed.')
    upDown(DB.pendingRequests, '{request}', 'The number of current pending requests for an open connection.')
    this.#observables.set(
      DB.timeouts,
      meter.createObservableCounter(DB.timeouts, {
        unit: '{timeout}',
        description:
          'The number of connection timeouts that have occurred trying to obtain a connection from the pool.',
      }),
    )
    upDown(
      HTTP.openConnections,
      '{connection}',
      'Number of outbound HTTP connections that are currently active or idle.',
    )
    upDown(HTTP.activeRequests, '{request}', 'Number of active HTTP requests.')
    for (const { name, type, unit, help } of METRICS) {
      const own = ownName(name)
      const options = { unit, description: help }
      // What adds up over pools and processes is an up-down counter; a state and an age do not.
      const observable =
        type === 'counter'
          ? meter.createObservableCounter(own, options)
          : unit === 's' || unit === '1'
            ? meter.createObservableGauge(own, options)
            : meter.createObservableUpDownCounter(own, options)
      this.#observables.set(own, observable)
    }
    const duration = (name: string, description: string, boundaries: readonly number[] = ADVISED_BUCKETS): void => {
      const advice = { explicitBucketBoundaries: [...boundaries] }
      this.#histograms.set(name, meter.createHistogram(name, { unit: 's', description, advice }))
    }
    for (const { name, description } of Object.values(DB_DURATIONS)) duration(name, description)
    duration(
      HTTP.connectionDuration,
      'The duration of the successfully established outbound HTTP connections.',
      LIFETIME_BUCKETS,
    )
    for (const { name, help } of DURATIONS) duration(ownName(name), help)
  }

  get observables(): ObservableLike[] {
    return [...this.#observables.values()]
  }

  /** Observes one pool with these statistics, and the parts that it consists of. */
  observe(stats: PoolStats, idle: IdleLimits | undefined, parts: readonly Part[], observer: ObserverLike): void {
    const observe: Observe = (observable, value, attributes) => {
      observer.observe(observable as never, value, attributes)
    }
    const convention = conventionOf(stats.kind)
    if (convention === 'db') this.#observeDatabase(stats, idle, observe)
    if (convention === 'http') this.#observeHttp(stats, parts, observe)
    const rows: readonly MetricRow[] = METRICS
    for (const { name, label: labelName, read } of rows) {
      if (convention === 'db' && name in OTEL_NAMES) continue
      for (const { label, value } of read(stats, idle)) {
        const attributes: Attributes = { pool: stats.name, kind: stats.kind }
        if (label !== undefined && labelName !== undefined) attributes[labelName] = label
        observe(this.#observable(ownName(name)), value, attributes)
      }
    }
  }

  /** Which histogram tells how long callers waited, leases were out, or creates took, and with which attributes. */
  durationOf(pool: ManagedPool, kind: DurationKind): { histogram: HistogramLike; attributes: Attributes } {
    const { name, attributes } = durationOf(pool, kind)
    return { histogram: this.#histogram(name), attributes }
  }

  /** A connection to an origin is closed. */
  connectionEnded(origin: string, ageMillis: number): void {
    this.#histogram(HTTP.connectionDuration).record(ageMillis / 1_000, serverOf(origin))
  }

  #histogram(name: string): HistogramLike {
    const histogram = this.#histograms.get(name)
    if (histogram === undefined) throw new Error(`bug: no histogram "${name}"`)
    return histogram
  }

  #observable(name: string): ObservableLike {
    const observable = this.#observables.get(name)
    if (observable === undefined) throw new Error(`bug: no instrument "${name}"`)
    return observable
  }

  #observeDatabase(stats: PoolStats, idle: IdleLimits | undefined, observe: Observe): void {
    const attributes = { [DB.poolName]: stats.name }
    for (const state of ['idle', 'used'] as const)
      observe(this.#observable(DB.count), stats[state], { ...attributes, [DB.state]: state })
    if (stats.max !== Infinity) observe(this.#observable(DB.max), stats.max, attributes)
    if (idle !== undefined && idle.max !== Infinity) observe(this.#observable(DB.idleMax), idle.max, attributes)
    observe(this.#observable(DB.idleMin), idle?.min ?? stats.min, attributes)
    observe(this.#observable(DB.pendingRequests), stats.waiting, attributes)
    observe(this.#observable(DB.timeouts), stats.timedOut, attributes)
  }

  /** By origin, where the pool consists of one pool for each. */
  #observeHttp(stats: PoolStats, parts: readonly Part[], observe: Observe): void {
    for (const part of parts.length === 0 ? [{ origin: stats.name, stats }] : parts) {
      const attributes = serverOf(part.origin)
      observe(this.#observable(HTTP.openConnections), part.stats.idle, { ...attributes, [HTTP.state]: 'idle' })
      observe(this.#observable(HTTP.openConnections), part.stats.used, { ...attributes, [HTTP.state]: 'active' })
      observe(this.#observable(HTTP.activeRequests), part.stats.leases, attributes)
    }
  }
}

/** The attributes of an origin; of what is none, its text. */
function serverOf(origin: string): Attributes {
  if (!URL.canParse(origin)) return { [HTTP.serverAddress]: origin }
  const { hostname, port, protocol } = new URL(origin)
  const usual = protocol === 'https:' ? 443 : 80
  return {
    [HTTP.serverAddress]: hostname,
    [HTTP.serverPort]: port === '' ? usual : Number(port),
    [HTTP.scheme]: protocol.replace(':', ''),
  }
}
