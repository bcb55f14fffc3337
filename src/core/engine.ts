import { AsyncLocalStorage } from 'node:async_hooks'
import * as announce from './announcements.ts'
import type { CloseReport } from './close-report.ts'
import { Closing } from './closing.ts'
import type { PoolContext } from './context.ts'
import { Deadlines } from './deadlines.ts'
import type { Entry } from './entry.ts'
import { CreateError, PoolDownError } from './errors.ts'
import { Events } from './events.ts'
import type { FailureClass, ResourceFactory } from './factory.ts'
import { Inventory } from './inventory.ts'
import { leaseAccess, type Lease, type Lender, type Slot } from './lease.ts'
import { CLOSING, IDLE, type PoolState } from './lifecycle.ts'
import { Load } from './load.ts'
import type { CloseOptions } from './managed-pool.ts'
import { Operations } from './operations.ts'
import { Opener } from './opener.ts'
import { checkSizes, sizesOf, type ResolvedOptions, type Sizes } from './options.ts'
import { Passage } from './passage.ts'
import { Readiness } from './readiness.ts'
import { Recall } from './recall.ts'
import type { Request } from './request.ts'
import { assertWorthWaiting, closedError, createError, downError } from './refusals.ts'
import { Counters } from './stats.ts'
import { asksBroken, Retirement } from './retirement.ts'
import { Status } from './status.ts'
import { classify } from './steps.ts'
import { Suspicion } from './suspicion.ts'
import { Upkeep } from './upkeep.ts'
import { WaitQueue } from './wait-queue.ts'
import type { Taker, Waiter } from './waiter.ts'
import { WaitingRoom } from './waiting-room.ts'

/** What dies unused and younger than this says that opening another one at once is of no use. */
const STILLBORN_MILLIS = 1_000

/**
 * The one loop that moves a pool, and the parts that it moves. Every event (acquire, release, a create or check done,
 * lost, timer, abort, resize, invalidate, suspend, close) only changes state and then calls {@link changed}; nothing
 * else matches waiters with resources or decides what to open and what to end.
 */
export class Engine<T> implements PoolContext<T>, Lender<T> {
  readonly factory: ResourceFactory<T>
  readonly options: ResolvedOptions<T>
  readonly sizes: Sizes
  readonly clock: ResolvedOptions['clock']
  readonly events: Events
  readonly counters = new Counters()
  readonly deadlines: Deadlines
  readonly detached: <R>(fn: () => R) => R = AsyncLocalStorage.snapshot()
  readonly name: string

  readonly inventory: Inventory<T>
  readonly queue = new WaitQueue<T>()
  readonly load = new Load()
  readonly opener: Opener<T>
  readonly room: WaitingRoom<T>
  readonly operations: Operations
  readonly readiness: Readiness<T>
  readonly #suspicion: Suspicion<T>
  readonly #passage: Passage<T>
  readonly recall: Recall<T>
  readonly #retirement: Retirement<T>
  readonly #upkeep: Upkeep<T>
  #closing: Closing<T> | undefined
  readonly #status: Status
  #dispatching = false
  /** A change came while the loop was going round. */
  #again = false

