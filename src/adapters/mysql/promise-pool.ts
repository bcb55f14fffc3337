import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions } from '../../core/managed-pool.ts'
import type { AcquireOptions, Pool, ReadyOptions } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { DriverParts, DriverPool, DriverPromisePool } from './driver.ts'
import type { MysqlPoolExtras } from './extras.ts'
import type { LeasedConnection } from './leased-connection.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { TransactionOptions } from './transaction.ts'

export type MillpondPromisePool = DriverPromisePool & MysqlPoolExtras<object>
type MillpondPool = DriverPool &
  MysqlPoolExtras<object> & {
    _borrow(
      Implementation: PromiseConstructor,
      lent: (leased: LeasedConnection) => void,
      failed: (error: unknown) => void,
    ): void
  }
type PromisePoolClass = new (pool: MillpondPool, implementation?: PromiseConstructor) => MillpondPromisePool

const classes = new WeakMap<DriverParts, PromisePoolClass>()

/** The promise face for one copy of the driver: a real subclass of its own, on a pool of ours. */
export function promisePoolOf(parts: DriverParts): PromisePoolClass {
  const known = classes.get(parts)
  if (known !== undefined) return known

  class PromisePool extends parts.PromisePool implements MysqlPoolExtras<object> {
    declare readonly pool: MillpondPool
    declare readonly Promise: PromiseConstructor

    /** A connection whose `await using` is quiet where it was released before. */
    getConnection(): Promise<object> {
      const { Promise: Implementation } = this
      return new Implementation((resolve, reject) => {
        this.pool._borrow(Implementation, (leased) => resolve(leased.promise(Implementation)), reject)
      })
    }

    get core(): Pool<PooledConnection> {
      return this.pool.core
    }
    get name(): string {
      return this.pool.name
    }
    get kind(): string {
      return this.pool.kind
    }
    get state(): PoolState {
      return this.pool.state
    }
    use<R>(callback: (connection: object) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
      return this.pool.use(callback, options)
    }
    transaction<R>(
      callback: (connection: object) => R | PromiseLike<R>,
      options?: TransactionOptions & AcquireOptions,
    ): Promise<R> {
      return this.pool.transaction(callback, options)
    }
    ready(options?: ReadyOptions): Promise<void> {
      return this.pool.ready(options)
    }
    stats(): PoolStats {
      return this.pool.stats()
    }
    health(options?: HealthOptions): Promise<HealthCheck> {
      return this.pool.health(options)
    }
    close(options?: CloseOptions): Promise<CloseReport> {
      return this.pool.close(options)
    }
    async [Symbol.asyncDispose](): Promise<void> {
      await this.pool[Symbol.asyncDispose]()
    }
    [inspect.custom](): string {
      return inspect(this.core).replace(/^Pool/, 'MillpondPromisePool')
    }
  }

  classes.set(parts, PromisePool)
  return PromisePool
}
