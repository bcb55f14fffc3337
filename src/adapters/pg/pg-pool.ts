import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import { emitSafely, END_MILLIS, isHeard, retrying } from '../../core/drop-in.ts'
import { holding, type HoldingWays } from '../../core/holding.ts'
import type { Lease } from '../../core/lease.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions } from '../../core/managed-pool.ts'
import { engineOf, Pool, type AcquireOptions, type ReadyOptions } from '../../core/pool.ts'
import { lookForRoom } from '../../core/mistakes.ts'
import type { PoolStats } from '../../core/stats.ts'
import { CalledQuery, type Lending, type QueryCallback } from './called-query.ts'
import { askRoom } from './capacity.ts'
import { isServerError } from './classify.ts'
import type { DriverClient, DriverClientClass, PgModule } from './driver.ts'
import { asDriverError } from './errors.ts'
import { PgFactory } from './factory.ts'
import { leasedClientsOf, type Borrowing, type LeasedClient, type LeasedClients } from './leased-client.ts'
import { resolvePgOptions, type PgFaceOptions, type ResolvedPgOptions } from './options.ts'
import { isRetryable, runTransaction, type TransactionOptions } from './transaction.ts'
import { noteQuery, ownQuery, watchedQuery } from './watched-query.ts'

/** What a pool of `pgPool` has beyond the surface of pg.Pool. `C` is the driver's type of a borrowed client. */
export interface PgPoolExtras<C> extends AsyncDisposable {
  /** The engine's pool: leases of plain clients, events, `resize`, `invalidate`, `suspend`. */
  readonly core: Pool<DriverClient>
  readonly name: string
  readonly kind: string
  readonly state: PoolState
  /** Runs the callback with a connection and gives it back. */
  use<R>(callback: (client: C) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R>
  /** Runs the callback in a transaction: COMMIT when it succeeds, ROLLBACK when it fails, with its own error. */
  transaction<R>(callback: (client: C) => R | PromiseLike<R>, options?: TransactionOptions & AcquireOptions): Promise<R>
  /** Opens `min` connections, at least one; rejects with `ERR_POOL_CREATE`. */
  ready(options?: ReadyOptions): Promise<void>
  stats(): PoolStats
  health(options?: HealthOptions): Promise<HealthCheck>
  /** As `end()`, but with a deadline of one's own and a report. */
  close(options?: CloseOptions): Promise<CloseReport>
}

type Callback = (error: unknown, client?: unknown, release?: (error?: unknown) => void) => void

/** The members of the driver's pool that the subclass builds on. */
interface DriverPool extends NodeJS.EventEmitter {
  options: Record<string, unknown>
  Client: DriverClientClass
  ending: boolean
  ended: boolean
}

const classes = new WeakMap<PgModule, new (options?: object) => DriverPool & PgPoolExtras<DriverClient>>()

/** The class of Millpond pools for one copy of `pg`: a real subclass of its own `Pool`. */
export function pgPoolClass(pg: PgModule): new (options?: object) => DriverPool & PgPoolExtras<DriverClient> {
  const known = classes.get(pg)
  if (known !== undefined) return known
  const Base: new (options?: object) => DriverPool = pg.Pool

  class MillpondPool extends Base implements PgPoolExtras<DriverClient> {
    readonly #core: Pool<DriverClient>
    readonly #factory: PgFactory
    readonly #options: ResolvedPgOptions
    readonly #borrowing: Borrowing
    readonly #lending: Lending
    readonly #leasedClients: LeasedClients
    /** With `compat: 'strict'`, the one object that stands for a connection. */
    readonly #stable = new WeakMap<DriverClient, LeasedClient>()
    #whenEnded: Promise<CloseReport> | undefined

    constructor(given: object = {}) {
      super(given)
      this.#options = resolvePgOptions(given as Readonly<Record<string, unknown>>)
      const { engine, onStaleRelease } = this.#options
      this.options = hideSecrets({ ...this.options, max: engine.max, min: engine.min ?? 0 })
      this.#factory = new PgFactory(this.Client, this.#options, {
        connected: (client) => this.emit('connect', client),
        firstConnected: (client) => lookForRoom(engineOf(this.#core), 'max_connections', () => askRoom(client)),
        removed: (client) => this.emit('remove', client),
        failedIdle: (error, client) => {
          if (this.listenerCount('error') > 0) this.emit('error', error, client)
        },
      })
      this.#core = new Pool(this.#factory, engine)
      this.#leasedClients = leasedClientsOf(this.Client)
      this.#borrowing = {
        onStaleRelease,
        giveBack: (lease, client, error) => this.#giveBack(lease, client, error),
        query: (client, args, label) => watchedQuery(this.#core.operations, client, args, label),
      }
      this.#lending = {
        operations: this.#core.operations,
        lent: (client) => this.#lent(client),
        takeBack: (lease, client, error) => this.#takeBack(lease, client, error),
      }
    }

    get core(): Pool<DriverClient> {
      return this.#core
    }
    get name(): string {
      return this.#core.name
    }
    get kind(): string {
      return this.#core.kind
    }
    get state(): PoolState {
      return this.#core.state
    }
    get totalCount(): number {
      return this.#core.stats().total
    }
    get idleCount(): number {
      return this.#core.stats().idle
    }
    get waitingCount(): number {
      return this.#core.stats().waiting
    }
    get expiredCount(): number {
      const { inventory, clock } = engineOf(this.#core)
      const now = clock.now()
      return Array.from(inventory.entries()).filter(({ expiresAt }) => expiresAt <= now).length
    }

    // ── borrowing ──

    connect(callback?: Callback): Promise<LeasedClient> | undefined {
      const lease = this.#core.tryAcquire()
      const connected =
        lease === undefined
          ? this.#core.acquire().then(
              (waited) => this.#lend(waited),
              (error: unknown) => {
                throw asDriverError(error)
              },
            )
          : Promise.resolve(this.#lend(lease))
      if (typeof callback !== 'function') return connected
      // A reaction runs in the async context in which it was asked for, whoever released the connection.
      connected.then(
        (leased) => callback(undefined, leased, (error?: unknown) => leased.release(error)),
        (error: unknown) => callback(error, undefined, () => undefined),
      )
      return undefined
    }

    #lend(lease: Lease<DriverClient>): LeasedClient {
      this.#lent(lease.resource)
      return this.#leasedClient(lease)
    }

    #lent(client: DriverClient): void {
      this.#factory.hold(client, true)
      if (isHeard(this, 'acquire')) emitSafely(this, 'acquire', client)
    }

