import { inspect, type InspectOptions } from 'node:util'
import { inCallersContext } from '../../core/caller-context.ts'
import type { Lease } from '../../core/lease.ts'
import type { Operations } from '../../core/operations.ts'
import { refuseStale, staleError, staleRelease, standInFor, type StaleReleasePolicy } from '../../core/stand-in.ts'
import type { DriverConfig, DriverConnection } from './driver.ts'
import { answering, inContextOfAsker, type Callback } from './answers.ts'
import { shown, type PooledConnection, type PooledConnectionClass } from './pooled-connection.ts'
import { textOf, watch } from './watched.ts'

/** What a borrowed connection asks of its pool. */
export interface Borrowing {
  readonly onStaleRelease: StaleReleasePolicy
  readonly operations: Operations
  giveBack(lease: Lease<PooledConnection>, connection: PooledConnection, error?: unknown): void
  destroy(lease: Lease<PooledConnection>, connection: PooledConnection): void
}

type Listener = (...args: unknown[]) => void

/** What `getConnection()` of the callback face gives out. */
export interface LeasedConnection extends DriverConnection {
  [Symbol.dispose](): void
}

export interface LeasedConnections {
  /** @param settles - its callbacks only settle promises: it is used through a promise connection */
  create(
    borrowing: Borrowing,
    connection: PooledConnection,
    lease: Lease<PooledConnection>,
    settles: boolean,
  ): LeasedConnection
}

const STALE = 'Connection was already released.'

/** Methods that take a callback and, after the end of the lease, must not reach whoever has the connection by then. */
const GUARDED = ['ping', 'reset', 'prepare', 'changeUser'] as const
/** Those without a callback. */
const GUARDED_PLAIN = ['unprepare', 'pause', 'resume', 'close'] as const

/** The callback among the arguments, if there is one, in its caller's async context. */
function withCallback(args: unknown[], settles: boolean): unknown[] {
  const at = args.findLastIndex((arg) => typeof arg === 'function')
  if (at !== -1) args[at] = answering(args[at] as Callback, settles)
  return args
}

