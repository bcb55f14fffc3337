// DATABASE_URL=postgres://… node examples/processes/cluster-before.mjs
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import pg from 'pg'

if (cluster.isPrimary) {
  for (let n = 0; n < Number(process.env.WORKERS ?? 3); n++) cluster.fork()
} else {
  // The default of ten: for each worker.
  const orders = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  const server = createServer(async (request, response) => {
    const { rows } = await orders.query('SELECT pg_backend_pid() AS backend, pg_sleep(0.02)')
    response.end(JSON.stringify({ worker: process.pid, backend: rows[0].backend }))
  })
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}`)
  })
}