    #leasedClient(lease: Lease<DriverClient>): LeasedClient {
      const client = lease.resource
      if (this.#options.compat !== 'strict') return this.#leasedClients.create(this.#borrowing, client, lease)
      let stable = this.#stable.get(client)
      if (stable === undefined)
        this.#stable.set(client, (stable = this.#leasedClients.create(this.#borrowing, client, lease)))
      else this.#leasedClients.rearm(stable, lease)
      return stable
    }

    #giveBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void {
      this.#factory.hold(client, false)
      if (isHeard(this, 'release')) emitSafely(this, 'release', error, client)
      const given = error !== undefined && error !== null && error !== false
      // pg.Pool ends a connection for whatever truthy is given; a statement that failed is no reason to.
      if (given && (this.#options.compat === 'strict' || !isServerError(error))) lease.destroy(error)
      else lease.release(given ? error : undefined)
    }

    // ── work ──

    query(text: unknown, values?: unknown, callback?: unknown): unknown {
      if (typeof values === 'function') return this.query(text, undefined, values)
      const done = (typeof text === 'function' ? text : callback) as QueryCallback | undefined
      if (typeof done !== 'function') return this.#query(text, values)
      if (typeof text === 'string') {
        new CalledQuery(this.#lending, text, values, done).borrowFrom(this.#core)
        return undefined
      }
      this.#query(text, values).then(
        (result) => done(undefined, result),
        (error: unknown) => done(error),
      )
      return undefined
    }

    async #query(text: unknown, values: unknown): Promise<unknown> {
      if (typeof text === 'function')
        throw new Error('Passing a function as the first parameter to pool.query is not supported')
      const { operations } = this.#core
      const askedAt = operations.watched ? operations.now() : NaN
      let lease = this.#core.tryAcquire()
      try {
        lease ??= await this.#core.acquire()
      } catch (error) {
        throw asDriverError(error)
      }
      const client = lease.resource
      this.#lent(client)
      const sentAt = Number.isNaN(askedAt) ? NaN : operations.now()
      let result: unknown
      try {
        result = await ownQuery(client, text, values)
      } catch (error) {
        // As the driver does it: a stack that leads back to whoever asked, not to the socket.
        if (typeof text === 'string' && error instanceof Error) Error.captureStackTrace(error)
        noteQuery(operations, text, lease.label, askedAt, sentAt, true)
        this.#takeBack(lease, client, error)
        throw error
      }
      noteQuery(operations, text, lease.label, askedAt, sentAt, false)
      this.#takeBack(lease, client, undefined)
      return result
    }

