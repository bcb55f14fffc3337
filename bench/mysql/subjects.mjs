import mysql2 from 'mysql2'
import mysql from 'mysql2/promise'
import { mysqlPool } from '../../dist/adapters/mysql/index.js'

/** Connections of every subject: equal for all. */
export const CONNECTIONS = 10

const text = 'SELECT id, name FROM bench_items WHERE id = ?'

/** A promise of what calls back, as everybody who awaits callbacks has to make one. */
const promised = (start) =>
  new Promise((resolve, reject) => start((error, rows) => (error ? reject(error) : resolve(rows))))

/** What one operation of a promise pool is. */
const OF_PROMISES = {
  query: (pool, id) => pool.query(text, [id]),
  execute: (pool, id) => pool.execute(text, [id]),
  async transaction(pool, id) {
    const connection = await pool.getConnection()
    try {
      await connection.beginTransaction()
      await connection.execute(text, [id])
      await connection.commit()
    } finally {
      connection.release()
    }
  },
}

/** What one operation of a callback pool is. */
const OF_CALLBACKS = {
  query: (pool, id) => promised((done) => pool.query(text, [id], done)),
  execute: (pool, id) => promised((done) => pool.execute(text, [id], done)),
}

const byPromises = (make) => (config) => {
  const pool = make(config)
  return { operations: OF_PROMISES, pool, close: () => pool.end() }
}
const byCallbacks = (make) => (config) => {
  const pool = make(config)
  return { operations: OF_CALLBACKS, pool, close: () => promised((done) => pool.end(done)) }
}

export const SUBJECTS = {
  'mysql2 (promise)': byPromises((config) => mysql.createPool(config)),
  'millpond (promise)': byPromises((config) => mysqlPool(mysql, config)),
  'mysql2 (callback)': byCallbacks((config) => mysql2.createPool(config)),
  'millpond (callback)': byCallbacks((config) => mysqlPool(mysql2, config)),
}

/** Which subject the ratio of another one is taken against. */
export const RIVALS = { 'millpond (promise)': 'mysql2 (promise)', 'millpond (callback)': 'mysql2 (callback)' }

/** Operations are counted, not timed: code that is warm is compared, however busy the machine is. */
export const SCENARIOS = [
  { name: 'query, 50 callers', operation: 'query', callers: 50, warm: 12_000, measured: 6_000 },
  { name: 'execute, 50 callers', operation: 'execute', callers: 50, warm: 12_000, measured: 6_000 },
  { name: 'transaction, 10 callers', operation: 'transaction', callers: 10, warm: 4_000, measured: 2_000 },
]
