import { systemClock, type Clock, type Timer } from '../core/clock.ts'
import type { PoolEventName, PoolEvents } from '../core/events.ts'
import { coreOf, type ManagedPool } from '../core/managed-pool.ts'
import { engineOf, Pool } from '../core/pool.ts'
import type { LoadBin } from './knee.ts'
import { TraceRing, type Trace } from './replay.ts'

/** No more than so many leases at a time are told apart. */
const MOST = 4_096
/** What was seen of the server counts half as much after this time: servers change. */
const HALF_LIFE_MILLIS = 600_000
/** How many times the sums of a whole day are kept apart by the hour. */
const HOURS = 24
const HOUR_MILLIS = 3_600_000

/** Shorter windows say too little, longer ones mix what is different. */
const WINDOW_MILLIS = 200
const WINDOW_COMPLETIONS = 30

/** What follows upon another event within this time belongs to the same turn of the event loop, which ends some time. */
const TURN_GAP_MILLIS = 0.1
const TURN_MILLIS = 1

/** A stretch of time in which enough leases ended for a mean. */
interface Window {
  readonly startedAt: number
  readonly busyBefore: number
  readonly inUseBefore: number
  completions: number
  useMillis: number
}

/** A lease that has not come back. */
interface OpenLease {
  readonly acquiredAt: number
  readonly waitMillis: number
}

/** Watches a pool by its events and remembers what sizing needs: who asked when, for how long, and how busy it was. */
export class Observer {
  readonly #pool: ManagedPool
  readonly #clock: Clock
  readonly #waitMillis: number
  readonly #ring: TraceRing
  /** The leases that are out, by their resource: one, or several where a resource carries them. */
  readonly #out = new Map<number, OpenLease[]>()
  readonly #undo: (() => void)[] = []
  readonly startedAt: number
  #inUse: number
  /** How many were out when this turn began: several leases that end in one turn have all been served beside that many. */
  #inUseAtTurn: number
  #turnAt: number
  #window: Window
  #since: number
  #halveAt: number
  #timer: Timer | undefined
  // By the number of leases that are out.
  readonly #millis = new Float64Array(MOST)
  readonly #completions = new Float64Array(MOST)
  readonly #sharedAt = new Float64Array(MOST)
  readonly #useAt = new Float64Array(MOST)
  /** Time by the number of leases, hour by hour, for a day. */
  readonly #hours: Float64Array[] = [new Float64Array(MOST)]
  #hourEndsAt: number
  #usedMillis = 0
  #busyMillis = 0
  #asked = 0
  #late = 0
  #peak = 0
  #nestedSeen = 0
  readonly #workBefore: number
  readonly #usedBefore: number

