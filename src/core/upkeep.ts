import { Abandonment } from './abandonment.ts'
import type { Timer } from './clock.ts'
import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { PoolEvents } from './events.ts'
import type { Inventory } from './inventory.ts'
import { leaseAccess, type Holder, type Lease } from './lease.ts'
import { IDLE, LEASED } from './lifecycle.ts'
import type { Opener } from './opener.ts'
import { formatMillis } from './report.ts'
import { isHeldOnPurpose } from './steps.ts'
import type { Suspicion } from './suspicion.ts'

const LONGEST_ROUND_MILLIS = 1_000
const SHORTEST_ROUND_MILLIS = 10
/** How many samples of the idle count make a window of `idleTimeoutMillis`. */
const IDLE_SAMPLES = 10
/** What is idle beyond `maxIdle` is closed after this: a pause between two requests closes nothing. */
const EXCESS_MILLIS = 1_000
/** A gap between two rounds above this, without CPU time used in it, was a freeze. */
const FREEZE_GAP_MILLIS = 1_000
const FREEZE_CPU_SHARE = 0.1
/** A wall clock that ran ahead of the monotonic one by more: the machine slept. */
const SUSPEND_DRIFT_MILLIS = 5_000

/** Called with the pool in a consistent state. */
export interface UpkeepHost<T> {
  /** Takes a resource away from its borrower. */
  takeAway(entry: Entry<T>, holder: Holder<T>, reason: 'overused' | 'abandoned'): void
}

/**
 * What a pool does while nobody asks: a round every second (oftener where a limit is shorter) while anything is open. It
 * never opens anything itself and never holds a slot: it only marks, checks and retires, and lets dispatch refill.
 */