  constructor(factory: ResourceFactory<T>, options: ResolvedOptions<T>) {
    this.factory = factory
    this.options = options
    this.name = options.name
    this.sizes = sizesOf(options)
    this.clock = options.clock
    this.events = new Events(options.name)
    this.deadlines = new Deadlines(this.clock, this.detached, () => this.changed())
    this.operations = new Operations(this)
    this.inventory = new Inventory<T>(this)
    this.#status = new Status(this)
    const { inventory, queue, load } = this
    this.opener = new Opener(this, inventory, queue, {
      opened: (entry) => this.#opened(entry),
      createFailed: () => this.#createFailed(),
      lost: (entry) => this.#lost(entry),
      get meanUseMillis() {
        return load.meanUseMillis
      },
    })
    this.room = new WaitingRoom(this, inventory, queue, this.opener.recovery, load, this.#status)
    this.#retirement = new Retirement(this, inventory, queue, this.opener, this.#status, {
      lost: (entry) => this.#endLost(entry),
    })
    this.readiness = new Readiness(this, inventory, this.opener)
    this.#suspicion = new Suspicion(this, inventory, {
      invalidate: (reason, automatic) => this.invalidate(reason, automatic),
      checked: (entry) => this.#passed(entry),
    })
    this.#passage = new Passage(this, inventory, this.#suspicion, {
      passed: (entry) => this.#passed(entry),
      stillborn: (entry, failure, error) => this.#stillborn(entry, failure, error),
    })
    this.recall = new Recall(this, inventory, { forget: (lease) => this.#upkeep.forget(lease) })
    this.#upkeep = new Upkeep(this, inventory, this.opener, this.#suspicion, {
      takeAway: (entry, holder, reason) => this.recall.lease(entry, holder, reason),
    })
  }

  get state(): PoolState {
    return this.#status.state
  }

  /** Not re-entrant: a change that a step of the loop causes makes the loop go round once more. */
  changed(): void {
    if (this.#dispatching) {
      this.#again = true
      return
    }
    this.#dispatching = true
    try {
      do {
        this.#again = false
        if (this.queue.size > 0) this.#match()
        this.#grow()
        this.#closing?.proceed()
        if (this.readiness.awaited) this.readiness.check()
        // Set by whatever the steps above have caused.
      } while (this.#again as boolean)
    } finally {
      // Whatever threw (a bug, or a clock or chance that was injected): a loop that never goes round again would be worse.
      this.#dispatching = false
    }
    this.events.flush()
  }

  /** Gives what is free to those who wait. */
  #match(): void {
    if (this.#status.state === 'suspended') return
    const now = this.clock.turnNow()
    for (let waiter = this.room.next(now); waiter !== undefined; waiter = this.room.next(now)) {
      const entry = this.#takeReady(now)
      if (entry === undefined) return
      this.#serve(waiter, entry, now)
    }
  }

  #serve(waiter: Waiter<T>, entry: Entry<T>, now: number): void {
    this.room.leave(waiter, now)
    this.counters.acquiredAfterWait++
    const waitedMillis = Math.max(0, now - waiter.queuedAt)
    this.load.waitTimes.record(waitedMillis)
    const lease = this.#lend(entry, now, waiter.request, waitedMillis)
    if (waitedMillis >= this.options.slowMillis) announce.longWait(this, entry, lease, waitedMillis, waiter.request)
    if (waiter.request?.caller !== undefined) announce.waited(this, waiter.request, waitedMillis, true)
    waiter.resolve(lease)
  }

  /** The next resource that may be handed out. What must be checked first is checked, what is over is ended. */
  #takeReady(now: number): Entry<T> | undefined {
    for (;;) {
      const entry = this.inventory.available.peek()
      if (entry === undefined) return undefined
      if (!this.inventory.sound(entry, now)) {
        this.inventory.discard(entry, now)
        continue
      }
      const unproven = this.inventory.needsValidation(entry, now)
      if (!unproven && !this.#passage.needsPreparing(entry)) return entry
      // As many as there are waiters are on their way already.
      if (this.opener.comingBack(now) >= this.queue.size) return undefined
      if (unproven) this.#suspicion.check(entry)
      else this.#passage.prepare(entry)
    }
  }

  #grow(): void {
    const { inventory, opener, sizes } = this
    if (this.#status.state === 'suspended' || this.#status.state === 'closed') return
    if (this.#status.state === 'closing' && this.queue.size === 0) return
    if (opener.recovery.probing && this.#status.state === 'open' && inventory.alive + inventory.creating === 0)
      this.#status.pause(this.opener.recovery)
    const filled =
      this.queue.size === 0 &&
      (!opener.started ||
        (inventory.alive + inventory.creating >= sizes.min &&
          sizes.minIdle + opener.wantedReady + opener.replacing === 0)) &&
      !opener.recovery.probing
    // A full pool opens nothing, but a check that is not answered may have to be waited for no longer.
    const checking = this.queue.size > 0 && inventory.maintaining > 0 && inventory.available.size > 0
    if (checking || (!this.#full() && !filled)) opener.grow(this.clock.turnNow())
  }

  /**
   * A lease for whoever wants nothing but a resource, where nothing has to be decided; otherwise {@link lendNow} looks
   * closer. Kept small: what the compiler cannot inline costs as much again.
   */
  lendAtOnce(): Lease<T> | undefined {
    const { inventory, counters } = this
    const entry = inventory.available.peek()
    if (entry === undefined || this.queue.size > 0 || this.#status.state !== 'open' || !this.events.quiet)
      return undefined
    const now = this.clock.turnNow()
    if (now > this.#upkeep.overdueAt || !inventory.ready(entry, now) || this.#passage.prepares) return undefined
    counters.requested++
    counters.acquired++
    const lease = leaseAccess.create<T>(this, entry, undefined)
    inventory.lend(entry, lease, now)
    if (entry.uses === 1) this.opener.recovery.lent()
    if (this.sizes.minIdle > 0) this.changed()
    return lease
  }

  /** A lease of what is free at once: nobody waits, and no check is needed. `untold`: nobody knows yet that somebody asks. */
  lendNow(request: Request | undefined, untold = false): Lease<T> | undefined {
    if (this.queue.size > 0 || this.#status.state !== 'open') return undefined
    const now = this.clock.turnNow()
    if (now > this.#upkeep.overdueAt) this.#upkeep.lookForFreeze(now)
    for (;;) {
      const entry = this.inventory.available.peek()
      if (entry === undefined) return undefined
      if (this.inventory.sound(entry, now)) {
        if (this.inventory.needsValidation(entry, now) || this.#passage.needsPreparing(entry)) return undefined
        if (untold) announce.asked(this, request?.label)
        const lease = this.#lend(entry, now, request, 0)
        if (this.sizes.minIdle > 0) this.changed()
        return lease
      }
      this.inventory.discard(entry, now)
    }
  }

  /** Queues a caller for whom nothing is free at once. @throws what one is told who cannot be served */
  wait(timeoutMillis: number, priority: number, request: Request | undefined, taker?: Taker<T>): Waiter<T> {
    this.opener.started = true
    try {
      if (this.#status.state !== 'open' || this.opener.recovery.probing)
        assertWorthWaiting(this, this.#status.state, this.opener.recovery, this.inventory.alive)
      const waiter = this.room.enter(timeoutMillis, priority, request, taker)
      if (this.inventory.available.size > 0 || !this.#full() || this.#dispatching) this.changed()
      else this.events.flush()
      return waiter
    } catch (error) {
      const reason = error instanceof CreateError || error instanceof PoolDownError ? 'failed' : 'refused'
      this.room.refused(reason, request?.label, error)
      this.changed()
      throw error
    }
  }

  /** Nothing more may be opened, whatever the demand. */
  #full(): boolean {
    return this.inventory.occupied + this.inventory.creating >= this.sizes.max + this.options.maxOverflow
  }

  #lend(entry: Entry<T>, now: number, request: Request | undefined, waitedMillis: number): Lease<T> {
    const lease = leaseAccess.create<T>(this, entry, request)
    this.inventory.lend(entry, lease, now)
    entry.prepared = false
    this.counters.acquired++
    if (waitedMillis > 0 || entry.uses === 1) this.opener.recovery.lent()
    if (this.events.acquired.heard) announce.acquired(this, entry, request?.label, waitedMillis)
    return lease
  }

  released(slot: Slot<T>, lease: Lease<T>, error: unknown): void {
    const entry = slot as Entry<T> // only this engine makes its leases, and only of entries
    const now = this.clock.turnNow()
    this.#giveBack(entry, lease, now, error)
    if (error !== undefined && error !== null && error !== false) {
      this.#releasedWith(entry, now, error)
      return
    }
    entry.provenAt = now
    const broken = this.factory.isBroken !== undefined && asksBroken(this, entry, undefined)
    if (
      broken ||
      this.#status.state !== 'open' ||
      !this.inventory.reusable(entry, now) ||
      !this.#passage.isShort(entry)
    )
      this.#settle(entry, now, broken || entry.broken)
    else if (this.queue.size > 0 && this.#handOver(entry, now)) return
    else {
      this.inventory.makeAvailable(entry, now, false)
      if (this.queue.size === 0 && !this.#dispatching && this.events.flush()) return
    }
    this.changed()
  }

  /** From hand to hand: nothing but who holds it changes, and the loop has nothing to do. */
  #handOver(entry: Entry<T>, now: number): boolean {
    if (this.#dispatching || this.inventory.gated || this.inventory.available.size > 0) return false
    if (!this.inventory.ready(entry, now) || this.#passage.prepares) return false
    const waiter = this.room.next(now)
    if (waiter === undefined) return false
    this.#serve(waiter, entry, now)
    this.events.flush()
    return true
  }

  #releasedWith(entry: Entry<T>, now: number, error: unknown): void {
    const failure = classify(this, error, 'query')
    const broken = this.factory.isBroken === undefined ? failure !== 'query' : asksBroken(this, entry, error)
    this.#settle(entry, now, entry.broken || broken)
    this.#suspicion.noteFailure(entry, failure)
    this.changed()
  }

  discarded(slot: Slot<T>, lease: Lease<T>, reason: unknown): void {
    const entry = slot as Entry<T>
    this.#giveBack(entry, lease, this.clock.turnNow(), reason)
    entry.broken = true
    if (entry.leases === 0) this.inventory.destroy(entry, 'released', reason)
    else this.inventory.drain(entry)
    // Also a borrower who does not trust its resource any more has seen what may befall the others.
    if (reason !== undefined) this.#suspicion.noteFailure(entry, classify(this, reason, 'query'))
    this.changed()
  }

  #giveBack(entry: Entry<T>, lease: Lease<T>, now: number, error: unknown): void {
    const since = this.inventory.takeBack(entry, lease)
    const useMillis = now - since
    this.load.record(useMillis)
    if (useMillis >= this.options.slowMillis) announce.longLease(this, entry, lease, useMillis)
    const request = leaseAccess.request(lease)
    if (request !== undefined) this.room.ended(request)
    if (entry.inspected) this.#upkeep.returned(entry, lease, since)
    if (this.events.released.heard) announce.released(this, entry, lease, useMillis, error)
  }

  /** What becomes of a resource that lost a lease. */
  #settle(entry: Entry<T>, now: number, broken: boolean): void {
    if (entry.leases > 0) {
      entry.broken ||= broken
      this.inventory.keep(entry, now)
    } else if (broken) {
      this.inventory.destroy(entry, entry.broken ? 'lost' : 'broken', entry.lossError)
    } else if (!this.#retirement.ends(entry, now)) {
      this.#passage.released(entry)
    }
  }

  #opened(entry: Entry<T>): void {
    const { maxLifetimeMillis, random } = this.options
    entry.expiresAt = entry.createdAt + maxLifetimeMillis * (0.75 + 0.25 * random())
    if (this.#status.state === 'paused') this.#status.resumeFromPause(this.opener.recovery)
    this.#upkeep.start()
    if (!this.#retirement.ends(entry, this.clock.turnNow())) this.#passage.created(entry)
    this.changed()
  }

  /** The entry went through what it must between two borrowers. */
  #passed(entry: Entry<T>): void {
    const now = this.clock.turnNow()
    if (!this.#retirement.ends(entry, now)) this.inventory.makeAvailable(entry, now, false)
    this.changed()
  }

  #createFailed(): void {
    const { recovery } = this.opener
    if (recovery.probing && this.inventory.alive + this.inventory.creating === 0) {
      if (this.#status.state === 'open') this.#status.pause(recovery)
      if (recovery.hopeless) {
        this.room.failAll('failed', () => createError(this, recovery))
        this.readiness.fail(() => createError(this, recovery))
      } else if (this.options.failFastWhenDown) this.room.failAll('failed', () => downError(this, recovery))
    }
    this.changed()
  }

  #lost(entry: Entry<T>): void {
    const failure = classify(this, entry.lossError, 'disconnect')
    // It ends because the pool ended it: that says nothing about the others, unless the server itself goes down.
    if (entry.state === CLOSING && failure !== 'restart') return
    if (entry.state === IDLE) this.#endLost(entry)
    else this.inventory.drain(entry)
    this.#suspicion.noteFailure(entry, failure)
    this.changed()
  }

  #endLost(entry: Entry<T>): void {
    this.inventory.destroy(entry, 'lost', entry.lossError)
    if (entry.uses === 0 && this.clock.now() - entry.createdAt < STILLBORN_MILLIS)
      this.#stillborn(entry, classify(this, entry.lossError, 'disconnect'), entry.lossError)
  }

  /** Opened, and ended before anybody had it: to be opened again at once, without an end, were it not for the back-off. */
  #stillborn(entry: Entry<T>, failure: FailureClass, error: unknown): void {
    this.opener.recovery.stillborn(this.clock.now(), entry.startedAt, failure, error)
    this.#createFailed()
  }

  /** Validates one idle resource, where the adapter can; false when it fails or takes longer. */
  probeIdle(timeoutMillis: number): Promise<boolean> {
    return this.#suspicion.probe(timeoutMillis)
  }

  invalidate(reason: string, isAutomatic: boolean, spreadMillis = 0, interruptInUse = false): void {
    if (spreadMillis > 0) this.recall.spread(spreadMillis)
    else this.recall.generation(reason, isAutomatic, this.#status.state !== 'paused')
    if (interruptInUse) this.recall.allLeases('interrupted')
    this.changed()
  }

  suspend(): void {
    if (this.state !== 'open' && this.state !== 'paused') return
    this.#status.suspend(true, 'suspended')
    this.changed()
  }

  resume(): void {
    if (this.state !== 'suspended') return
    const isDown = this.opener.recovery.probing && this.inventory.alive === 0
    this.#status.suspend(false, isDown ? 'paused' : 'open')
    this.changed()
  }

  resize({ min = this.sizes.min, max = this.sizes.max }: { min?: number; max?: number }): void {
    checkSizes(this.name, { min, max, minIdle: this.sizes.minIdle })
    this.sizes.min = min
    this.sizes.max = max
    this.recall.surplus(max)
    if (this.events.heard('resized')) this.events.queue('resized', { pool: this.name, min, max })
    this.changed()
  }

  close(options: CloseOptions): Promise<CloseReport> {
    if (this.#closing === undefined) {
      this.#status.set('closing')
      this.readiness.fail(() => closedError(this.name))
      this.#closing = new Closing(this, this.inventory, this.opener, this.queue, this.room, options, {
        takeAllAway: () => this.recall.allLeases('close'),
        closed: (report) => this.#closed(report),
      })
      this.changed()
    }
    return this.#closing.promise
  }

  #closed(report: CloseReport): void {
    this.#status.set('closed')
    this.#upkeep.stop()
    this.opener.stop()
    this.deadlines.stop()
    this.events.queue('closed', report)
    this.events.flush()
    this.events.clear()
  }
}
