import { distributionSince, quantileOf, type Distribution, type Distributions } from '../core/distribution.ts'
import { coreOf, type HealthCheck, type ManagedPool } from '../core/managed-pool.ts'
import type { PoolStats } from '../core/stats.ts'
import { History, SERIES, type Sample, type SeriesName } from './history.ts'
import type { PoolView, RecentTimes } from './protocol.ts'

/** Percentiles are of what ended within this time: long enough for a p99, short enough to follow a change. */
const RECENT_MILLIS = 10_000
/** How long a health check may take, and how long its answer is good enough. */
const HEALTH_TIMEOUT_MILLIS = 1_000
const HEALTH_AGE_MILLIS = 5_000

interface Look {
  readonly at: number
  readonly stats: PoolStats
  readonly distributions: Distributions | undefined
}

const NO_TIMES: RecentTimes = { count: 0, p50: null, p95: null, p99: null }

function timesBetween(later: Distribution | undefined, earlier: Distribution | undefined): RecentTimes {
  if (later === undefined || earlier === undefined) return NO_TIMES
  const recent = distributionSince(later, earlier)
  if (recent.count <= 0) return NO_TIMES
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((quantile) => quantileOf(recent, quantile))
  return { count: recent.count, p50: p50 ?? null, p95: p95 ?? null, p99: p99 ?? null }
}

const failures = ({ timedOut, refused, failed }: PoolStats): number => timedOut + refused + failed

/** One pool, looked at once an interval. */
export class Sampled {
  readonly pool: ManagedPool
  readonly key: string
  readonly history = new History()
  readonly #instance: string
  readonly #required: () => boolean
  /** Looks of the last {@link RECENT_MILLIS}, the oldest first. */
  #looks: Look[] = []
  #health: HealthCheck | undefined
  #healthAskedAt = -Infinity
  #leakedAt: number | undefined
  #view: PoolView

  constructor(pool: ManagedPool, instance: string, required: () => boolean) {
    this.pool = pool
    this.key = `${instance}/${pool.name}`
    this.#instance = instance
    this.#required = required
    this.#view = this.#viewOf(pool.stats(), [])
  }

  get view(): PoolView {
    return this.#view
  }

  /** @param watched - somebody looks, which is worth a health check */
  look(at: number, watched: boolean): void {
    const stats = this.pool.stats()
    const before = this.#looks.at(-1)
    this.#looks.push({ at, stats, distributions: coreOf(this.pool).distributions?.() })
    while ((this.#looks[1]?.at ?? at) <= at - RECENT_MILLIS) this.#looks.shift()
    if (stats.leaks > (before?.stats.leaks ?? 0)) this.#leakedAt = at
    if (watched) this.#askHealth(at)
    const sample = this.#sample(stats, before, at)
    this.history.add(at, sample)
    this.#view = this.#viewOf(stats, sample)
  }

  #viewOf(stats: PoolStats, sample: Sample): PoolView {
    const [first, last] = [this.#looks[0]?.distributions, this.#looks.at(-1)?.distributions]
    const recent = (what: keyof Distributions): RecentTimes => timesBetween(last?.[what], first?.[what])
    return {
      key: this.key,
      instance: this.#instance,
      required: this.#required(),
      stats,
      health: this.#health,
      recent: { wait: recent('wait'), use: recent('use'), create: recent('create') },
      leakedAt: this.#leakedAt,
      sample,
    }
  }

  #sample(stats: PoolStats, before: Look | undefined, at: number): Sample {
    const seconds = before === undefined ? 0 : (at - before.at) / 1_000
    const rate = (count: (stats: PoolStats) => number): number | null =>
      before === undefined || seconds <= 0 ? null : Math.max(0, count(stats) - count(before.stats)) / seconds
    const [first, last] = [this.#looks[0]?.distributions, this.#looks.at(-1)?.distributions]
    const wait = timesBetween(last?.wait, first?.wait)
    const use = timesBetween(last?.use, first?.use)
    const values: Readonly<Record<SeriesName, number | null>> = {
      used: stats.used,
      idle: stats.idle,
      creating: stats.creating,
      max: Number.isFinite(stats.max) ? stats.max : null,
      waiting: stats.waiting,
      oldestWaiterMillis: stats.oldestWaiterMillis,
      acquiresPerSecond: rate(({ acquired }) => acquired),
      failuresPerSecond: rate(failures),
      waitP50: wait.p50,
      waitP95: wait.p95,
      waitP99: wait.p99,
      useP50: use.p50,
      useP95: use.p95,
      useP99: use.p99,
    }
    return SERIES.map((name) => values[name])
  }

  #askHealth(at: number): void {
    if (at - this.#healthAskedAt < HEALTH_AGE_MILLIS) return
    this.#healthAskedAt = at
    void this.pool.health({ timeoutMillis: HEALTH_TIMEOUT_MILLIS }).then(
      (health) => (this.#health = health),
      () => undefined,
    )
  }
}

/** All pools of a registry, including those that come and go. */
export class Sampler {
  readonly #registry: Iterable<ManagedPool>
  readonly #instance: string
  readonly #isRequired: (pool: ManagedPool) => boolean
  #sampled = new Map<ManagedPool, Sampled>()

  constructor(registry: Iterable<ManagedPool>, instance: string, isRequired: (pool: ManagedPool) => boolean) {
    this.#registry = registry
    this.#instance = instance
    this.#isRequired = isRequired
  }

  get all(): Sampled[] {
    return [...this.#sampled.values()]
  }

  find(key: string): Sampled | undefined {
    return this.all.find((sampled) => sampled.key === key)
  }

  look(at: number, watched: boolean): void {
    const sampled = new Map<ManagedPool, Sampled>()
    for (const pool of this.#registry)
      sampled.set(pool, this.#sampled.get(pool) ?? new Sampled(pool, this.#instance, () => this.#isRequired(pool)))
    this.#sampled = sampled
    for (const one of sampled.values()) one.look(at, watched)
  }
}
