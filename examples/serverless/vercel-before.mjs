import pg from 'pg'

export const orders = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 5, idleTimeoutMillis: 300 })

/** The instance is put to sleep with the answer, and its timers with it: the connection stays open on the server. */
export async function GET(request) {
  const id = new URL(request.url).searchParams.get('id')
  const { rows } = await orders.query('SELECT id, item FROM orders WHERE id = $1', [id])
  return Response.json(rows[0] ?? null, { status: rows.length === 0 ? 404 : 200 })
}
