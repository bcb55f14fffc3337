import { endsAbruptly } from '../../core/drop-in.ts'
import type { CreateContext, DestroyReason, FailureClass, ResourceFactory } from '../../core/factory.ts'
import { classifyRedis } from './classify.ts'
import type { ConnectionHost, Dialect, DriverClient, LaneName, Place, Unanswered } from './driver.ts'
import { Session } from './session.ts'

/** Whom the factory tells what happens to connections. */
export interface RedisFactoryHost {
  /** It takes commands from now on. */
  opened?(client: DriverClient): void
  /** It takes no commands any more: it died, or the pool ends it. */
  gone?(client: DriverClient): void
  /** It takes no commands until `opened` is told again: the driver connects anew by itself. */
  waits?(client: DriverClient): void
  /** Commands that lost their connection, in the order in which they were sent. */
  unanswered?(commands: readonly Unanswered[]): void
  /** A write was refused by a server that is a replica now. */
  readOnly?(client: DriverClient): void
  /** Whether it is leased for a command, which may take as long as it was told to. */
  isHeld?(client: DriverClient): boolean
  /** A connection failed, or could not be opened. */
  failed?(error: unknown): void
}

/** Opens, checks, cleans and ends the connections of one lane. */
export class RedisFactory implements ResourceFactory<DriverClient> {
  readonly kind = 'redis'
  readonly target: string | undefined
  readonly partOf: string | undefined
  readonly #dialect: Dialect
  readonly #lane: LaneName
  readonly #host: RedisFactoryHost
  readonly #sessions = new WeakMap<DriverClient, Session>()
  /** Clients whose end is no loss to tell: they are connecting still, or being destroyed. */
  readonly #untold = new WeakSet<DriverClient>()

  /** @param counted - of the one lane by which a pool is counted: where it leads to, and what the pool is called */
  constructor(
    dialect: Dialect,
    lane: LaneName,
    host: RedisFactoryHost,
    counted: { readonly target?: string | undefined; readonly name?: string } = {},
  ) {
    this.target = counted.target
    this.partOf = counted.name
    this.#dialect = dialect
    this.#lane = lane
    this.#host = host
  }

  session(client: DriverClient): Session | undefined {
    return this.#sessions.get(client)
  }

  async create(context: CreateContext): Promise<DriverClient> {
    const dialect = this.#dialect
    const place = await this.#locate(context)
    const host: ConnectionHost = {
      closed: (closed, error, unanswered) => this.#closed(closed, error, unanswered, context),
      readOnly: (refused) => this.#host.readOnly?.(refused),
      waits: (waiting) => {
        if (!this.#untold.has(waiting)) this.#host.waits?.(waiting)
      },
      back: (again) => {
        if (!this.#untold.has(again)) this.#host.opened?.(again)
      },
    }
    const { client, ready } = dialect.open(this.#lane, host, place)
    this.#untold.add(client)
    const giveUp = (): void => dialect.cut(client)
    context.signal.addEventListener('abort', giveUp, { once: true })
    try {
      await ready
    } catch (error) {
      dialect.cut(client)
      if (!context.signal.aborted) this.#host.failed?.(error)
      throw error
    } finally {
      context.signal.removeEventListener('abort', giveUp)
    }
    if (this.#lane === 'exclusive') this.#watchSession(client)
    this.#untold.delete(client)
    this.#host.opened?.(client)
    return client
  }

  async #locate({ signal }: CreateContext): Promise<Place | undefined> {
    try {
      return await this.#dialect.locate?.(signal)
    } catch (error) {
      if (!signal.aborted) this.#host.failed?.(error)
      throw error
    }
  }

  #watchSession(client: DriverClient): void {
    const session = new Session(this.#dialect.homeDb)
    this.#sessions.set(client, session)
    this.#dialect.tap(client, (name, args) => {
      if (!session.note(name, args)) return undefined
      session.blocking++
      return () => {
        session.blocking--
      }
    })
  }

  #closed(client: DriverClient, error: unknown, unanswered: readonly Unanswered[], context: CreateContext): void {
    if (this.#untold.has(client)) return
    this.#untold.add(client)
    this.#host.gone?.(client)
    if (error !== undefined) this.#host.failed?.(error)
    // First the loss, so that nothing is sent again over what else has died with it.
    context.lost(error ?? new Error(this.#dialect.closedPhrase))
    if (unanswered.length > 0) this.#host.unanswered?.(unanswered)
  }

  async destroy(client: DriverClient, reason: DestroyReason): Promise<void> {
    const dialect = this.#dialect
    const wasTold = this.#untold.has(client)
    this.#untold.add(client)
    if (!wasTold) this.#host.gone?.(client)
    const session = this.#sessions.get(client)
    const isAbrupt = reason === 'released' || endsAbruptly(reason)
    if (!isAbrupt && dialect.isReady(client) && (session === undefined || session.blocking === 0)) {
      // A silent server never says goodbye. In a pool that goes on, a slow command may still be answered before.
      const timer = setTimeout(() => dialect.cut(client), reason === 'close' ? 1_000 : 30_000)
      timer.unref()
      try {
        await dialect.quit(client)
      } finally {
        clearTimeout(timer)
      }
      return
    }
    if (this.#lane === 'shared' && dialect.isReady(client)) {
      const unanswered = dialect.takeUnanswered(client)
      if (unanswered.length > 0) this.#host.unanswered?.(unanswered)
    }
    dialect.cut(client)
  }

  isBroken(client: DriverClient, error?: unknown): boolean {
    if (this.#lane === 'subscriber') return true
    if (!this.#dialect.isReady(client)) return true
    const session = this.#sessions.get(client)
    if (session !== undefined && (session.tainted || session.blocking > 0)) return true
    return error !== undefined && classifyRedis(error) !== 'query'
  }

  async validate(client: DriverClient): Promise<void> {
    await this.#dialect.prove(client)
  }

  needsReset(client: DriverClient): boolean {
    const session = this.#sessions.get(client)
    if (session === undefined) return false
    if (this.#dialect.hasSubscriptions(client)) session.subscribed = true
    return !session.isClean || (this.#dialect.inFlight(client) ?? 0) > 0
  }

  /** Undoes what a borrower left behind; what was sent and not awaited is answered before it is over. */
  async reset(client: DriverClient): Promise<void> {
    const session = this.#sessions.get(client)
    if (session === undefined) return
    const { inTransaction, watching, subscribed, named, movedDb, homeDb } = session
    const ask = (...command: string[]): Promise<unknown> => this.#dialect.ask(client, ...command)
    const steps: Promise<unknown>[] = []
    // A transaction first: until it is over, everything else would be queued in it.
    if (inTransaction) steps.push(ask('DISCARD'))
    else if (watching) steps.push(ask('UNWATCH'))
    if (subscribed) steps.push(this.#dialect.unsubscribeAll(client))
    if (movedDb) steps.push(ask('SELECT', String(homeDb)))
    if (named) steps.push(ask('CLIENT', 'SETNAME', ''))
    if (steps.length === 0) steps.push(ask('PING'))
    await Promise.all(steps)
    session.restored()
  }

  isHeldOnPurpose(client: DriverClient): boolean {
    return this.#lane === 'subscriber' || this.#host.isHeld?.(client) === true
  }

  classify(error: unknown): FailureClass {
    return classifyRedis(error)
  }
}
