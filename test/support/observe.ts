import { createPool as createGenericPool } from 'generic-pool'
import knex from 'knex'
import mysqlCallbacks from 'mysql2'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { Pool as TarnPool } from 'tarn'

/** A pool of some kind, and how a program uses it. */
export interface Subject {
  readonly pool: object
  /** Borrows a connection; gives what gives it back. */
  borrow(): Promise<() => unknown>
  /** Has the server work for that long, on a connection of the pool's own choice. */
  work(millis: number): Promise<unknown>
  /** Works by itself, then on a connection of its own, and calls back: where the kind has callbacks. */
  readonly call?: (callback: () => void) => void
  /** What the pool itself would say, as far as it would. */
  counts(): { readonly used: number; readonly idle: number }
  end(): Promise<unknown>
}

export interface SubjectOptions {
  readonly max: number
  /** After which a wait ends, where the kind knows that. */
  readonly waitMillis?: number
  /** Connects to where nobody listens. */
  readonly isBroken?: boolean
}

type PgConfig = pg.ClientConfig
type MysqlConfig = mysql.ConnectionOptions

const sleepPg = (millis: number): string => `SELECT pg_sleep(${millis / 1000})`
const sleepMysql = (millis: number): string => `SELECT SLEEP(${millis / 1000})`

export function pgSubject(
  config: PgConfig,
  { max, waitMillis, isBroken }: SubjectOptions,
  { Pool }: Pick<typeof pg, 'Pool'> = pg,
): Subject {
  const pool = new Pool({
    ...config,
    ...(isBroken ? { port: 1 } : {}),
    max,
    ...(waitMillis === undefined ? {} : { connectionTimeoutMillis: waitMillis }),
  })
  pool.on('error', () => undefined)
  // Of a client that is borrowed, its borrower would have to hear.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return {
    pool,
    borrow: async () => {
      const client = await pool.connect()
      return () => client.release()
    },
    work: (millis) => pool.query(sleepPg(millis)),
    call: (callback) => {
      pool.query(sleepPg(1), () => {
        pool.connect((_error, _client, release) => {
          release()
          callback()
        })
      })
    },
    counts: () => ({ used: pool.totalCount - pool.idleCount, idle: pool.idleCount }),
    end: () => pool.end(),
  }
}

interface MysqlQueues {
  readonly _allConnections: { readonly length: number }
  readonly _freeConnections: { readonly length: number }
}

export function mysqlSubject(
  config: MysqlConfig,
  { max, isBroken }: SubjectOptions,
  { createPool }: Pick<typeof mysql, 'createPool'> = mysql,
): Subject {
  const pool = createPool({ ...config, ...(isBroken ? { port: 1 } : {}), connectionLimit: max })
  const queues = pool.pool as unknown as MysqlQueues
  return {
    pool,
    borrow: async () => {
      const connection = await pool.getConnection()
      return () => connection.release()
    },
    work: (millis) => pool.query(sleepMysql(millis)),
    counts: () => mysqlCounts(queues),
    end: () => pool.end(),
  }
}

const mysqlCounts = ({ _allConnections: all, _freeConnections: free }: MysqlQueues) => ({
  used: all.length - free.length,
  idle: free.length,
})

export function mysqlCallbackSubject(
  config: MysqlConfig,
  { max, isBroken }: SubjectOptions,
  { createPool }: Pick<typeof mysqlCallbacks, 'createPool'> = mysqlCallbacks,
): Subject {
  const pool = createPool({ ...config, ...(isBroken ? { port: 1 } : {}), connectionLimit: max })
  return {
    pool,
    borrow: () =>
      new Promise((resolve, reject) => {
        pool.getConnection((error, connection) => {
          if (error !== null) reject(error)
          else resolve(() => connection.release())
        })
      }),
    work: (millis) =>
      new Promise((resolve, reject) => {
        pool.query(sleepMysql(millis), (error, rows) => (error === null ? resolve(rows) : reject(error)))
      }),
    call: (callback) => {
      pool.query(sleepMysql(1), () => {
        pool.getConnection((_error, connection) => {
          connection.release()
          callback()
        })
      })
    },
    counts: () => mysqlCounts(pool as unknown as MysqlQueues),
    end: () =>
      new Promise<void>((resolve) => {
        pool.end(() => resolve())
      }),
  }
}

