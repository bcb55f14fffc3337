import { inspect } from 'node:util'
import { LeaseReleasedError } from './errors.ts'
import type { Scope } from './nesting.ts'
import { callersStack } from './report.ts'
import type { Request } from './request.ts'

/** What a lease is of. */
export interface Slot<T> {
  readonly id: number
  readonly resource: T | undefined
}

/** Who lends, and takes back. */
export interface Lender<T> {
  readonly name: string
  released(slot: Slot<T>, lease: Lease<T>, error: unknown): void
  discarded(slot: Slot<T>, lease: Lease<T>, reason: unknown): void
}

/** What a pool tells about who holds a lease. */
export interface Holder<T> {
  readonly label: string | undefined
  /** The `use` callback that holds it, if one does. */
  readonly scope: Scope | undefined
  /** Where it was acquired, when stacks are tracked. */
  readonly stack: string | undefined
  leakReported: boolean
  /** The lease, unless it was garbage-collected. */
  lease(): Lease<T> | undefined
}

interface LeaseAccess {
  create<T>(lender: Lender<T>, slot: Slot<T>, request: Request | undefined): Lease<T>
  request<T>(lease: Lease<T>): Request | undefined
  holder<T>(lease: Lease<T>): Holder<T>
  enterScope<T>(lease: Lease<T>, scope: Scope): void
  /** Ends the lease; what is given back tells its borrower. Undefined where it has ended already. */
  takeAway<T>(lease: Lease<T>, why: Error): (() => void) | undefined
}

/** The pool's own door to a lease: nobody else can make one, end one, or look into one. */
export let leaseAccess: LeaseAccess

/** What may happen to a lease while it is out. */
class Circumstances {
  scope: Scope | undefined = undefined
  leakReported = false
  abort: AbortController | undefined = undefined
  takenAway: Error | undefined = undefined
}

/**
 * The right to use one resource, until `release()`, `destroy()` or the end of a `using` block. It ends once: a second
 * `release()` throws and changes nothing, so that nobody can give back what somebody else holds by now.
 */
export class Lease<T> {
  readonly #lender: Lender<T>
  /** Undefined once the lease is over. */
  #slot: Slot<T> | undefined
  readonly #request: Request | undefined
  /** Most leases come and go without any. */
  #circumstances: Circumstances | undefined = undefined

  private constructor(lender: Lender<T>, slot: Slot<T>, request: Request | undefined) {
    this.#lender = lender
    this.#slot = slot
    this.#request = request
  }

  static {
    class LeaseHolder<T> implements Holder<T> {
      readonly #lease: Lease<T>
      constructor(lease: Lease<T>) {
        this.#lease = lease
      }
      get label(): string | undefined {
        return this.#lease.label
      }
      get scope(): Scope | undefined {
        return this.#lease.#circumstances?.scope
      }
      get stack(): string | undefined {
        return callersStack(this.#lease.#request?.stack?.stack)
      }
      get leakReported(): boolean {
        return this.#lease.#circumstances?.leakReported ?? false
      }
      set leakReported(reported: boolean) {
        this.#lease.#mutable.leakReported = reported
      }
      lease(): Lease<T> {
        return this.#lease
      }
    }
    leaseAccess = {
      create: (lender, slot, request) => new Lease(lender, slot, request),
      request: (lease) => lease.#request,
      holder: (lease) => new LeaseHolder(lease),
      enterScope(lease, scope) {
        lease.#mutable.scope = scope
      },
      takeAway(lease, why) {
        if (lease.#slot === undefined) return undefined
        lease.#slot = undefined
        lease.#mutable.takenAway = why
        return () => lease.#mutable.abort?.abort(why)
      },
    }
  }

  /**
   * The resource.
   * @throws {LeaseReleasedError} after the end of the lease
   */
  get resource(): T {
    const slot = this.#slot
    if (slot === undefined) throw this.#over('used after its end')
    return slot.resource as T
  }

  /** The name that it was acquired under. */
  get label(): string | undefined {
    return this.#request?.label
  }

  /** Whether the lease is over. */
  get released(): boolean {
    return this.#slot === undefined
  }

  /** Aborts when the resource is taken away: held longer than `maxUseMillis`, interrupted, or the pool closed. */
  get signal(): AbortSignal {
    const { takenAway } = this.#mutable
    const abort = (this.#mutable.abort ??= new AbortController())
    if (takenAway !== undefined) abort.abort(takenAway)
    return abort.signal
  }

  /**
   * Gives the resource back.
   * @param error - what went wrong while it was held, if anything; the adapter decides whether the resource survives it
   * @throws {LeaseReleasedError} when the lease is over
   */
  release(error?: unknown): void {
    const slot = this.#slot
    if (slot === undefined) throw this.#over('released')
    this.#slot = undefined
    this.#lender.released(slot, this, error)
  }

  /**
   * Gives the resource back to be destroyed.
   * @param reason - why, for the `destroyed` event
   * @throws {LeaseReleasedError} when the lease is over
   */
  destroy(reason?: unknown): void {
    const slot = this.#slot
    if (slot === undefined) throw this.#over('destroyed')
    this.#slot = undefined
    this.#lender.discarded(slot, this, reason)
  }

  /** Gives the resource back at the end of a `using` block; quiet where that has happened before. */
  [Symbol.dispose](): void {
    if (this.#slot !== undefined) this.release()
  }

  /** Shows the pool, never the resource: what is pooled may hold a password. */
  [inspect.custom](): string {
    return `Lease { pool: '${this.#lender.name}', ${this.#slot === undefined ? 'over' : `resource: ${this.#slot.id}`} }`
  }

  get #mutable(): Circumstances {
    return (this.#circumstances ??= new Circumstances())
  }

  #over(attempt: string): LeaseReleasedError {
    const label = this.#request?.label === undefined ? '' : ` "${this.#request.label}"`
    const why = this.#circumstances?.takenAway?.message ?? 'it was released before'
    return new LeaseReleasedError(
      this.#lender.name,
      `pool "${this.#lender.name}": a lease${label} was ${attempt}: ${why}`,
    )
  }
}
