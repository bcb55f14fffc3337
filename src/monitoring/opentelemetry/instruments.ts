import type { PoolStats } from '../../core/stats.ts'
import { ADVISED_BUCKETS, DB, HTTP } from '../metrics/semconv.ts'
import { CONVENTIONAL, conventionOf, DURATIONS, METRICS, type MetricRow } from '../metrics/table.ts'
import type { Attributes, HistogramLike, MeterLike, ObservableLike, ObserverLike } from './api.ts'

type Observe = (observable: ObservableLike, value: number, attributes: Attributes) => void

/** A pool of an origin. */
export interface Part {
  readonly origin: string
  readonly stats: PoolStats
}

/** `acquires_total` is `millpond.acquires` here: exporters add the unit and `_total` themselves. */
const ownName = (name: string): string => `millpond.${name.replace(/_(total|seconds)$/, '')}`

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
    const advice = { explicitBucketBoundaries: [...ADVISED_BUCKETS] }
    const duration = (name: string, description: string): void => {
      this.#histograms.set(name, meter.createHistogram(name, { unit: 's', description, advice }))
    }
    duration(DB.waitTime, 'The time it took to obtain an open connection from the pool.')
    duration(DB.useTime, 'The time between borrowing a connection and returning it to the pool.')
    duration(DB.createTime, 'The time it took to create a new connection.')
    for (const { name, help } of DURATIONS) duration(ownName(name), help)
  }

  get observables(): ObservableLike[] {
    return [...this.#observables.values()]
  }

  /** Observes one pool with these statistics, and the parts that it consists of. */
  observe(stats: PoolStats, parts: readonly Part[], observer: ObserverLike): void {
    const observe: Observe = (observable, value, attributes) => {
      observer.observe(observable as never, value, attributes)
    }
    const convention = conventionOf(stats.kind)
    if (convention === 'db') this.#observeDatabase(stats, observe)
    if (convention === 'http') this.#observeHttp(stats, parts, observe)
    const rows: readonly MetricRow[] = METRICS
    for (const { name, label: labelName, read } of rows) {
      if (convention === 'db' && CONVENTIONAL.has(name)) continue
      for (const { label, value } of read(stats)) {
        const attributes: Attributes = { pool: stats.name, kind: stats.kind }
        if (label !== undefined && labelName !== undefined) attributes[labelName] = label
        observe(this.#observable(ownName(name)), value, attributes)
      }
    }
  }

  /** Which histogram tells how long callers waited, leases were out, or creates took, and with which attributes. */
  durationOf(stats: PoolStats, of: 'wait' | 'use' | 'create'): { histogram: HistogramLike; attributes: Attributes } {
    const isDb = conventionOf(stats.kind) === 'db'
    const own = DURATIONS.find((row) => row.of === of)?.name ?? ''
    const name = isDb ? { wait: DB.waitTime, use: DB.useTime, create: DB.createTime }[of] : ownName(own)
    const histogram = this.#histograms.get(name)
    if (histogram === undefined) throw new Error(`bug: no histogram "${name}"`)
    return { histogram, attributes: isDb ? { [DB.poolName]: stats.name } : { pool: stats.name, kind: stats.kind } }
  }

  #observable(name: string): ObservableLike {
    const observable = this.#observables.get(name)
    if (observable === undefined) throw new Error(`bug: no instrument "${name}"`)
    return observable
  }

  #observeDatabase(stats: PoolStats, observe: Observe): void {
    const attributes = { [DB.poolName]: stats.name }
    for (const state of ['idle', 'used'] as const)
      observe(this.#observable(DB.count), stats[state], { ...attributes, [DB.state]: state })
    if (stats.max !== Infinity) observe(this.#observable(DB.max), stats.max, attributes)
    observe(this.#observable(DB.idleMin), stats.min, attributes)
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
