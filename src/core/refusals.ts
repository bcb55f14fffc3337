import type { Clock } from './clock.ts'
import { CreateError, PoolClosedError, PoolDownError } from './errors.ts'
import type { PoolState } from './lifecycle.ts'
import type { Recovery } from './recovery.ts'

/** The errors of callers who need not wait. */
interface Refusing {
  readonly name: string
  readonly clock: Clock
  readonly factory: { readonly kind: string }
  readonly options: { readonly failFastWhenDown: boolean }
}

export function closedError(pool: string): PoolClosedError {
  return new PoolClosedError(pool, `pool "${pool}" is closed`)
}

export function createError({ name, factory }: Refusing, { lastError, lastFailure }: Recovery): CreateError {
  const message = `pool "${name}": no ${factory.kind} resource can be created (${lastFailure ?? 'unknown'}); see the cause of this error`
  return new CreateError(name, message, lastError)
}

export function downError({ name, clock }: Refusing, { lastError, nextAttemptAt }: Recovery): PoolDownError {
  const retryAfterMillis = Math.max(0, Math.ceil(nextAttemptAt - clock.now()))
  const message = `pool "${name}": the server cannot be reached, the next probe is due in ${retryAfterMillis} ms; see the cause of this error`
  return new PoolDownError(name, message, retryAfterMillis, lastError)
}

/** @throws what a caller is told who need not wait for it */
export function assertWorthWaiting(pool: Refusing, state: PoolState, recovery: Recovery, alive: number): void {
  if (!recovery.probing || alive > 0) return
  // Whoever is refused would have waited: as much of a reason to look soon.
  if (!recovery.hopeless) recovery.pullForward()
  if (pool.clock.now() >= recovery.nextAttemptAt) return
  if (recovery.hopeless) throw createError(pool, recovery)
  if (pool.options.failFastWhenDown && state === 'paused') throw downError(pool, recovery)
}