/** The class of what `getConnection()` gives out: an object per lease that stands for the real connection. */
export function leasedConnectionsOf(Connection: PooledConnectionClass): LeasedConnections {
  let connectionOf: (leased: unknown) => PooledConnection | undefined
  let PromiseConnection: PromiseConnectionClass | undefined

  class Leased {
    readonly #borrowing: Borrowing
    readonly #connection: PooledConnection
    readonly #lease: Lease<PooledConnection>
    readonly #settles: boolean

    constructor(borrowing: Borrowing, connection: PooledConnection, lease: Lease<PooledConnection>, settles: boolean) {
      this.#borrowing = borrowing
      this.#connection = connection
      this.#lease = lease
      this.#settles = settles
    }

    static {
      connectionOf = (leased) =>
        typeof leased === 'object' && leased !== null && #connection in leased ? leased.#connection : undefined
      const guard = (name: string, call: (leased: Leased, args: unknown[]) => unknown): void => {
        const value = function (this: Leased, ...args: unknown[]): unknown {
          return this.#lease.released ? refuse(this.#lease, args) : call(this, args)
        }
        Object.defineProperty(this.prototype, name, { value, writable: true, configurable: true })
      }
      const passOn = (leased: Leased, name: string, args: unknown[]): unknown => {
        const method = (leased.#connection as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>)[
          name
        ]
        if (method === undefined) throw new TypeError(`This version of mysql2 has no connection.${name}()`)
        return method.apply(leased.#connection, args)
      }
      for (const name of GUARDED)
        guard(name, (leased, args) => passOn(leased, name, withCallback(args, leased.#settles)))
      for (const name of GUARDED_PLAIN) guard(name, (leased, args) => passOn(leased, name, args))
    }

    /** Asked of whatever is awaited; answered here so that it does not go through to the driver. */
    get then(): undefined {
      return undefined
    }

    get config(): DriverConfig {
      return this.#connection.config
    }

    get threadId(): number | null {
      return this.#connection.threadId
    }

    /** The driver's types promise it. */
    get connection(): this {
      return this
    }

    query(sql: unknown, values?: unknown, callback?: unknown): unknown {
      return this.#run('query', sql, values, callback)
    }

    execute(sql: unknown, values?: unknown, callback?: unknown): unknown {
      return this.#run('execute', sql, values, callback)
    }

    #run(how: 'query' | 'execute', sql: unknown, values: unknown, callback: unknown): unknown {
      if (typeof values === 'function') return this.#run(how, sql, undefined, values)
      if (this.#lease.released) return refuse(this.#lease, [sql, values, callback])
      const { operations } = this.#borrowing
      const text = operations.watched ? textOf(sql) : undefined
      const command = this.#connection[how](sql, values, this.#answering(callback))
      if (text !== undefined) watch(operations, command, text, this.#lease.label, 0)
      inContextOfAsker(command)
      return command
    }

    beginTransaction(callback?: unknown): unknown {
      return this.#step('beginTransaction', callback)
    }

    commit(callback?: unknown): unknown {
      return this.#step('commit', callback)
    }

    rollback(callback?: unknown): unknown {
      return this.#step('rollback', callback)
    }

    #step(which: 'beginTransaction' | 'commit' | 'rollback', callback: unknown): unknown {
      return this.#lease.released ? refuse(this.#lease, [callback]) : this.#connection[which](this.#answering(callback))
    }

    #answering(callback: unknown): Callback | undefined {
      return typeof callback === 'function' ? answering(callback as Callback, this.#settles) : undefined
    }

    release(): void {
      const lease = this.#lease
      if (lease.released) staleRelease(lease, this.#borrowing.onStaleRelease, STALE)
      else this.#borrowing.giveBack(lease, this.#connection)
    }

    destroy(): void {
      const lease = this.#lease
      if (!lease.released) this.#borrowing.destroy(lease, this.#connection)
    }

    /** As in mysql2: `release()`, or with `gracefulEnd` the end of the connection. Never throws a second time. */
    end(...args: unknown[]): void {
      const done = args.find((arg) => typeof arg === 'function') as Listener | undefined
      if (!this.#lease.released) {
        if (this.#connection.config.gracefulEnd === true) this.destroy()
        else this.release()
      }
      if (done !== undefined) process.nextTick(inCallersContext(done))
    }

    promise(implementation?: PromiseConstructor): object {
      PromiseConnection ??= promiseConnectionOf(this.#connection)
      return new PromiseConnection(this, implementation)
    }

    [Symbol.dispose](): void {
      if (!this.#lease.released) this.release()
    }

    // A connection's methods that return the connection must return the borrower's view of it.
    on(event: string | symbol, listener: Listener): this {
      this.#connection.on(event, listener)
      return this
    }
    addListener(event: string | symbol, listener: Listener): this {
      return this.on(event, listener)
    }
    once(event: string | symbol, listener: Listener): this {
      this.#connection.once(event, listener)
      return this
    }
    off(event: string | symbol, listener: Listener): this {
      this.#connection.off(event, listener)
      return this
    }
    removeListener(event: string | symbol, listener: Listener): this {
      return this.off(event, listener)
    }

    /** Where it is connected to, and never the password. */
    [inspect.custom](_depth: number, options: InspectOptions): string {
      return shown('PoolConnection', this.#connection, { released: this.#lease.released }, options)
    }
  }
  const learn = standInFor<PooledConnection>(Leased, Connection, (leased) => connectionOf(leased))

  return {
    create(borrowing, connection, lease, settles) {
      learn(connection)
      return new Leased(borrowing, connection, lease, settles) as unknown as LeasedConnection
    },
  }
}

type Borrowed = Pick<LeasedConnection, 'destroy' | typeof Symbol.dispose>
type PromiseConnectionClass = new (connection: Borrowed, implementation?: PromiseConstructor) => object

/** The driver's own promise connection, whose `await using` is quiet where it was released before. */
function promiseConnectionOf(connection: PooledConnection): PromiseConnectionClass {
  const Base = connection.promise().constructor as PromiseConnectionClass
  return class PromisePoolConnection extends Base {
    declare readonly connection: Borrowed

    /** Older versions call the driver's own method on what stands for the connection. */
    destroy(): void {
      this.connection.destroy()
    }

    [Symbol.dispose](): void {
      this.connection[Symbol.dispose]()
    }

    [Symbol.asyncDispose](): Promise<void> {
      this[Symbol.dispose]()
      return Promise.resolve()
    }

    [inspect.custom](_depth: number, options: InspectOptions): string {
      return `Promise${inspect(this.connection, options)}`
    }
  }
}

/** Without a callback there is nobody else to tell. */
function refuse(lease: Lease<PooledConnection>, args: unknown[]): unknown {
  if (args.some((arg) => typeof arg === 'function')) return refuseStale(lease, args)
  throw staleError(lease)
}
