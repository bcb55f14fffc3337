import type { CloseReport } from '../core/close-report.ts'
import type { Distributions } from '../core/distribution.ts'
import { PoolClosedError } from '../core/errors.ts'
import type { DestroyReason, FailureClass } from '../core/factory.ts'
import { ForeignPool, type Verdict } from '../core/foreign-pool.ts'
import { Ledger, type Ask, type Refusal } from '../core/ledger.ts'
import type { CloseOptions, LookOptions } from '../core/managed-pool.ts'
import type { LeaseInfo, WaiterInfo } from '../core/report.ts'
import type { PoolStats } from '../core/stats.ts'
import type { ObserveOptions } from './options.ts'

/** A resource of somebody else's pool. */
interface Known {
  readonly resourceId: number
  readonly openedAt: number
  uses: number
  usedSince: number | undefined
  /** Where it was asked for. */
  stack: Error | undefined
  /** Whoever has it was seen to ask for it: the pool's own handling is no use. */
  wasAsked: boolean
  isReported: boolean
}

/** One try to open a resource. */
export interface Opening {
  readonly resourceId: number
  readonly startedAt: number
}

interface Asking {
  readonly ask: Ask
  readonly stack: Error | undefined
}

/** What an unsettled ask is, to those who wrap the pool. */
export type { Asking }

const LOOK_MILLIS = 5
const GOODBYE_MILLIS = 2_000

/**
 * A view on a pool that somebody else wrote, by wrapping the methods of this one object: events of the drivers alone
 * are not enough to tell what happens under contention. A kind of pool says what is wrapped, and enters what it sees.
 */
