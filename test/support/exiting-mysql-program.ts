import mysql from 'mysql2'
import { mysqlPool } from '../../src/adapters/mysql/index.ts'

// Ends by `process.exit` with a connection of a real server out (or, told so, back), in the middle of a statement.
const [, , config = '{}', how] = process.argv
const pool = mysqlPool(mysql, { ...(JSON.parse(config) as object), name: 'orders', max: 2 })
await pool.use(async (connection) => {
  await connection.query('SELECT 1')
})
if (how === 'out') {
  pool.getConnection((error, connection) => {
    if (error !== null) throw error
    connection?.query('SELECT SLEEP(5)')
    setImmediate(() => process.exit(3))
  })
} else process.exit(3)
