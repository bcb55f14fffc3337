import { waitUntil } from '@vercel/functions'
import pg from 'pg'
import { definePool, defineRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

export const registry = defineRegistry()
export const orders = registry.register(
  definePool('orders', () =>
    pgPool(pg, {
      name: 'orders',
      connectionString: process.env.DATABASE_URL,
      max: 5, // one instance handles several requests at a time
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: Number(process.env.IDLE_MILLIS ?? 5_000),
    }),
  ),
)

/** A route: `app/orders/[id]/route.js`. */
export async function GET(request) {
  try {
    const id = new URL(request.url).searchParams.get('id')
    const { rows } = await orders.query('SELECT id, item FROM orders WHERE id = $1', [id])
    return Response.json(rows[0] ?? null, { status: rows.length === 0 ? 404 : 200 })
  } finally {
    // The instance stays awake until its idle connections are closed, and is then put to sleep without any.
    waitUntil(registry.untilEmpty({ timeoutMillis: 10_000 }))
  }
}