export abstract class WatchedPool extends ForeignPool {
  readonly #ledger = new Ledger()
  readonly #known = new Map<object, Known>()
  /** Those who waited before anybody watched, by what stands for them in the pool's own queue. */
  readonly #strangers = new Map<object, Ask>()
  readonly #restores: (() => void)[] = []
  readonly #options: {
    readonly slowMillis: number
    readonly leakThresholdMillis: number
    readonly trackStacks: boolean
  }
  readonly #timer: NodeJS.Timeout | undefined
  #lastId = 0
  #failures = 0
  #pausedAt: number | undefined
  #forget: () => void

  constructor(kind: string, options: ObserveOptions, forget: () => void) {
    super(options.name ?? kind, kind)
    const { slowMillis = 1_000, leakThresholdMillis = Infinity } = options
    const trackStacks = options.trackStacks ?? leakThresholdMillis !== Infinity
    this.#options = { slowMillis, leakThresholdMillis, trackStacks }
    this.#forget = forget
    if (leakThresholdMillis === Infinity) return
    this.#timer = setInterval(() => this.#lookForLeaks(), Math.min(Math.max(leakThresholdMillis / 4, 10), 1_000))
    this.#timer.unref()
  }

  // ── what a kind of pool says ──

  /** The sizes that the pool was given. */
  protected abstract sizes(): { readonly min: number; readonly max: number }
  /** Borrows a resource, has the server answer on it, and gives it back. */
  protected abstract probe(): Promise<unknown>
  /** Has the pool close itself. */
  protected abstract shut(): Promise<unknown>
  /** Ends a resource that is still used when the time is over. */
  protected abstract cut(resource: object): void
  /** What an error of the pool's own says. */
  protected abstract refusalOf(error: unknown): Refusal
  /** What stands for those who wait in the pool's own queue. */
  protected queue(): readonly object[] {
    return []
  }
  /** Anything that the pool's events left out, before counts are shown. */
  protected settle(): void {}

  protected get ledger(): Ledger {
    return this.#ledger
  }

  // ── wrapping ──

  /** Replaces a method of the one object, until the view is closed or detached. Nothing else of it changes. */
  protected wrap<F extends (...args: never[]) => unknown>(
    target: object,
    method: string,
    make: (original: F) => F,
  ): void {
    const own = target as Record<string, unknown>
    const original = own[method]
    if (typeof original !== 'function') return
    const wasOwn = Object.hasOwn(own, method)
    const wrapped = make(original.bind(target) as F)
    own[method] = wrapped
    this.onRestore(() => {
      // Somebody has wrapped it after us: theirs stays, and calls ours, which only passes on by now.
      if (own[method] !== wrapped) return
      if (wasOwn) own[method] = original
      else Reflect.deleteProperty(own, method)
    })
  }

  /** Listens to an event of the pool, until the view is closed or detached. */
  protected listen(
    source: { on(event: string, listener: never): unknown; removeListener(event: string, listener: never): unknown },
    event: string,
    listener: (...args: never[]) => void,
  ): void {
    source.on(event, listener as never)
    this.onRestore(() => void source.removeListener(event, listener as never))
  }

  protected onRestore(restore: () => void): void {
    this.#restores.push(restore)
  }

  override detach(): void {
    if (this.state === 'closed' || this.state === 'closing') return
    this.#stop()
    this.ownerClosed(0)
  }

  #stop(): void {
    for (const restore of this.#restores.splice(0).reverse()) restore()
    clearInterval(this.#timer)
    for (const resource of this.#known.keys()) this.gone(resource, 'close')
    for (const ask of [...this.#ledger.asks]) this.#ledger.refuse(ask, 'refused')
    while (this.#ledger.creating > 0) this.#ledger.createFailed()
    this.#strangers.clear()
    this.#forget()
  }

  // ── what happens to resources ──

  /** Open since before anybody watched. */
  protected found(resource: object, isUsed: boolean): void {
    this.#ledger.adopt(1)
    this.#note(resource)
    if (isUsed) this.lent(resource)
  }

  /** Waiting since before anybody watched. */
  protected foundWaiting(): void {
    for (const item of this.queue()) this.#strangers.set(item, this.#ledger.ask())
  }

  protected opening(): Opening {
    const opening = { resourceId: ++this.#lastId, startedAt: this.#ledger.now() }
    this.#ledger.createStarted()
    this.tell('createStarted', { pool: this.name, resourceId: opening.resourceId, generation: 0, attempt: 1 })
    return opening
  }

  protected opened(resource: object, opening: Opening | undefined): void {
    if (this.#known.has(resource)) return
    const durationMillis = opening === undefined ? undefined : this.#ledger.now() - opening.startedAt
    if (opening === undefined) this.#ledger.adopt(1)
    else this.#ledger.created(durationMillis)
    const { resourceId } = this.#note(resource, opening?.resourceId)
    this.tell('created', { pool: this.name, resourceId, generation: 0, durationMillis: durationMillis ?? 0 })
    this.#failures = 0
    if (this.#pausedAt === undefined) return
    const pausedMillis = this.#ledger.now() - this.#pausedAt
    this.#pausedAt = undefined
    this.tell('resumed', { pool: this.name, pausedMillis, attempts: 1 })
  }

  protected openFailed(opening: Opening, error: unknown, failure: FailureClass = 'disconnect'): void {
    this.#ledger.createFailed()
    const durationMillis = this.#ledger.now() - opening.startedAt
    const { resourceId } = opening
    this.tell('createFailed', { pool: this.name, resourceId, generation: 0, durationMillis, failure, error })
    this.#failures++
    if (this.#pausedAt !== undefined || this.#ledger.total > 0 || this.state !== 'open') return
    this.#pausedAt = this.#ledger.now()
    this.tell('paused', { pool: this.name, failure, error })
  }

  #note(resource: object, resourceId = ++this.#lastId): Known {
    const known: Known = {
      resourceId,
      openedAt: this.#ledger.now(),
      uses: 0,
      usedSince: undefined,
      stack: undefined,
      wasAsked: false,
      isReported: false,
    }
    this.#known.set(resource, known)
    return known
  }

  protected knows(resource: object): boolean {
    return this.#known.has(resource)
  }

  /** Somebody has it: the pool itself, or whoever asked. */
  protected lent(resource: object): void {
    const known = this.#known.get(resource)
    if (known === undefined || known.usedSince !== undefined) return
    known.usedSince = this.#ledger.now()
    known.uses++
    this.#ledger.lend()
  }

  /** It is back in the pool. */
  protected returned(resource: object): void {
    const known = this.#known.get(resource)
    if (known?.usedSince === undefined) return
    const { resourceId, usedSince, stack, isReported, wasAsked } = known
    const useMillis = this.#ledger.now() - usedSince
    known.usedSince = undefined
    known.stack = undefined
    known.wasAsked = false
    known.isReported = false
    this.#ledger.giveBack(wasAsked ? useMillis : undefined)
    const lease = { pool: this.name, resourceId, generation: 0, label: undefined }
    this.tell('released', { ...lease, useMillis })
    if (useMillis >= this.#options.slowMillis) this.tell('longLease', { ...lease, useMillis })
    if (isReported) this.tell('leakReturned', { ...lease, heldMillis: useMillis, stack: stack?.stack })
  }

  protected gone(resource: object, reason: DestroyReason): void {
    const known = this.#known.get(resource)
    if (known === undefined) return
    this.#known.delete(resource)
    this.#ledger.destroyed(reason, known.usedSince !== undefined)
    const { resourceId, openedAt, uses } = known
    const ageMillis = this.#ledger.now() - openedAt
    this.tell('destroyed', { pool: this.name, resourceId, generation: 0, reason, ageMillis, uses })
  }

  protected isUsed(resource: object): boolean {
    return this.#known.get(resource)?.usedSince !== undefined
  }

  // ── who asks ──

  /** Somebody asks. While the view closes the pool, they are refused: the error is thrown for the wrapper to pass on. */
  protected asks(): Asking {
    const ask = this.#ledger.ask()
    this.tell('acquireStarted', { pool: this.name, label: undefined })
    if (this.state === 'closing') {
      const error = new PoolClosedError(this.name, `pool "${this.name}" is closing`)
      this.#ledger.refuse(ask, 'refused')
      this.#tellFailure('refused', 0, error)
      throw error
    }
    return { ask, stack: this.#options.trackStacks ? new Error('acquired') : undefined }
  }

  protected served({ ask, stack }: Asking, resource: object): void {
    const durationMillis = this.#ledger.serve(ask)
    if (durationMillis === undefined) return
    this.lent(resource)
    const known = this.#known.get(resource)
    if (known === undefined) return
    known.stack = stack
    known.wasAsked = true
    const lease = { pool: this.name, resourceId: known.resourceId, generation: 0, label: undefined }
    this.tell('acquired', { ...lease, durationMillis })
    if (durationMillis >= this.#options.slowMillis) this.tell('longWait', { ...lease, waitMillis: durationMillis })
  }

  protected refused({ ask }: Asking, error: unknown): void {
    const how = this.refusalOf(error)
    if (this.#ledger.refuse(ask, how)) this.#tellFailure(how, this.#ledger.now() - ask.since, error)
  }

  #tellFailure(how: Refusal, durationMillis: number, error: unknown): void {
    const reason = how === 'timedOut' ? 'timeout' : how
    this.tell('acquireFailed', { pool: this.name, label: undefined, reason, durationMillis, error })
  }

  #settleAll(): void {
    this.settle()
    if (this.#strangers.size === 0) return
    const queue = new Set(this.queue())
    for (const [item, ask] of this.#strangers) {
      if (queue.has(item)) continue
      this.#strangers.delete(item)
      this.#ledger.serve(ask)
    }
  }

  #lookForLeaks(): void {
    const now = this.#ledger.now()
    for (const known of this.#known.values()) {
      const { usedSince, isReported, resourceId, stack } = known
      if (usedSince === undefined || isReported || now - usedSince < this.#options.leakThresholdMillis) continue
      known.isReported = true
      this.#ledger.leaked()
      const lease = { pool: this.name, resourceId, generation: 0, label: undefined }
      this.tell('leak', { ...lease, heldMillis: now - usedSince, stack: stack?.stack })
    }
  }

  // ── watching ──

  protected override get openState(): 'open' | 'paused' {
    return this.#pausedAt === undefined ? 'open' : 'paused'
  }

  override stats(): PoolStats {
    this.#settleAll()
    const { name, kind, state } = this
    return this.#ledger.snapshot({ name, kind, state, generation: 0, ...this.sizes() })
  }

  /** The resources in use, longest first; with where they were asked for, when stacks are tracked. */
  leases({ limit = 100 }: LookOptions = {}): LeaseInfo[] {
    const now = this.#ledger.now()
    const leases: LeaseInfo[] = []
    for (const { resourceId, usedSince, stack } of this.#known.values())
      if (usedSince !== undefined)
        leases.push({ resourceId, label: undefined, heldMillis: now - usedSince, stack: stack?.stack })
    return leases.sort((one, other) => other.heldMillis - one.heldMillis).slice(0, limit)
  }

  /** Those who wait, longest first. */
  waiters({ limit = 100 }: LookOptions = {}): WaiterInfo[] {
    return this.#ledger.waiters(limit)
  }

  /** What the percentiles of the statistics are made of. */
  distributions(): Distributions {
    return this.#ledger.distributions()
  }

  protected override async check(): Promise<Verdict> {
    this.#settleAll()
    const { idle, used, creating, waiting } = this.#ledger
    if (waiting > 0 || (idle === 0 && used + creating >= this.sizes().max)) return ['warn', 'Pool is saturated']
    await this.probe()
    return ['pass', 'Pool is healthy']
  }

  // ── ending ──

  /** Those who wait are served and those who work may end, for a time; then the pool closes itself, and the rest is cut. */
  protected override async end({
    timeoutMillis = 10_000,
  }: CloseOptions): Promise<Omit<CloseReport, 'pool' | 'durationMillis'>> {
    const until = performance.now() + timeoutMillis
    const isQuiet = (): boolean => this.#ledger.used === 0 && this.#ledger.waiting === 0
    while (!isQuiet() && performance.now() < until) {
      await pause(LOOK_MILLIS)
      this.#settleAll()
    }
    const { total, used: forced, waiting: rejected, creating: pendingCreates } = this.#ledger
    const holders = this.leases()
    const shutting = this.shut().catch(() => undefined)
    for (const [resource, { usedSince }] of this.#known) if (usedSince !== undefined) this.cut(resource)
    await Promise.race([shutting, pause(GOODBYE_MILLIS, false)])
    this.#stop()
    return { closed: total - forced, forced, pendingCreates, rejected, holders }
  }
}

async function pause(millis: number, keepsAlive = true): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, millis)
    if (!keepsAlive) timer.unref()
  })
}
