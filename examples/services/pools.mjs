import pg from 'pg'
import { PoolRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

/** The pools of the service: made once, at the top of a module. Nothing connects before the first request. */
export const registry = new PoolRegistry()

export const orders = registry.register(
  pgPool(pg, {
    name: 'orders',
    connectionString: process.env.DATABASE_URL,
    max: 10,
    connectionTimeoutMillis: 5_000, // the longest that a request waits for a connection
    statement_timeout: 10_000, // the longest that the server works on one statement
  }),
  { required: true },
)

export async function findOrder(id) {
  const { rows } = await orders.query('SELECT id, item FROM orders WHERE id = $1', [id])
  return rows[0]
}

/** Both rows or none: whatever fails in the callback rolls back, and the connection is back in any case. */
export async function placeOrder({ item, address }) {
  return await orders.transaction(async (client) => {
    const { rows } = await client.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item])
    await client.query('INSERT INTO shipments (order_id, address) VALUES ($1, $2)', [rows[0].id, address])
    return rows[0].id
  })
}
