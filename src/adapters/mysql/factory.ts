import { endsAbruptly } from '../../core/drop-in.ts'
import type { CreateContext, DestroyReason, FailureClass, ResourceFactory } from '../../core/factory.ts'
import { classifyMysql, isServerError, NotWritableError } from './classify.ts'
import { called, cut, isBusy, isDead, run, type DriverConfig, type DriverPool } from './driver.ts'
import { killStatement } from './kill.ts'
import type { PasswordContext, ResolvedMysqlOptions } from './options.ts'
import type { PooledConnection, PooledConnectionClass } from './pooled-connection.ts'
import { trackingOf } from './session.ts'

/** Whom the factory tells what happens to connections. */
export interface MysqlFactoryHost {
  /** The pool that the driver's connections belong to. */
  readonly pool: DriverPool
  /** Somebody has every new connection set up by a listener: a reset would undo that. */
  isSetUp(): boolean
  connected(connection: PooledConnection): void
  /** The first one ever, before anybody has it. */
  firstConnected(connection: PooledConnection): Promise<void>
}

type PasswordFunction = (context: PasswordContext) => unknown

/** An orderly goodbye that takes longer is ended by cutting the socket; shorter than the engine's own patience. */
const GOODBYE_MILLIS = 1_000

const IS_READ_ONLY = 'SELECT @@global.read_only AS byOption, @@global.innodb_read_only AS byEngine'

/** Opens, checks, cleans and ends the connections of one pool. */
export class MysqlFactory implements ResourceFactory<PooledConnection> {
  readonly kind = 'mysql'
  readonly target: string
  readonly #Connection: PooledConnectionClass
  readonly #config: DriverConfig
  readonly #options: ResolvedMysqlOptions
  readonly #askPassword: PasswordFunction | undefined
  readonly #host: MysqlFactoryHost
  /** Connections whose end is no loss to tell: they are connecting still, or being destroyed. */
  readonly #untold = new WeakSet<PooledConnection>()
  #password: Promise<unknown> | undefined
  /** Whether this server knows session trackers; assumed until it says no. */
  #tracks = true
  #capacityCompared = false

  constructor(
    Connection: PooledConnectionClass,
    config: DriverConfig,
    options: ResolvedMysqlOptions,
    askPassword: PasswordFunction | undefined,
    host: MysqlFactoryHost,
  ) {
    this.#Connection = Connection
    const at = config as Readonly<Record<string, string | number | undefined>>
    this.target = `mysql://${at['user'] ?? ''}@${at['host'] ?? 'localhost'}:${at['port'] ?? 3306}/${at['database'] ?? ''}`
    this.#config = config
    this.#options = options
    this.#askPassword = askPassword
    this.#host = host
  }

  async create(context: CreateContext): Promise<PooledConnection> {
    const connection = await this.#open(context.signal, context, (error) => context.lost(error))
    try {
      await untilAborted(context.signal, () => this.#setUp(connection))
      this.#untold.delete(connection)
      return connection
    } catch (error) {
      cut(connection, 'The connection could not be set up')
      throw error
    }
  }

  /** A connection that is logged in. */
  async #open(
    signal: AbortSignal,
    context: PasswordContext,
    lost: (error: unknown) => void,
  ): Promise<PooledConnection> {
    const config = await this.#ownConfig(context, signal)
    signal.throwIfAborted()
    const connection = new this.#Connection(this.#host.pool, { config })
    this.#untold.add(connection)
    this.#listen(connection, lost)
    try {
      await untilAborted(signal, () => called((done) => connection.connect(done)))
      connection.loggedIn()
      return connection
    } catch (error) {
      cut(connection, 'The connect was given up')
      throw error
    }
  }

