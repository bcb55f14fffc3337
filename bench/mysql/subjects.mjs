import mysql2 from 'mysql2'
import mysql from 'mysql2/promise'
import { mysqlPool } from '../../dist/adapters/mysql/index.js'

/** Connections of every client: equal for all. */
const CONNECTIONS = 10
const CALLERS = [10, 50]

const TEXT = 'SELECT id, name FROM bench_items WHERE id = ?'
const rowOf = (n) => [n % 1_000]

/** A promise of what calls back, as everybody who awaits callbacks has to make one. */
const promised = (start) =>
  new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result))))

/** What one operation of a promise pool is. */
const BY_PROMISES = {
  query: (pool) => (n) => pool.query(TEXT, rowOf(n)),
  execute: (pool) => (n) => pool.execute(TEXT, rowOf(n)),
  'a query on a borrowed connection': (pool) => async (n) => {
    const connection = await pool.getConnection()
    try {
      return await connection.query(TEXT, rowOf(n))
    } finally {
      connection.release()
    }
  },
  transaction: (pool) => async (n) => {
    const connection = await pool.getConnection()
    try {
      await connection.beginTransaction()
      const rows = await connection.execute(TEXT, rowOf(n))
      await connection.commit()
      return rows
    } catch (error) {
      await connection.rollback()
      throw error
    } finally {
      connection.release()
    }
  },
}

/** What one operation of a callback pool is. */
const BY_CALLBACKS = {
  query: (pool) => (n) => promised((done) => pool.query(TEXT, rowOf(n), done)),
  execute: (pool) => (n) => promised((done) => pool.execute(TEXT, rowOf(n), done)),
  'a query on a borrowed connection': (pool) => (n) =>
    promised((done) =>
      pool.getConnection((error, connection) => {
        if (error) return done(error)
        connection.query(TEXT, rowOf(n), (failure, rows) => {
          connection.release()
          done(failure, rows)
        })
      }),
    ),
  transaction: (pool) => (n) =>
    promised((done) =>
      pool.getConnection((error, connection) => {
        if (error) return done(error)
        const over = (failure, rows) => {
          connection.release()
          done(failure, rows)
        }
        const unless = (next) => (failure, rows) => (failure ? connection.rollback(() => over(failure)) : next(rows))
        connection.beginTransaction(
          unless(() =>
            connection.execute(
              TEXT,
              rowOf(n),
              unless((rows) => connection.commit(unless(() => over(null, rows)))),
            ),
          ),
        )
      }),
    ),
}

const client = (pool, operation) => ({ work: operation(pool), close: () => pool.end() })

/** Both have ten connections, and otherwise their defaults. */
function pairsOf(face, module, operations) {
  return Object.entries(operations).map(([name, operation]) => [
    `${name} (${face})`,
    {
      ours: (config) => client(mysqlPool(module, { ...config, connectionLimit: CONNECTIONS }), operation),
      theirs: (config) => client(module.createPool({ ...config, connectionLimit: CONNECTIONS }), operation),
      callers: CALLERS,
      operations: name === 'transaction' ? 1_500 : 4_000,
    },
  ])
}

/** `transaction(fn)` beside the same written by hand on the driver's pool. */
const OWN_TRANSACTION = {
  ours: (config) => {
    const pool = mysqlPool(mysql, { ...config, connectionLimit: CONNECTIONS })
    return {
      work: (n) => pool.transaction((connection) => connection.execute(TEXT, rowOf(n))),
      close: () => pool.end(),
    }
  },
  theirs: (config) => client(mysql.createPool({ ...config, connectionLimit: CONNECTIONS }), BY_PROMISES.transaction),
  callers: CALLERS,
  operations: 1_500,
}

/** @type {Readonly<Record<string, import('../lib/pairs.mjs').Pair>>} */
export const PAIRS = {
  ...Object.fromEntries(pairsOf('promises', mysql, BY_PROMISES)),
  'pool.transaction(fn)': OWN_TRANSACTION,
  ...Object.fromEntries(pairsOf('callbacks', mysql2, BY_CALLBACKS)),
}
