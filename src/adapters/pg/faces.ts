import type { Lease } from '../../core/lease.ts'
import type { Pool } from '../../core/pool.ts'
import type { DriverClient } from './driver.ts'
import { isServerError } from './classify.ts'

/** A pool of `pgPool`, as far as the faces for other libraries need it. */
interface FacedPool {
  readonly core: Pool<DriverClient>
  close(): Promise<unknown>
}

/** Leases by the client that the library holds: a second release finds none, and changes nothing. */
class LeaseBook {
  readonly #core: Pool<DriverClient>
  readonly #leases = new Map<DriverClient, Lease<DriverClient>>()

  constructor(core: Pool<DriverClient>) {
    this.#core = core
  }

  async take(signal?: AbortSignal): Promise<DriverClient> {
    const lease = await this.#core.acquire(signal === undefined ? undefined : { signal })
    const client = lease.resource
    this.#leases.set(client, lease)
    return client
  }

  giveBack(client: DriverClient, how: 'release' | 'destroy'): boolean {
    const lease = this.#leases.get(client)
    if (lease === undefined || lease.released) return false
    this.#leases.delete(client)
    lease[how]()
    return true
  }
}

/** What Knex leaves on a connection. */
type KnexMarks = DriverClient & { __knexUid?: string; __knex__disposed?: unknown }

let lastUid = 0

/**
 * For Knex: `knex({ client: 'pg', connectionPool: knexPool(pool) })`. The shape of tarn, whose second release of one
 * connection is answered with `false`: Knex' streams release twice, and a pool that throws there ends the process.
 */
export function knexPool(pool: FacedPool): {
  acquire(): { promise: Promise<DriverClient>; abort(): void }
  release(client: DriverClient): boolean
  destroy(): Promise<void>
  numFree(): number
  numUsed(): number
  numPendingAcquires(): number
} {
  const leases = new LeaseBook(pool.core)
  return {
    acquire() {
      const controller = new AbortController()
      const promise = leases.take(controller.signal).then((client) => {
        // Knex names connections in its debug output by this.
        ;(client as KnexMarks).__knexUid ??= `millpond${++lastUid}`
        return client
      })
      return { promise, abort: () => controller.abort(new Error('aborted')) }
    },
    release(client) {
      const marks = client as KnexMarks
      const isDisposed = marks.__knex__disposed !== undefined && marks.__knex__disposed !== false
      // Knex' verdict is on the connection: it must not meet the next borrower.
      delete marks.__knex__disposed
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
  acquire(): Promise<DriverClient>
  release(client: DriverClient): void
  destroy(client: DriverClient): Promise<void>
  drain(): Promise<void>
  destroyAllNow(): Promise<void>
} {
  const leases = new LeaseBook(pool.core)
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

/**
 * For Kysely: `new PostgresDialect({ pool: kyselyPool(pool) })`. Kysely knows a connection again by its object, to run
 * `onCreateConnection` once; so this gives one object per connection, whose `release` is that of the present lease.
 */
export function kyselyPool<P extends FacedPool & { readonly options: unknown }>(
  pool: P,
): { connect(): Promise<never>; end(): Promise<void>; readonly options: P['options']; readonly Client: unknown } {
  const stable = new WeakMap<DriverClient, DriverClient & { release: (error?: unknown) => void }>()
  return {
    options: pool.options,
    Client: 'Client' in pool ? pool.Client : undefined,
    async connect() {
      const lease = await pool.core.acquire()
      const client = lease.resource
      const known =
        stable.get(client) ?? (Object.create(client) as DriverClient & { release: (error?: unknown) => void })
      stable.set(client, known)
      known.query = client.query.bind(client)
      known.release = (error) => {
        if (error !== undefined && error !== false && !isServerError(error)) lease.destroy(error)
        else lease.release(error === false ? undefined : error)
      }
      return known as never
    },
    async end() {
      await pool.close()
    },
  }
}

/** For pg-boss: `new PgBoss({ db: pgBossDb(pool) })`. */
export function pgBossDb(pool: { query(text: string, values?: unknown[]): Promise<unknown> }): {
  executeSql(text: string, values?: unknown[]): Promise<unknown>
} {
  return { executeSql: (text, values) => pool.query(text, values) }
}
