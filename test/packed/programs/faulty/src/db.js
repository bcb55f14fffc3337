import pg from 'pg'

export async function handler(request, response) {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  const client = await pool.connect()
  response.json(await client.query('SELECT 1'))
  client.release()
}
