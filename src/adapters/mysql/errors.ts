import { connectErrorOf } from '../../core/drop-in.ts'
import { AcquireTimeoutError, OverloadedError, PoolClosedError } from '../../core/errors.ts'
import type { Pool } from '../../core/pool.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** The phrases that users of `mysql2` know, and search for. */
export function asDriverError(error: unknown): unknown {
  if (error instanceof AcquireTimeoutError) error.message = `Timeout acquiring a connection: ${error.message}`
  else if (error instanceof OverloadedError) error.message = `Queue limit reached. ${error.message}`
  else if (error instanceof PoolClosedError) error.message = `Pool is closed. ${error.message}`
  return connectErrorOf(error) ?? error
}

/** What `waitForConnections: false` answers with when every connection is borrowed. */
export function noneAvailable(pool: Pool<PooledConnection>): OverloadedError {
  const { max, used, creating } = pool.stats()
  return new OverloadedError(
    pool.name,
    `No connections available. pool "${pool.name}": all ${max} are in use (used=${used} creating=${creating}) and \`waitForConnections\` is false`,
    'queue-full',
    0,
  )
}
