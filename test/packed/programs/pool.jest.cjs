const pg = require('pg')
const { pgPool } = require('millpond/pg')

test('a pool works under Jest', async () => {
  const pool = pgPool(pg, { connectionString: process.env.DATABASE_URL })
  const { rows } = await pool.query('SELECT 3 AS three')
  expect(rows).toEqual([{ three: 3 }])
  await pool.end()
})
