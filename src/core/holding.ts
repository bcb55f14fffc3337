import { leaseAccess, type Lease } from './lease.ts'
import { currentScope, runInScope, Scope } from './nesting.ts'

/** What a face does in its own way around a callback that holds a lease. */
export interface HoldingWays<T> {
  /** An error of the pool in the words of the driver; the callback's are its own. */
  inWords(error: unknown): unknown
  /** Gives the lease back, which is not over; `error` is the callback's, undefined where it succeeded. */
  giveBack(lease: Lease<T>, error: unknown): void
}

/**
 * Runs the callback with a lease, and gives it back when the callback is over, whatever happens; the one promise that is
 * made for it.
 *
 * @param pool - by which a callback is found out that waits for its own pool
 */
export async function holding<T, R>(
  pool: object,
  acquired: Promise<Lease<T>>,
  callback: (resource: T, lease: Lease<T>) => R | PromiseLike<R>,
  ways?: HoldingWays<T>,
): Promise<R> {
  let lease: Lease<T>
  try {
    lease = await acquired
  } catch (error) {
    throw ways === undefined ? error : ways.inWords(error)
  }
  const scope = new Scope(pool, currentScope())
  leaseAccess.enterScope(lease, scope)
  let result: R
  try {
    result = await runInScope(scope, () => callback(lease.resource, lease))
  } catch (error) {
    scope.over = true
    giveBack(lease, error, ways)
    throw error
  }
  scope.over = true
  giveBack(lease, undefined, ways)
  return result
}

/** What was taken away, or released by the callback itself, is not here to be given back. */
function giveBack<T>(lease: Lease<T>, error: unknown, ways: HoldingWays<T> | undefined): void {
  if (lease.released) return
  if (ways === undefined) lease.release(error)
  else ways.giveBack(lease, error)
}
