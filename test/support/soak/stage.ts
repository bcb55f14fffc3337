import pg from 'pg'
import { startFaultProxy, startPostgres, type FaultProxy, type PostgresServer } from '@millpond/rig'
import { pgPool, type BorrowedClient, type PgPoolExtras } from '../../../src/adapters/pg/index.ts'
import { systemClock } from '../../../src/core/clock.ts'

export const ACQUIRE_TIMEOUT = 2_000
export const MAX = 20
export const MOST_ZOMBIES = 16

export type SoakPool = pg.Pool & PgPoolExtras<BorrowedClient<typeof pg>>

/** Two servers, a proxy before the one that takes writes, and the pool that a soak is about. */
export class Stage {
  readonly proxy: FaultProxy
  readonly pool: SoakPool
  /** What the wall clock is wrong by. */
  wallOffset = 0
  /** When the pool last learned that its server takes no writes any more. */
  roleChangeKnownAt = Infinity
  #primary: PostgresServer
  #other: PostgresServer

  private constructor(primary: PostgresServer, other: PostgresServer, proxy: FaultProxy, problems: string[]) {
    this.#primary = primary
    this.#other = other
    this.proxy = proxy
    this.pool = pgPool(pg, {
      ...primary.config,
      port: proxy.port,
      clock: { ...systemClock, wallNow: () => systemClock.wallNow() + this.wallOffset },
      max: MAX,
      targetSessionAttrs: 'read-write',
      acquireTimeoutMillis: ACQUIRE_TIMEOUT,
      createTimeoutMillis: 2_000,
      validateTimeoutMillis: 500,
      validateAfterIdleMillis: 2_000,
      resetTimeoutMillis: 1_000,
      idleTimeoutMillis: 20_000,
      maxLifetimeMillis: 60_000,
      reclaimAbandoned: true,
      failFastWhenDown: false,
      query_timeout: 3_000,
    })
    this.pool.core.on('abandoned', () => undefined)
    this.pool.core.on('invalidated', ({ reason }) => {
      if (reason === 'role-change') this.roleChangeKnownAt = Math.min(this.roleChangeKnownAt, performance.now())
    })
    this.pool.core.on('failure', ({ from, error }) => {
      // A goodbye over a silent network takes its time.
      if (from !== 'destroy') problems.push(`${from} failed: ${String(error)}`)
    })
  }

  static async set(random: () => number, problems: string[]): Promise<Stage> {
    // What a server logs is kept by the rig: it would count as growth.
    const settings = { log_connections: 'off', log_min_messages: 'panic', max_connections: 60 }
    const [primary, other] = [await startPostgres({ settings }), await startPostgres({ settings })]
    for (const server of [primary, other]) await administer(server, 'CREATE TABLE writes (token int)')
    return new Stage(primary, other, await startFaultProxy(primary, random), problems)
  }

  /** The server that the proxy leads to. */
  get server(): PostgresServer {
    return this.#primary
  }

  /** The address leads to the other server from now on, and the one before takes no writes any more. */
  async failOver(): Promise<void> {
    const [before, next] = [this.#primary, this.#other]
    await administer(next, 'ALTER SYSTEM RESET default_transaction_read_only', 'SELECT pg_reload_conf()')
    await administer(next, 'TRUNCATE writes')
    this.#primary = next
    this.#other = before
    this.proxy.setTarget(next)
    this.roleChangeKnownAt = Infinity
    await administer(before, 'ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()')
  }

  /** Has the server end all idle connections of the pool, so much later: also while this process stands still. */
  endIdleAfter(millis: number): Promise<void> {
    return administer(
      this.#primary,
      `DO $$ BEGIN
         PERFORM pg_sleep(${millis / 1_000});
         PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND pid <> pg_backend_pid();
       END $$`,
    )
  }

  async end(): Promise<void> {
    await this.proxy.close()
    await this.#primary.stop()
    await this.#other.stop()
  }
}

/** As the superuser, past pool and proxy. */
async function administer(server: PostgresServer, ...statements: string[]): Promise<void> {
  const client = new pg.Client(server.config)
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('SET default_transaction_read_only = off')
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
