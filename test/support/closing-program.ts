import pg from 'pg'
import { pgPool } from '../../src/adapters/pg/index.ts'

// Told over its IPC channel that its network is silent, it closes its pool, says what is left, and must then end by itself.
const EVENTS = ['uncaughtException', 'unhandledRejection', 'exit', 'beforeExit', 'SIGINT', 'SIGTERM', 'SIGCONT']
const listeners = (): number => EVENTS.reduce((sum, event) => sum + process.listenerCount(event), 0)
const before = listeners()

const pool = pgPool(pg, {
  connectionString: process.env['DATABASE_URL'],
  max: 4,
  failFastWhenDown: false,
  acquireTimeoutMillis: 2_000,
})
const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
await Promise.all(clients.map((client) => client.query('SELECT 1')))

const silent = new Promise((resolve) => process.once('message', resolve))
process.send?.('connected')
await silent
process.disconnect()

const running = clients.map((client) => client.query('SELECT 1').catch(() => undefined))
const waiting = pool.connect().catch(() => undefined)
await pool.close({ timeoutMillis: 200, waiters: 'reject' })
await Promise.all([waiting, ...running])
setImmediate(() => {
  console.log(JSON.stringify({ listeners: listeners() - before, handles: process.getActiveResourcesInfo() }))
})
