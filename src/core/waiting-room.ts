import * as announce from './announcements.ts'
import { marked } from './caller-mark.ts'
import type { PoolContext } from './context.ts'
import { Alarm } from './deadlines.ts'
import { AcquireTimeoutError, DeadlockError, OverloadedError, withoutStack } from './errors.ts'
import { Futility } from './futility.ts'
import type { Inventory } from './inventory.ts'
import { LEASED, type PoolState } from './lifecycle.ts'
import { ControlledDelay, type Load } from './load.ts'
import { countWaiting, enclosingScope, type Scope } from './nesting.ts'
import type { Recovery } from './recovery.ts'
import type { Request } from './request.ts'
import {
  formatMillis,
  leaseInfo,
  timeoutMessage,
  type AcquireReport,
  type Diagnosis,
  type LeaseInfo,
  type WaiterInfo,
} from './report.ts'
import type { Status } from './status.ts'
import type { WaitQueue } from './wait-queue.ts'
import { Waiter, type Taker, type WaiterHost } from './waiter.ts'

/** How an acquire that got no lease ended. */
export type AcquireFailure = 'timeout' | 'aborted' | 'refused' | 'failed'

/** A lease is stuck when it is out longer than this many median use times. */
const STUCK_USE_TIMES = 10

/** Admission leaves one median use time, but no more than this share of the wait, for the work itself. */
const HEADROOM = 0.1

