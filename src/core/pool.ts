import { inspect } from 'node:util'
import { asked } from './announcements.ts'
import type { CloseReport } from './close-report.ts'
import type { Distributions } from './distribution.ts'
import { Engine } from './engine.ts'
import { closedError } from './refusals.ts'
import { OptionError } from './errors.ts'
import type { PoolEventName, PoolEvents } from './events.ts'
import type { ResourceFactory } from './factory.ts'
import { checkHealth } from './health-check.ts'
import { holding } from './holding.ts'
import type { Lease } from './lease.ts'
import type { PoolState } from './lifecycle.ts'
import { lookForMistakes } from './mistakes.ts'
import type {
  CloseOptions,
  HealthCheck,
  HealthOptions,
  InvalidateOptions,
  LookOptions,
  ManagedPool,
} from './managed-pool.ts'
import { currentScope } from './nesting.ts'
import { checkOption } from './option-check.ts'
import { POOL_OPTION_RULES, resolveOptions, type PoolOptions, type ResolvedOptions } from './options.ts'
import type { Operations } from './operations.ts'
import { acquiredHere, type LeaseInfo, type ResourceInfo, type WaiterInfo } from './report.ts'
import { newRequest, type Asker, type Request } from './request.ts'
import { distributions, snapshot, type PoolStats } from './stats.ts'
import { Waiter, type Taker } from './waiter.ts'

/** The engine of a pool, for the parts of this package that adapt, measure and test it. No public door exports it. */
export let engineOf: <T>(pool: Pool<T>) => Engine<T>

/**
 * For adapters that go on by themselves, without a promise for each who waits: a lease at once, or a place in the queue,
 * of which the taker hears. No public door exports it.
 * @param asker - tells whether what was asked for is of any use still
 * @throws what `acquire` rejects with at once
 */
export let claim: <T>(
  pool: Pool<T>,
  taker: Taker<T>,
  label?: string,
  priority?: number,
  asker?: Asker,
  timeoutMillis?: number,
) => Lease<T> | Waiter<T>

export interface AcquireOptions {
  /** Ends the wait: `acquire` rejects with the signal's reason. What was opened for the caller stays in the pool. */
  signal?: AbortSignal | undefined
  /** How long to wait, in milliseconds; `0` takes only what is idle now. @defaultValue the pool's `acquireTimeoutMillis` */
  timeoutMillis?: number | undefined
  /** An integer; higher ones are served first, though nobody is passed over more than 8 times. @defaultValue 0 */
  priority?: number | undefined
  /** Names the lease in errors, leak reports and events. @defaultValue the pool's `label` */
  label?: string | undefined
}

export interface ReadyOptions {
  /** How long to wait, in milliseconds. @defaultValue 10_000 */
  timeoutMillis?: number | undefined
}

/**
 * A pool of resources of one kind. Making one opens nothing; the first use does.
 *
 * @throws {OptionError} on an unknown or wrong option
 */
export class Pool<T> implements ManagedPool, AsyncDisposable {
  readonly #engine: Engine<T>
  /** Acquires need nothing but an idle resource: no label to ask for, no stack to keep. */
  readonly #plain: boolean

  static {
    engineOf = (pool) => pool.#engine
    claim = (pool, taker, label, priority, asker, timeoutMillis) =>
      pool.#claim(taker, asker, { label, priority, timeoutMillis })
  }

