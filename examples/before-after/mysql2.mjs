import mysql from 'mysql2/promise'
import { mysqlPool } from 'millpond/mysql'

export const before = (config) => mysql.createPool({ ...config, connectionLimit: 1 })
export const after = (config) => mysqlPool(mysql, { ...config, connectionLimit: 1 })

/**
 * A handler that returns early, in the middle of its transaction, and gives back in `finally` as it should. Returns
 * what the next borrower does to it: its own commit makes the half of the other's work permanent.
 */
export async function commitWhatSomebodyLeftOpen(pool) {
  const connection = await pool.getConnection()
  try {
    await connection.beginTransaction()
    await connection.query('INSERT INTO transfers (amount) VALUES (-100)')
    // … an early return, before the other half and the commit
  } finally {
    connection.release()
  }

  const next = await pool.getConnection()
  try {
    await next.query('COMMIT')
    const [rows] = await next.query('SELECT count(*) AS count FROM transfers')
    return { halves: Number(rows[0].count) }
  } finally {
    next.release()
  }
}
