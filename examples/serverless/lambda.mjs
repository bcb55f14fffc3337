import pg from 'pg'
import { PoolRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

// Outside of the handler: made once for each execution environment, and kept through its sleep.
const registry = new PoolRegistry()
const orders = registry.register(
  pgPool(pg, {
    name: 'orders',
    connectionString: process.env.DATABASE_URL,
    max: 1, // one environment handles one event at a time
    connectionTimeoutMillis: 3_000, // below the timeout of the function, so that the error says why
    validateTimeoutMillis: 500, // a connection that does not answer after a sleep is replaced this soon
    idleTimeoutMillis: 60_000,
  }),
)
orders.core.on('frozen', ({ gapMillis }) => console.log(`slept for ${Math.round(gapMillis)} ms`))

// SIGTERM comes only where an extension is registered, a few hundred milliseconds before the end.
registry.closeOnSignals({ timeoutMillis: 250 })

export async function handler(event) {
  const { rows } = await orders.query('SELECT $1::int + 1 AS answer, pg_backend_pid() AS backend', [event.number])
  return rows[0]
}
