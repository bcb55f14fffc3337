import type { CloseReport } from '../../core/close-report.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions } from '../../core/managed-pool.ts'
import type { AcquireOptions, Pool, ReadyOptions } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { TransactionOptions } from './transaction.ts'

/** What a pool of `mysqlPool` has beyond the surface of mysql2's. `C` is the driver's type of a promise connection. */
export interface MysqlPoolExtras<C> extends AsyncDisposable {
  /** The engine's pool: leases of plain connections, events, `resize`, `invalidate`, `suspend`. */
  readonly core: Pool<PooledConnection>
  readonly name: string
  readonly kind: string
  readonly state: PoolState
  /** Runs the callback with a promise connection and gives it back. */
  use<R>(callback: (connection: C) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R>
  /** Runs the callback in a transaction: COMMIT when it succeeds, ROLLBACK when it fails, with its own error. */
  transaction<R>(
    callback: (connection: C) => R | PromiseLike<R>,
    options?: TransactionOptions & AcquireOptions,
  ): Promise<R>
  /** Opens `min` connections, at least one; rejects with `ERR_POOL_CREATE`. */
  ready(options?: ReadyOptions): Promise<void>
  stats(): PoolStats
  health(options?: HealthOptions): Promise<HealthCheck>
  /** As `end()`, but with a deadline of one's own and a report. */
  close(options?: CloseOptions): Promise<CloseReport>
}
