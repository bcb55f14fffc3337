import pg from 'pg'

const orders = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1, connectionTimeoutMillis: 3_000 })
orders.on('error', (error) => console.log(error.message))

export async function handler(event) {
  const { rows } = await orders.query('SELECT $1::int + 1 AS answer, pg_backend_pid() AS backend', [event.number])
  return rows[0]
}
