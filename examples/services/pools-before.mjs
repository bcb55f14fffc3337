import pg from 'pg'

// As many guides have it: no deadline, and a connection that comes back only where nothing fails.
export const orders = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 2 })

export async function findOrder(id) {
  const { rows } = await orders.query('SELECT id, item FROM orders WHERE id = $1', [id])
  return rows[0]
}

export async function placeOrder({ item, address }) {
  const client = await orders.connect()
  await client.query('BEGIN')
  const { rows } = await client.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item])
  await client.query('INSERT INTO shipments (order_id, address) VALUES ($1, $2)', [rows[0].id, address])
  await client.query('COMMIT')
  client.release()
  return rows[0].id
}

process.on('SIGINT', () => orders.end().then(() => process.exit(0))) // and nobody hears SIGTERM