  /** Every connection has settings of its own: `changeUser` writes to them, and a token may be another one by now. */
  async #ownConfig(context: PasswordContext, signal: AbortSignal): Promise<DriverConfig> {
    const config = Object.create(
      Object.getPrototypeOf(this.#config) as object,
      Object.getOwnPropertyDescriptors(this.#config),
    ) as DriverConfig
    const ask = this.#askPassword
    if (ask === undefined) return config
    // Asked once for all connects that are under way together, and afresh after that.
    signal.throwIfAborted()
    this.#password ??= Promise.resolve(ask({ attempt: context.attempt, lastError: context.lastError }))
    const asked = this.#password
    let password: unknown
    try {
      password = await untilAborted(signal, () => asked)
    } finally {
      // Also where it hangs: the next connect asks anew.
      if (this.#password === asked) this.#password = undefined
    }
    Object.defineProperty(config, 'password', {
      value: password,
      writable: true,
      configurable: true,
      enumerable: false,
    })
    return config
  }

  /**
   * Listeners for a connection's whole life: no dying socket ever raises an uncaught exception. Its first error is the
   * cause; what follows only repeats that the connection ended.
   */
  #listen(connection: PooledConnection, lost: (error: unknown) => void): void {
    let isOver = false
    const over = (error: unknown): void => {
      if (isOver || this.#untold.has(connection)) return
      isOver = true
      lost(error)
    }
    connection.on('error', over)
    connection.once('end', () => {
      over(
        Object.assign(new Error('Connection lost: The server closed the connection.'), {
          code: 'PROTOCOL_CONNECTION_LOST',
          fatal: true,
        }),
      )
    })
  }

  async #setUp(connection: PooledConnection): Promise<void> {
    const { session } = connection
    await session.quietly(async () => {
      await this.#track(connection)
      if (this.#options.writable) await checkWritable(connection)
      await this.#options.onConnect?.(connection.promise() as never)
      if (!this.#capacityCompared) {
        this.#capacityCompared = true
        await this.#host.firstConnected(connection)
      }
      this.#host.connected(connection)
      // What a listener has sent belongs to the connection's first state: it is over before anyone gets it.
      while (isBusy(connection)) await called((done) => connection.ping(done))
    })
    session.cleaned()
  }

  /** One round trip, by which the server tells from then on when a session takes on state. */
  async #track(connection: PooledConnection): Promise<void> {
    if (this.#options.resetSession === 'never' || !this.#tracks) return
    try {
      await run(connection, trackingOf(connection.session.variables))
      connection.session.tracked = true
    } catch (error) {
      if (!isServerError(error)) throw error
      // An older server, or a proxy: what it does not tell is reset for every borrower.
      this.#tracks = false
    }
  }

  async destroy(connection: PooledConnection, reason: DestroyReason): Promise<void> {
    this.#untold.add(connection)
    if (isDead(connection)) {
      cut(connection, 'The connection is closed')
      return
    }
    if (!isBusy(connection) && !endsAbruptly(reason)) {
      await goodbye(connection)
      return
    }
    const killed = isBusy(connection) ? this.#kill(connection) : undefined
    cut(connection, `The connection was taken away by the pool (${reason})`)
    await killed
  }

  async #kill(connection: PooledConnection): Promise<void> {
    await killStatement(connection, (signal) => this.#open(signal, { attempt: 1 }, () => undefined))
  }

  isBroken(connection: PooledConnection, error?: unknown): boolean {
    const { session } = connection
    if (isDead(connection) || session.ended || session.foreign) return true
    if (isBusy(connection) && !session.failing) return true
    // A reset would undo what a listener has set up, and cannot choose "no database" again.
    const { resetSession } = this.#options
    if (session.marked && resetSession === 'auto' && this.#host.isSetUp()) return true
    if (resetSession !== 'never' && this.#isElsewhere(connection)) return true
    return error !== undefined && error !== null && classifyMysql(error) !== 'query'
  }

  #isElsewhere({ session }: PooledConnection): boolean {
    return session.schema !== undefined && !this.#config.database
  }

  async validate(connection: PooledConnection): Promise<void> {
    if (this.#options.writable) await checkWritable(connection)
    else await called((done) => connection.ping(done))
  }

  needsReset(connection: PooledConnection): boolean {
    const { session } = connection
    return session.failing || session.inTransaction || this.#resetsWhole(connection)
  }

  #resetsWhole({ session }: PooledConnection): boolean {
    const { resetSession } = this.#options
    return resetSession === 'always' || (resetSession === 'auto' && (session.marked || !session.tracked))
  }

  async reset(connection: PooledConnection): Promise<void> {
    const { session } = connection
    // The driver is still in the middle of telling about an error.
    if (session.failing) await new Promise((resolve) => setImmediate(resolve))
    if (isBusy(connection)) throw new Error('The connection was given back in the middle of a command')
    if (!this.#resetsWhole(connection)) {
      if (session.inTransaction) await session.quietly(() => run(connection, 'ROLLBACK'))
      return
    }
    await session.quietly(async () => {
      if (connection.reset === undefined) {
        await connection.resetByLogin()
      } else {
        await called((done) => connection.reset?.(done))
        const { database } = this.#config
        if ((session.schema !== undefined || !session.tracked) && database)
          await run(connection, `USE ${connection.escapeId(database)}`)
      }
      await this.#track(connection)
      await this.#options.onConnect?.(connection.promise() as never)
    })
    session.cleaned()
  }

  classify(error: unknown): FailureClass {
    const failure = classifyMysql(error)
    if (failure !== 'role-change' || this.#options.writable) return failure
    // This connection ends with it, as in mysql2; whether the others are any better only a pool that wants to write asks.
    return 'query'
  }
}

/** @throws {NotWritableError} where the server takes no writes */
async function checkWritable(connection: PooledConnection): Promise<void> {
  const rows = (await run(connection, IS_READ_ONLY)) as readonly Record<string, unknown>[]
  const isOn = (value: unknown): boolean => value === 1 || value === '1' || value === 'ON'
  if (Object.values(rows[0] ?? {}).some(isOn)) throw new NotWritableError()
}

/** Says goodbye; resolves when the socket is closed. */
async function goodbye(connection: PooledConnection): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), GOODBYE_MILLIS)
    timer.unref()
    connection.stream.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    connection._realEnd()
    connection.close()
  })
}

async function untilAborted<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
  signal.throwIfAborted()
  let giveUp: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(signal.reason as Error)
    signal.addEventListener('abort', giveUp, { once: true })
  })
  try {
    return await Promise.race([work(), aborted])
  } finally {
    if (giveUp !== undefined) signal.removeEventListener('abort', giveUp)
  }
}
