import type { EventEmitter } from 'node:events'

type Callback = (error: unknown, ...results: unknown[]) => void

/** A packet as the driver's parser hands it on. */
export interface DriverPacket {
  readonly buffer: Buffer
  readonly offset: number
  /** The header of four bytes included. */
  length(): number
}

/** A command under way or queued on a connection. */
export interface DriverCommand extends EventEmitter {
  onResult?: Callback | undefined
  /** The state it is in: the method that gets the next packet. */
  readonly next?: unknown
  readonly resultsetHeader?: unknown
  readonly infileOk?: unknown
  namedPlaceholders?: boolean | undefined
}

/** The driver's queue, in its kinds over the versions. */
export interface DriverQueue {
  readonly length: number
  get(index: number): DriverCommand | undefined
}

/** A connection's settings, of which every connection gets a copy of its own: `changeUser` writes to it. */
export interface DriverConfig {
  host?: string
  port?: number
  socketPath?: string
  user?: string | undefined
  password?: unknown
  password2?: unknown
  password3?: unknown
  passwordSha1?: unknown
  database?: string | undefined
  namedPlaceholders?: boolean
  gracefulEnd?: boolean
  enableKeepAlive?: boolean
  keepAliveInitialDelay?: number
  maxPreparedStatements?: number
  [option: string]: unknown
}

/**
 * The subset of mysql2's connection that the adapter touches, written down here because drivers are handed in and never
 * imported. Members with an underscore are not public; they are the same from 3.9.8 to the latest.
 */
export interface DriverConnection extends EventEmitter {
  readonly threadId: number | null
  readonly config: DriverConfig
  readonly stream: {
    readonly destroyed?: boolean
    readonly writableEnded?: boolean
    write(bytes: Uint8Array): boolean
    destroy(error?: Error): unknown
    emit(event: string): unknown
    once(event: string, listener: () => void): unknown
  }
  connect(callback: Callback): void
  query(sql: unknown, values?: unknown, callback?: unknown): DriverCommand
  execute(sql: unknown, values?: unknown, callback?: unknown): DriverCommand
  beginTransaction(callback?: Callback): unknown
  commit(callback?: Callback): unknown
  rollback(callback?: Callback): unknown
  ping(callback: Callback): unknown
  changeUser(options: object, callback?: Callback): unknown
  /** Since 3.22. */
  reset?(callback: Callback): unknown
  escapeId(name: string): string
  close(): void
  destroy(): void
  release(): void
  end(callback?: unknown): unknown
  promise(implementation?: PromiseConstructor): object
  handlePacket(packet?: DriverPacket): void
  /** `end` of a connection that no pool keeps: a goodbye and a close. */
  _realEnd(callback?: Callback): unknown
  write(bytes: Uint8Array): void
  _notifyError(error: unknown): void
  readonly _command: DriverCommand | null | undefined
  readonly _commands: DriverQueue
  readonly _paused: boolean
  readonly _fatalError: unknown
  readonly _protocolError: unknown
  readonly _closing?: boolean
}

export interface PoolConfigLike {
  connectionConfig: DriverConfig
  connectionLimit: number
  maxIdle: number
  idleTimeout: number
  queueLimit: number
  waitForConnections: boolean
  resetOnRelease?: boolean
}

/** The members of the driver's pool that the subclass builds on. */
export interface DriverPool extends EventEmitter {
  config: PoolConfigLike
  _closed: boolean
  promise(implementation?: PromiseConstructor): DriverPromisePool
}

export interface DriverPromisePool extends EventEmitter {
  readonly pool: DriverPool
}

type DriverPoolClass = new (options: { config: PoolConfigLike }) => DriverPool
type DriverPromisePoolClass = new (pool: DriverPool, implementation?: PromiseConstructor) => DriverPromisePool

export interface DriverConnectionClass {
  new (pool: DriverPool, options: { config: DriverConfig }): DriverConnection
  readonly prototype: DriverConnection
  createQuery(sql: unknown, values: unknown, callback: unknown, config: DriverConfig): DriverCommand
}

