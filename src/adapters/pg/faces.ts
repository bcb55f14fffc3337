import { PoolError } from '../../core/errors.ts'
import type { Pool } from '../../core/pool.ts'
import type { DriverClient } from './driver.ts'
import type { LeasedClient } from './leased-client.ts'

/** A pool of `pgPool`, as far as the faces for other libraries need it. */
interface FacedPool {
  readonly core: Pool<DriverClient>
  connect(): Promise<object>
  close(): Promise<unknown>
}

/**
 * What the libraries hold, until they give it back. They hold what `connect()` gives, an object per lease: a library
 * that releases twice (Knex' streams do) must not give back what somebody else has borrowed meanwhile.
 */
class LeaseBook {
  readonly #pool: FacedPool
  readonly #out = new Set<LeasedClient>()

  constructor(pool: FacedPool) {
    this.#pool = pool
  }

  async take(): Promise<LeasedClient> {
    const client = (await this.#pool.connect()) as LeasedClient
    this.#out.add(client)
    return client
  }

  giveBack(client: LeasedClient, how: 'release' | 'destroy'): boolean {
    if (!this.#out.delete(client)) return false
    try {
      client.release(how === 'destroy')
      return true
    } catch (error) {
      // The pool took it away by itself: held too long, or closed. There is nothing left to give back.
      if (PoolError.is(error, 'ERR_POOL_LEASE_RELEASED')) return false
      throw error
    }
  }
}

/** What Knex leaves on a connection. */
type KnexMarks = LeasedClient & { __knexUid?: string; __knex__disposed?: unknown }

let lastUid = 0

/**
 * For Knex: `knex({ client: 'pg', connectionPool: knexPool(pool) })`. The shape of tarn, whose second release of one
 * connection is answered with `false`: Knex' streams release twice, and a pool that throws there ends the process.
 */
export function knexPool(pool: FacedPool): {
  acquire(): { promise: Promise<LeasedClient> }
  release(client: LeasedClient): boolean
  destroy(): Promise<void>
  numFree(): number
  numUsed(): number
  numPendingAcquires(): number
} {
  const leases = new LeaseBook(pool)
  return {
    acquire() {
      const promise = leases.take().then((client) => {
        // Knex names connections in its debug output by this.
        ;(client as KnexMarks).__knexUid ??= `millpond${++lastUid}`
        return client
      })
      return { promise }
    },
    release(client) {
      const marks = client as KnexMarks
      const isDisposed = marks.__knex__disposed !== undefined && marks.__knex__disposed !== false
      return leases.giveBack(client, isDisposed ? 'destroy' : 'release')
    },
    async destroy() {
      await pool.close()
    },
    numFree: () => pool.core.stats().idle,
    numUsed: () => pool.core.stats().used,
    numPendingAcquires: () => pool.core.stats().waiting,
  }
}

/** For Sequelize 6: `sequelize.connectionManager.pool = sequelizePool(pool)`. */
export function sequelizePool(pool: FacedPool): {
  acquire(): Promise<LeasedClient>
  release(client: LeasedClient): void
  destroy(client: LeasedClient): Promise<void>
  drain(): Promise<void>
  destroyAllNow(): Promise<void>
} {
  const leases = new LeaseBook(pool)
  return {
    acquire: () => leases.take(),
    release(client) {
      leases.giveBack(client, 'release')
    },
    destroy(client) {
      leases.giveBack(client, 'destroy')
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

/** One connection as Kysely knows it, through all the leases of it. */
class KyselyClient {
  #lease: LeasedClient | undefined

  lend(lease: LeasedClient): this {
    this.#lease = lease
    return this
  }

  get processID(): number | null | undefined {
    return this.#lease?.processID
  }

  query(...args: never[]): unknown {
    if (this.#lease === undefined) return Promise.reject(new Error('This connection was given back to the pool'))
    return this.#lease.query(...args)
  }

  release(error?: unknown): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.release(error)
  }
}

const KYSELY_CLIENT = Symbol('kysely client')

interface KyselyLease extends LeasedClient {
  [KYSELY_CLIENT]: KyselyClient | undefined
}

/** Older types of the driver do not know that a pool has options. */
type OptionsOf<P> = P extends { readonly options: infer O } ? O : never

/**
 * For Kysely: `new PostgresDialect({ pool: kyselyPool(pool) })`. Kysely knows a connection again by its object, to run
 * `onCreateConnection` once; so this gives one object per connection, which works on the present lease of it.
 */
export function kyselyPool<P extends FacedPool>(
  pool: P,
): { connect(): Promise<never>; end(): Promise<void>; readonly options: OptionsOf<P>; readonly Client: unknown } {
  return {
    options: ('options' in pool ? pool.options : undefined) as OptionsOf<P>,
    Client: 'Client' in pool ? pool.Client : undefined,
    async connect() {
      const lease = (await pool.connect()) as KyselyLease
      // What is written to a lease is written to the connection, and found there by the next lease.
      const known = (lease[KYSELY_CLIENT] ??= new KyselyClient())
      return known.lend(lease) as never
    },
    async end() {
      await pool.close()
    },
  }
}

/** What pg-boss reads of an answer. */
interface BossAnswer {
  // pg-boss' own word for a row.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  rows: any[]
}

/** For pg-boss: `new PgBoss({ db: pgBossDb(pool) })`; inside a transaction, `{ db: pgBossDb(client) }` with each job. */
export function pgBossDb(pool: { query(text: string, values?: unknown[]): Promise<unknown> }): {
  executeSql(text: string, values?: unknown[]): Promise<BossAnswer>
} {
  return { executeSql: (text, values) => pool.query(text, values) as Promise<BossAnswer> }
}
