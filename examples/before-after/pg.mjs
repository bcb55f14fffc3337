import pg from 'pg'
import { pgPool } from 'millpond/pg'

export const before = (config) => new pg.Pool({ ...config, max: 1 })
export const after = (config) => pgPool(pg, { ...config, max: 1 })

/**
 * A payment, and a program with a bug: somebody gives back twice, the second time late. The connection is then lent to
 * two at once, and the payment ends up in a stranger's transaction. Returns whether the payment was kept.
 */
export async function payWhileSomebodyReleasesTwice(pool) {
  const careless = await pool.connect()
  careless.release()

  const stranger = await pool.connect()
  await stranger.query('BEGIN')
  let told
  try {
    careless.release() // the bug: by now this connection is the stranger's
  } catch (error) {
    told = error.code
  }
  const paid = pool.query("INSERT INTO payments (amount) VALUES (10) RETURNING 'paid' AS answer")
  await stranger.query('SELECT pg_sleep(0.05)')
  await stranger.query('ROLLBACK')
  try {
    stranger.release()
  } catch {
    // with pg.Pool somebody has released it already
  }

  const { rows } = await paid
  const kept = await pool.query('SELECT count(*)::int AS count FROM payments')
  return { told, answer: rows[0].answer, kept: kept.rows[0].count === 1 }
}
