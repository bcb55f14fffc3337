import { PoolError } from './errors.ts'
import type { PoolStats } from './stats.ts'

/** A pool in its driver's style, as the shapes for other libraries need it. `C` is what it lends. */
export interface ShapedPool<C> {
  stats(): PoolStats
  close(): Promise<unknown>
  take(): Promise<C>
  giveBack(borrowed: C, how: 'release' | 'destroy'): void
}

/**
 * What a library holds, until it gives it back. It holds an object per lease: a library that releases twice (Knex'
 * streams do) must not give back what somebody else has borrowed meanwhile.
 */
class LeaseBook<C extends object> {
  readonly #pool: ShapedPool<C>
  readonly #out = new Set<C>()

  constructor(pool: ShapedPool<C>) {
    this.#pool = pool
  }

  async take(): Promise<C> {
    const borrowed = await this.#pool.take()
    this.#out.add(borrowed)
    return borrowed
  }

  giveBack(borrowed: C, how: 'release' | 'destroy'): boolean {
    if (!this.#out.delete(borrowed)) return false
    try {
      this.#pool.giveBack(borrowed, how)
      return true
    } catch (error) {
      // The pool took it away by itself: held too long, or closed. There is nothing left to give back.
      if (PoolError.is(error, 'ERR_POOL_LEASE_RELEASED')) return false
      throw error
    }
  }
}

/** What Knex leaves on a connection. */
interface KnexMarks {
  __knexUid?: string
  __knex__disposed?: unknown
}

let lastUid = 0

/** The shape of tarn, as Knex asks of its `connectionPool`. */
export interface KnexShape<C> {
  acquire(): { promise: Promise<C> }
  /** A second release of one connection is answered with `false`: a pool that throws there ends the process. */
  release(borrowed: C): boolean
  destroy(): Promise<void>
  numFree(): number
  numUsed(): number
  numPendingAcquires(): number
}

export function knexShape<C extends object>(pool: ShapedPool<C>): KnexShape<C> {
  const leases = new LeaseBook(pool)
  return {
    acquire() {
      const promise = leases.take().then((borrowed) => {
        // Knex names connections in its debug output by this.
        ;(borrowed as KnexMarks).__knexUid ??= `millpond${++lastUid}`
        return borrowed
      })
      return { promise }
    },
    release(borrowed) {
      const { __knex__disposed: disposed } = borrowed as KnexMarks
      return leases.giveBack(borrowed, disposed !== undefined && disposed !== false ? 'destroy' : 'release')
    },
    async destroy() {
      await pool.close()
    },
    numFree: () => pool.stats().idle,
    numUsed: () => pool.stats().used,
    numPendingAcquires: () => pool.stats().waiting,
  }
}

/** The shape of sequelize-pool, as Sequelize 6 asks of its connection manager's `pool`. */
export interface SequelizeShape<C> {
  acquire(): Promise<C>
  release(borrowed: C): void
  destroy(borrowed: C): Promise<void>
  drain(): Promise<void>
  destroyAllNow(): Promise<void>
}

export function sequelizeShape<C extends object>(pool: ShapedPool<C>): SequelizeShape<C> {
  const leases = new LeaseBook(pool)
  return {
    acquire: () => leases.take(),
    release(borrowed) {
      leases.giveBack(borrowed, 'release')
    },
    destroy(borrowed) {
      leases.giveBack(borrowed, 'destroy')
      return Promise.resolve()
    },
    async drain() {
      await pool.close()
    },
    async destroyAllNow() {
      await pool.close()
    },
  }
}
