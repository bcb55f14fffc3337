import pg from 'pg'
import { definePool, defineRegistry } from 'millpond'
import { pgPool } from 'millpond/pg'

/** Both live on globalThis: however often this module is evaluated, there is one registry, and one pool of each name. */
export const registry = defineRegistry((made) => {
  if (process.env.NODE_ENV === 'production') made.closeOnSignals()
})

const options = { max: Number(process.env.ORDERS_POOL_MAX ?? 5), connectionString: process.env.DATABASE_URL }

export const orders = registry.register(
  definePool('orders', () => pgPool(pg, { name: 'orders', ...options }), options), // other options: another pool
)
