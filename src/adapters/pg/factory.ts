import { endsAbruptly } from '../../core/drop-in.ts'
import type { CreateContext, DestroyReason, FailureClass, ResourceFactory } from '../../core/factory.ts'
import { cancelQuery } from './cancel.ts'
import { classifyPg, WrongServerError } from './classify.ts'
import { abortConnect, cutSocket, isBusy, run, type DriverClient, type DriverClientClass } from './driver.ts'
import type { PasswordContext, ResolvedPgOptions } from './options.ts'
import { Session, sessionOf } from './session.ts'
import { targetOf } from './capacity.ts'

/** Whom the factory tells what happens to connections. */
export interface PgFactoryHost {
  connected(client: DriverClient): void
  /** The pool's very first connection is open, and nobody has it yet. */
  firstConnected(client: DriverClient): Promise<void>
  removed(client: DriverClient): void
  /** A connection failed while nobody held it. */
  failedIdle(error: unknown, client: DriverClient): void
}

/** An orderly goodbye that takes longer is ended by cutting the socket; shorter than the engine's own patience. */
const GOODBYE_MILLIS = 1_000

/** Opens, checks, cleans and ends the connections of one pool. */
export class PgFactory implements ResourceFactory<DriverClient> {
  readonly kind = 'postgres'
  readonly target: string
  readonly #Client: DriverClientClass
  readonly #options: ResolvedPgOptions
  readonly #host: PgFactoryHost
  /** Clients whose end is no loss to tell: they are connecting still, or being destroyed. */
  readonly #untold = new WeakSet<DriverClient>()
  #nextHost = 0
  #capacityCompared = false
  #password: Promise<unknown> | undefined

  constructor(Client: DriverClientClass, options: ResolvedPgOptions, host: PgFactoryHost) {
    this.#Client = Client
    this.#options = options
    this.#host = host
    this.target = targetOf(options)
  }