/** Where callers wait: who is let in, who is next, and how those end who get nothing. */
export class WaitingRoom<T> implements WaiterHost<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #queue: WaitQueue<T>
  readonly #recovery: Recovery
  readonly #load: Load
  readonly #status: Status
  readonly #controlledDelay: ControlledDelay | undefined
  /** Sheds who waited too long although nothing is released. */
  #sheddingAlarm: Alarm | undefined
  readonly #futility = new Futility()
  #beginsAfterTurn = false
  #warned = false
  /** One report serves all who run into their deadline at the same instant. */
  #report: { readonly at: number; readonly state: PoolState; readonly report: AcquireReport } | undefined

  constructor(
    context: PoolContext<T>,
    inventory: Inventory<T>,
    queue: WaitQueue<T>,
    recovery: Recovery,
    load: Load,
    status: Status,
  ) {
    this.#context = context
    this.#inventory = inventory
    this.#queue = queue
    this.#recovery = recovery
    this.#load = load
    this.#status = status
    this.#controlledDelay = context.options.queue === 'codel' ? new ControlledDelay() : undefined
  }

  /**
   * Queues a caller. In a certain deadlock with `nested: 'throw'`, it is rejected already.
   * @throws {OverloadedError} when it is not let in
   */
  enter(timeoutMillis: number, priority: number, request: Request | undefined, taker: Taker<T> | undefined): Waiter<T> {
    const { clock, options } = this.#context
    const now = clock.turnNow()
    if (this.#queue.size >= options.maxWaiting) this.#makeRoom(priority)
    if (options.admission === 'deadline') this.#admitByDeadline(timeoutMillis, now)
    const waiter = new Waiter<T>(this, now, timeoutMillis, priority, marked(request), taker)
    this.#queue.push(waiter)
    if (!this.#beginsAfterTurn) this.#beginAfterTurn()
    if (request?.scope !== undefined) this.#enterNested(waiter, request.scope)
    if (this.#controlledDelay !== undefined) this.#watchDelay(now)
    return waiter
  }

  /**
   * The time of a waiter begins when the turn of the event loop ends in which it came: one reading of the clock for all
   * who come together, and none at all for those who are served at once.
   */
  #beginAfterTurn(): void {
    this.#beginsAfterTurn = true
    // A store of the caller's async context is kept no longer than the turn lasts, and nobody's code runs in it.
    this.#context.clock.afterTurn(this.#begin)
  }

  /** One function for all turns: while a server answers, somebody comes to wait in nearly every one. */
  readonly #begin = (): void => {
    const { clock, deadlines, options } = this.#context
    this.#beginsAfterTurn = false
    const now = clock.now()
    for (const waiter of this.#queue.newcomers()) {
      waiter.begin(now)
      if (waiter.timeoutMillis === options.acquireTimeoutMillis && waiter.dueAt < Infinity) deadlines.addInOrder(waiter)
      else deadlines.add(waiter)
    }
  }

  /** Who is served next, and alive; who is past the deadline, or shed, is settled on the way. */
  next(now: number): Waiter<T> | undefined {
    const first = this.#firstLive(now)
    return first !== undefined && this.#futility.servesNewest ? this.#newestLive(first) : first
  }

  #newestLive(first: Waiter<T>): Waiter<T> {
    let newest = this.#queue.newestBeside(first)
    for (; newest !== first && !this.#context.deadlines.serves(newest); newest = this.#queue.newestBeside(first))
      this.waiterExpired(newest)
    return newest
  }

  #firstLive(now: number): Waiter<T> | undefined {
    for (let waiter = this.#queue.peek(); waiter !== undefined; waiter = this.#queue.peek()) {
      if (!this.#context.deadlines.serves(waiter)) {
        this.waiterExpired(waiter)
      } else if (this.#controlledDelay?.sheds(now - waiter.queuedAt)) {
        this.#shed(waiter, now)
      } else {
        return waiter
      }
    }
    return undefined
  }

  /** A lease came back that somebody had asked for in particular. */
  ended({ signal, asker, waited }: Request): void {
    const gaveUp = asker?.gaveUp ?? signal?.aborted
    if (waited && gaveUp !== undefined && this.#controlledDelay === undefined) this.#futility.note(gaveUp)
  }

  /** Takes out a waiter that is about to get a lease. */
  leave(waiter: Waiter<T>, now: number): void {
    this.#queue.servedBefore(waiter)
    this.#futility.turn()
    this.#controlledDelay?.note(now, now - waiter.queuedAt)
    this.#takeOut(waiter, now)
  }

  /** Ends a waiter without a lease. */
  fail(waiter: Waiter<T>, reason: AcquireFailure, error: unknown): void {
    const now = this.#context.clock.turnNow()
    this.#takeOut(waiter, now)
    const { request } = waiter
    const waitedMillis = now - waiter.queuedAt
    this.#count(reason, request?.label, waitedMillis, error, request?.caller)
    if (request?.caller !== undefined) announce.waited(this.#context, request, waitedMillis, false)
    waiter.reject(error)
  }

  failAll(reason: AcquireFailure, makeError: () => unknown): void {
    for (let waiter = this.#queue.peek(); waiter !== undefined; waiter = this.#queue.peek()) {
      this.fail(waiter, reason, makeError())
    }
  }

  /** Counts and announces an acquire that failed without waiting. */
  refused(reason: AcquireFailure, label: string | undefined, error: unknown): void {
    this.#count(reason, label, 0, error)
  }

  waiterAborted(waiter: Waiter<T>, reason: unknown): void {
    this.fail(waiter, 'aborted', reason)
    this.#context.changed()
  }

  waiterExpired(waiter: Waiter<T>): void {
    const now = this.#context.clock.turnNow()
    this.fail(waiter, 'timeout', this.timeoutError(now - waiter.queuedAt, waiter.stallMillis))
  }

  timeoutError(waitedMillis: number, stallMillis: number): AcquireTimeoutError {
    const { options, factory } = this.#context
    const report = this.#makeReport(stallMillis > 0)
    const message = timeoutMessage(options.name, factory.kind, waitedMillis, stallMillis, report)
    const { lastError } = this.#recovery
    return withoutStack(
      () => new AcquireTimeoutError(options.name, message, waitedMillis, stallMillis, report, lastError),
    )
  }

  /** Who holds the leases that are out longest. */
  holders(now: number, limit = Infinity): LeaseInfo[] {
    return this.#leaseInfos(now).slice(0, limit)
  }

  /** Who waits, in the order in which they would be served. */
  waiters(now: number, limit: number): WaiterInfo[] {
    return this.#queue.inOrder(limit).map(({ request, queuedAt, priority, dueAt, timeoutMillis }) => ({
      label: request?.label,
      waitedMillis: Math.max(0, now - queuedAt),
      priority,
      // The time of one who has only just come begins later.
      leftMillis: dueAt === Infinity ? timeoutMillis : Math.max(0, dueAt - now),
    }))
  }

  /** Whether every lease belongs to a `use` callback that itself waits, and nothing else is coming. */
  deadlocked(): boolean {
    const { idle, maintaining, creating, closing, occupied, leased } = this.#inventory
    const { sizes, options } = this.#context
    // Whose goodbye is being said makes room in a moment.
    if (leased === 0 || idle + maintaining + creating + closing > 0 || occupied < sizes.max + options.maxOverflow)
      return false
    for (const entry of this.#inventory.entries()) {
      if (entry.state !== LEASED) continue
      if (entry.leases < sizes.maxLeasesPerResource) return false
      if (entry.holdings().some(({ holder }) => holder.scope === undefined || holder.scope.waiting === 0)) return false
    }
    return true
  }

  #takeOut(waiter: Waiter<T>, now: number): void {
    this.#queue.remove(waiter)
    if (this.#queue.size === 0) {
      this.#futility.over()
      this.#controlledDelay?.noteEmpty(now)
    }
    this.#context.deadlines.remove(waiter)
    if (waiter.request?.scope !== undefined) countWaiting(waiter.request.scope, -1)
  }

  #count(
    reason: AcquireFailure,
    label: string | undefined,
    durationMillis: number,
    error: unknown,
    caller?: unknown,
  ): void {
    const { counters, events, options } = this.#context
    if (reason === 'timeout') counters.timedOut++
    else counters[reason]++
    if (events.heard('acquireFailed')) {
      const by = announce.by(caller)
      events.queue('acquireFailed', { pool: options.name, label, reason, durationMillis, error, ...by })
    }
  }

  /** A newcomer who ranks higher than somebody takes the place of the last of the lowest; anybody else is refused. */
  #makeRoom(priority: number): void {
    const { options } = this.#context
    const refuse = (waiting: number): OverloadedError =>
      new OverloadedError(
        options.name,
        `pool "${options.name}": ${waiting} callers wait already (maxWaiting ${options.maxWaiting})`,
        'queue-full',
        this.#drainMillis(),
      )
    const displaced = this.#queue.newestBelow(priority)
    if (displaced === undefined) throw refuse(this.#queue.size)
    const error = withoutStack(() => refuse(this.#queue.size))
    this.fail(displaced, 'refused', error)
  }

  /** How long those who wait now will keep the pool busy: `Q · U / max`. */
  #drainMillis(waiting = this.#queue.size): number {
    const useMillis = this.#load.typicalUseMillis ?? this.#load.meanUseMillis ?? 0
    return Math.ceil((waiting * useMillis) / Math.max(1, this.#servers()))
  }

  #servers(): number {
    const { sizes, clock } = this.#context
    const limit = Math.min(sizes.max, this.#recovery.grantedLimit(clock.turnNow()))
    return limit * sizes.maxLeasesPerResource
  }

  /**
   * Refuses who would be served too late: `(Q + 1) · U / max` above the time the caller has, U the mean of the last
   * use times: the median of work of several kinds is less, and promises what the pool cannot keep. Never while the oldest waiter has waited less than one U: a burst is not an overload.
   */
  #admitByDeadline(timeoutMillis: number, now: number): void {
    const useMillis = this.#load.typicalUseMillis
    const oldest = this.#queue.oldest()
    if (useMillis === undefined || oldest === undefined || now - oldest.queuedAt < useMillis) return
    const expectedMillis = this.#drainMillis(this.#queue.size + 1)
    // Who gets a resource in the last instant has no time left to use it: callers count their work in.
    const headroomMillis = Math.min(useMillis, HEADROOM * timeoutMillis)
    if (expectedMillis + headroomMillis <= timeoutMillis) return
    const { name } = this.#context.options
    throw new OverloadedError(
      name,
      `pool "${name}": ${this.#queue.size} callers wait, the next would be served in about ${formatMillis(expectedMillis)} and can wait ${formatMillis(timeoutMillis)}`,
      'deadline',
      Math.max(1, Math.ceil(expectedMillis + headroomMillis - timeoutMillis)),
    )
  }

  #shed(waiter: Waiter<T>, now: number): void {
    const { name } = this.#context.options
    const waited = formatMillis(now - waiter.queuedAt)
    const message = `pool "${name}": shed after ${waited}, because the queue does not drain`
    const error = withoutStack(() => new OverloadedError(name, message, 'shed', this.#drainMillis()))
    this.fail(waiter, 'refused', error)
  }

  #watchDelay(now: number): void {
    const { deadlines, clock } = this.#context
    const delay = this.#controlledDelay
    if (delay === undefined || this.#sheddingAlarm !== undefined) return
    this.#sheddingAlarm = new Alarm(now + delay.targetMillis, () => {
      this.#sheddingAlarm = undefined
      const then = clock.now()
      const first = this.#queue.peek()
      if (first === undefined) return
      delay.note(then, then - first.queuedAt)
      this.next(then)
      if (this.#queue.size > 0) this.#watchDelay(then)
    })
    deadlines.add(this.#sheddingAlarm)
  }

  #enterNested(waiter: Waiter<T>, scope: Scope): void {
    countWaiting(scope, 1)
    const holding = enclosingScope(scope, this.#context)
    if (holding === undefined) return
    const { events, options, counters, clock } = this.#context
    const now = clock.turnNow()
    if (options.nested !== 'allow') this.#warnOfNesting(waiter, this.#leaseInfos(now, holding)[0])
    if (!this.deadlocked()) return
    counters.deadlocks++
    const holders = this.holders(now)
    if (events.heard('deadlock')) events.queue('deadlock', { pool: options.name, holders })
    if (options.nested !== 'throw') return
    const message = `pool "${options.name}": deadlock: all ${holders.length} leases belong to callbacks that wait for this pool; pass the resource on instead of acquiring again`
    this.fail(waiter, 'failed', new DeadlockError(options.name, message))
  }

  /** An event each time, and a warning of the process once where nobody listens. */
  #warnOfNesting({ request }: Waiter<T>, holder: LeaseInfo | undefined): void {
    const { events, options } = this.#context
    if (events.heard('nested')) {
      events.queue('nested', {
        pool: options.name,
        label: request?.label,
        holder: holder ?? { resourceId: 0, label: undefined, heldMillis: 0, stack: undefined },
      })
    } else if (!this.#warned) {
      this.#warned = true
      const advice = 'pass the resource on instead of acquiring again, or the pool can deadlock'
      process.emitWarning(
        `pool "${options.name}": a callback of use() waits for its own pool; ${advice}`,
        'MillpondWarning',
      )
    }
  }

  #leaseInfos(now: number, scope?: Scope): LeaseInfo[] {
    const infos: LeaseInfo[] = []
    for (const entry of this.#inventory.entries()) {
      if (entry.state !== LEASED) continue
      for (const { holder, since } of entry.holdings()) {
        if (scope === undefined || holder.scope === scope) infos.push(leaseInfo(entry.id, holder, since, now))
      }
    }
    return infos.sort((a, b) => b.heldMillis - a.heldMillis)
  }

  #makeReport(stalled: boolean): AcquireReport {
    const now = this.#context.clock.turnNow()
    if (!stalled && this.#report?.at === now && this.#report.state === this.#status.state) {
      return { ...this.#report.report, waiting: this.#queue.size }
    }
    const { idle, leased, maintaining, creating, open } = this.#inventory
    const infos = this.#leaseInfos(now)
    const report: AcquireReport = {
      total: open,
      idle,
      used: leased,
      maintaining,
      creating,
      waiting: this.#queue.size,
      max: this.#context.sizes.max,
      leaseAgeP50: infos[infos.length >> 1]?.heldMillis ?? 0,
      leaseAgeP99: infos[Math.floor(infos.length / 100)]?.heldMillis ?? 0,
      longest: infos.slice(0, 3),
      diagnosis: this.#diagnose(stalled, infos),
    }
    if (!stalled) this.#report = { at: now, state: this.#status.state, report }
    return report
  }

  #diagnose(stalled: boolean, infos: readonly LeaseInfo[]): Diagnosis {
    const { sizes, clock } = this.#context
    const { alive, creating, leased } = this.#inventory
    if (stalled) return 'event-loop-blocked'
    if (this.#status.state === 'suspended') return 'suspended'
    if (this.#recovery.probing && alive === 0) return 'server-down'
    if (this.deadlocked()) return 'nested-acquire'
    if (this.#recovery.grantedLimit(clock.turnNow()) < sizes.max) return 'server-saturated'
    // What is being opened would serve all who wait.
    if (leased < sizes.max && creating >= Math.max(1, this.#queue.size)) return 'create-slow'
    const usual = this.#load.medianUseMillis ?? this.#load.meanUseMillis
    const stuck = infos.filter(
      ({ heldMillis }) => usual === undefined || heldMillis > STUCK_USE_TIMES * Math.max(usual, 1),
    )
    if (leased > 0 && stuck.length * 2 > infos.length) return 'leak-suspected'
    if (leased < sizes.max && creating > 0) return 'create-slow'
    return 'pool-too-small'
  }
}
