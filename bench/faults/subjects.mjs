/**
 * The pools under test, each with two seconds to get a connection and, where it has a word for it, to open one; and
 * whatever else it has by default.
 */
import mysql from 'mysql2/promise'
import pg from 'pg'

const PATIENCE_MILLIS = 2_000

/**
 * Borrows, says so, asks and gives back.
 * @typedef {(text: string, acquired: () => void) => Promise<unknown>} Ask
 * @typedef {{ max: number, statementMillis?: number }} Options
 * @typedef {(config: Record<string, unknown>, options: Options) => Promise<Ask>} Make
 */

const ignore = () => {}

/**
 * @param {{ connect(): Promise<pg.PoolClient> }} pool
 * @param {boolean} careful - listens for errors of what it has borrowed, without which a lost connection ends the process
 * @returns {Ask}
 */
const pgAsk = (pool, careful) => async (text, acquired) => {
  const client = await pool.connect()
  if (careful) client.on('error', ignore)
  acquired()
  let failure
  try {
    return await client.query(text)
  } catch (error) {
    failure = error
    throw error
  } finally {
    if (careful) client.off('error', ignore)
    // As `query()` of the pool itself does it.
    client.release(failure)
  }
}

/** @param {{ getConnection(): Promise<mysql.PoolConnection> }} pool @param {number | undefined} timeout @returns {Ask} */
const mysqlAsk = (pool, timeout) => async (text, acquired) => {
  const connection = await pool.getConnection()
  acquired()
  try {
    return await connection.query({ sql: text, timeout })
  } finally {
    connection.release()
  }
}

/** @type {Record<string, Make>} */
export const SUBJECTS = {
  async millpond(config, { max, statementMillis }) {
    const { pgPool } = await import(new URL('../../dist/adapters/pg/index.js', import.meta.url).href)
    return pgAsk(
      pgPool(pg, { ...config, max, connectionTimeoutMillis: PATIENCE_MILLIS, query_timeout: statementMillis }),
    )
  },

  async 'pg.Pool'(config, { max, statementMillis }) {
    const pool = new pg.Pool({
      ...config,
      max,
      connectionTimeoutMillis: PATIENCE_MILLIS,
      query_timeout: statementMillis,
    })
    pool.on('error', ignore)
    return pgAsk(pool, true)
  },

  /** As most programs have it. */
  async 'pg.Pool, no error listener'(config, { max, statementMillis }) {
    return pgAsk(
      new pg.Pool({ ...config, max, connectionTimeoutMillis: PATIENCE_MILLIS, query_timeout: statementMillis }),
    )
  },

  async 'knex (tarn)'(config, { max, statementMillis }) {
    const { default: knex } = await import('knex')
    const db = knex({
      client: 'pg',
      connection: { ...config, connectionTimeoutMillis: PATIENCE_MILLIS, query_timeout: statementMillis },
      pool: { min: 0, max },
      acquireConnectionTimeout: PATIENCE_MILLIS,
    })
    return async (text, acquired) => {
      const connection = await db.client.acquireConnection()
      acquired()
      try {
        return await db.raw(text).connection(connection)
      } finally {
        await db.client.releaseConnection(connection)
      }
    }
  },

  async 'generic-pool'(config, { max, statementMillis }) {
    const { default: generic } = await import('generic-pool')
    const pool = generic.createPool(
      {
        async create() {
          const client = new pg.Client({
            ...config,
            connectionTimeoutMillis: PATIENCE_MILLIS,
            query_timeout: statementMillis,
          })
          client.on('error', ignore)
          await client.connect()
          return client
        },
        destroy: (client) => client.end(),
      },
      { max, acquireTimeoutMillis: PATIENCE_MILLIS },
    )
    pool.on('factoryCreateError', ignore)
    return async (text, acquired) => {
      const client = await pool.acquire()
      acquired()
      try {
        const result = await client.query(text)
        await pool.release(client)
        return result
      } catch (error) {
        await pool.destroy(client)
        throw error
      }
    }
  },

  async 'millpond, MariaDB'(config, { max, statementMillis }) {
    const { mysqlPool } = await import(new URL('../../dist/adapters/mysql/index.js', import.meta.url).href)
    return mysqlAsk(
      mysqlPool(mysql, {
        ...config,
        connectionLimit: max,
        acquireTimeoutMillis: PATIENCE_MILLIS,
        connectTimeout: PATIENCE_MILLIS,
      }),
      statementMillis,
    )
  },

  /** Knows no time-out for getting a connection, only one for opening it. */
  async 'mysql2, MariaDB'(config, { max, statementMillis }) {
    return mysqlAsk(
      mysql.createPool({ ...config, connectionLimit: max, connectTimeout: PATIENCE_MILLIS }),
      statementMillis,
    )
  },
}
