import { systemClock, type Clock } from './clock.ts'
import type { Distributions } from './distribution.ts'
import type { DestroyReason } from './factory.ts'
import { Histogram } from './histogram.ts'
import type { PoolState } from './lifecycle.ts'
import type { WaiterInfo } from './report.ts'
import { Counters, snapshot, type PoolStats } from './stats.ts'

/** Someone who asks for a resource, until it is known what came of it. */
export interface Ask {
  readonly since: number
  /** A resource was free and nobody stood before. */
  readonly atOnce: boolean
}

/** How an ask can end without a resource. */
export type Refusal = 'timedOut' | 'aborted' | 'refused' | 'failed'

/** What a snapshot says of the pool itself. */
export interface Identity {
  readonly name: string
  readonly kind: string
  readonly state: PoolState
  readonly min: number
  readonly max: number
  readonly generation: number
}

/** Whoever was asked for sooner than this was not kept waiting by the pool. */
const AT_ONCE_MILLIS = 1

/** The time that several ledgers took together, so that the percentiles of the whole are exact. */
export class Times {
  readonly wait = new Histogram()
  readonly use = new Histogram()
  readonly create = new Histogram()

  /** @param atOnce - how many were served without a wait */
  distributions(atOnce: number): Distributions {
    return {
      wait: this.wait.distribution(atOnce),
      use: this.use.distribution(),
      create: this.create.distribution(),
    }
  }
}

/**
 * The books of a pool that somebody else runs: whoever watches it enters what happens, and the two identities of
 * {@link PoolStats} hold by construction. What is open and idle is not counted but follows from what was entered.
 */
export class Ledger {
  readonly #clock: Clock
  readonly #counters = new Counters()
  readonly #asks = new Set<Ask>()
  readonly #times = new Times()
  readonly #whole: Times | undefined
  #used = 0
  #creating = 0
  #leases = 0
  /** All that were destroyed, for whatever reason. */
  #gone = 0

  constructor({ clock = systemClock, whole }: { clock?: Clock; whole?: Times } = {}) {
    this.#clock = clock
    this.#whole = whole
  }

  /** Monotonic, in milliseconds. */
  now(): number {
    return this.#clock.now()
  }

  get counters(): Readonly<Counters> {
    return this.#counters
  }
  get total(): number {
    return this.#counters.created - this.#gone
  }
  get used(): number {
    return this.#used
  }
  get idle(): number {
    return this.total - this.#used
  }
  get creating(): number {
    return this.#creating
  }
  get waiting(): number {
    return this.#asks.size
  }
  /** Those who wait, the first of them first. */
  get asks(): IterableIterator<Ask> {
    return this.#asks.values()
  }

  // ── who asks ──

  ask(): Ask {
    const ask = { since: this.now(), atOnce: this.#asks.size === 0 && this.idle > 0 }
    this.#counters.requested++
    this.#asks.add(ask)
    return ask
  }

  /** It has a resource. Gives how long it waited; nothing where it was settled before. */
  serve(ask: Ask): number | undefined {
    if (!this.#asks.delete(ask)) return undefined
    const waitMillis = this.now() - ask.since
    this.#counters.acquired++
    if (ask.atOnce && waitMillis < AT_ONCE_MILLIS) return waitMillis
    this.#counters.acquiredAfterWait++
    this.#times.wait.record(waitMillis)
    this.#whole?.wait.record(waitMillis)
    return waitMillis
  }

  /** It got none. Whether it was still waiting. */
  refuse(ask: Ask, how: Refusal): boolean {
    if (!this.#asks.delete(ask)) return false
    this.#counters[how]++
    return true
  }

  /** Those who wait. How long they will, only the pool itself knows. */
  waiters(limit: number): WaiterInfo[] {
    const now = this.now()
    const waiters: WaiterInfo[] = []
    for (const { since } of this.#asks) {
      if (waiters.length === limit) break
      waiters.push({ label: undefined, waitedMillis: now - since, priority: 0, leftMillis: Infinity })
    }
    return waiters
  }

  distributions(): Distributions {
    return this.#times.distributions(this.#counters.acquired - this.#counters.acquiredAfterWait)
  }

  // ── what is lent ──

  /** An idle resource is used from now on. */
  lend(): void {
    this.#used++
  }

  /** One more, or one fewer, works on a resource that several may use at a time. */
  lease(difference: 1 | -1): void {
    this.#leases += difference
  }

  /** A used resource is idle again; `undefined` where nobody knows since when it was used. */
  giveBack(useMillis: number | undefined): void {
    this.#used--
    if (useMillis !== undefined) this.tookUse(useMillis)
  }

  tookUse(useMillis: number): void {
    this.#times.use.record(useMillis)
    this.#whole?.use.record(useMillis)
  }

  // ── what is open ──

  /** Resources that were open before anybody watched. */
  adopt(count: number): void {
    this.#counters.created += count
  }

  createStarted(): void {
    this.#creating++
  }

  /** A create has succeeded; `undefined` where nobody knows when it began. */
  created(createMillis: number | undefined): void {
    if (this.#creating > 0) this.#creating--
    this.#counters.created++
    if (createMillis === undefined) return
    this.#times.create.record(createMillis)
    this.#whole?.create.record(createMillis)
  }

  createFailed(): void {
    if (this.#creating > 0) this.#creating--
    this.#counters.createErrors++
  }

  /** An open resource is gone; whether it was in use. */
  destroyed(reason: DestroyReason, wasUsed: boolean): void {
    this.#counters.destroyed[reason]++
    this.#gone++
    if (wasUsed) this.#used--
  }

  leaked(): void {
    this.#counters.leaks++
  }

  snapshot({ name, kind, state, min, max, generation }: Identity): PoolStats {
    const { total, idle } = this
    const [oldest] = this.#asks
    return snapshot({
      name,
      state,
      factory: { kind },
      sizes: { min, max },
      clock: this.#clock,
      counters: this.#counters,
      inventory: {
        idle,
        leased: this.#used,
        maintaining: 0,
        closing: 0,
        creating: this.#creating,
        zombies: 0,
        open: total,
        leases: Math.max(this.#used, this.#leases),
        generation,
      },
      queue: {
        size: this.#asks.size,
        oldest: () => (oldest === undefined ? undefined : { queuedAt: oldest.since }),
      },
      load: { waitTimes: this.#times.wait, useTimes: this.#times.use },
      opener: { createTimes: this.#times.create },
    })
  }
}
