import knex from 'knex'
import pg from 'pg'
import { knexPool, pgPool } from 'millpond/pg'

export function before(config) {
  const db = knex({ client: 'pg', connection: config, pool: { min: 0, max: 1 } })
  return { db, end: () => db.destroy() }
}

export function after(config) {
  const pool = pgPool(pg, { ...config, max: 1 })
  const db = knex({ client: 'pg', connectionPool: knexPool(pool) })
  return {
    db,
    async end() {
      await db.destroy()
      await pool.end()
    },
  }
}

/** One request sets a deadline for its own report; the next request, another user's, fails by it. */
export async function reportThenWork(db) {
  await db.raw('SET statement_timeout = 20')
  await db.raw('SELECT 1 /* the report */')
  try {
    await db.raw('SELECT pg_sleep(0.1) /* somebody else */')
    return 'works'
  } catch (error) {
    return error.message.replace(/^.* - /, '')
  }
}
