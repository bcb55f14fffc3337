import { AsyncResource } from 'node:async_hooks'
import { afterwards, type Follower } from './afterwards.ts'
import type { Lease } from './lease.ts'
import { claim, type Pool } from './pool.ts'
import { staleError } from './stand-in.ts'
import { Waiter, type Taker } from './waiter.ts'

/**
 * Who asks a pool for a lease and goes on by callbacks, in the async context of the call: at once where a resource is
 * free, otherwise when the wait is over. This one object is all that a face makes for one who waits; the promise of
 * `acquire`, the one of its `then` and their closures would cost as much again as the queue.
 */
export abstract class Borrower<T> implements Taker<T>, Follower {
  follower: Follower | undefined = undefined
  /** The async context of the call; made only where it would be lost. */
  protected context: AsyncResource | undefined = undefined
  #granted: Lease<T> | undefined = undefined

  /** @param isLate - it had to wait; otherwise the caller is still in the middle of its call */
  protected abstract lent(lease: Lease<T>, isLate: boolean): void
  /** Never called during the call in which it asked. */
  protected abstract refused(error: unknown): void
  /** An error of the pool as the users of the driver know it. */
  protected abstract inWords(error: unknown): unknown

  /** Asks; called once. */
  borrowFrom(pool: Pool<T>): void {
    let got: Lease<T> | Waiter<T>
    try {
      got = claim(pool, this)
    } catch (error) {
      this.gotNone(error)
      return
    }
    if (got instanceof Waiter) this.keepContext()
    else this.lent(got, false)
  }

  /** Has everything that is still to come run in the async context of whoever is calling now. */
  protected keepContext(): void {
    this.context ??= new AsyncResource('MILLPOND_BORROWER')
  }

  // Heard inside the pool's loop.

  took(lease: Lease<T>): void {
    this.#granted = lease
    this.goOnLater()
  }

  /** Has {@link goOn} called when what runs now is over. In a tick where a user's code follows: what it throws is uncaught. */
  protected goOnLater(): void {
    afterwards(this)
  }

  gotNone(error: unknown): void {
    this.refuse(this.inWords(error))
  }

  /** For a face that refuses by itself. */
  refuse(error: unknown): void {
    process.nextTick(Borrower.#refuse, this, error)
  }

  goOn(): void {
    const lease = this.#granted as Lease<T>
    // It may have been taken away since.
    if (lease.released) this.gotNone(staleError(lease))
    else if (this.context === undefined) Borrower.#lend(this, lease)
    else this.context.runInAsyncScope(Borrower.#lend<T>, undefined, this, lease)
  }

  static #refuse<T>(this: void, borrower: Borrower<T>, error: unknown): void {
    const { context } = borrower
    if (context === undefined) Borrower.#tell(borrower, error)
    else context.runInAsyncScope(Borrower.#tell<T>, undefined, borrower, error)
  }

  static #lend<T>(this: void, borrower: Borrower<T>, lease: Lease<T>): void {
    borrower.lent(lease, true)
  }

  static #tell<T>(this: void, borrower: Borrower<T>, error: unknown): void {
    borrower.refused(error)
  }
}
