/** Uses a pool in both faces and closes it: nothing may keep the process alive. */
import mysql2 from 'mysql2'
import { mysqlPool } from '../../src/adapters/mysql/index.ts'

const pool = mysqlPool(mysql2, { uri: process.env['DATABASE_URL'] as string, connectionLimit: 3, min: 2 })
await Promise.all([1, 2, 3].map(() => pool.promise().query('SELECT SLEEP(0.01)')))
pool.getConnection((_error, connection) => {
  connection.query('SELECT 1', () => {
    connection.release()
    pool.end(() => {
      process.exitCode = 0
    })
  })
})
process.exitCode = 1
