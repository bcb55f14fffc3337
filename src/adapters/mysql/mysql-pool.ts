import { tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import type { Borrower } from '../../core/borrower.ts'
import { inCallersContext } from '../../core/caller-context.ts'
import type { CloseReport } from '../../core/close-report.ts'
import { emitSafely, END_MILLIS, isHeard, retrying } from '../../core/drop-in.ts'
import type { OverloadedError } from '../../core/errors.ts'
import { holding, type HoldingWays } from '../../core/holding.ts'
import type { Lease } from '../../core/lease.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions } from '../../core/managed-pool.ts'
import { engineOf, Pool, type AcquireOptions, type ReadyOptions } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { Callback } from './answers.ts'
import { compareRoom } from './capacity.ts'
import { isOfDriver } from './classify.ts'
import { ConnectionCall, ConnectionPromise } from './connection-calls.ts'
import {
  partsOf,
  type DriverCommand,
  type DriverParts,
  type DriverPool,
  type MysqlModule,
  type PoolConfigLike,
} from './driver.ts'
import { asDriverError, noneAvailable } from './errors.ts'
import type { MysqlPoolExtras } from './extras.ts'
import { MysqlFactory } from './factory.ts'
import { leasedConnectionsOf, type Borrowing, type LeasedConnection } from './leased-connection.ts'
import { resolveMysqlOptions, type MysqlFaceOptions, type ResolvedMysqlOptions } from './options.ts'
import { hideSecrets, pooledConnectionOf, type PooledConnection } from './pooled-connection.ts'
import { promisePoolOf, type MillpondPromisePool } from './promise-pool.ts'
import { CalledStatement, StreamedQuery, type Lending } from './statements.ts'
import { isRetryable, runTransaction, type TransactionOptions } from './transaction.ts'

/** mysql2's own channel, by which tracers see how long callers wait for a connection. */
const waits = tracingChannel('mysql2:pool:connect')

const ignore: Callback = () => undefined
const sendQuery = (connection: PooledConnection, { values: command }: CalledStatement): DriverCommand =>
  connection.query(command)
const sendExecute = (connection: PooledConnection, { sql, values, answer }: CalledStatement): DriverCommand =>
  connection.execute(sql, values, answer)

type MillpondPool = DriverPool & MysqlPoolExtras<object>
type MillpondPoolClass = new (options: string | object) => MillpondPool

const classes = new WeakMap<DriverParts, MillpondPoolClass>()

/** The class of Millpond pools for one copy of `mysql2`: a real subclass of its own `Pool`. */
export function mysqlPoolClass(parts: DriverParts): MillpondPoolClass {
  const known = classes.get(parts)
  if (known !== undefined) return known
  const Connection = pooledConnectionOf(parts)
  const leasedConnections = leasedConnectionsOf(Connection)

  class MillpondPool extends parts.Pool implements MysqlPoolExtras<object> {
    readonly #core: Pool<PooledConnection>
    readonly #options: ResolvedMysqlOptions
    readonly #borrowing: Borrowing
    readonly #lending: Lending
    #promises: MillpondPromisePool | undefined
    #whenEnded: Promise<CloseReport> | undefined

    constructor(given: string | object) {
      const options = resolveMysqlOptions(parts, given)
      super({ config: configOf(parts, options) })
      this.#options = options
      this.#core = this.#makeCore(given)
      this.#borrowing = {
        onStaleRelease: options.onStaleRelease,
        operations: this.#core.operations,
        giveBack: (lease, connection, error) => this.#giveBack(lease, connection, error),
        destroy: (lease, connection) => {
          this.#tell('release', connection)
          lease.destroy('destroyed by its borrower')
        },
      }
      const { Promise: implementation } = given as { readonly Promise?: PromiseConstructor }
      this.#lending = {
        operations: this.#core.operations,
        settles: parts.promises && implementation === undefined,
        lent: (connection) => this.#tell('acquire', connection),
        giveBack: (lease, connection, error) => this.#giveBack(lease, connection, error),
      }
      showCounts(this, this.#core)
    }

    #makeCore(given: string | object): Pool<PooledConnection> {
      const password = typeof given === 'string' ? undefined : (given as MysqlFaceOptions).password
      const ask = typeof password === 'function' ? password : undefined
      const factory = new MysqlFactory(Connection, this.config.connectionConfig, this.#options, ask, {
        pool: this,
        isSetUp: () => this.listenerCount('connection') > 0,
        connected: (connection) => this.#tell('connection', connection),
        firstConnected: (connection) => compareRoom(this.#core, connection),
      })
      return new Pool(factory, this.#options.engine)
    }

    get core(): Pool<PooledConnection> {
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

    // ── borrowing ──

    getConnection(callback: Callback): void {
      this.#lendTo(new ConnectionCall(this.#stand, callback))
    }

    /** For those who settle a promise of this kind with what they get. */
    _borrow(
      Implementation: PromiseConstructor,
      lent: (leased: LeasedConnection) => void,
      failed: (error: unknown) => void,
    ): void {
      this.#lendTo(new ConnectionPromise(this.#stand, Implementation === Promise, lent, failed))
    }

    readonly #stand = (lease: Lease<PooledConnection>, settles: boolean): LeasedConnection => {
      const connection = lease.resource
      this.#tell('acquire', connection)
      return leasedConnections.create(this.#borrowing, connection, lease, settles)
    }

    /** Gives back what `getConnection` gave out; of either face. */
    releaseConnection(connection: { release(): void }): void {
      connection.release()
    }

    #lendTo(borrower: Borrower<PooledConnection>): void {
      const refusal = this.#noteQueueing()
      if (refusal !== undefined) borrower.refuse(refusal)
      else if (waits.hasSubscribers) this.#lendTraced(borrower)
      else borrower.borrowFrom(this.#core)
    }

    #lendTraced(borrower: Borrower<PooledConnection>): void {
      // Whatever the borrower does with it is not this promise's affair.
      waits
        .tracePromise(() => this.#core.acquire(), this.#traced)
        .then(
          (lease) => borrower.took(lease),
          (error: unknown) => borrower.gotNone(error),
        )
    }

    /** Why nobody may wait, where every connection is borrowed, or spoken for; tells who listens that somebody does. */
    #noteQueueing(): OverloadedError | undefined {
      if (this.#options.waitForConnections && !isHeard(this, 'enqueue')) return undefined
      const { used, waiting, max } = this.#core.stats()
      if (this.state !== 'open' || used + waiting < max) return undefined
      if (!this.#options.waitForConnections) return noneAvailable(this.#core)
      emitSafely(this, 'enqueue')
      return undefined
    }

    get #traced(): object {
      const { database = '', host, port, socketPath } = this.config.connectionConfig
      return socketPath
        ? { database, serverAddress: socketPath, serverPort: undefined }
        : { database, serverAddress: host, serverPort: port }
    }

    #giveBack(lease: Lease<PooledConnection>, connection: PooledConnection, error?: unknown): void {
      this.#tell('release', connection)
      lease.release(error)
    }

    #tell(event: string, connection: PooledConnection): void {
      if (isHeard(this, event)) emitSafely(this, event, connection)
    }

    // ── work ──

    query(sql: unknown, values?: unknown, callback?: unknown): DriverCommand {
      const { connectionConfig } = this.config
      const command = parts.PoolConnection.createQuery(sql, values, callback, connectionConfig)
      command.namedPlaceholders ??= connectionConfig.namedPlaceholders
      const done = command.onResult
      if (done === undefined) {
        this.#lendTo(new StreamedQuery(this.#lending, sql, command))
      } else {
        const statement = new CalledStatement(this.#lending, sql, command, done, sendQuery)
        command.onResult = statement.answer
        this.#lendTo(statement)
      }
      return command
    }

    execute(sql: unknown, values?: unknown, callback?: unknown): void {
      if (typeof values === 'function') this.execute(sql, [], values)
      else this.#lendTo(new CalledStatement(this.#lending, sql, values, (callback ?? ignore) as Callback, sendExecute))
    }

    use<R>(callback: (connection: object) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
      return this.#use((leased) => callback(leased.promise()), options)
    }

    #use<R>(
      callback: (leased: LeasedConnection, connection: PooledConnection) => R | PromiseLike<R>,
      options: AcquireOptions | undefined,
    ): Promise<R> {
      const refusal = this.#noteQueueing()
      if (refusal !== undefined) return Promise.reject(refusal)
      const work = (connection: PooledConnection, lease: Lease<PooledConnection>): R | PromiseLike<R> => {
        this.#tell('acquire', connection)
        return callback(leasedConnections.create(this.#borrowing, connection, lease, true), connection)
      }
      return holding(engineOf(this.#core), this.#core.acquire(options), work, this.#ways)
    }

    readonly #ways: HoldingWays<PooledConnection> = {
      inWords: asDriverError,
      // Whatever else a callback throws says nothing about the connection.
      giveBack: (lease, error) => this.#giveBack(lease, lease.resource, isOfDriver(error) ? error : undefined),
    }

    transaction<R>(
      callback: (connection: object) => R | PromiseLike<R>,
      options: TransactionOptions & AcquireOptions = {},
    ): Promise<R> {
      const { isolation, readOnly, retries = 0, ...acquire } = options
      return retrying(retries, isRetryable, () =>
        this.#use(
          (leased, { session }) =>
            runTransaction(leased, session, { isolation, readOnly }, () => callback(leased.promise())),
          acquire,
        ),
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
      this._closed = true
      this.#whenEnded ??= this.#core.close(options)
      return this.#whenEnded
    }

    end(callback?: (error?: unknown) => void): void {
      const call = callback === undefined ? undefined : inCallersContext(callback)
      this.close({ timeoutMillis: END_MILLIS }).then(
        () => call?.(),
        (error: unknown) => call?.(error),
      )
    }

    override promise(implementation?: PromiseConstructor): MillpondPromisePool {
      const PromisePool = promisePoolOf(parts)
      if (implementation !== undefined) return new PromisePool(this, implementation)
      return (this.#promises ??= new PromisePool(this))
    }

    /** The driver's connections say so when they end; the engine has heard it by itself. */
    _removeConnection(): void {
      // Nothing is kept here.
    }

    /** The driver's own sweeper, which it starts where `maxIdle` is below the limit: the engine does its work. */
    _removeIdleTimeoutConnections(): void {
      // Nothing is swept here.
    }

    [Symbol.dispose](): void {
      this.end()
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.close({ timeoutMillis: END_MILLIS })
    }

    /** Names and counts only: settings and connections hold the password. */
    [inspect.custom](): string {
      return inspect(this.#core).replace(/^Pool/, 'MillpondPool')
    }
  }

  classes.set(parts, MillpondPool)
  return MillpondPool
}

/** The driver's settings; its pool reads its own sizes there, and so do libraries. */
function configOf(
  parts: DriverParts,
  { driver, engine, waitForConnections, resetSession }: ResolvedMysqlOptions,
): PoolConfigLike {
  const config = parts.configOf({ ...driver })
  hideSecrets(config.connectionConfig)
  const finite = (value: number | undefined): number => (value === undefined || value === Infinity ? 0 : value)
  config.connectionLimit = finite(engine.max)
  config.queueLimit = finite(engine.maxWaiting)
  config.maxIdle = engine.maxIdle ?? config.connectionLimit
  config.idleTimeout = engine.idleTimeoutMillis ?? 60_000
  config.waitForConnections = waitForConnections
  config.resetOnRelease = resetSession === 'always'
  return config
}

/** What tools that watch a mysql2 pool read: how many connections, free ones, waiting callers. */
function showCounts(pool: object, core: Pool<PooledConnection>): void {
  const count = (length: (stats: PoolStats) => number): PropertyDescriptor => ({
    value: {
      get length() {
        return length(core.stats())
      },
    },
    configurable: true,
  })
  Object.defineProperties(pool, {
    _allConnections: count(({ total }) => total),
    _freeConnections: count(({ idle }) => idle),
    _connectionQueue: count(({ waiting }) => waiting),
  })
}

/** Options of the user's own `createPool`, and Millpond's. */
export type MysqlPoolOptions<M extends MysqlModule> = Omit<
  Extract<Parameters<M['createPool']>[0], object>,
  keyof MysqlFaceOptions
> &
  MysqlFaceOptions

/** A promise connection as the user's own driver types it, whichever of its modules was handed in. */
export type BorrowedConnection<M extends MysqlModule> =
  PromiseFace<ReturnType<M['createPool']>> extends { getConnection(): Promise<infer C> } ? C : never

type PromiseFace<P> = P extends { promise(): infer F } ? F : P

/**
 * The pool of the user's own driver, and what Millpond adds. Newer types of `mysql2/promise` have a pool be a
 * connection, with a connection's `state`, which at run time it has not: ours is the pool's.
 */
export type MysqlPool<M extends MysqlModule, P = ReturnType<M['createPool']>> = P extends { readonly state: unknown }
  ? // Fits the driver's type and ours, which have no word in common.
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    Omit<P, 'state'> & Omit<MysqlPoolExtras<BorrowedConnection<M>>, 'state'> & { readonly state: any }
  : P & MysqlPoolExtras<BorrowedConnection<M>>

/**
 * A pool in place of `mysql.createPool(options)`, with its surface, its types and its defaults where those were bounded.
 * The driver is handed in, and decides the face: `mysqlPool(mysql, { host, connectionLimit: 20 })` gives callbacks for
 * `mysql2` and promises for `mysql2/promise`.
 *
 * @throws {OptionError} on a wrong value, a misspelt option, or two names for one thing
 */
export function mysqlPool<M extends MysqlModule>(
  mysql: M,
  options: MysqlPoolOptions<M> | string = {} as MysqlPoolOptions<M>,
): MysqlPool<M> {
  const parts = partsOf(mysql)
  const pool = new (mysqlPoolClass(parts))(options)
  const { Promise: implementation } = options as { readonly Promise?: PromiseConstructor }
  // The classes are built at run time on the user's own, whose exact types go out again.
  return (parts.promises ? pool.promise(implementation) : pool) as unknown as MysqlPool<M>
}