  constructor(factory: ResourceFactory<T>, options: PoolOptions<T> = {}) {
    this.#engine = new Engine(factory, resolveOptions(factory.kind, options))
    lookForMistakes(this.#engine)
    const { label, trackStacks, acquireTimeoutMillis } = this.#engine.options
    this.#plain = label === undefined && !trackStacks && acquireTimeoutMillis > 0
  }

  get name(): string {
    return this.#engine.name
  }

  get kind(): string {
    return this.#engine.factory.kind
  }

  get state(): PoolState {
    return this.#engine.state
  }

  /**
   * Gets a lease. Prefer {@link use}, which cannot forget to release it.
   *
   * Rejects with `ERR_POOL_ACQUIRE_TIMEOUT`, `ERR_POOL_OVERLOADED`, `ERR_POOL_CLOSED`, `ERR_POOL_CREATE`,
   * `ERR_POOL_DOWN`, `ERR_POOL_DEADLOCK`, `ERR_POOL_OPTION`, or the reason of `signal`; no later than one turn of the
   * event loop after its deadline, plus one extension of at most 1 s where the event loop stalled.
   */
  acquire(options?: AcquireOptions): Promise<Lease<T>> {
    if (options === undefined && this.#plain) {
      const lease = this.#engine.lendAtOnce()
      return lease === undefined ? this.#acquirePlainly() : Promise.resolve(lease)
    }
    return this.#acquireWith(options ?? {})
  }

  /** For whoever wants nothing but a resource, which is not there at once. */
  #acquirePlainly(): Promise<Lease<T>> {
    try {
      return this.#queuePlainly(undefined)?.promise ?? this.#acquireWith({})
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** A place in the queue; none where there is more to look at first. */
  #queuePlainly(taker: Taker<T> | undefined): Waiter<T> | undefined {
    const engine = this.#engine
    if (engine.state !== 'open' || engine.inventory.available.size > 0) return undefined
    engine.counters.requested++
    asked(engine, undefined)
    const scope = currentScope()
    const request = scope && newRequest({ scope })
    return engine.wait(engine.options.acquireTimeoutMillis, 0, request, taker)
  }

  #acquireWith(options: AcquireOptions): Promise<Lease<T>> {
    try {
      const got = this.#lendOrQueue(options, undefined, undefined)
      return got instanceof Waiter ? got.promise : Promise.resolve(got)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #claim(taker: Taker<T>, asker: Asker | undefined, options: AcquireOptions): Lease<T> | Waiter<T> {
    const { label, priority, timeoutMillis } = options
    const isPlain = label === undefined && priority === undefined && timeoutMillis === undefined && this.#plain
    const lease = isPlain ? this.#engine.lendAtOnce() : undefined
    if (lease !== undefined) return lease
    const waiter = isPlain && asker === undefined ? this.#queuePlainly(taker) : undefined
    return waiter ?? this.#lendOrQueue(options, asker, taker)
  }

  #lendOrQueue(options: AcquireOptions, asker: Asker | undefined, taker: Taker<T> | undefined): Lease<T> | Waiter<T> {
    const engine = this.#engine
    engine.counters.requested++
    const { signal, timeoutMillis = engine.options.acquireTimeoutMillis, priority = 0 } = options
    let request: Request | undefined
    let lease: Lease<T> | undefined
    try {
      request = this.#request(options, asker)
      asked(engine, request?.label)
      this.#check(timeoutMillis, priority)
      if (signal?.aborted !== true) {
        if (this.state === 'closing' || this.state === 'closed') throw closedError(this.name)
        lease = engine.lendNow(request)
      }
    } catch (error) {
      engine.room.refused('refused', request?.label, error)
      engine.changed()
      throw error
    }
    if (lease !== undefined) {
      engine.events.flush()
      return lease
    }
    const isAborted = signal?.aborted === true
    if (!isAborted && timeoutMillis > 0) return engine.wait(timeoutMillis, priority, request, taker)
    const error: unknown = isAborted ? signal.reason : engine.room.timeoutError(0, 0)
    engine.room.refused(isAborted ? 'aborted' : 'timeout', request?.label, error)
    engine.changed()
    throw error
  }

  /** A lease of what is idle at this instant and needs no check, or nothing. With a `beforeAcquire` hook always nothing. */
  tryAcquire(): Lease<T> | undefined {
    const engine = this.#engine
    if (this.#plain) {
      const lease = engine.lendAtOnce()
      if (lease !== undefined) return lease
    }
    if (engine.inventory.available.size === 0) return undefined
    const request = this.#request({}, undefined)
    // Counted before anything can look; one that gets nothing has asked for nothing.
    engine.counters.requested++
    const lease = engine.lendNow(request, true)
    if (lease === undefined) engine.counters.requested--
    engine.events.flush()
    return lease
  }