/** The subset of the `mysql2` or `mysql2/promise` module that the adapter touches. */
export interface MysqlModule {
  // `any` on both sides: the options and the pool are the user's own, and their exact types come back out.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  createPool(options: any): any
}

/** The classes of one copy of the driver, whichever of its two modules was handed in. */
export interface DriverParts {
  readonly Pool: DriverPoolClass
  readonly PromisePool: DriverPromisePoolClass
  readonly PoolConnection: DriverConnectionClass
  /** The module is `mysql2/promise`. */
  readonly promises: boolean
  /** What the driver makes of options: its own defaults, checks and warnings. */
  configOf(options: object): PoolConfigLike
  parseUrl(url: string): Record<string, unknown>
}

const known = new WeakMap<MysqlModule, DriverParts>()

/** Learns the driver's classes from a pool that it makes, which opens nothing. */
export function partsOf(mysql: MysqlModule): DriverParts {
  const found = known.get(mysql)
  if (found !== undefined) return found
  const make = (options: object): DriverPool | DriverPromisePool =>
    mysql.createPool(options) as DriverPool | DriverPromisePool
  const made = make({})
  const pool = 'pool' in made ? made.pool : made
  const { connectionConfig } = pool.config
  const parts: DriverParts = {
    Pool: pool.constructor as DriverPoolClass,
    PromisePool: pool.promise().constructor as DriverPromisePoolClass,
    PoolConnection: connectionClassOf(pool),
    promises: 'pool' in made,
    configOf(options) {
      const one = make(options)
      return ('pool' in one ? one.pool : one).config
    },
    parseUrl: (url) =>
      (connectionConfig.constructor as unknown as { parseUrl(url: string): Record<string, unknown> }).parseUrl(url),
  }
  known.set(mysql, parts)
  return parts
}

/**
 * The class of pooled connections. `mysql2/promise` does not export it, so the driver's own pool makes one, on a stream
 * that leads nowhere.
 */
function connectionClassOf(pool: DriverPool): DriverConnectionClass {
  const nowhere = { on: () => nowhere, once: () => nowhere, setNoDelay: () => nowhere, end: () => undefined }
  let made: DriverConnection | undefined
  const { connectionConfig } = pool.config
  const standIn = Object.create(pool, {
    config: {
      value: {
        connectionLimit: 0,
        connectionConfig: Object.assign(Object.create(Object.getPrototypeOf(connectionConfig) as object) as object, {
          ...connectionConfig,
          stream: nowhere,
          connectTimeout: 0,
        }),
      },
    },
    _allConnections: { value: { length: 0, push: (connection: DriverConnection) => (made = connection) } },
    _freeConnections: { value: { length: 0 } },
  }) as { getConnection(callback: () => void): void }
  standIn.getConnection(() => undefined)
  if (made === undefined)
    throw new TypeError('Expected the module `mysql2` or `mysql2/promise`, version 3.9.8 or later')
  return made.constructor as DriverConnectionClass
}

/** Whether a reply is outstanding or a command queued: a query, a stream, a prepare. */
export function isBusy(connection: DriverConnection): boolean {
  return (connection._command ?? null) !== null || connection._commands.length > 0
}

/** Whether the driver has told whoever waits on it that it is over. */
function hasFailed(connection: DriverConnection): boolean {
  return (connection._fatalError ?? connection._protocolError ?? null) !== null
}

export function isDead(connection: DriverConnection): boolean {
  return hasFailed(connection) || connection._closing === true || connection.stream.destroyed === true
}

/** A command of the adapter's own. */
export function run(connection: DriverConnection, sql: string): Promise<unknown> {
  return called((done) => connection.query(sql, done))
}

/** Resolves with what the callback gets. */
export function called(start: (done: Callback) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
  })
}

/** Ends the socket at once, without a goodbye; whoever waits for a reply on it is told. */
export function cut(connection: DriverConnection, why: string): void {
  // One that is closing, or whose socket is gone, may have told nobody yet.
  if (isBusy(connection) && !hasFailed(connection)) {
    connection._notifyError(Object.assign(new Error(why), { code: 'PROTOCOL_CONNECTION_LOST', fatal: true }))
  }
  connection.close()
  connection.stream.destroy()
}
