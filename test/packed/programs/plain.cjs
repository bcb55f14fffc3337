const assert = require('node:assert')
const pg = require('pg')
const { Pool, PoolError } = require('millpond')
const { pgPool } = require('millpond/pg')

async function main() {
  const pool = pgPool(pg, { connectionString: process.env.DATABASE_URL, max: 2 })
  const { rows } = await pool.query('SELECT 1 AS one')
  assert.deepStrictEqual(rows, [{ one: 1 }])
  const client = await pool.connect()
  client.release()
  assert.throws(
    () => client.release(),
    (error) => PoolError.is(error, 'ERR_POOL_LEASE_RELEASED'),
  )
  await pool.end()
  assert.throws(() => new Pool({ kind: 'none', create() {}, destroy() {} }, { maks: 1 }), /did you mean `max`/)
}
main()