  /**
   * Runs the callback with a resource, and gives the resource back when it is over. When it fails, the adapter decides
   * by the error whether the resource survives. Rejects with the callback's own error, or as {@link acquire} does.
   */
  use<R>(callback: (resource: T, lease: Lease<T>) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
    return holding(this.#engine, this.acquire(options), callback)
  }

  /**
   * Opens `min` resources, at least one: for failing at start rather than at the first request. Rejects with
   * `ERR_POOL_CREATE`, whose cause is the real error, or `ERR_POOL_CLOSED`.
   */
  async ready({ timeoutMillis = 10_000 }: ReadyOptions = {}): Promise<this> {
    checkOption(this.name, 'timeoutMillis', timeoutMillis, { type: 'duration', infinity: true })
    if (this.state === 'closing' || this.state === 'closed') throw closedError(this.name)
    await this.#engine.readiness.wait(timeoutMillis)
    return this
  }

  /** Changes the sizes of a running pool. Idle resources above `max` are closed now, leased ones on release. */
  resize(sizes: { min?: number; max?: number }): void {
    this.#engine.resize(sizes)
  }

  /** Has every resource replaced: idle ones now, leased ones on release, those being created on arrival. */
  invalidate({ reason = 'requested', spreadMillis = 0, interruptInUse = false }: InvalidateOptions = {}): void {
    checkOption(this.name, 'spreadMillis', spreadMillis, { type: 'duration', zero: true })
    this.#engine.invalidate(reason, false, spreadMillis, interruptInUse)
  }

  /**
   * Takes a resource away from its borrower and destroys it: `lease.signal` aborts, further use throws. Returns false
   * where nobody holds it (any more).
   * @param resourceId - as in {@link leases} and in the events
   */
  takeAway(resourceId: number): boolean {
    return this.#engine.recall.resource(resourceId)
  }

  /** Hands out nothing until {@link resume}; callers wait, and their deadlines run. */
  suspend(): void {
    this.#engine.suspend()
  }

  resume(): void {
    this.#engine.resume()
  }

  stats(): PoolStats {
    return snapshot(this.#engine)
  }

  /** The leases that are out, longest first: label, age, and stack where it is tracked. */
  leases({ limit = 100 }: LookOptions = {}): LeaseInfo[] {
    return this.#engine.room.holders(this.#engine.clock.now(), limit)
  }

  /** Who waits, in the order in which they would be served. */
  waiters({ limit = 100 }: LookOptions = {}): WaiterInfo[] {
    return this.#engine.room.waiters(this.#engine.clock.now(), limit)
  }

  /** Every resource that there is, the oldest first. */
  resources({ limit = 100 }: LookOptions = {}): ResourceInfo[] {
    return this.#engine.inventory.infos(this.#engine.clock.now(), limit)
  }

  /** Every option with the value in force, the sizes as they are now. */
  get options(): Readonly<ResolvedOptions<T>> {
    return { ...this.#engine.options, ...this.#engine.sizes }
  }

  /** What the percentiles of {@link stats} are made of: durations by bucket, which can be added and subtracted. */
  distributions(): Distributions {
    return distributions(this.#engine)
  }

  /** For adapters: measures what borrowers do with the resources, and announces what was slow. */
  get operations(): Operations {
    return this.#engine.operations
  }

  /** Proves the pool by one idle resource, or by opening one; never queues behind an exhausted pool, never throws. */
  health(options: HealthOptions = {}): Promise<HealthCheck> {
    return checkHealth(this, this.#engine, options)
  }

  /** Serves or rejects who waits, gives leases the grace time, ends everything. A second call returns the same promise. */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    return this.#engine.close(options)
  }

  /** Calls the listener for every event of that name. Whatever it does, it cannot break the pool. */
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#engine.events.on(event, listener)
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#engine.events.off(event, listener)
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Shows names and counts, never a resource: what is pooled may hold a password. */
  [inspect.custom](): string {
    const { state, idle, used, creating, waiting, max } = this.stats()
    return `Pool { name: '${this.name}', kind: '${this.kind}', state: '${state}', idle: ${idle}, used: ${used}, creating: ${creating}, waiting: ${waiting}, max: ${max} }`
  }

  #check(timeoutMillis: number, priority: number): void {
    if (timeoutMillis !== this.#engine.options.acquireTimeoutMillis) {
      checkOption(this.name, 'timeoutMillis', timeoutMillis, POOL_OPTION_RULES.acquireTimeoutMillis)
    }
    if (!Number.isInteger(priority)) {
      throw new OptionError(this.name, 'priority', `Expected \`priority\` to be an integer, got ${String(priority)}`)
    }
  }

  /** Nothing for whoever wants nothing but a resource. */
  #request({ label: given, signal }: AcquireOptions, asker: Asker | undefined): Request | undefined {
    const { label: usual, trackStacks } = this.#engine.options
    const label = given ?? (typeof usual === 'function' ? usual() : usual)
    const scope = currentScope()
    const isPlain = label === undefined && scope === undefined && signal === undefined && asker === undefined
    if (isPlain && !trackStacks) return undefined
    return newRequest({ label, stack: trackStacks ? acquiredHere() : undefined, scope, signal, asker })
  }
}
