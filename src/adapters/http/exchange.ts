import type { AsyncResource } from 'node:async_hooks'
import type { Lease } from '../../core/lease.ts'
import { claim } from '../../core/pool.ts'
import type { Asker } from '../../core/request.ts'
import { Waiter, type Taker } from '../../core/waiter.ts'
import { afterwards, type Follower } from '../../core/afterwards.ts'
import { asDriverError, isConnectionEnd, NoHttp2Error } from './classify.ts'
import type { HttpConnection } from './connection.ts'
import { sideBySide, type Abort, type AnyHandler, type DispatchOptions } from './driver.ts'
import { isIdempotent, isReplayable, isTransient, pauseMillis, retryAfterMillis, type RetrySettings } from './retry.ts'
import type { Site } from './site.ts'
import { Trouble } from './trouble.ts'
import { UnreadBodyError, type UnreadBodies } from './unread-bodies.ts'
import { WatchedRequest } from './watched-request.ts'

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
  /** The pool of an origin. @throws a `PoolError` where there can be none */
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
 * Its subclasses are the handlers that undici calls; they pass on to the handler of whoever made the request. It is also
 * what waits in the pool's queue: there is one of these for every request, so whatever only some need stands elsewhere.
 */
export abstract class Exchange implements Taker<HttpConnection>, Asker, Follower {
  follower: Follower | undefined = undefined
  /** The caller has aborted it. */
  gaveUp = false
  readonly #host: ExchangeHost
  readonly #options: DispatchOptions & PoolWish
  readonly #origin: string
  /** In whose async context it goes on. */
  readonly #caller: AsyncResource
  #site: Site | undefined = undefined
  #waiter: Waiter<HttpConnection> | undefined = undefined
  /** What it waited for, and has not begun on. */
  #granted: Lease<HttpConnection> | undefined = undefined
  /** Why there is nothing to wait for. */
  #refusal: unknown = undefined
  /** What it runs on. */
  #lease: Lease<HttpConnection> | undefined = undefined
  /** What it is done with, and the driver is not. */
  #spent: Lease<HttpConnection> | undefined = undefined
  /** Aborts what runs on the connection. */
  #abort: Abort | undefined = undefined
  /** What the caller aborts with, whatever is going on; made for those who have to wait. */
  #callerAbort: Abort | undefined = undefined
  #trouble: Trouble | undefined = undefined
  #bytesBefore = 0
  #isReused = false
  /** This attempt has begun: something of it may have been written. */
  #hasBegun = false
  /** The answer has begun: from here on nothing is repeated. */
  #isHeard = false
  #isPaused = false
  #isOver = false
  /** Where somebody hears of slow requests. */
  #watched: WatchedRequest | undefined = undefined

  constructor(host: ExchangeHost, origin: string, options: DispatchOptions & PoolWish, caller: AsyncResource) {
    this.#host = host
    this.#origin = origin
    this.#options = options
    this.#caller = caller
  }

  /** Tells the caller's handler how to abort. */
  protected abstract announce(abort: Abort): void
  protected abstract tellError(error: unknown): void
  protected abstract readonly asHandler: AnyHandler

  start(): void {
    const site = this.#findSite()
    if (site === undefined) return
    const { operations } = site.core
    if (operations.watched) this.#watched ??= new WatchedRequest(operations, this.#options, this.#caller)
    site.budget?.requested()
    this.#try(site)
  }

