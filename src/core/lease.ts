import { inspect } from 'node:util'
import { LeaseReleasedError } from './errors.ts'
import type { Scope } from './nesting.ts'

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
  create<T>(lender: Lender<T>, slot: Slot<T>, label: string | undefined, stack: Error | undefined): Lease<T>
  holder<T>(lease: Lease<T>): Holder<T>
  enterScope<T>(lease: Lease<T>, scope: Scope): void
  takeAway<T>(lease: Lease<T>, why: Error): void
}

/** The pool's own door to a lease: nobody else can make one, end one, or look into one. */
export let leaseAccess: LeaseAccess

/**
 * The right to use one resource, until `release()`, `destroy()` or the end of a `using` block. It ends once: a second
 * `release()` throws and changes nothing, so that nobody can give back what somebody else holds by now.
 */
export class Lease<T> {
  readonly #lender: Lender<T>
  /** Undefined once the lease is over. */
  #slot: Slot<T> | undefined
  readonly #label: string | undefined
  /** Its text is made only when somebody reads it. */
  readonly #stack: Error | undefined
  #scope: Scope | undefined = undefined
  #leakReported = false
  #abort: AbortController | undefined = undefined
  #takenAway: Error | undefined = undefined

  private constructor(lender: Lender<T>, slot: Slot<T>, label: string | undefined, stack: Error | undefined) {
    this.#lender = lender
    this.#slot = slot
    this.#label = label
    this.#stack = stack
  }

  static {
    class LeaseHolder<T> implements Holder<T> {
      readonly #lease: Lease<T>
      constructor(lease: Lease<T>) {
        this.#lease = lease
      }
      get label(): string | undefined {
        return this.#lease.#label
      }
      get scope(): Scope | undefined {
        return this.#lease.#scope
      }
      get stack(): string | undefined {
        return this.#lease.#stack?.stack
      }
      get leakReported(): boolean {
        return this.#lease.#leakReported
      }
      set leakReported(reported: boolean) {
        this.#lease.#leakReported = reported
      }
      lease(): Lease<T> {
        return this.#lease
      }
    }
    leaseAccess = {
      create: (lender, slot, label, stack) => new Lease(lender, slot, label, stack),
      holder: (lease) => new LeaseHolder(lease),
      enterScope(lease, scope) {
        lease.#scope = scope
      },
      takeAway(lease, why) {
        lease.#slot = undefined
        lease.#takenAway = why
        lease.#abort?.abort(why)
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

  /** Whether the lease is over. */
  get released(): boolean {
    return this.#slot === undefined
  }

  /** Aborts when the resource is taken away: held longer than `maxUseMillis`, interrupted, or the pool closed. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#takenAway !== undefined) this.#abort.abort(this.#takenAway)
    return this.#abort.signal
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

  #over(attempt: string): LeaseReleasedError {
    const label = this.#label === undefined ? '' : ` "${this.#label}"`
    const why = this.#takenAway === undefined ? 'it was released before' : this.#takenAway.message
    return new LeaseReleasedError(
      this.#lender.name,
      `pool "${this.#lender.name}": a lease${label} was ${attempt}: ${why}`,
    )
  }
}
