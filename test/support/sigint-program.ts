import pg from 'pg'
import { pgPool } from '../../src/adapters/pg/index.ts'

// Started and signalled by a test.
const pool = pgPool(pg, { connectionString: process.env['DATABASE_URL'] })
await pool.query('SELECT 1')
process.on('SIGINT', () => {
  void pool.end().then(() => process.exit(0))
})
setInterval(() => console.log(pool.totalCount), 50)
