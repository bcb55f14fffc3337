import type { PoolContext } from './context.ts'
import { Alarm } from './deadlines.ts'
import type { Entry } from './entry.ts'
import { Histogram } from './histogram.ts'
import type { Inventory } from './inventory.ts'
import { CLOSED, CREATING, LEASED, MAINTAINING, ZOMBIE } from './lifecycle.ts'
import { Recovery } from './recovery.ts'
import { bounded, classify, reportFailure, StepTimeoutError, type Outcome } from './steps.ts'
import type { WaitQueue } from './wait-queue.ts'

/** A lease that is out for longer than this many mean use times is stuck: its resource serves nobody soon. */
const STUCK_USE_TIMES = 4
/** The horizon of `growthHorizonMillis: 'auto'` is never longer than this. */
const AUTO_HORIZON_MILLIS = 50
/** A check or reset under way longer than a create would take, and than this, no longer counts as served soon. */
const SHORTEST_PATIENCE_MILLIS = 10
/** How often a growth horizon is looked at anew while somebody waits: leases become stuck without any event. */
const HORIZON_ROUND_MILLIS = 25

/** Who is told how a create ended. Called with the pool in a consistent state. */
export interface OpenerHost<T> {
  /** The resource is open; it is in no list yet. */
  opened(entry: Entry<T>): void
  createFailed(): void
  /** The resource died while nobody looked. */
  lost(entry: Entry<T>): void
  /** Mean time of a lease (EWMA, weight 0.1), in milliseconds; unknown before the first release. */
  readonly meanUseMillis: number | undefined
}

