import {
  knexShape,
  sequelizeShape,
  type KnexShape,
  type SequelizeShape,
  type ShapedPool,
} from '../../core/library-shapes.ts'
import type { Pool } from '../../core/pool.ts'
import type { DriverClient } from './driver.ts'
import type { LeasedClient } from './leased-client.ts'

/** A pool of `pgPool`, as far as the faces for other libraries need it. */
interface FacedPool {
  readonly core: Pool<DriverClient>
  connect(): Promise<object>
  close(): Promise<unknown>
}

function shaped(pool: FacedPool): ShapedPool<LeasedClient> {
  return {
    stats: () => pool.core.stats(),
    close: () => pool.close(),
    take: async () => (await pool.connect()) as LeasedClient,
    giveBack: (client, how) => client.release(how === 'destroy'),
  }
}

/** For Knex: `knex({ client: 'pg', connectionPool: knexPool(pool) })`. */
export function knexPool(pool: FacedPool): KnexShape<LeasedClient> {
  return knexShape(shaped(pool))
}

/** For Sequelize 6: `sequelize.connectionManager.pool = sequelizePool(pool)`. */
export function sequelizePool(pool: FacedPool): SequelizeShape<LeasedClient> {
  return sequelizeShape(shaped(pool))
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
