/** The pools under test, each with ten connections, two seconds to get one, and whatever else it has by default. */
import pg from 'pg'

const MAX = 10
const PATIENCE_MILLIS = 2_000

/** @type {Record<string, (config: pg.ClientConfig) => Promise<(text: string) => Promise<unknown>>>} */
export const SUBJECTS = {
  async millpond(config) {
    const { pgPool } = await import(new URL('../../dist/adapters/pg/index.js', import.meta.url).href)
    const pool = pgPool(pg, { ...config, max: MAX, connectionTimeoutMillis: PATIENCE_MILLIS })
    return (text) => pool.query(text)
  },

  async 'pg.Pool'(config) {
    const pool = new pg.Pool({ ...config, max: MAX, connectionTimeoutMillis: PATIENCE_MILLIS })
    pool.on('error', () => {})
    return (text) => pool.query(text)
  },

  /** As most programs have it. */
  async 'pg.Pool, no error listener'(config) {
    const pool = new pg.Pool({ ...config, max: MAX, connectionTimeoutMillis: PATIENCE_MILLIS })
    return (text) => pool.query(text)
  },

  async 'knex (tarn)'(config) {
    const { default: knex } = await import('knex')
    const db = knex({
      client: 'pg',
      connection: config,
      pool: { min: 0, max: MAX },
      acquireConnectionTimeout: PATIENCE_MILLIS,
    })
    return (text) => db.raw(text)
  },

  async 'generic-pool'(config) {
    const { default: generic } = await import('generic-pool')
    const pool = generic.createPool(
      {
        async create() {
          const client = new pg.Client(config)
          client.on('error', () => {})
          await client.connect()
          return client
        },
        destroy: (client) => client.end(),
      },
      { max: MAX, acquireTimeoutMillis: PATIENCE_MILLIS },
    )
    pool.on('factoryCreateError', () => {})
    return async (text) => {
      const client = await pool.acquire()
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
}
