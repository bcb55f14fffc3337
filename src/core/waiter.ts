import { setMaxListeners } from 'node:events'
import { Deadline } from './deadlines.ts'
import type { Lease } from './lease.ts'
import type { Request } from './request.ts'

/** Who is told when a waiter ends by itself. */
export interface WaiterHost<T> {
  waiterAborted(waiter: Waiter<T>, reason: unknown): void
  waiterExpired(waiter: Waiter<T>): void
}

/**
 * Many may wait with one signal, that of a request which asks for much at once or of a service which ends. That is no leak:
 * each listener goes when its waiter does. From eleven on Node would warn of one.
 */
function listenTo(signal: AbortSignal, waiter: { handleEvent(): void }): void {
  try {
    setMaxListeners(0, signal)
  } catch {
    // A signal that is not Node's own keeps no count.
  }
  signal.addEventListener('abort', waiter)
}

/** Of a method's type, so that a `Pool<Socket>` is a `Pool<unknown>` to whoever only watches it. */
interface Settle<T> {
  resolve(lease: Lease<T>): void
  reject(error: unknown): void
}

/**
 * Who waits without a promise. It hears of its lease inside the pool's loop: it may only take note, and goes on when the
 * present call into the pool is over.
 */
export interface Taker<T> {
  took(lease: Lease<T>): void
  gotNone(error: unknown): void
}

const forget = (): void => undefined
// One executor for all promises: one for each would cost each waiter a closure and its context. What it leaves here is
// taken at once, and not kept: it would keep the promise, and the lease in it, from being collected.
let newResolve: (value: never) => void = forget
let newReject: (error: unknown) => void = forget
const remember = (resolve: typeof newResolve, reject: typeof newReject): void => {
  newResolve = resolve
  newReject = reject
}

/** One acquire that waits. It settles once, with a lease or with an error: its promise, or its taker. */
export class Waiter<T> extends Deadline {
  readonly queuedAt: number
  readonly timeoutMillis: number
  readonly priority: number
  readonly request: Request | undefined

  // Links of the wait queue, which alone touches them.
  before: Waiter<T> | undefined = undefined
  behind: Waiter<T> | undefined = undefined

  readonly #host: WaiterHost<T>
  readonly #taker: Taker<T> | undefined
  readonly #promise: Promise<Lease<T>> | undefined
  readonly #resolve: Settle<T>['resolve']
  readonly #reject: Settle<T>['reject']

  /** Its time begins later: it is not due before {@link begin}. */
  constructor(
    host: WaiterHost<T>,
    queuedAt: number,
    timeoutMillis: number,
    priority: number,
    request: Request | undefined,
    taker: Taker<T> | undefined,
  ) {
    super(Infinity)
    this.queuedAt = queuedAt
    this.timeoutMillis = timeoutMillis
    this.priority = priority
    this.request = request
    this.#host = host
    this.#taker = taker
    this.#promise = taker === undefined ? new Promise(remember) : undefined
    this.#resolve = newResolve
    this.#reject = newReject
    newResolve = newReject = forget
    if (request === undefined) return
    request.waited = true
    if (request.signal !== undefined) listenTo(request.signal, this)
  }

  /** Of whoever waits without a taker. */
  get promise(): Promise<Lease<T>> {
    return this.#promise as Promise<Lease<T>>
  }

  begin(now: number): void {
    this.dueAt = now + this.timeoutMillis
  }

  override get awaited(): boolean {
    return true
  }

  /** The waiter itself listens to the signal, which saves a closure. */
  handleEvent(): void {
    this.abort(this.request?.signal?.reason)
  }

  /** Leaves the queue: only as long as it has heard of no end. */
  abort(reason: unknown): void {
    this.#host.waiterAborted(this, reason)
  }

  override expire(): void {
    this.#host.waiterExpired(this)
  }

  resolve(lease: Lease<T>): void {
    this.request?.signal?.removeEventListener('abort', this)
    if (this.#taker === undefined) this.#resolve(lease)
    else this.#taker.took(lease)
  }

  reject(error: unknown): void {
    this.request?.signal?.removeEventListener('abort', this)
    if (this.#taker === undefined) this.#reject(error)
    else this.#taker.gotNone(error)
  }
}
