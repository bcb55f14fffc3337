import { PoolError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import { isConnectionEnd, NoHttp2Error } from './classify.ts'
import type { HttpConnection } from './connection.ts'
import type { Abort, AnyHandler, DispatchOptions } from './driver.ts'
import { isIdempotent, isReplayable, isTransient, pauseMillis, retryAfterMillis, type RetrySettings } from './retry.ts'
import type { Site } from './site.ts'
import { UnreadBodyError, type UnreadBodies } from './unread-bodies.ts'

/** What a request tells the pool, besides what it tells undici. */
export interface PoolWish {
  /** Names the request in errors and reports. @defaultValue the pool's `label` */
  readonly label?: string | undefined
  /** Higher ones are served first while requests wait. @defaultValue 0 */
  readonly priority?: number | undefined
}

/** What a request needs of its pool. */
export interface ExchangeHost {
  readonly retry: RetrySettings | undefined
  readonly unread: UnreadBodies
  /** The pool of an origin. @throws {PoolError} where there can be none */
  site(origin: string): Site
  /** The server of this pool does not speak HTTP/2. */
  withoutHttp2(site: Site): void
}

/** The request was aborted without a reason. */
class AbortedError extends Error {
  readonly code = 'UND_ERR_ABORTED'
  static {
    this.prototype.name = 'AbortError'
  }
}

interface WaitListener {
  handleEvent(): void
}

/**
 * Ends a wait as an `AbortSignal` does, as far as the pool asks for one. A real one costs several microseconds, for each
 * request that waits.
 */
class WaitSignal {
  aborted = false
  readonly reason = undefined
  #listener: WaitListener | undefined

  addEventListener(_: 'abort', listener: WaitListener): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }

  abort(): void {
    this.aborted = true
    this.#listener?.handleEvent()
  }
}

/** What is read of an answer that nobody gets, so that its connection can be used again. */
const SWALLOWED_BYTES = 65_536
/** How often a request is sent again because a used connection had been closed; the last time on a new one. */
const SENT_AGAIN = 2
/** How often a connection may be gone before anything was written to it. */
const MOST_MISSED = 5
/** Statuses that say that a server is in trouble. */
const TROUBLE: ReadonlySet<number> = new Set([500, 502, 503, 504])

/**
 * One request of undici's on its way through the pool: it waits for a connection, holds it to the end of the body, and
 * may be sent again as long as nobody has heard of an answer.
 *
 *     start ─► lease? ─► begin ─► headers ─► data … ─► end ─► the lease goes back
 *        └► wait ─┘   ▲     └─ fails, or an answer that is repeated ─┐
 *                     └────────────── pause ◄────────────────────────┘
 *
 * Its subclasses are the handlers that undici calls; they pass on to the handler of whoever made the request.
 */
export abstract class Exchange {
  readonly #host: ExchangeHost
  readonly #options: DispatchOptions & PoolWish
  readonly #origin: string
  #site: Site | undefined
  #lease: Lease<HttpConnection> | undefined
  /** Aborts what is under way: the wait, the pause, or the request on its connection. */
  #abort: Abort | undefined
  #attempts = 0
  #sentAgain = 0
  /** How often a connection was gone before anything of the request was written. */
  #missed = 0
  /** This attempt has begun: something of it may have been written. */
  #begun = false
  /** The answer has begun: from here on nothing is repeated. */
  #heard = false
  #over = false
  #reused = false
  #bytesBefore = 0
  /** The answer is not for the caller: the request will be repeated after so many milliseconds. */
  #repeatAfter: number | undefined
  #swallowed = 0
  #isPaused = false

  constructor(host: ExchangeHost, origin: string, options: DispatchOptions & PoolWish) {
    this.#host = host
    this.#origin = origin
    this.#options = options
  }

  /** Tells the caller's handler how to abort. */
  protected abstract announce(abort: Abort): void
  protected abstract tellError(error: unknown): void
  protected abstract readonly asHandler: AnyHandler

  start(): void {
    try {
      this.#site = this.#host.site(this.#origin)
      this.#site.requested()
    } catch (error) {
      this.#end(error)
      return
    }
    this.#try(this.#site)
  }

