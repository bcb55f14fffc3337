import { AsyncResource } from 'node:async_hooks'
import { afterwards, type Follower } from '../../core/afterwards.ts'
import { PoolError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import type { Operations } from '../../core/operations.ts'
import type { Asker } from '../../core/request.ts'
import { Waiter, type Taker } from '../../core/waiter.ts'
import { statusOf } from './call-status.ts'
import {
  PROPAGATE,
  STATUS,
  wasRefused,
  type CallArguments,
  type GrpcCall,
  type GrpcListener,
  type GrpcMessageContext,
  type GrpcMetadata,
  type GrpcStatus,
} from './driver.ts'
import type { GrpcChannel } from './grpc-channel.ts'
import { Outbox } from './outbox.ts'

/** What a call needs of its pool. */
export interface CallHost {
  readonly target: string
  /** How long a call waits for a channel, in milliseconds. */
  readonly acquireTimeoutMillis: number
  /** For those who hear of slow calls. */
  readonly operations: Operations
  /** Leases may be taken from calls while they run. */
  readonly watchesUse: boolean
  /** A lease without waiting, if there is one. */
  lendNow(): Lease<GrpcChannel> | undefined
  /** A lease, or a place in the queue, of which the taker hears. @throws where it need not wait */
  claim(
    call: Taker<GrpcChannel> & Asker,
    wish: CallWish,
    timeoutMillis: number,
  ): Lease<GrpcChannel> | Waiter<GrpcChannel>
  /** Nothing was heard on the channel during a whole call. */
  suspect(channel: GrpcChannel): void
}

/** How a call is to wait for its channel. */
export interface CallWish {
  readonly label?: string | undefined
  readonly priority?: number | undefined
}

/** While a server is down, a call that is to wait for it asks again after this time at the latest. */
const LONGEST_PAUSE_MILLIS = 1_000
/** How often a call that the server refused is made on another channel. */
const MOST_REPEATS = 3
/** The first of them comes after this time, each one more after twice as long; a goodbye has been heard by then. */
const FIRST_REPEAT_MILLIS = 10

/**
 * One call of the pool's client: it takes a stream of the emptiest channel when it starts and gives it back with the
 * call's status, which every call has exactly once. It keeps what the client has sent until a channel is there, and
 * until the server has begun on it: a call that was refused is made again on another channel.
 *
 * The driver's client runs interceptors, serialises, and gives the user the call's object; it sees this as a call of
 * its channel.
 */
export class PooledCall implements GrpcCall, GrpcListener, Taker<GrpcChannel>, Asker, Follower {
  follower: Follower | undefined = undefined
  /** Whoever made the call heard of no answer: it was cancelled, or its deadline came first. */
  gaveUp = false
  readonly #host: CallHost
  readonly #arguments: CallArguments
  readonly #wish: CallWish
  #metadata: GrpcMetadata | undefined
  #listener: GrpcListener | undefined
  #credentials: unknown
  /** The call on its channel, once there is one. */
  #real: GrpcCall | undefined
  #lease: Lease<GrpcChannel> | undefined
  /** Its place in the pool's queue, or the pause before it asks again. */
  #waiter: Waiter<GrpcChannel> | undefined
  #pause: NodeJS.Timeout | undefined
  /** What it waited for and has not begun on, or why there is nothing to wait for. */
  #granted: Lease<GrpcChannel> | undefined
  #refusal: unknown = undefined
  /** When it has waited for long enough, by the clock of `performance.now()`; below 0 before it waits. */
  #until = -1
  readonly #outbox = new Outbox()
  #repeats = 0
  /** Its parent is listened to. */
  #heedsParent = false
  #isCancelled = false
  #isOver = false
  #startedAt = 0
  /** In whose async context its listener hears: a channel's events come in that of whoever opened it, or called before. */
  #caller: AsyncResource | undefined
  /** When it was made and when it got its channel, where somebody hears of slow calls. */
  #askedAt = NaN
  #sentAt = NaN
  #messagesSent = 0
  #messagesReceived = 0

  constructor(host: CallHost, args: CallArguments, wish: CallWish) {
    this.#host = host
    this.#arguments = args
    this.#wish = wish
  }

  // ── what the client does ──

  start(metadata: GrpcMetadata, listener: GrpcListener): void {
    this.#metadata = metadata
    this.#listener = listener
    // `AsyncLocalStorage.snapshot()` does the same at many times the price on Node 20.
    this.#caller = new AsyncResource('MILLPOND_CALL')
    if (this.#isOver) return
    const { operations } = this.#host
    if (operations.watched) this.#askedAt = operations.now()
    const { label, priority } = this.#wish
    const lease = label === undefined && priority === undefined ? this.#host.lendNow() : undefined
    if (lease !== undefined) {
      this.#begin(lease)
      return
    }
    this.#heedParent()
    // A parent that is cancelled already has ended it.
    if (!(this.#isOver as boolean)) this.#ask()
  }

  sendMessageWithContext(context: GrpcMessageContext, message: unknown): void {
    this.#messagesSent++
    if (this.#real !== undefined || !this.#isOver) this.#outbox.send(context, message)
    else if (context.callback !== undefined) process.nextTick(context.callback)
  }

  startRead(): void {
    this.#outbox.startRead()
  }

  halfClose(): void {
    this.#outbox.halfClose()
  }

  setCredentials(credentials: unknown): void {
    this.#credentials = credentials
  }

  cancelWithStatus(code: number, details: string): void {
    this.#isCancelled = true
    if (this.#real !== undefined) this.#real.cancelWithStatus(code, details)
    else this.#end({ code, details })
  }

  getPeer(): string {
    return this.#real?.getPeer() ?? this.#host.target
  }

  getCallNumber(): number {
    return this.#real?.getCallNumber() ?? 0
  }

  getAuthContext(): unknown {
    return this.#real?.getAuthContext?.() ?? null
  }

  // ── getting a channel ──

  #ask(): void {
    const timeoutMillis = Math.max(0, Math.min(this.#leftMillis(), this.#patienceMillis()))
    let got: Lease<GrpcChannel> | Waiter<GrpcChannel>
    try {
      got = this.#host.claim(this, this.#wish, timeoutMillis)
    } catch (error) {
      this.#gotNone(error)
      return
    }
    if (!(got instanceof Waiter)) this.#begin(got)
    // Its wait may be over already.
    else if (this.#granted === undefined && this.#refusal === undefined) this.#waiter = got
  }

  // What it hears of the pool's queue comes within the pool's loop, where it only takes note.

  took(lease: Lease<GrpcChannel>): void {
    this.#waiter = undefined
    this.#granted = lease
    afterwards(this)
  }

  gotNone(error: unknown): void {
    this.#waiter = undefined
    this.#refusal = error
    afterwards(this)
  }

  goOn(): void {
    const [granted, refusal] = [this.#granted, this.#refusal]
    this.#granted = undefined
    this.#refusal = undefined
    if (this.#isOver) {
      if (granted?.released === false) granted.release()
    } else if (granted !== undefined) this.#caller?.runInAsyncScope(this.#begin, this, granted)
    else this.#caller?.runInAsyncScope(this.#gotNone, this, refusal)
  }

  #gotNone(error: unknown): void {
    const leftMillis = this.#leftMillis()
    const patienceMillis = this.#patienceMillis()
    if (this.#waitsForReady(error) && Math.min(leftMillis, patienceMillis) > 0) {
      const { retryAfterMillis = LONGEST_PAUSE_MILLIS } = error as { readonly retryAfterMillis?: number }
      const millis = Math.min(retryAfterMillis, LONGEST_PAUSE_MILLIS, leftMillis, patienceMillis)
      this.#pause = setTimeout(() => this.#ask(), Math.max(1, millis))
    } else this.#end(statusOf(error, leftMillis <= patienceMillis))
  }

  /** `waitForReady` is a call's own wish to wait for a server that is down. */
  #waitsForReady(error: unknown): boolean {
    if (!PoolError.is(error, 'ERR_POOL_DOWN') && !PoolError.is(error, 'ERR_POOL_CREATE')) return false
    return this.#metadata?.getOptions?.().waitForReady === true
  }

  /** How long it may wait for a channel, in milliseconds. */
  #patienceMillis(): number {
    const now = performance.now()
    if (this.#until >= 0) return this.#until - now
    const { acquireTimeoutMillis } = this.#host
    this.#until = now + acquireTimeoutMillis
    return acquireTimeoutMillis
  }

  /** How long the call's own deadline is off, in milliseconds. */
  #leftMillis(): number {
    const [, deadline, , parent, flags] = this.#arguments
    const propagates = ((flags ?? PROPAGATE.DEFAULTS) & PROPAGATE.DEADLINE) !== 0
    const dueAt = parent && propagates ? Math.min(Number(deadline), Number(parent.getDeadline())) : Number(deadline)
    return dueAt - Date.now()
  }

  /** Once it runs, the call heeds its parent by itself. */
  #heedParent(): void {
    const [, , , parent, flags] = this.#arguments
    if (this.#heedsParent || !parent || ((flags ?? PROPAGATE.DEFAULTS) & PROPAGATE.CANCELLATION) === 0) return
    this.#heedsParent = true
    const cancel = (): void => {
      if (this.#real === undefined) this.cancelWithStatus(STATUS.CANCELLED, 'Cancelled by parent call')
    }
    if (parent.cancelled === true) cancel()
    else parent.on('cancelled', cancel)
  }

  // ── running on it ──

  #begin(lease: Lease<GrpcChannel>): void {
    // It may have been taken away since.
    if (lease.released) {
      this.#ask()
      return
    }
    const made = lease.resource
    let real: GrpcCall
    try {
      real = made.channel.createCall(...this.#arguments)
      if (this.#credentials !== undefined) real.setCredentials(this.#credentials)
    } catch (error) {
      lease.release(error)
      this.#end(statusOf(error, false))
      return
    }
    this.#real = real
    this.#lease = lease
    this.#startedAt = this.#host.operations.now()
    if (!Number.isNaN(this.#askedAt)) this.#sentAt = this.#startedAt
    made.calls.add(this)
    if (this.#host.watchesUse) {
      lease.signal.addEventListener('abort', () =>
        real.cancelWithStatus(STATUS.CANCELLED, (lease.signal.reason as Error).message),
      )
    }
    real.start(this.#metadata as GrpcMetadata, this)
    this.#outbox.attach(real)
  }

  onReceiveMetadata(metadata: GrpcMetadata): void {
    this.#outbox.forget()
    this.#heard()
    this.#tell('onReceiveMetadata', metadata)
  }

  onReceiveMessage(message: unknown): void {
    this.#messagesReceived++
    this.#heard()
    this.#tell('onReceiveMessage', message)
  }

  onReceiveStatus(status: GrpcStatus): void {
    if (this.#isOver) return
    if (this.#mayRepeat(status)) {
      this.#repeat(status)
      return
    }
    this.#isOver = true
    this.#giveBack(status)
    this.#note(status.code)
    this.#tell('onReceiveStatus', status)
  }

  #mayRepeat(status: GrpcStatus): boolean {
    if (!wasRefused(status) || this.#isCancelled || !this.#outbox.isWhole) return false
    return this.#repeats < MOST_REPEATS && this.#leftMillis() > 0
  }

  /** Makes it on another channel; it waits for that as it did for the first one. */
  #repeat(status: GrpcStatus): void {
    this.#repeats++
    this.#giveBack(status)
    this.#lease = undefined
    this.#real = undefined
    this.#outbox.detach()
    this.#until = -1
    this.#caller?.runInAsyncScope(() => {
      this.#heedParent()
      if (this.#isOver) return
      const millis = Math.min(FIRST_REPEAT_MILLIS * 2 ** (this.#repeats - 1), Math.max(1, this.#leftMillis()))
      this.#pause = setTimeout(() => this.#ask(), millis)
    })
  }

  #giveBack(status: GrpcStatus): void {
    const lease = this.#lease
    if (lease !== undefined && !lease.released) {
      const made = lease.resource
      made.calls.delete(this)
      // The status of a call that ended here, not there, proves nothing.
      const local = status.code === STATUS.DEADLINE_EXCEEDED || status.code === STATUS.CANCELLED
      this.gaveUp = local && this.#messagesReceived === 0
      if (!local) made.heardAt = this.#host.operations.now()
      else if (made.heardAt <= this.#startedAt) this.#host.suspect(made)
      lease.release()
    }
  }

  /**
   * Tells of the call where it was slow. A stream lasts as long as its two ends have something to say, and what was
   * cancelled was ended by the caller.
   */
  #note(code: number): void {
    if (Number.isNaN(this.#askedAt) || code === STATUS.CANCELLED) return
    if (this.#messagesSent > 1 || this.#messagesReceived > 1) return
    const { operations } = this.#host
    const sentAt = Number.isNaN(this.#sentAt) ? operations.now() : this.#sentAt
    const waitMillis = sentAt - this.#askedAt
    if (!operations.wasSlow(sentAt, waitMillis)) return
    const [method] = this.#arguments
    const describe = (): string => method.replace(/^\//, '')
    const { label } = this.#wish
    const inContext = (announce: () => void): void => this.#caller?.runInAsyncScope(announce)
    operations.tell({ describe, label, waitMillis, inContext }, sentAt, code !== STATUS.OK)
  }

  /** Passes on what was heard, in the async context of whoever made the call. */
  #tell<N extends keyof GrpcListener>(name: N, heard: Parameters<GrpcListener[N]>[0]): void {
    const listener = this.#listener as GrpcListener // nothing is heard before the start
    this.#caller?.runInAsyncScope(listener[name] as (heard: unknown) => void, listener, heard)
  }

  #heard(): void {
    if (this.#lease?.released === false) this.#lease.resource.heardAt = this.#host.operations.now()
  }

  /** Ends a call that has not begun. Its status comes later, as the driver's does. */
  #end(status: { readonly code: number; readonly details: string }): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#waiter?.abort(new Error(status.details))
    clearTimeout(this.#pause)
    this.#note(status.code)
    process.nextTick(() => {
      const { constructor: Metadata } = this.#metadata as unknown as { constructor: new () => GrpcMetadata }
      this.#tell('onReceiveStatus', { ...status, metadata: new Metadata() })
    })
  }
}
