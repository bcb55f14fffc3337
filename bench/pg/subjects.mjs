import pg from 'pg'
import { pgPool } from '../../dist/adapters/pg/index.js'

/** Connections of every client: equal for all. */
const CONNECTIONS = 10
const CALLERS = [10, 50]

const TEXT = 'SELECT id, name FROM bench_items WHERE id = $1'
const rowOf = (n) => [n % 1_000]

/** What one operation is. */
const OPERATIONS = {
  query: (pool) => (n) => pool.query(TEXT, rowOf(n)),
  'query with a callback': (pool) => (n) =>
    new Promise((resolve, reject) =>
      pool.query(TEXT, rowOf(n), (error, result) => (error ? reject(error) : resolve(result))),
    ),
  'query by name (prepared)': (pool) => (n) => pool.query({ name: 'item', text: TEXT, values: rowOf(n) }),
  'a query on a borrowed client': (pool) => async (n) => {
    const client = await pool.connect()
    try {
      return await client.query(TEXT, rowOf(n))
    } finally {
      client.release()
    }
  },
  transaction: (pool) => async (n) => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const result = await client.query(TEXT, rowOf(n))
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  },
}

const settings = (target) => ({ ...target, max: CONNECTIONS })
const client = (pool, operation) => ({ work: operation(pool), close: () => pool.end() })
/** Both have ten connections, and otherwise their defaults. */
const pair = (ours, theirs, operations) => ({
  ours: (target) => client(pgPool(pg, settings(target)), ours),
  theirs: (target) => client(new pg.Pool(settings(target)), theirs),
  callers: CALLERS,
  operations,
})

/** @type {Readonly<Record<string, import('../lib/pairs.mjs').Pair>>} */
export const PAIRS = {
  ...Object.fromEntries(
    Object.entries(OPERATIONS).map(([name, operation]) => [
      name,
      pair(operation, operation, name === 'transaction' ? 1_500 : 4_000),
    ]),
  ),
  // Beside the same written by hand on the driver's pool.
  'pool.transaction(fn)': pair(
    (pool) => (n) => pool.transaction((borrowed) => borrowed.query(TEXT, rowOf(n))),
    OPERATIONS.transaction,
    1_500,
  ),
}