  #try(site: Site): void {
    const refusal = site.circuit?.refusal()
    if (refusal !== undefined) {
      this.#end(refusal)
      return
    }
    this.#claim(site)
  }

  /** Asks for a connection, or for another one: the circuit has let it through already. */
  #claim(site: Site): void {
    const { label, priority } = this.#options
    let got: Lease<HttpConnection> | Waiter<HttpConnection>
    try {
      got = claim(site.core, this, label, priority, this)
    } catch (error) {
      this.#gotNone(site, error)
      return
    }
    if (!(got instanceof Waiter)) {
      this.#begin(site, got)
      return
    }
    // Its wait may be over already.
    if (this.#granted !== undefined || this.#refusal !== undefined) return
    this.#waiter = got
    this.#announce()
  }

  // ── what it hears of the pool's queue: within the pool's loop, where it only takes note ──

  took(lease: Lease<HttpConnection>): void {
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
    const [spent, granted, refusal] = [this.#spent, this.#granted, this.#refusal]
    this.#spent = undefined
    this.#granted = undefined
    this.#refusal = undefined
    // Whoever is next must not get a connection that the driver closes: by now it has.
    if (spent?.released === false) spent.release()
    if (this.#isOver) {
      if (granted?.released === false) granted.release()
    } else if (granted !== undefined) this.#caller.runInAsyncScope(this.#begin, this, this.#site, granted)
    else if (refusal !== undefined) this.#caller.runInAsyncScope(this.#gotNone, this, this.#site, refusal)
  }

  /** Has the caller abort also while nothing runs on a connection. */
  #announce(): void {
    this.#callerAbort ??= (reason) => this.#giveUp(reason)
    this.announce(this.#callerAbort)
  }

  #giveUp(reason: Error | undefined): void {
    if (this.#isOver) return
    // Whoever has seen an answer and leaves its body has got something.
    this.gaveUp = !this.#isHeard
    if (this.#abort !== undefined) {
      this.#abort(reason)
      return
    }
    this.#isOver = true
    this.#waiter?.abort(reason)
    this.#trouble?.endPause?.()
    this.#watched?.over(true)
    this.tellError(reason ?? new AbortedError('Request aborted'))
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
    // It may have been taken away since.
    if (lease.released) {
      this.#claim(site)
      return
    }
    const connection = lease.resource
    if (!connection.usable) {
      lease.release()
      this.#claim(site)
      return
    }
    const isUsed = connection.requests > 0
    if (isUsed && this.#trouble !== undefined && this.#trouble.sentAgain + this.#trouble.missed >= SENT_AGAIN) {
      // Two used connections were closed already: from now on it gets new ones.
      lease.destroy()
      this.#claim(site)
      return
    }
    connection.requests++
    this.#lease = lease
    this.#hasBegun = false
    this.#isReused = isUsed
    let options = this.#options
    if (!isIdempotent(options.method)) {
      this.#bytesBefore = connection.bytesWritten
      if (connection.protocol === 'HTTP/2') options = sideBySide(options)
    }
    this.#watched?.sent()
    try {
      connection.client.dispatch(options, this.asHandler)
    } catch (error) {
      // The driver tells its handler what is wrong with a request. What it throws must not keep the connection, and what
      // the caller's own handler throws is its caller's.
      if (this.#isOver) throw error
      this.failed(error)
    }
  }

  // ── what the subclasses hear of undici ──

  /** Tells what the caller is to abort with; nothing where it has aborted meanwhile. */
  protected began(abort: Abort): Abort | undefined {
    if (this.#isOver) {
      abort(new AbortedError('Request aborted'))
      return undefined
    }
    this.#hasBegun = true
    this.#abort = abort
    return this.#callerAbort ?? abort
  }

  /** A header of an answer, by its name in lower case. */
  protected abstract header(headers: unknown, name: string): string | undefined

  /** Whether the answer is the caller's; otherwise it is swallowed, and the request repeated. */
  protected headersCame(status: number, headers: unknown): boolean {
    if (status < 200) return true
    const site = this.#site
    const { retry } = this.#host
    if (site?.circuit !== undefined) {
      if (TROUBLE.has(status)) site.circuit.failed(new Error(`the server answered ${status}`))
      else site.circuit.succeeded()
    }
    if (site !== undefined && retry?.statuses.has(status) === true && this.#mayRepeat()) {
      if (this.#takeRepeat(site, retryAfterMillis(this.header(headers, 'retry-after')))) return false
    }
    this.#isHeard = true
    this.#watched?.over(status >= 500)
    return true
  }

  /** Whether a piece of the body is the caller's. */
  protected dataCame(bytes: number): boolean {
    if (this.#isPaused) this.#flow()
    const trouble = this.#trouble
    if (trouble?.repeatAfter === undefined) return true
    trouble.swallowed += bytes
    if (trouble.swallowed > SWALLOWED_BYTES) this.#abort?.(new AbortedError('an answer that nobody gets is too long'))
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
    if (this.#trouble?.repeatAfter !== undefined) {
      this.#repeat(this.#site as Site)
      return false
    }
    this.#isOver = true
    return true
  }

  /** The connection is the caller's from now on; its place in the pool is free when it closes. */
  protected upgraded(socket: { once(event: 'close', listener: () => void): unknown }): void {
    this.#isOver = true
    this.#watched?.over(false)
    const lease = this.#lease
    socket.once('close', () => {
      if (lease?.released === false) lease.release()
    })
  }

  protected failed(error: unknown): void {
    const lease = this.#lease
    const site = this.#site as Site
    this.#giveBack()
    if (this.#isOver) return
    if (this.#trouble?.repeatAfter !== undefined) {
      this.#repeat(site)
      return
    }
    if (!this.#isHeard) {
      if (isConnectionEnd(error) && this.#maySendAgain(lease)) {
        site.sentAgain++
        // After this turn every connection that ended together with this one is known to have.
        const turn = setImmediate(() => this.#caller.runInAsyncScope(this.#claim, this, site))
        this.#pause(() => clearImmediate(turn))
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
    const trouble = (this.#trouble ??= new Trouble())
    if (!this.#hasBegun) return trouble.missed++ < MOST_MISSED
    const { method, body } = this.#options
    if (!isReplayable(body) || trouble.sentAgain === SENT_AGAIN) return false
    // What HTTP/2 has written for one request cannot be told from what it wrote for the others.
    const isSafe = isIdempotent(method) ? this.#isReused : lease !== undefined && this.#isUnwritten(lease)
    if (isSafe) trouble.sentAgain++
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
    if (retry === undefined || (this.#trouble?.attempts ?? 0) >= retry.maxRetries) return false
    const { method, body } = this.#options
    return isIdempotent(method) && isReplayable(body)
  }

  #takeRepeat(site: Site, askedMillis: number | undefined): boolean {
    const { retry } = this.#host
    if (retry === undefined) return false
    const trouble = (this.#trouble ??= new Trouble())
    const pause = pauseMillis(retry, trouble.attempts, askedMillis, Math.random)
    if (pause === undefined || site.budget?.take() !== true) return false
    trouble.repeatAfter = pause
    return true
  }

  #repeat(site: Site): void {
    const trouble = this.#trouble as Trouble
    trouble.attempts++
    site.repeated++
    trouble.swallowed = 0
    const timer = setTimeout(() => this.#caller.runInAsyncScope(this.#tryAnew, this), trouble.repeatAfter)
    trouble.repeatAfter = undefined
    this.#pause(() => clearTimeout(timer))
  }

  /** The origin may have got another pool meanwhile. */
  #tryAnew(): void {
    const site = this.#findSite()
    if (site !== undefined) this.#try(site)
  }

  /** The pool of the origin; where there is none, the request ends here. */
  #findSite(): Site | undefined {
    try {
      this.#site = this.#host.site(this.#origin)
      return this.#site
    } catch (error) {
      this.#end(error)
      return undefined
    }
  }

  #pause(end: () => void): void {
    const trouble = (this.#trouble ??= new Trouble())
    trouble.endPause = end
    this.#announce()
  }

  // ── the end ──

  /** Gives the connection back when the driver is done with it. */
  #giveBack(): void {
    if (this.#isPaused) this.#flow()
    this.#abort = undefined
    this.#watched?.idle()
    if (this.#lease === undefined) return
    this.#spent = this.#lease
    this.#lease = undefined
    afterwards(this)
  }

  #end(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#watched?.over(true)
    this.tellError(error)
  }
}
