import { Deadline } from './deadlines.ts'
import type { Lease } from './lease.ts'
import type { Scope } from './nesting.ts'

/** Who is told when a waiter ends by itself. */
export interface WaiterHost<T> {
  waiterAborted(waiter: Waiter<T>, reason: unknown): void
  waiterExpired(waiter: Waiter<T>): void
}

/** Of a method's type, so that a `Pool<Socket>` is a `Pool<unknown>` to whoever only watches it. */
interface Resolve<T> {
  resolve(lease: Lease<T>): void
}

/** One acquire that waits. It settles once: with a lease, or with an error. */
export class Waiter<T> extends Deadline {
  readonly queuedAt: number
  readonly priority: number
  readonly label: string | undefined
  readonly stack: Error | undefined
  /** The `use` callback that waits here, if it is one. */
  readonly scope: Scope | undefined
  readonly promise: Promise<Lease<T>>
  /** How often a higher priority was served before this one while it was first of its own. */
  passedOver = 0

  // Links of the wait queue, which alone touches them.
  before: Waiter<T> | undefined = undefined
  behind: Waiter<T> | undefined = undefined

  readonly #host: WaiterHost<T>
  readonly #signal: AbortSignal | undefined
  #resolve!: Resolve<T>['resolve']
  #reject!: (error: unknown) => void

  constructor(
    host: WaiterHost<T>,
    now: number,
    timeoutMillis: number,
    priority: number,
    label: string | undefined,
    stack: Error | undefined,
    scope: Scope | undefined,
    signal: AbortSignal | undefined,
  ) {
    super(now + timeoutMillis)
    this.#host = host
    this.queuedAt = now
    this.priority = priority
    this.label = label
    this.stack = stack
    this.scope = scope
    this.#signal = signal
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal !== undefined) signal.addEventListener('abort', this)
  }

  override get awaited(): boolean {
    return true
  }

  /** The waiter itself listens to the signal, which saves a closure. */
  handleEvent(): void {
    this.#host.waiterAborted(this, this.#signal?.reason)
  }

  override expire(): void {
    this.#host.waiterExpired(this)
  }

  resolve(lease: Lease<T>): void {
    if (this.#signal !== undefined) this.#signal.removeEventListener('abort', this)
    this.#resolve(lease)
  }

  reject(error: unknown): void {
    if (this.#signal !== undefined) this.#signal.removeEventListener('abort', this)
    this.#reject(error)
  }
}