    /** After a query of the pool's own. Unless it was taken away meanwhile. */
    #takeBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void {
      this.#factory.hold(client, false)
      if (isHeard(this, 'release')) emitSafely(this, 'release', error, client)
      if (!lease.released) lease.release(error)
    }

    use<R>(callback: (client: DriverClient) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
      const work = (client: DriverClient, lease: Lease<DriverClient>): R | PromiseLike<R> => {
        this.#factory.hold(client, true)
        return callback(this.#leasedClient(lease))
      }
      return holding(engineOf(this.#core), this.#core.acquire(options), work, this.#ways)
    }

    readonly #ways: HoldingWays<DriverClient> = {
      inWords: asDriverError,
      giveBack: (lease, error) => {
        this.#factory.hold(lease.resource, false)
        lease.release(error)
      },
    }

    transaction<R>(
      callback: (client: DriverClient) => R | PromiseLike<R>,
      options: TransactionOptions & AcquireOptions = {},
    ): Promise<R> {
      const { isolation, readOnly, retries = 0, ...acquire } = options
      return retrying(retries, isRetryable, () =>
        this.use((client) => runTransaction(client, { isolation, readOnly }, () => callback(client)), acquire),
      )
    }

    async ready(options?: ReadyOptions): Promise<void> {
      await this.#core.ready(options)
    }

    // ── watching and ending ──

    stats(): PoolStats {
      return this.#core.stats()
    }

    health(options?: HealthOptions): Promise<HealthCheck> {
      return this.#core.health(options)
    }

    close(options?: CloseOptions): Promise<CloseReport> {
      this.ending = true
      this.#whenEnded ??= this.#core.close(options).then((report) => {
        this.ended = true
        return report
      })
      return this.#whenEnded
    }

    end(callback?: (error?: Error) => void): Promise<void> | undefined {
      const twice = this.ending ? new Error('Called end on pool more than once') : undefined
      const ended =
        twice === undefined ? this.close({ timeoutMillis: END_MILLIS }).then(() => undefined) : Promise.reject(twice)
      if (callback === undefined) return ended
      ended.then(
        () => callback(),
        (error: unknown) => callback(error as Error),
      )
      return undefined
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.close({ timeoutMillis: END_MILLIS })
    }

    /** Names and counts only: options and clients hold the password. */
    [inspect.custom](): string {
      return inspect(this.#core).replace(/^Pool/, 'MillpondPool')
    }
  }

  classes.set(pg, MillpondPool)
  return MillpondPool
}

/**
 * A pool in place of `new pg.Pool(options)`, with its surface, its types and its defaults where those were bounded.
 * The driver is handed in: `pgPool(pg, { connectionString, max: 20 })`.
 *
 * @throws {OptionError} on a wrong value, a misspelt option, or two names for one thing
 */
export function pgPool<P extends PgModule>(
  pg: P,
  options: PgPoolOptions<P> = {} as PgPoolOptions<P>,
): InstanceType<P['Pool']> & PgPoolExtras<BorrowedClient<P>> {
  const Class = pgPoolClass(pg)
  // The class is built at run time on the user's own, whose exact type goes out again.
  return new Class(options) as unknown as InstanceType<P['Pool']> & PgPoolExtras<BorrowedClient<P>>
}

/** Options of the user's own `pg.Pool`, and Millpond's. */
export type PgPoolOptions<P extends PgModule> = Omit<
  NonNullable<ConstructorParameters<P['Pool']>[0]>,
  keyof PgFaceOptions
> &
  PgFaceOptions

/** What `connect()` of the user's own `pg.Pool` gives. */
export type BorrowedClient<P extends PgModule> =
  // Both overloads are written out: inference takes the last one otherwise, which is that of the callback.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  InstanceType<P['Pool']>['connect'] extends { (): Promise<infer C>; (callback: any): any }
    ? C
    : InstanceType<P['Client']>

function hideSecrets(options: Record<string, unknown>): Record<string, unknown> {
  for (const secret of ['password', 'connectionString']) {
    if (secret in options) Object.defineProperty(options, secret, { enumerable: false })
  }
  return options
}
