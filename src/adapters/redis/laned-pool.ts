import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import { addDistributions, type Distributions } from '../../core/distribution.ts'
import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import type { Lease } from '../../core/lease.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type {
  CloseOptions,
  HealthCheck,
  HealthOptions,
  InvalidateOptions,
  LookOptions,
  ManagedPool,
  PoolCore,
  Steering,
} from '../../core/managed-pool.ts'
import { Pool, type AcquireOptions, type ReadyOptions } from '../../core/pool.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../../core/report.ts'
import type { PoolStats } from '../../core/stats.ts'
import { sumStats } from '../../core/sum-stats.ts'
import { distributionsOf, leasesOf, resourcesOf, takeAwayFrom, waitersOf } from '../../core/together.ts'
import { isReadOnly } from './classify.ts'
import type { Dialect, DriverClient } from './driver.ts'
import { DriverErrors } from './driver-errors.ts'
import type { ExclusiveLaneHost } from './exclusive-lane.ts'
import { emitLater } from './face.ts'
import type { ExclusiveOptions, FaceBasics, FaceHost, FaceOwner } from './face-host.ts'
import { RedisFactory } from './factory.ts'
import { lend } from './leased-client.ts'
import type { ResolvedRedisOptions } from './options.ts'
import { RoleWatch } from './role-watch.ts'
import { SharedLane } from './shared-lane.ts'

/** A listener of the pool's, for lanes to come. The two belong together, which a pair cannot say. */
type Listening = readonly [event: PoolEventName, listener: (event: PoolEvents[PoolEventName]) => void]

/** Statistics of a lane that everybody shares. */
export interface SharedLaneStats extends PoolStats {
  /** Commands that were sent. */
  readonly commands: number
  /** Commands without an answer; 0 where the driver does not tell (node-redis). */
  readonly inFlight: number
}

/** What a pool for one server and a pool for a cluster have in common: faces, two of the three lanes, watching, ending. */
export abstract class LanedPool<C> implements ManagedPool, Steering, AsyncDisposable {
  /** Names it in errors, events and statistics. */
  readonly name: string
  readonly kind = 'redis'
  // Private, and shown to subclasses by accessors: what is enumerable ends up in JSON, and clients hold the password.
  readonly #dialect: Dialect
  readonly #errors: DriverErrors
  readonly #shared: SharedLane
  readonly #subscribers: Pool<DriverClient>
  readonly #connections = new Set<DriverClient>()
  readonly #laneHost: ExclusiveLaneHost
  readonly #roles: RoleWatch
  /** The emitters of the pool's faces. */
  readonly #faces = new Set<EventEmitter>()
  readonly #children = new Set<LanedPool<C>>()
  #spawned = 0
  /** What was counted on pools of duplicates that have ended. */
  #pastChildren: PoolStats | undefined
  /** How long things took in lanes that are gone. */
  #pastTimes = addDistributions([])
  readonly #listening: Listening[] = []
  /** Ends a subscriber. Nobody else does before the pool ends: there is no last message. */
  readonly #subscriptions = new Set<() => Promise<void>>()
  readonly #whenClosed = new Set<(report: CloseReport) => void>()
  #client: C | undefined
  #suspended = false
  #closing: Promise<CloseReport> | undefined
  #closed = false

