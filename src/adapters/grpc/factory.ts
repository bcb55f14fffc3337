import type { CreateContext, DestroyReason, FailureClass, ResourceFactory, StepContext } from '../../core/factory.ts'
import { classifyGrpc, ConnectionLostError } from './classify.ts'
import {
  CHANNEL,
  keepAliveOf,
  sessionsOf,
  STATUS,
  streamLimitOf,
  subchannelsOf,
  type GrpcClient,
  type GrpcClientClass,
  type SessionLike,
} from './driver.ts'
import { GrpcChannel } from './grpc-channel.ts'
import { askHealth, hasAnswered } from './health.ts'
import type { ResolvedGrpcOptions } from './options.ts'

/** Whom the factory tells what it finds out. */
export interface GrpcFactoryHost {
  /** The server allows this many streams on a connection. */
  streamLimit(limit: number): void
}

/** A connection that has not closed by then is ended without a goodbye; shorter than the engine's own patience. */
const GOODBYE_MILLIS = 1_000
/** How long the driver is asked why it could not connect. */
const REASON_MILLIS = 2_000

/** The end of a connection that is about to be closed; a peer that does not answer the goodbye is not waited for. */
function closeOf(session: SessionLike, patienceMillis: number): Promise<void> {
  // The session lets go of its socket while it closes.
  const cut = session.socket?.destroySoon
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      if (cut === undefined) resolve()
      else cut()
    }, patienceMillis)
    timer.unref()
    session.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** Opens, checks and ends the channels of one pool. */
export class GrpcFactory<C extends GrpcClient> implements ResourceFactory<GrpcChannel<C>> {
  readonly kind = 'grpc'
  readonly target: string
  readonly #Client: GrpcClientClass<C>
  readonly #target: string
  readonly #credentials: unknown
  readonly #options: ResolvedGrpcOptions
  readonly #host: GrpcFactoryHost
  readonly #lost = new WeakMap<GrpcChannel<C>, (error: unknown) => void>()
  #keepAliveMillis: number
  /** The last connection that ended has said all: the next one may begin. */
  #hearsOut: Promise<void> | undefined

  constructor(
    Client: GrpcClientClass<C>,
    target: string,
    credentials: unknown,
    options: ResolvedGrpcOptions,
    host: GrpcFactoryHost,
  ) {
    this.#Client = Client
    this.#target = this.target = target
    this.#credentials = credentials
    this.#options = options
    this.#host = host
    this.#keepAliveMillis = options.keepAliveMillis
  }

  async create(context: CreateContext): Promise<GrpcChannel<C>> {
    await this.#hearsOut
    const made = new GrpcChannel(
      new this.#Client(this.#target, this.#credentials, {
        ...this.#options.client,
        ...this.#options.channel,
        'grpc.keepalive_time_ms': this.#keepAliveMillis,
      }),
    )
    const { signal } = context
    const giveUp = (): void => {
      made.channel.close()
    }
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      await this.#connected(made)
    } catch (error) {
      made.ended = true
      made.channel.close()
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
    this.#lost.set(made, (error) => context.lost(error))
    this.#watch(made)
    const limit = streamLimitOf(made.channel)
    if (limit !== undefined) this.#host.streamLimit(limit)
    return made
  }

  /** Resolves when the channel is ready, rejects with the driver's error when it could not connect. */
  async #connected({ channel, client }: GrpcChannel<C>): Promise<void> {
    for (;;) {
      const state = channel.getConnectivityState(true)
      if (state === CHANNEL.READY) return
      if (state === CHANNEL.SHUTDOWN) throw new Error('the channel was closed while it connected')
      if (state === CHANNEL.TRANSIENT_FAILURE) {
        // A channel has no word for why; a call on it is told. With retries it makes some attempts, and may succeed.
        const answer = await askHealth(client, '', REASON_MILLIS)
        if (!hasAnswered(answer)) throw answer.error as Error
      } else {
        await new Promise<void>((resolve) => {
          channel.watchConnectivityState(state, Infinity, () => resolve())
        })
      }
    }
  }

  /** A channel without its connection is not used again: calls under way end on it, new ones go to another. */
  #watch(made: GrpcChannel<C>): void {
    made.channel.watchConnectivityState(CHANNEL.READY, Infinity, () => {
      if (made.ended) return
      // The driver pings half as often when a server complains of it; the next channel begins where this one ended. It
      // sets that right after it has told of the end, and by then this channel may be closed.
      const subchannels = subchannelsOf(made.channel)
      this.#hearsOut = Promise.resolve().then(() => {
        this.#keepAliveMillis = Math.max(this.#keepAliveMillis, keepAliveOf(subchannels))
      })
      this.#lost.get(made)?.(new ConnectionLostError('the connection ended: the server said goodbye, or it was cut'))
    })
  }

  async destroy(made: GrpcChannel<C>, reason: DestroyReason): Promise<void> {
    made.ended = true
    for (const call of [...made.calls]) call.cancelWithStatus(STATUS.UNAVAILABLE, `the channel was ended: ${reason}`)
    const sessions = sessionsOf(made.channel).filter(({ destroyed }) => !destroyed)
    const closed = sessions.map((session) => closeOf(session, reason === 'validate' ? 0 : GOODBYE_MILLIS))
    made.channel.close()
    await Promise.all(closed)
  }

  isBroken(made: GrpcChannel<C>): boolean {
    return !made.isReady
  }

  /** Any answer of the server proves the connection, also that it has no health service. */
  async validate(made: GrpcChannel<C>, { signal }: StepContext): Promise<void> {
    if (!made.isReady) throw new ConnectionLostError('the connection ended')
    if (this.#options.healthService === false) return
    const answer = await askHealth(made.client, this.#options.healthService, Infinity, signal)
    if (!hasAnswered(answer)) throw answer.error ?? new ConnectionLostError('the server did not answer')
    made.heardAt = performance.now()
  }

  /**
   * Nothing was heard on this channel during a whole call: finds out whether the server still answers. A connection
   * that a network swallowed without a word is given no more calls.
   */
  suspect(made: GrpcChannel<C>, timeoutMillis: number): void {
    if (made.checking || !made.isReady || this.#options.healthService === false) return
    made.checking = true
    const askedAt = performance.now()
    void askHealth(made.client, this.#options.healthService, timeoutMillis).then((answer) => {
      made.checking = false
      if (hasAnswered(answer)) made.heardAt = performance.now()
      else if (made.heardAt < askedAt && !made.ended) this.#lost.get(made)?.(answer.error)
    })
  }

  classify(error: unknown): FailureClass {
    return classifyGrpc(error)
  }
}