export function knexSubject(config: PgConfig, { max, waitMillis = 10_000, isBroken }: SubjectOptions): Subject {
  const db = knex({
    client: 'pg',
    connection: { ...config, ...(isBroken ? { port: 1 } : {}) } as knex.Knex.PgConnectionConfig,
    pool: { min: 0, max },
    acquireConnectionTimeout: waitMillis,
    log: { debug: () => undefined, warn: () => undefined, error: () => undefined },
  })
  const client = db.client as {
    readonly pool: { numUsed(): number; numFree(): number }
    acquireConnection(): Promise<object>
    releaseConnection(connection: object): Promise<void>
  }
  return {
    pool: db,
    borrow: async () => {
      const connection = await client.acquireConnection()
      return () => client.releaseConnection(connection)
    },
    // A query of knex begins when somebody waits for it.
    work: async (millis) => {
      await db.raw(sleepPg(millis))
    },
    counts: () => ({ used: client.pool.numUsed(), idle: client.pool.numFree() }),
    end: () => db.destroy(),
  }
}

/** Clients whose server is gone; pools that know no driver ask their factory. */
const dead = new WeakSet<pg.Client>()

const pgFactory = (config: PgConfig, isBroken: boolean | undefined) => ({
  create: async () => {
    const client = new pg.Client({ ...config, ...(isBroken ? { port: 1 } : {}) })
    client.on('error', () => void dead.add(client))
    await client.connect()
    return client
  },
  destroy: (client: pg.Client) => client.end(),
})

async function workOn(
  borrow: () => Promise<pg.Client>,
  release: (client: pg.Client) => unknown,
  millis: number,
): Promise<void> {
  const client = await borrow()
  try {
    await client.query(sleepPg(millis))
  } finally {
    await release(client)
  }
}

export function tarnSubject(config: PgConfig, { max, waitMillis = 10_000, isBroken }: SubjectOptions): Subject {
  const pool = new TarnPool<pg.Client>({
    ...pgFactory(config, isBroken),
    validate: (client) => !dead.has(client),
    min: 0,
    max,
    acquireTimeoutMillis: waitMillis,
    createTimeoutMillis: 2_000,
    propagateCreateError: true,
  })
  const borrow = (): Promise<pg.Client> => pool.acquire().promise
  return {
    pool,
    borrow: async () => {
      const client = await borrow()
      return () => pool.release(client)
    },
    work: (millis) => workOn(borrow, (client) => pool.release(client), millis),
    counts: () => ({ used: pool.numUsed(), idle: pool.numFree() }),
    end: () => pool.destroy(),
  }
}

export function genericSubject(config: PgConfig, { max, waitMillis = 10_000, isBroken }: SubjectOptions): Subject {
  const pool = createGenericPool<pg.Client>(
    {
      ...pgFactory(config, isBroken),
      validate: (client) => Promise.resolve(!dead.has(client)),
      create: async () => {
        try {
          return await pgFactory(config, isBroken).create()
        } catch (error) {
          // It would try again at once, for ever.
          await new Promise((resolve) => setTimeout(resolve, 50).unref())
          throw error
        }
      },
    },
    { min: 0, max, testOnBorrow: true, acquireTimeoutMillis: isBroken ? 300 : waitMillis },
  )
  const borrow = async (): Promise<pg.Client> => await pool.acquire()
  return {
    pool,
    borrow: async () => {
      const client = await borrow()
      return () => pool.release(client)
    },
    work: (millis) => workOn(borrow, (client) => pool.release(client), millis),
    counts: () => ({ used: pool.borrowed, idle: pool.available }),
    end: async () => {
      await pool.drain()
      await pool.clear()
    },
  }
}