/** Decides how many resources to open, and opens them. No waiter is bound to the create that it caused. */
export class Opener<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #queue: WaitQueue<T>
  readonly #host: OpenerHost<T>
  readonly recovery: Recovery
  readonly createTimes = new Histogram()
  /** Gives up a create that is under way. */
  readonly #cancels = new Map<Entry<T>, () => void>()
  /** Rings when there may be something to open although nothing has happened. */
  #alarm: Alarm | undefined
  /** Whether `min` and `minIdle` are filled: from the first use on, so that making a pool opens nothing. */
  started = false
  /** Resources that `ready()` asks for. */
  wantedReady = 0
  /** One resource more than the sizes ask for, to replace an old one before it goes. */
  replacing = 0

  constructor(context: PoolContext<T>, inventory: Inventory<T>, queue: WaitQueue<T>, host: OpenerHost<T>) {
    this.#context = context
    this.#inventory = inventory
    this.#queue = queue
    this.#host = host
    this.recovery = new Recovery(context.options.maxConnecting, context.options.random)
  }

  /** Opens as many as make sense now. Part of the pool's dispatch. */
  grow(now: number): void {
    const wanted = Math.max(this.#forWaiters(now), this.#forSizes())
    if (wanted <= 0) {
      this.#setAlarm(now, wanted)
      return
    }
    if (this.#queue.size > 0 && !this.recovery.hopeless) this.recovery.pullForward()
    const room = Math.min(wanted, this.#room(now), this.recovery.allowedConcurrency(now) - this.#inventory.creating)
    for (let left = room; left > 0; left--) this.#open(now)
    this.#setAlarm(now, wanted - Math.max(0, room))
  }

  /** How many creates the limits still allow. */
  #room(now: number): number {
    const { sizes, options } = this.#context
    const { occupied, creating, zombies, gateLimit } = this.#inventory
    const limit = this.#queue.size > 0 ? sizes.max + options.maxOverflow : sizes.max
    const room = Math.min(limit, gateLimit, this.recovery.grantedLimit(now)) - occupied - creating
    // Beside as many late ones as there may be, one at a time is still tried, or the pool would never recover.
    return zombies >= options.maxConnecting ? Math.min(room, 1 - creating) : room
  }

  /** Makes room among the late creates for one more that may come to be late: the oldest is not counted any longer. */
  #writeOff(): void {
    const { options } = this.#context
    if (this.#inventory.zombies < options.maxConnecting) return
    for (const entry of this.#inventory.entries()) {
      if (entry.state !== ZOMBIE) continue
      this.#inventory.move(entry, CLOSED)
      const tooLate = `create ${entry.id} has not settled, and heeds no signal; it may hold a connection that nobody counts`
      reportFailure(this.#context, 'create', new Error(tooLate))
      return
    }
  }

  /**
   * `k = ⌈Q − n_eff · H / U⌉ − coming`, at least 1 once the oldest waiter has waited min(create time, max(H, 1 ms)).
   * Q waiters, U mean use time, H growth horizon, n_eff resources at work that are not stuck, `coming` what is being
   * opened, checked or reset. With H = 0 (the default) every waiter is worth a create.
   */
  #forWaiters(now: number): number {
    const waiting = this.#queue.size
    if (waiting === 0) return 0
    const cap = this.#context.sizes.maxLeasesPerResource
    const horizonMillis = this.#horizonMillis()
    const coming = this.#inventory.creating + this.comingBack(now)
    const needed = Math.ceil(waiting / cap)
    if (horizonMillis === 0) return needed - coming
    const createMillis = this.recovery.usualMillis
    const useMillis = this.#host.meanUseMillis ?? createMillis
    const servedMeanwhile =
      useMillis === undefined
        ? 0
        : (this.#productive(now, useMillis) * cap * horizonMillis) / Math.max(useMillis, 0.001)
    const wanted = Math.ceil((waiting - servedMeanwhile) / cap) - coming
    if (wanted >= 1 || needed <= coming) return wanted
    const patienceMillis = Math.min(createMillis ?? Infinity, Math.max(horizonMillis, 1))
    return now - this.#oldestQueuedAt(now) >= patienceMillis ? 1 : wanted
  }

  #horizonMillis(): number {
    const { growthHorizonMillis } = this.#context.options
    if (growthHorizonMillis !== 'auto') return growthHorizonMillis
    return Math.min(this.recovery.usualMillis ?? 0, AUTO_HORIZON_MILLIS)
  }

  #oldestQueuedAt(now: number): number {
    return this.#queue.oldest()?.queuedAt ?? now
  }

  /** Resources in a check, reset or hook that will be back before a new one could be opened. */
  comingBack(now: number): number {
    const { maintaining } = this.#inventory
    if (maintaining === 0) return 0
    const patienceMillis = this.#patienceMillis()
    let coming = 0
    for (const entry of this.#inventory.entries()) {
      if (entry.state === MAINTAINING && now - entry.maintainedSince <= patienceMillis) coming++
    }
    return coming
  }

  /** When a check, reset or hook under way will no longer count as coming back. */
  #nextImpatience(now: number): number {
    if (this.#inventory.maintaining === 0) return Infinity
    const patienceMillis = this.#patienceMillis()
    let next = Infinity
    for (const entry of this.#inventory.entries()) {
      const at = entry.maintainedSince + patienceMillis
      if (entry.state === MAINTAINING && at >= now && at < next) next = at
    }
    return next
  }

  #patienceMillis(): number {
    return Math.max(SHORTEST_PATIENCE_MILLIS, this.recovery.usualMillis ?? 0)
  }

  /** Resources that will serve somebody soon: idle, or leased not for long. */
  #productive(now: number, useMillis: number): number {
    let productive = this.#inventory.idle
    for (const entry of this.#inventory.entries()) {
      if (entry.state === LEASED && entry.holdings().some(({ since }) => now - since < STUCK_USE_TIMES * useMillis))
        productive++
    }
    return productive
  }

  /** What `min`, `minIdle`, `ready()` and planned replacements ask for; last in line, and never while paused. */
  #forSizes(): number {
    // Asking again would not help, and may lock an account; only who asks whether it helps by now makes it worth a try.
    if (!this.started || (this.recovery.hopeless && this.wantedReady === 0)) return 0
    const { sizes } = this.#context
    const { alive, creating, idle, maintaining } = this.#inventory
    const forTotal = Math.max(sizes.min, this.wantedReady) + this.replacing - (alive + creating)
    const spare = idle + maintaining + creating - Math.ceil(this.#queue.size / sizes.maxLeasesPerResource)
    const forIdle = Math.min(sizes.minIdle + this.replacing - spare, sizes.max - alive - creating)
    // While nothing is open, probes go on without any traffic: whoever comes first finds the server found.
    const forProbe = this.recovery.probing && alive + creating === 0 ? 1 : 0
    return Math.max(forTotal, sizes.minIdle > 0 ? forIdle : 0, forProbe)
  }

  #open(now: number): void {
    const { events, options, factory } = this.#context
    this.#writeOff()
    const entry = this.#inventory.add(now)
    const probe = this.recovery.probing
    this.recovery.started(now)
    const attempt = this.recovery.failures + 1
    const lastError = this.recovery.lastError
    if (events.heard('createStarted')) {
      events.queue('createStarted', { pool: options.name, resourceId: entry.id, generation: entry.generation, attempt })
    }
    if (probe && events.heard('probe')) events.queue('probe', { pool: options.name, attempt: this.recovery.attempts })
    const cancel = bounded<T, T>(
      this.#context,
      'create',
      options.createTimeoutMillis,
      // A getter, not a value: the signal is made only for those who ask.
      (step) =>
        factory.create({
          get signal() {
            return step.signal
          },
          lost: (error) => this.#lost(entry, error),
          attempt,
          ...(lastError === undefined ? {} : { lastError }),
        }),
      (outcome) => {
        this.#created(entry, outcome)
      },
      (outcome) => {
        this.#createdLate(entry, outcome)
      },
    )
    if (entry.state === CREATING) this.#cancels.set(entry, cancel)
  }

  /** Gives up every create under way; what still comes of them is destroyed unseen. */
  cancelAll(): void {
    for (const cancel of [...this.#cancels.values()]) cancel()
  }

  #lost(entry: Entry<T>, error: unknown): void {
    if (entry.broken) return
    entry.broken = true
    entry.lossError = error
    // A resource that dies before its create has answered is found broken when it does.
    if (entry.resource !== undefined) this.#host.lost(entry)
  }

  #created(entry: Entry<T>, outcome: Outcome<T>): void {
    this.#cancels.delete(entry)
    const { clock, counters } = this.#context
    const now = clock.now()
    const durationMillis = now - entry.startedAt
    if (!outcome.ok) {
      this.#failed(entry, now, durationMillis, outcome.error)
      return
    }
    counters.created++
    entry.resource = outcome.value
    entry.createdAt = now
    entry.provenAt = now
    this.createTimes.record(durationMillis)
    this.#announceCreated(entry, durationMillis)
    this.recovery.succeeded(durationMillis, this.#inventory.open + 1)
    this.#host.opened(entry)
  }

  #announceCreated(entry: Entry<T>, durationMillis: number): void {
    const { events, options } = this.#context
    if (!events.heard('created')) return
    events.queue('created', { pool: options.name, resourceId: entry.id, generation: entry.generation, durationMillis })
  }

  #failed(entry: Entry<T>, now: number, durationMillis: number, error: unknown): void {
    const { counters, events, options } = this.#context
    const failure = classify(this.#context, error, 'disconnect')
    counters.createErrors++
    // A create that ran into its deadline may still hold a socket: its slot is free, but it stays in sight.
    this.#inventory.move(entry, error instanceof StepTimeoutError ? ZOMBIE : CLOSED)
    if (failure === 'saturated' && this.#inventory.open > 0) {
      this.recovery.saturated(now, this.#inventory.open, error)
      if (events.heard('saturated')) events.queue('saturated', { pool: options.name, limit: this.#inventory.open })
    } else {
      this.recovery.failed(now, entry.startedAt, failure, error)
    }
    if (events.heard('createFailed')) {
      events.queue('createFailed', {
        pool: options.name,
        resourceId: entry.id,
        generation: entry.generation,
        durationMillis,
        failure,
        error,
      })
    }
    this.#host.createFailed()
  }

  /** What comes after the deadline of its create is destroyed unseen. */
  #createdLate(zombie: Entry<T>, outcome: Outcome<T>): void {
    const now = this.#context.clock.now()
    if (!outcome.ok) {
      if (zombie.state === ZOMBIE) this.#inventory.move(zombie, CLOSED)
    } else {
      // One that was written off is counted again until it is closed.
      const entry = zombie.state === ZOMBIE ? zombie : this.#inventory.add(now)
      this.#context.counters.created++
      entry.createdAt = now
      entry.resource = outcome.value
      this.#inventory.destroy(entry, 'late')
    }
    this.#context.changed()
  }

  /** Looks again when time alone makes a difference. */
  #setAlarm(now: number, unmet: number): void {
    let at = Infinity
    const waiting = this.#queue.size > 0
    // A probe under way ends by itself, and room is made by something that happens: neither is waited for by looking.
    if (unmet > 0 && this.recovery.probing && this.#inventory.creating === 0 && this.#room(now) > 0)
      at = this.recovery.nextAttemptAt
    if (waiting) {
      at = Math.min(at, this.#nextImpatience(now))
      if (this.#horizonMillis() > 0) at = Math.min(at, now + HORIZON_ROUND_MILLIS)
      if (unmet > 0) at = Math.min(at, this.recovery.nextGrantAt(now))
    }
    if (this.#alarm !== undefined && this.#alarm.dueAt <= at && this.#alarm.dueAt > now) return
    this.stop()
    if (at === Infinity) return
    this.#alarm = new Alarm(Math.max(at, now + 0.5), () => {
      this.stop()
      this.#context.changed()
    })
    this.#context.deadlines.add(this.#alarm)
  }

  /** Stops looking by itself; for a closed pool. */
  stop(): void {
    if (this.#alarm === undefined) return
    this.#context.deadlines.remove(this.#alarm)
    this.#alarm = undefined
  }
}
