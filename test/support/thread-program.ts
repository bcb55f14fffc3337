import { parentPort } from 'node:worker_threads'
import pg from 'pg'
import { pgPool } from '../../src/adapters/pg/index.ts'

// One of several threads that share a server: tells which backends it had, and ends by itself.
const pool = pgPool(pg, {
  connectionString: process.env['DATABASE_URL'],
  application_name: process.env['APPLICATION_NAME'],
  max: 4,
})
const answers = await Promise.all(
  Array.from({ length: 20 }, () => pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.05)')),
)
const pids = [...new Set(answers.map(({ rows }) => rows[0]?.pid ?? 0))]
await pool.close()
parentPort?.postMessage(pids)
