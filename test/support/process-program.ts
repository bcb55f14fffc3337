import pg from 'pg'
import { pgPool } from '../../src/adapters/pg/index.ts'

// One of several processes that share a server; started, killed and told to end by a test.
const max = Number(process.env['POOL_MAX'])
const maxOverflow = Number(process.env['POOL_OVERFLOW'])
const pool = pgPool(pg, {
  connectionString: process.env['DATABASE_URL'],
  application_name: process.env['APPLICATION_NAME'],
  max,
  maxOverflow,
  failFastWhenDown: false,
  acquireTimeoutMillis: 5_000,
  idleTimeoutMillis: 500,
})

/** What counts against the server: open, being opened, given up but not settled. */
let most = 0
const problems: string[] = []
const look = (): void => {
  const { total, creating, zombies } = pool.stats()
  most = Math.max(most, total + creating + zombies)
  if (total + creating > max + maxOverflow || zombies > 16)
    problems.push(`${total} open, ${creating} creating, ${zombies} zombies`)
}
for (const event of ['createStarted', 'created', 'createFailed', 'destroyed', 'acquired', 'released'] as const) {
  pool.core.on(event, look)
}

let [ok, failed] = [0, 0]
async function work(): Promise<void> {
  try {
    await pool.query('SELECT pg_sleep($1)', [Math.random() * 0.06])
    ok++
  } catch {
    failed++
  }
}
// Bursts beyond what the pool may open, with pauses in which it shrinks.
const timer = setInterval(() => {
  for (let caller = Math.random() < 0.3 ? 3 * max : 2; caller > 0; caller--) void work()
}, 40)

const tell = setInterval(() => {
  const { total, creating, zombies } = pool.stats()
  process.send?.({ open: total, creating, zombies, most, ok, failed, problems: problems.splice(0) })
}, 50)

process.on('message', (message) => {
  if (message !== 'end') return
  clearInterval(timer)
  clearInterval(tell)
  void pool.close({ timeoutMillis: 2_000 }).then((report) => {
    process.send?.({ open: 0, creating: 0, zombies: 0, most, ok, failed, problems, report })
    process.disconnect()
  })
})
process.on('disconnect', () => process.exit())