  constructor(pool: ManagedPool, traceLength: number, waitMillis: number, clock: Clock = systemClock) {
    this.#pool = pool
    this.#clock = clock
    this.#waitMillis = waitMillis
    this.#ring = new TraceRing(traceLength)
    this.startedAt = this.#since = this.#turnAt = clock.now()
    const { leases, use } = pool.stats()
    this.#inUse = this.#inUseAtTurn = leases
    this.#window = this.#newWindow()
    this.#halveAt = this.startedAt + HALF_LIFE_MILLIS
    this.#hourEndsAt = this.startedAt + HOUR_MILLIS
    this.#usedBefore = use.count * use.mean
    this.#workBefore = this.#workMillis() ?? 0
    this.#on('acquired', ({ resourceId, durationMillis }) => this.#acquired(resourceId, durationMillis))
    this.#on('released', ({ resourceId, useMillis }) => this.#released(resourceId, useMillis))
    this.#on('acquireFailed', ({ reason, durationMillis }) => this.#failed(reason, durationMillis))
    // What ends with its resource comes back no more.
    this.#on('destroyed', ({ resourceId }) => void this.#out.delete(resourceId))
    this.#on('nested', () => {
      this.#nestedSeen++
    })
    // Adapters measure what runs on a lease only where somebody wants to hear of what is slow.
    this.#on('slow', () => undefined)
    // After the end of the pool nothing is left, no timer either.
    // A group's pools come and go; only its own end is one.
    this.#on('closed', () => {
      if (this.#pool.state === 'closed') this.stop()
    })
    this.#schedule()
  }

  #on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): void {
    const core = coreOf(this.#pool)
    core.on(event, listener)
    this.#undo.push(() => core.off?.(event, listener))
  }

  stop(): void {
    this.#timer?.cancel()
    for (const undo of this.#undo) undo()
  }

  // ── what happens ──

  #acquired(resourceId: number, waitMillis: number): void {
    this.#advance()
    this.#inUse++
    if (this.#inUse > this.#peak) this.#peak = this.#inUse
    this.#asked++
    if (waitMillis > this.#waitMillis) this.#late++
    const lease = { acquiredAt: this.#since, waitMillis }
    const beside = this.#out.get(resourceId)
    if (beside === undefined) this.#out.set(resourceId, [lease])
    else beside.push(lease)
  }

  #released(resourceId: number, useMillis: number): void {
    this.#advance()
    const waitMillis = this.#waitOf(resourceId, this.#since - useMillis)
    const state = Math.min(this.#inUseAtTurn, MOST - 1)
    this.#completions[state] = (this.#completions[state] ?? 0) + 1
    this.#noteUse(useMillis)
    this.#inUse = Math.max(0, this.#inUse - 1)
    this.#usedMillis += useMillis
    this.#ring.record(this.#since - useMillis - waitMillis, useMillis)
  }

  /** How long a lease that ends has waited: the one of its resource that began then. */
  #waitOf(resourceId: number, acquiredAt: number): number {
    const leases = this.#out.get(resourceId)
    if (leases === undefined) return 0
    if (leases.length === 1) {
      this.#out.delete(resourceId)
      return leases[0]?.waitMillis ?? 0
    }
    const distance = ({ acquiredAt: at }: OpenLease): number => Math.abs(at - acquiredAt)
    const nearest = leases.reduce((best, each) => (distance(each) < distance(best) ? each : best))
    leases.splice(leases.indexOf(nearest), 1)
    return nearest.waitMillis
  }

  /**
   * Times of use by how many were out, on the mean over short windows: a single long lease has seen many come and go, so
   * by itself it says little of either.
   */
  #noteUse(useMillis: number): void {
    const window = this.#window
    window.completions++
    window.useMillis += useMillis
    const millis = this.#since - window.startedAt
    if (millis < WINDOW_MILLIS || window.completions < WINDOW_COMPLETIONS) return
    this.#window = this.#newWindow()
    const mean = (this.#busyMillis - window.busyBefore) / millis
    // While the load rises or falls, leases end that began beside fewer, or more.
    if (Math.abs(this.#inUse - window.inUseBefore) > Math.max(2, mean / 2)) return
    const beside = Math.min(Math.round(mean), MOST - 1)
    this.#sharedAt[beside] = (this.#sharedAt[beside] ?? 0) + window.completions
    this.#useAt[beside] = (this.#useAt[beside] ?? 0) + window.useMillis
  }

  #newWindow(): Window {
    return {
      startedAt: this.#since,
      busyBefore: this.#busyMillis,
      inUseBefore: this.#inUse,
      completions: 0,
      useMillis: 0,
    }
  }

  /** Who got nothing has asked all the same: without them, a pool that is much too small looks large enough. */
  #failed(reason: PoolEvents['acquireFailed']['reason'], durationMillis: number): void {
    if (reason !== 'timeout' && reason !== 'refused') return
    this.#advance()
    this.#asked++
    this.#late++
    this.#ring.recordFailure(this.#since - durationMillis)
  }

  #advance(): void {
    const now = this.#clock.now()
    const spent = now - this.#since
    if (spent > TURN_GAP_MILLIS || now - this.#turnAt > TURN_MILLIS) {
      this.#turnAt = now
      this.#inUseAtTurn = this.#inUse
    }
    if (spent <= 0) return
    const state = Math.min(this.#inUse, MOST - 1)
    this.#millis[state] = (this.#millis[state] ?? 0) + spent
    const hour = this.#hours[0] as Float64Array
    hour[state] = (hour[state] ?? 0) + spent
    this.#busyMillis += spent * this.#inUse
    this.#since = now
  }

  /** Once a minute: lets the old count less, and counts the leases anew, as some end without a word. */
  #schedule(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#advance()
      this.#inUse = this.#pool.stats().leases
      if (this.#since >= this.#halveAt) {
        this.#halveAt = this.#since + HALF_LIFE_MILLIS
        for (const sums of [this.#millis, this.#completions, this.#sharedAt, this.#useAt])
          sums.forEach((value, index) => (sums[index] = value / 2))
        this.#asked /= 2
        this.#late /= 2
        this.#usedMillis /= 2
        this.#busyMillis /= 2
        this.#window = this.#newWindow()
      }
      if (this.#since >= this.#hourEndsAt) {
        this.#hourEndsAt = this.#since + HOUR_MILLIS
        this.#hours.unshift(new Float64Array(MOST))
        this.#hours.length = Math.min(this.#hours.length, HOURS + 1)
      }
      this.#schedule()
    }, 60_000)
    this.#timer.unref()
  }

  /** What the adapter has measured of the work on leases; nothing where it measures none. */
  #workMillis(): number | undefined {
    const core = coreOf(this.#pool)
    if (!(core instanceof Pool)) return undefined
    const { totalMillis, total } = engineOf(core as Pool<unknown>).operations
    return total === 0 ? undefined : totalMillis
  }

  // ── what was seen ──

  get observedMillis(): number {
    return this.#clock.now() - this.startedAt
  }

  get samples(): number {
    return this.#ring.recorded
  }

  trace(): Trace {
    return this.#ring.trace()
  }

  bins(): LoadBin[] {
    this.#advance()
    return Array.from(this.#millis, (millis, connections) => ({
      connections,
      millis,
      completions: this.#completions[connections] ?? 0,
      shared: this.#sharedAt[connections] ?? 0,
      useMillis: this.#useAt[connections] ?? 0,
    })).filter(({ connections, millis, completions }) => connections > 0 && millis + completions > 0)
  }

  /** The share of the recent time in which so many or more leases were out. */
  shareOfTimeAt(leases: number): number {
    this.#advance()
    let [above, total] = [0, 0]
    this.#millis.forEach((millis, state) => {
      total += millis
      if (state >= leases) above += millis
    })
    return total === 0 ? 0 : above / total
  }

  /** The 99th percentile of leases out, over the time of the last day. */
  get busyP99(): number {
    this.#advance()
    const totals = new Float64Array(MOST)
    for (const hour of this.#hours) hour.forEach((millis, state) => (totals[state] = (totals[state] ?? 0) + millis))
    const total = totals.reduce((sum, millis) => sum + millis, 0)
    let seen = 0
    for (let state = 0; state < MOST; state++) {
      seen += totals[state] ?? 0
      if (seen >= 0.99 * total) return state
    }
    return 0
  }

  get peak(): number {
    return this.#peak
  }

  get nestedSeen(): number {
    return this.#nestedSeen
  }

  /** The share of callers, lately, who waited longer than they may, or got nothing. */
  get lateShare(): number {
    return this.#asked === 0 ? 0 : this.#late / this.#asked
  }

  /**
   * By Little's law the time that leases were out is the sum of the times of use; what is missing are leases that have
   * not come back: long work, or a leak.
   */
  get littleGap(): number {
    this.#advance()
    return this.#busyMillis === 0 ? 0 : Math.max(0, 1 - this.#usedMillis / this.#busyMillis)
  }

  /** The share of a lease in which something ran on it; nothing where the adapter does not measure that. */
  workShare(): number | undefined {
    const work = this.#workMillis()
    const used = this.#usedTotal()
    return work === undefined || used === 0 ? undefined : Math.min(1, (work - this.#workBefore) / used)
  }

  #usedTotal(): number {
    const { use } = this.#pool.stats()
    return use.count * use.mean - this.#usedBefore
  }
}