  #try(site: Site): void {
    const refusal = site.circuit?.refusal()
    if (refusal !== undefined) {
      this.#end(refusal)
      return
    }
    const { label, priority } = this.#options
    const lease = label === undefined && priority === undefined ? site.core.tryAcquire() : undefined
    if (lease === undefined) this.#wait(site)
    else this.#begin(site, lease)
  }

  #wait(site: Site): void {
    const signal = new WaitSignal()
    this.#whileIdle(() => signal.abort())
    if (this.#over) return
    const { label, priority } = this.#options
    site.core.acquire({ signal: signal as unknown as AbortSignal, label, priority }).then(
      (lease) => {
        if (this.#over) lease.release()
        else this.#begin(site, lease)
      },
      (error: unknown) => {
        if (!this.#over) this.#gotNone(site, error)
      },
    )
  }

  /** Has the caller's abort end a time in which nothing runs on a connection. */
  #whileIdle(stop: () => void): void {
    const abort: Abort = (reason) => {
      if (this.#over) return
      // By then it may run on a connection.
      if (this.#abort !== abort) this.#abort?.(reason)
      else {
        stop()
        this.#end(reason ?? new AbortedError('Request aborted'))
      }
    }
    this.#abort = abort
    this.announce(abort)
  }

  #gotNone(site: Site, error: unknown): void {
    const real = asDriverError(error)
    if (real instanceof NoHttp2Error) {
      this.#host.withoutHttp2(site)
      this.start()
      return
    }
    if (isTransient(real)) site.circuit?.failed(real)
    if (this.#mayRepeat() && isTransient(real) && this.#takeRepeat(site, undefined)) this.#repeat(site)
    else this.#end(real)
  }

  #begin(site: Site, lease: Lease<HttpConnection>): void {
    const connection = lease.resource
    if (!connection.usable) {
      lease.release()
      this.#try(site)
      return
    }
    if (this.#sentAgain + this.#missed >= SENT_AGAIN && connection.requests > 0) {
      // Two used connections were closed already: from now on it gets new ones.
      lease.destroy()
      this.#try(site)
      return
    }
    this.#lease = lease
    this.#begun = false
    this.#reused = connection.requests++ > 0
    if (!isIdempotent(this.#options.method)) this.#bytesBefore = connection.bytesWritten
    connection.client.dispatch(this.#options, this.asHandler)
  }

  // ── what the subclasses hear of undici ──

  protected began(abort: Abort): void {
    this.#begun = true
    this.#abort = abort
  }

  /** Whether the answer is the caller's; otherwise it is swallowed, and the request repeated. */
  protected headersCame(status: number, header: (name: string) => string | undefined): boolean {
    if (status < 200) return true
    const site = this.#site
    if (site !== undefined) {
      const { retry } = this.#host
      const isTrouble = TROUBLE.has(status)
      if (isTrouble) site.circuit?.failed(new Error(`the server answered ${status}`))
      else site.circuit?.succeeded()
      if (retry?.statuses.has(status) === true && this.#mayRepeat()) {
        if (this.#takeRepeat(site, retryAfterMillis(header('retry-after')))) return false
      }
    }
    this.#heard = true
    return true
  }

  /** Whether a piece of the body is the caller's. */
  protected dataCame(bytes: number): boolean {
    if (this.#isPaused) this.#flow()
    if (this.#repeatAfter === undefined) return true
    this.#swallowed += bytes
    if (this.#swallowed > SWALLOWED_BYTES) this.#abort?.(new AbortedError('an answer that nobody gets is too long'))
    return false
  }

  /** The caller takes no more for now. */
  protected paused(): void {
    this.#isPaused = true
    this.#host.unread.add(this, (this.#options as { readonly bodyTimeout?: number | null }).bodyTimeout)
  }

  #flow(): void {
    this.#isPaused = false
    this.#host.unread.delete(this)
  }

  /** Nobody reads the body: it is given up, so that others get the connection's place. */
  giveUp(millis: number): void {
    const site = this.#site
    site?.foundUnread(this.#options.label)
    const name = site?.name ?? this.#origin
    this.#abort?.(
      new UnreadBodyError(`pool "${name}": nobody has read this body for ${millis} ms; read it, or dump() it`),
    )
  }

  /** Whether the end of the answer is the caller's. */
  protected ended(): boolean {
    this.#giveBack()
    if (this.#repeatAfter !== undefined) {
      this.#repeat(this.#site as Site)
      return false
    }
    this.#over = true
    return true
  }

  /** The connection is the caller's from now on; its place in the pool is free when it closes. */
  protected upgraded(socket: { once(event: 'close', listener: () => void): unknown }): void {
    this.#over = true
    const lease = this.#lease
    socket.once('close', () => {
      if (lease?.released === false) lease.release()
    })
  }

  protected failed(error: unknown): void {
    const lease = this.#lease
    const site = this.#site as Site
    this.#giveBack()
    if (this.#over) return
    if (this.#repeatAfter !== undefined) {
      this.#repeat(site)
      return
    }
    if (!this.#heard) {
      if (isConnectionEnd(error) && this.#maySendAgain(lease)) {
        site.sentAgain++
        // After this turn every connection that ended together with this one is known to have.
        const turn = setImmediate(() => this.#try(site))
        this.#whileIdle(() => clearImmediate(turn))
        return
      }
      if (isTransient(error)) site.circuit?.failed(error)
      if (this.#mayRepeat() && isTransient(error) && this.#takeRepeat(site, undefined)) {
        this.#repeat(site)
        return
      }
    } else if (isTransient(error)) site.circuit?.failed(error)
    this.#end(error)
  }

  /**
   * Whether the server cannot have acted on the request, or it does no harm that it does so twice: the connection ended
   * before anything was written, or it was a used one that the server closed in the meantime.
   */
  #maySendAgain(lease: Lease<HttpConnection> | undefined): boolean {
    if (!this.#begun) return this.#missed++ < MOST_MISSED
    const { method, body } = this.#options
    if (!isReplayable(body) || this.#sentAgain === SENT_AGAIN) return false
    // What HTTP/2 has written for one request cannot be told from what it wrote for the others.
    const isSafe = isIdempotent(method) ? this.#reused : lease !== undefined && this.#isUnwritten(lease)
    if (isSafe) this.#sentAgain++
    return isSafe
  }

  #isUnwritten(lease: Lease<HttpConnection>): boolean {
    if (lease.released) return false
    const { protocol, bytesWritten } = lease.resource
    return protocol === 'HTTP/1.1' && bytesWritten === this.#bytesBefore
  }

  // ── again ──

  #mayRepeat(): boolean {
    const { retry } = this.#host
    const { method, body } = this.#options
    return retry !== undefined && this.#attempts < retry.maxRetries && isIdempotent(method) && isReplayable(body)
  }

  #takeRepeat(site: Site, askedMillis: number | undefined): boolean {
    const { retry } = this.#host
    if (retry === undefined) return false
    const pause = pauseMillis(retry, this.#attempts, askedMillis, Math.random)
    if (pause === undefined || site.budget?.take() !== true) return false
    this.#repeatAfter = pause
    return true
  }

  #repeat(site: Site): void {
    this.#attempts++
    site.repeated++
    this.#swallowed = 0
    const timer = setTimeout(() => {
      // The origin may have got another pool meanwhile.
      try {
        this.#site = this.#host.site(this.#origin)
      } catch (error) {
        this.#end(error)
        return
      }
      this.#try(this.#site)
    }, this.#repeatAfter)
    this.#repeatAfter = undefined
    this.#whileIdle(() => clearTimeout(timer))
  }

  // ── the end ──

  /**
   * Gives the connection back when undici is done with it: at the end of an answer it has still to decide whether the
   * connection goes on, and whoever is next must not get one that it closes.
   */
  #giveBack(): void {
    if (this.#isPaused) this.#flow()
    const lease = this.#lease
    this.#lease = undefined
    if (lease === undefined) return
    queueMicrotask(() => {
      if (!lease.released) lease.release()
    })
  }

  #end(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.tellError(error)
  }
}

/** The driver's own error, as undici rejects with; what the pool knows stands beside it. */
function asDriverError(error: unknown): unknown {
  if (!PoolError.is(error) || (error.code !== 'ERR_POOL_CREATE' && error.code !== 'ERR_POOL_DOWN')) return error
  const { cause } = error
  if (!(cause instanceof Error)) return error
  Object.defineProperty(cause, 'pool', {
    value: { name: error.pool, code: error.code, message: error.message },
    configurable: true,
  })
  return cause
}
