import { PoolError } from '../../core/errors.ts'
import { isServiceError, STATUS } from './driver.ts'

/** What a call is told that got no channel: a status in the driver's words, with the pool's behind them. */
export interface PoolStatus {
  readonly code: number
  readonly details: string
  /** The driver copies these two onto the error that it makes of a status. */
  readonly pool: { readonly name: string; readonly code: string; readonly message: string }
  readonly cause: unknown
}

/**
 * The status for a call that got no channel. Each says that the call has not left this process.
 * @param deadlinePassed - the call's own deadline has passed, not the pool's
 */
export function statusOf(error: unknown, deadlinePassed: boolean): PoolStatus {
  if (!PoolError.is(error)) {
    const details = error instanceof Error ? error.message : String(error)
    return { code: STATUS.UNAVAILABLE, details, pool: { name: '', code: '', message: details }, cause: error }
  }
  const pool = { name: error.pool, code: error.code, message: error.message }
  const { message, cause } = error
  switch (error.code) {
    case 'ERR_POOL_CREATE':
    case 'ERR_POOL_DOWN':
      // The driver's own words.
      if (isServiceError(cause)) return { code: cause.code, details: cause.details, pool, cause: error }
      return { code: STATUS.UNAVAILABLE, details: `No connection established: ${message}`, pool, cause: error }
    case 'ERR_POOL_ACQUIRE_TIMEOUT':
      return deadlinePassed
        ? { code: STATUS.DEADLINE_EXCEEDED, details: `Deadline exceeded: ${message}`, pool, cause: error }
        : { code: STATUS.UNAVAILABLE, details: `No connection established: ${message}`, pool, cause: error }
    case 'ERR_POOL_OVERLOADED':
      return { code: STATUS.RESOURCE_EXHAUSTED, details: message, pool, cause: error }
    case 'ERR_POOL_CLOSED':
      return { code: STATUS.UNAVAILABLE, details: `Channel has been shut down: ${message}`, pool, cause: error }
    default:
      return { code: STATUS.UNAVAILABLE, details: message, pool, cause: error }
  }
}