export class Upkeep<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #opener: Opener<T>
  readonly #suspicion: Suspicion<T>
  readonly #host: UpkeepHost<T>
  readonly #roundMillis: number
  readonly #abandonment: Abandonment<T> | undefined
  readonly #idleSamples: number[] = []
  #timer: Timer | undefined
  #keepAliveRunning = false
  #sampledAt = -Infinity
  // Readings of the last look at the clocks.
  #lookedAt = 0
  #wallAt = 0
  #cpuAt = 0
  /** After this, nobody may be served before {@link lookForFreeze}: a round is overdue. */
  overdueAt = Infinity

  constructor(
    context: PoolContext<T>,
    inventory: Inventory<T>,
    opener: Opener<T>,
    suspicion: Suspicion<T>,
    host: UpkeepHost<T>,
  ) {
    this.#context = context
    this.#inventory = inventory
    this.#opener = opener
    this.#suspicion = suspicion
    this.#host = host
    this.#roundMillis = roundMillis(context)
    if (context.options.reclaimAbandoned) {
      this.#abandonment = new Abandonment(({ entry, holder, since }) => {
        if (!entry.holdings().some((each) => each.holder === holder)) return
        this.#context.counters.leaks++
        this.#report('abandoned', entry, holder, since)
        this.#host.takeAway(entry, holder, 'abandoned')
      })
    }
  }

  /** Begins the rounds, if they are not under way. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#look()
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.overdueAt = Infinity
  }

  /** A lease was taken away: it needs no watching any more. */
  forget(lease: Lease<T>): void {
    this.#abandonment?.forget(lease)
  }

  /** An inspected lease came back: it needs no watching any more. One that was reported as a leak came back late. */
  returned(entry: Entry<T>, lease: Lease<T>, since: number): void {
    this.forget(lease)
    if (this.#context.options.leakThresholdMillis === Infinity) return
    const holder = leaseAccess.holder(lease)
    if (holder.leakReported) this.#report('leakReturned', entry, holder, since)
  }

  #schedule(): void {
    const { clock, detached } = this.#context
    this.#timer = detached(() => clock.setTimer(() => this.#round(), this.#roundMillis))
    this.#timer.unref()
  }

  #round(): void {
    this.#timer = undefined
    const now = this.#context.clock.now()
    this.lookForFreeze(now)
    this.#retireExpired(now)
    this.#shrink(now)
    this.#keepAlive(now)
    this.#watchLeases(now)
    if (this.#inventory.open + this.#inventory.creating > 0) this.#schedule()
    else this.overdueAt = Infinity
    this.#context.changed()
  }

  #look(): void {
    const { clock } = this.#context
    this.#lookedAt = clock.now()
    this.#wallAt = clock.wallNow()
    this.#cpuAt = clock.cpuMillis()
    this.overdueAt = this.#lookedAt + this.#roundMillis + FREEZE_GAP_MILLIS
  }

  /**
   * Notices that the process was frozen (SIGSTOP, a container or function put to sleep) or the machine suspended.
   * Servers forget a client meanwhile without its hearing of it, so every idle resource must show that it works.
   */
  lookForFreeze(now: number): void {
    const { clock, events, options } = this.#context
    const elapsed = now - this.#lookedAt
    const gapMillis = elapsed - this.#roundMillis
    const slept = clock.wallNow() - this.#wallAt - elapsed > SUSPEND_DRIFT_MILLIS
    const frozen = gapMillis > FREEZE_GAP_MILLIS && clock.cpuMillis() - this.#cpuAt < FREEZE_CPU_SHARE * gapMillis
    this.#look()
    if (!slept && !frozen) return
    this.#suspicion.noteFreeze(now)
    if (events.heard('frozen')) events.queue('frozen', { pool: options.name, gapMillis })
  }

  /** Closes idle resources whose lifetime is over; where `min` or `minIdle` would break, only once the replacement is there. */
  #retireExpired(now: number): void {
    let replacing = 0
    for (const entry of this.#inventory.entries()) {
      if (this.#inventory.defect(entry, now) === undefined) continue
      if (entry.state !== IDLE) {
        this.#inventory.drain(entry)
        continue
      }
      const { sizes } = this.#context
      const needed = this.#inventory.alive <= sizes.min || this.#inventory.idle <= sizes.minIdle
      const room = this.#inventory.occupied + this.#inventory.creating < sizes.max
      if (
        needed &&
        (room || this.#inventory.creating > 0) &&
        entry.generation === this.#inventory.generation &&
        !this.#opener.recovery.probing
      ) {
        replacing = 1
      } else {
        this.#inventory.destroy(entry, this.#inventory.defect(entry, now) ?? 'lifetime')
      }
    }
    this.#opener.replacing = replacing
  }

  /**
   * Closes what was idle for `idleTimeoutMillis`, or a second beyond `maxIdle`, coldest first, down to `min` and `minIdle`. With `order: 'fifo'`
   * every resource is used now and then and none is idle that long: there the surplus is the median of the idle counts
   * over that time, which a single burst does not change.
   */
  #shrink(now: number): void {
    const { options, sizes } = this.#context
    const { idleTimeoutMillis, maxIdle } = options
    if (idleTimeoutMillis === Infinity && maxIdle === Infinity) return
    const fifo = options.order === 'fifo'
    let surplus = fifo ? this.#medianIdle(now) : Infinity
    for (const entry of this.#inventory.available.coldestFirst()) {
      if (!entry.listed) continue
      const { alive, idle } = this.#inventory
      if (alive <= sizes.min || idle <= sizes.minIdle) break
      const idleMillis = now - entry.idleSince
      const excess = idle > maxIdle && idleMillis >= EXCESS_MILLIS
      if (!excess && (surplus <= 0 || (!fifo && idleMillis < idleTimeoutMillis))) break
      surplus--
      this.#inventory.destroy(entry, 'idle')
    }
  }

  #medianIdle(now: number): number {
    const { idleTimeoutMillis } = this.#context.options
    if (now - this.#sampledAt < idleTimeoutMillis / IDLE_SAMPLES) return 0
    this.#sampledAt = now
    this.#idleSamples.push(this.#inventory.idle)
    if (this.#idleSamples.length <= IDLE_SAMPLES) return 0
    const sorted = this.#idleSamples.splice(0).sort((a, b) => a - b)
    return sorted[sorted.length >> 1] ?? 0
  }

  /** Validates one idle resource that `min` or `minIdle` hold and that nobody has used for long. */
  #keepAlive(now: number): void {
    const { factory, options, sizes } = this.#context
    if (factory.validate === undefined || options.keepAliveMillis === Infinity || this.#keepAliveRunning) return
    if (this.#inventory.alive > sizes.min && this.#inventory.idle > sizes.minIdle) return
    for (const entry of this.#inventory.available.coldestFirst()) {
      if (entry.keepAliveAt < entry.provenAt || entry.keepAliveAt === Infinity) {
        entry.keepAliveAt = entry.provenAt + options.keepAliveMillis * (0.8 + 0.4 * options.random())
      }
      if (entry.keepAliveAt > now) continue
      entry.keepAliveAt = Infinity
      this.#keepAliveRunning = true
      this.#suspicion.check(
        entry,
        (failure) => {
          this.#keepAliveRunning = false
          if (failure === undefined) this.#keepAliveNext()
          else this.#suspicion.noteFailure(entry, failure)
        },
        true,
      )
      return
    }
  }

  /** Rounds are too seldom for many resources: the next one that is due follows when this one is back in its place. */
  #keepAliveNext(): void {
    const { clock, detached } = this.#context
    detached(() => {
      clock.afterTurn(() => {
        if (this.#timer !== undefined) this.#keepAlive(clock.now())
      })
    })
  }

  #watchLeases(now: number): void {
    const { leakThresholdMillis, maxUseMillis } = this.#context.options
    if (leakThresholdMillis === Infinity && maxUseMillis === Infinity && this.#abandonment === undefined) return
    for (const entry of this.#inventory.entries()) {
      if (entry.state !== LEASED) continue
      entry.inspected = true
      for (const { holder, since, watched } of entry.holdings()) {
        const heldMillis = now - since
        if (
          heldMillis >= leakThresholdMillis &&
          !holder.leakReported &&
          !isHeldOnPurpose(this.#context, entry.resource as T)
        ) {
          holder.leakReported = true
          this.#context.counters.leaks++
          this.#report('leak', entry, holder, since)
        }
        if (heldMillis >= maxUseMillis) {
          this.#report('overused', entry, holder, since)
          this.#host.takeAway(entry, holder, 'overused')
        } else if (!watched) {
          const lease = holder.lease()
          if (lease !== undefined) this.#abandonment?.watch(entry, lease, since)
        }
      }
    }
  }

  #report(
    event: 'leak' | 'leakReturned' | 'abandoned' | 'overused',
    entry: Entry<T>,
    holder: Holder<T>,
    since: number,
  ): void {
    const { events, options, clock } = this.#context
    const payload: PoolEvents['leak'] = {
      pool: options.name,
      resourceId: entry.id,
      generation: entry.generation,
      label: holder.label,
      heldMillis: clock.now() - since,
      stack: holder.stack,
    }
    events.queue(event, payload)
    if (!events.heard(event)) process.emitWarning(leakText(event, payload), 'MillpondWarning')
  }
}

