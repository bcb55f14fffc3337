import pg from 'pg'

/** One address, that of whoever takes writes today. */
export function openStore(config, { primary }) {
  const [host, port] = primary.split(':')
  const pool = new pg.Pool({ ...config, host, port: Number(port), connectionTimeoutMillis: 2_000 })
  pool.on('error', () => undefined)
  return {
    pool,
    async place(item) {
      const { rows } = await pool.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [item])
      return rows[0].id
    },
  }
}
