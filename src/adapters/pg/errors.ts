import { connectErrorOf } from '../../core/drop-in.ts'
import { AcquireTimeoutError, PoolClosedError } from '../../core/errors.ts'

/** The phrases that users of `pg` know, and search for. */
export function asDriverError(error: unknown): unknown {
  if (error instanceof AcquireTimeoutError) error.message = `timeout exceeded when trying to connect: ${error.message}`
  else if (error instanceof PoolClosedError)
    error.message = `Cannot use a pool after calling end on the pool: ${error.message}`
  return connectErrorOf(error) ?? error
}