  protected constructor(dialect: Dialect, options: ResolvedRedisOptions) {
    this.name = options.name
    this.#dialect = dialect
    this.#errors = new DriverErrors(options.name, dialect.closedPhrase)
    this.#roles = new RoleWatch(dialect, () => [this.#shared.pool, ...this.exclusivePools()])
    const isClosing = (): boolean => this.#closing !== undefined
    this.#laneHost = {
      opened: (client) => void this.#connections.add(client),
      gone: (client) => void this.#connections.delete(client),
      failed: (error) => this.#emit('error', error),
      readOnly: (client) => this.#roles.refused(client),
      get isClosing() {
        return isClosing()
      },
    }
    this.#shared = new SharedLane(dialect, options, {
      opened: (client) => {
        this.#connections.add(client)
        if (this.#shared.live.length > 1) return
        this.#emit('connect')
        this.#emit('ready')
      },
      gone: (client) => {
        this.#connections.delete(client)
        if (this.#shared.live.length > 0 || this.#closing !== undefined) return
        if (dialect.driver === 'ioredis') this.#emit('close')
        this.#emit('reconnecting')
      },
      failed: (error) => this.#emit('error', error),
      readOnly: (client) => this.#roles.refused(client),
    })
    this.#subscribers = new Pool(new RedisFactory(dialect, 'subscriber', this.#laneHost), options.subscriber)
  }

  protected get errors(): DriverErrors {
    return this.#errors
  }

  protected get shared(): SharedLane {
    return this.#shared
  }

  protected get subscribers(): Pool<DriverClient> {
    return this.#subscribers
  }

  protected get connections(): Iterable<DriverClient> {
    return this.#connections
  }

  /** What every lane tells. */
  protected get laneHost(): ExclusiveLaneHost {
    return this.#laneHost
  }

  /** The engine's pools of the exclusive lane. */
  protected abstract exclusivePools(): readonly Pool<DriverClient>[]
  /** Statistics of exclusive pools that are gone: of nodes that have left. */
  protected pastStats(): readonly PoolStats[] {
    return []
  }
  protected abstract runExclusive<R>(
    owner: FaceOwner,
    run: (client: DriverClient) => R | PromiseLike<R>,
    options: ExclusiveOptions,
  ): Promise<R>
  protected abstract makeFace(basics: FaceBasics): DriverClient
  /** A pool of the same driver whose options differ in this. */
  protected abstract makeChild(override: object): LanedPool<C>

  /** The driver's commands, with its names and types. Each goes to the lane where it belongs. */
  get client(): C {
    return (this.#client ??= this.#face(false) as C)
  }

  get state(): PoolState {
    if (this.#closed) return 'closed'
    return this.#closing === undefined ? this.#shared.state : 'closing'
  }

  #face(isDuplicate: boolean): DriverClient {
    const events = new EventEmitter()
    this.#faces.add(events)
    return this.makeFace({
      host: this.#host(),
      isDuplicate,
      events,
      forget: () => void this.#faces.delete(events),
      duplicate: () => this.#face(true),
      spawn: (override) => {
        const child = this.makeChild({ poolName: `${this.name}/${++this.#spawned}`, ...override })
        this.#children.add(child)
        for (const [event, listener] of this.#listening) child.on(event, listener)
        if (this.#suspended) child.suspend()
        child.on('closed', () => this.#childClosed(child))
        return child.client as DriverClient
      },
    })
  }

  #childClosed(child: LanedPool<C>): void {
    this.#children.delete(child)
    this.#pastTimes = distributionsOf([child], this.#pastTimes)
    const counted = this.#pastChildren === undefined ? [child.stats()] : [this.#pastChildren, child.stats()]
    this.#pastChildren = sumStats({ name: this.name, kind: this.kind, state: 'closed', max: 0 }, [], counted)
  }

  #host(): FaceHost {
    const { times, pool } = this.#shared
    const { operations } = pool
    return {
      name: this.name,
      get watched() {
        return times.due || operations.watched
      },
      measured: (label, send) => {
        const run = operations.watched ? () => operations.run({ describe: () => label }, send) : send
        return times.due ? times.take(run) : run()
      },
      pick: () => {
        if (this.#closing !== undefined) return undefined
        const client = this.#shared.pick()
        if (client !== undefined) times.sent++
        return client
      },
      queued: async (run, options) => {
        try {
          if (this.#closing !== undefined) throw this.#errors.closed()
          const askedAt = operations.now()
          return await this.#shared.queued((client) => {
            times.sent++
            if (!operations.watched) return run(client)
            const waitMillis = operations.now() - askedAt
            return operations.run({ describe: () => options.label, waitMillis }, () => run(client))
          }, options)
        } catch (error) {
          throw this.#errors.of(error)
        }
      },
      exclusive: (owner, run, options) => this.runExclusive(owner, run, options),
      subscriber: async () => (await this.subscriber()) as unknown as DriverClient,
      noteError: (client, error) => {
        if (isReadOnly(error)) this.#roles.refused(client)
      },
      ready: () => this.ready(),
      close: async (graceful) => {
        await this.close(graceful ? {} : { timeoutMillis: 1, waiters: 'reject' })
      },
      status: () => this.#status(),
    }
  }

  #status(): ReturnType<FaceHost['status']> {
    if (this.#closing !== undefined) return 'end'
    if (this.#shared.live.length > 0) return 'ready'
    const { created, creating, waiting, createErrors } = this.#shared.pool.stats()
    if (created > 0 || createErrors > 0) return 'reconnecting'
    return creating + waiting > 0 ? 'connecting' : 'wait'
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const events of this.#faces) emitLater(events, event, ...args)
  }

  /**
   * A connection that only listens: the driver's own client, for its own way to subscribe. It reconnects and subscribes
   * anew by itself; `quit()`, `close()`, `disconnect()`, `destroy()`, or `await using`, gives it back. Rejects as the
   * engine's `acquire` does.
   */
  async subscriber(options?: AcquireOptions): Promise<C & AsyncDisposable> {
    let lease: Lease<DriverClient>
    try {
      lease = await this.#subscribers.acquire({ label: 'subscriber', ...options })
    } catch (error) {
      throw this.#errors.of(error)
    }
    const client = lease.resource
    const end = async (): Promise<void> => {
      this.#subscriptions.delete(end)
      await this.#dialect.quit(client).catch(() => undefined)
      if (!lease.released) lease.destroy('the subscriber was closed')
    }
    this.#subscriptions.add(end)
    const { leased } = lend(client, lease, this.#subscribers.name, end)
    return leased as unknown as C & AsyncDisposable
  }

  /** Opens the shared connections, and `min` exclusive ones; rejects with the driver's own error. */
  async ready(options?: ReadyOptions): Promise<void> {
    try {
      await this.#shared.pool.ready(options)
      for (const pool of this.exclusivePools()) if (pool.stats().min > 0) await pool.ready(options)
    } catch (error) {
      throw this.#errors.of(error)
    }
  }

  /** The sum over the lanes, those of duplicates included. Percentiles are the highest of any lane. */
  stats(): PoolStats {
    const lanes = this.#present.map((pool) => pool.stats())
    const past = this.#pastChildren === undefined ? this.pastStats() : [...this.pastStats(), this.#pastChildren]
    return sumStats({ name: this.name, kind: this.kind, state: this.state, max: Infinity }, lanes, past)
  }

  /** The options of the lane that `max` and `min` are about. */
  get options(): Pool<DriverClient>['options'] | undefined {
    return this.exclusivePools()[0]?.options
  }

  /** The lanes, and the pools of duplicates. */
  parts(): (readonly [name: string, pool: ManagedPool & PoolCore])[] {
    return this.#present.map((pool) => [pool.name, pool])
  }

  /** The connections that somebody has for themselves, longest first. */
  leases(options?: LookOptions): LeaseInfo[] {
    return leasesOf(this.parts(), options)
  }

  /** Who waits for a connection of any lane, longest first. */
  waiters(options?: LookOptions): WaiterInfo[] {
    return waitersOf(this.parts(), options)
  }

  /** The connections of all lanes, the oldest first; those of each lane count from 1. */
  resources(options?: LookOptions): ResourceInfo[] {
    return resourcesOf(this.parts(), options)
  }

  /** How long things took, in all lanes that there are and were. */
  distributions(): Distributions {
    return distributionsOf(this.#present, this.#pastTimes)
  }

  /** No command goes out and no connection is leased until {@link resume}; they wait, and their deadlines run. */
  suspend(): void {
    this.#suspended = true
    this.#shared.suspend()
    for (const pool of this.#others) pool.suspend()
  }

  resume(): void {
    this.#suspended = false
    this.#shared.resume()
    for (const pool of this.#others) pool.resume()
  }

  /** Has the connections of all lanes replaced. What was sent is answered; subscribers stay until they are given back. */
  invalidate(options?: InvalidateOptions): void {
    for (const pool of this.#present) pool.invalidate(options)
  }

  /** Takes a connection away from whoever has it alone; false where nobody has. @param lane - as {@link leases} says */
  takeAway(resourceId: number, lane?: string): boolean {
    return takeAwayFrom(this.parts(), resourceId, lane)
  }

  protected sharedStats(): SharedLaneStats {
    const { times, inFlight, pool } = this.#shared
    return { ...pool.stats(), commands: times.sent, inFlight }
  }

  /** Proves the shared lane by a round trip, and warns when exclusive connections are short. Never throws. */
  async health(options: HealthOptions = {}): Promise<HealthCheck> {
    const check = await this.#shared.pool.health(options)
    const isShort =
      check.status === 'pass' &&
      this.exclusivePools().some((pool) => {
        const { used, max, waiting } = pool.stats()
        return used >= max && waiting > 0
      })
    return {
      ...check,
      pool: this.name,
      ...(this.#shared.waits ? { status: 'fail', message: 'Server cannot be reached' } : {}),
      ...(this.#closing === undefined ? {} : { status: 'fail', message: 'Pool is closed' }),
      ...(isShort ? { status: 'warn', message: 'Exclusive connections are saturated' } : {}),
    }
  }

  /** Serves or rejects who waits, lets commands be answered and callbacks end within the time, ends everything. */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#closeAll(options)
    return this.#closing
  }

  async #closeAll(options: CloseOptions): Promise<CloseReport> {
    const startedAt = performance.now()
    const children = [...this.#children].map((child) => child.close(options))
    const pools = [...this.exclusivePools(), this.#subscribers]
    // Their goodbyes may never be answered; the pool of subscribers bounds them.
    for (const end of [...this.#subscriptions]) void end()
    const leased = await Promise.all([...pools.map((pool) => pool.close(options)), ...children])
    await this.#shared.answered(Math.max(1, (options.timeoutMillis ?? 10_000) - (performance.now() - startedAt)))
    const reports = [await this.#shared.pool.close(options), ...leased]
    this.#closed = true
    if (this.#dialect.driver === 'ioredis') this.#emit('close')
    this.#emit('end')
    const sum = (field: 'closed' | 'forced' | 'pendingCreates' | 'rejected'): number =>
      reports.reduce((total, report) => total + report[field], 0)
    const report: CloseReport = {
      pool: this.name,
      closed: sum('closed'),
      forced: sum('forced'),
      pendingCreates: sum('pendingCreates'),
      rejected: sum('rejected'),
      holders: reports.flatMap(({ holders }) => holders),
      durationMillis: performance.now() - startedAt,
    }
    for (const listener of this.#whenClosed) {
      try {
        listener(report)
      } catch (error) {
        this.#emit('error', error)
      }
    }
    return report
  }

  /** Events of all lanes; `event.pool` names the lane. `closed` is told once, with the report of {@link close}. */
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    if (event === 'closed') this.#whenClosed.add(listener as (report: CloseReport) => void)
    else {
      this.#listening.push([event, listener] as unknown as Listening)
      for (const pool of this.#present) pool.on(event, listener)
    }
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#whenClosed.delete(listener as (report: CloseReport) => void)
    const index = this.#listening.findIndex(([name, known]) => name === event && known === listener)
    if (index >= 0) this.#listening.splice(index, 1)
    for (const pool of this.#present) pool.off(event, listener)
    return this
  }

  /** All but the shared lane. */
  get #others(): (Pool<DriverClient> | LanedPool<C>)[] {
    return [...this.exclusivePools(), this.#subscribers, ...this.#children]
  }

  get #present(): (Pool<DriverClient> | LanedPool<C>)[] {
    return [this.#shared.pool, ...this.#others]
  }

  /** A lane is gone; how long things took in it stays known. */
  protected bury(pool: Pool<DriverClient>): void {
    this.#pastTimes = distributionsOf([pool], this.#pastTimes)
  }

  /** A lane that came later is heard by the listeners of this pool, and suspended with it. */
  protected hear(pool: Pool<DriverClient>): void {
    for (const [event, listener] of this.#listening) pool.on(event, listener)
    if (this.#suspended) pool.suspend()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Names and counts only: options and clients hold the password. */
  [inspect.custom](): string {
    const { state, idle, used, creating, waiting } = this.stats()
    return `${this.constructor.name} { name: '${this.name}', driver: '${this.#dialect.driver}', state: '${state}', idle: ${idle}, used: ${used}, creating: ${creating}, waiting: ${waiting} }`
  }
}