  /** A connection that somebody holds tells its own errors through what runs on it. */
  hold(client: DriverClient, held: boolean): void {
    const session = sessionOf(client)
    if (session !== undefined) session.held = held
    if (!this.#options.allowExitOnIdle) return
    if (held) client.ref?.()
    else client.unref?.()
  }

  async create(context: CreateContext): Promise<DriverClient> {
    const hosts = this.#options.hosts.length === 0 ? [undefined] : this.#options.hosts
    let lastError: unknown
    for (let tried = 0; tried < hosts.length; tried++) {
      const index = (this.#nextHost + tried) % hosts.length
      try {
        const client = await this.#connect(hosts[index], context)
        this.#nextHost = index
        return client
      } catch (error) {
        lastError = error
        if (context.signal.aborted) break
      }
    }
    throw lastError
  }

  async #connect(host: string | undefined, context: CreateContext): Promise<DriverClient> {
    const client = new this.#Client(this.#clientConfig(host, context) as never)
    const session = new Session(client)
    this.#untold.add(client)
    this.#listen(client, session, context)
    let giveUp = (): void => undefined
    // Heeded whatever the connect hangs on, a user's `onConnect` included: once the socket is gone, nothing is left of it.
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = (): void => {
        abortConnect(client)
        reject(context.signal.reason as Error)
      }
    })
    context.signal.addEventListener('abort', giveUp, { once: true })
    try {
      await Promise.race([givenUp, this.#ready(client, session, context.signal)])
      this.#untold.delete(client)
      return client
    } catch (error) {
      cutSocket(client)
      throw error
    } finally {
      context.signal.removeEventListener('abort', giveUp)
    }
  }

  async #ready(client: DriverClient, session: Session, signal: AbortSignal): Promise<void> {
    await client.connect()
    await session.quietly(() => this.#setUp(client, signal))
  }

  #clientConfig(host: string | undefined, context: CreateContext): Record<string, unknown> {
    const config = { ...this.#options.client }
    if (host !== undefined) {
      const [, name = host, port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? []
      config['host'] = name
      if (port !== undefined) config['port'] = Number(port)
    }
    const { password } = config
    if (typeof password === 'function') {
      config['password'] = (parameters: unknown) =>
        this.#sharedPassword(password as PasswordFunction, parameters, context)
    }
    return config
  }

  /** Asked once for all connects that are under way together, and afresh after that. */
  #sharedPassword(ask: PasswordFunction, parameters: unknown, { attempt, lastError }: CreateContext): Promise<unknown> {
    this.#password ??= Promise.resolve(ask(parameters, { attempt, lastError })).finally(() => {
      this.#password = undefined
    })
    return this.#password
  }

  /**
   * One listener for a client's whole life: no dying socket ever raises an uncaught exception. Its first error is the
   * cause; what follows only repeats that the connection ended.
   */
  #listen(client: DriverClient, session: Session, context: CreateContext): void {
    let isOver = false
    const over = (error: unknown): void => {
      if (isOver || this.#untold.has(client)) return
      isOver = true
      const cause = session.fatal ?? error
      context.lost(cause)
      if (!session.held) this.#host.failedIdle(cause, client)
    }
    client.on('error', over)
    client.once('end', () => {
      over(new Error('Connection terminated unexpectedly'))
    })
  }

  async #setUp(client: DriverClient, signal: AbortSignal): Promise<void> {
    await this.#checkRole(client)
    await this.#options.onConnect?.(client as never)
    if (!this.#capacityCompared) {
      this.#capacityCompared = true
      await this.#host.firstConnected(client)
    }
    signal.throwIfAborted()
    this.#host.connected(client)
    // What a 'connect' listener has sent belongs to the connection's first state: it is over before anyone gets it.
    if (isBusy(client)) {
      await new Promise<void>((resolve) => {
        client.once('drain', () => resolve())
        client.once('end', () => resolve())
      })
    }
    if (this.#options.allowExitOnIdle) client.unref?.()
  }

  async #checkRole(client: DriverClient): Promise<void> {
    const wanted = this.#options.targetSessionAttrs
    if (wanted === 'any') return
    const { rows } = await run(
      client,
      "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS readonly",
    )
    const { standby, readonly } = rows[0] ?? {}
    const fits = { 'read-write': !readonly, 'read-only': readonly, primary: !standby, standby }[wanted]
    if (!fits) throw new WrongServerError(wanted)
  }

  async destroy(client: DriverClient, reason: DestroyReason): Promise<void> {
    this.#untold.add(client)
    const isDead = client._ended === true || client._queryable === false
    const busy = isBusy(client)
    // A server does not notice that the socket of a statement at work is gone: it would work on for nobody.
    if (busy && !isDead) await cancelQuery(client)
    if (client._ended !== true) await this.#end(client, isDead || busy || endsAbruptly(reason))
    this.#host.removed(client)
  }

  /** Resolves when the socket is closed. */
  async #end(client: DriverClient, abrupt: boolean): Promise<void> {
    const { connection } = client
    if (connection === undefined) {
      await client.end()
      return
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => cutSocket(client), GOODBYE_MILLIS)
      timer.unref()
      connection.once('end', () => {
        clearTimeout(timer)
        resolve()
      })
      if (abrupt) cutSocket(client)
      else void client.end().catch(() => undefined)
    })
  }

  isBroken(client: DriverClient, error?: unknown): boolean {
    if (client._queryable === false || client._ended === true || client._ending === true || isBusy(client)) return true
    if (sessionOf(client)?.tainted === true && this.#options.resetSession !== 'never') return true
    return error !== undefined && classifyPg(error) !== 'query'
  }

  async validate(client: DriverClient): Promise<void> {
    if (this.#options.targetSessionAttrs === 'any') await run(client, '')
    else await this.#checkRole(client)
  }

  needsReset(client: DriverClient): boolean {
    const session = sessionOf(client)
    if (session === undefined) return false
    return session.settling || session.inTransaction || this.#resetsWhole(client, session)
  }

  /** Without tags to go by (the native client), `auto` cannot tell and resets always. */
  #resetsWhole(client: DriverClient, session: Session): boolean {
    const { resetSession } = this.#options
    return resetSession === 'always' || (resetSession === 'auto' && (session.marked || client.connection === undefined))
  }

  async reset(client: DriverClient): Promise<void> {
    const session = sessionOf(client)
    if (session === undefined) return
    await session.settle()
    const whole = this.#resetsWhole(client, session)
    await session.reset(whole)
    const { onConnect } = this.#options
    if (whole && onConnect !== undefined) await session.quietly(async () => await onConnect(client as never))
  }

  isHeldOnPurpose(client: DriverClient): boolean {
    return sessionOf(client)?.listening === true
  }

  classify(error: unknown): FailureClass {
    const failure = classifyPg(error)
    // 25006 read_only_sql_transaction: a demoted primary, but also any READ ONLY transaction.
    if (failure === 'query' && this.#options.targetSessionAttrs === 'read-write' && isReadOnlyError(error))
      return 'role-change'
    return failure
  }
}

type PasswordFunction = (parameters: unknown, context: PasswordContext) => unknown

function isReadOnlyError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === '25006'
}
