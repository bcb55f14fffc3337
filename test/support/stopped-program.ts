import pg from 'pg'
import { pgPool } from '../../src/adapters/pg/index.ts'

// Started, stopped and continued by a test. It has ten idle connections, and calls as soon as it goes on.
const pool = pgPool(pg, {
  connectionString: process.env['DATABASE_URL'],
  max: 10,
  validateTimeoutMillis: 500,
  idleTimeoutMillis: 600_000,
  failFastWhenDown: false,
})
let frozen = 0
pool.core.on('frozen', () => frozen++)
const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
for (const client of clients) client.release()

const failures: string[] = []
const pids = new Set<number>()
let calls = 0
async function call(): Promise<void> {
  calls++
  try {
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    pids.add(rows[0]?.pid ?? 0)
  } catch (error) {
    failures.push(String(error))
  }
}

// A timer that is due during the stop fires before anything that has arrived in the meantime is read.
let lastTick = Date.now()
const timer = setInterval(() => {
  const stopped = Date.now() - lastTick > 2_000
  lastTick = Date.now()
  if (!stopped) return
  clearInterval(timer)
  void Promise.all(Array.from({ length: 30 }, call))
    .then(() => Promise.all(Array.from({ length: 30 }, call)))
    .then(() => process.send?.({ calls, failures, pids: [...pids], frozen }))
}, 50)
process.send?.({ ready: true })