const WHAT_HAPPENED: Readonly<Record<'leak' | 'leakReturned' | 'abandoned' | 'overused', string>> = {
  leak: 'is out and was not released',
  leakReturned: 'came back late after it was reported as a leak',
  abandoned: 'was garbage-collected without a release; its resource is destroyed',
  overused: 'was out longer than `maxUseMillis`; its resource is taken away',
}

function leakText(event: keyof typeof WHAT_HAPPENED, { pool, label, heldMillis, stack }: PoolEvents['leak']): string {
  const who = label === undefined ? 'a lease' : `the lease "${label}"`
  const where = stack === undefined ? '' : `\n${stack.replace(/^.*\n/, 'acquired\n')}`
  return `pool "${pool}": ${who} ${WHAT_HAPPENED[event]} (held for ${formatMillis(heldMillis)})${where}`
}

/** As seldom as the shortest of the pool's limits allows. */
function roundMillis<T>({ options }: PoolContext<T>): number {
  const shortest = Math.min(
    options.idleTimeoutMillis === 0 ? Infinity : options.idleTimeoutMillis / IDLE_SAMPLES,
    options.keepAliveMillis / 10,
    options.maxLifetimeMillis / 40,
    options.leakThresholdMillis / 4,
    options.maxUseMillis / 4,
  )
  return Math.min(LONGEST_ROUND_MILLIS, Math.max(SHORTEST_ROUND_MILLIS, shortest))
}
