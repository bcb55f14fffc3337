// DATABASE_URL=postgres://… CONNECTIONS=20 node examples/processes/cluster.mjs
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { availableParallelism } from 'node:os'
import pg from 'pg'
import { PoolRegistry, stopServer } from 'millpond'
import { pgPool } from 'millpond/pg'

if (cluster.isPrimary) primary()
else worker()

/** Divides what this machine may have of the server among its workers, and ends them in order. */
function primary() {
  const workers = Number(process.env.WORKERS ?? availableParallelism())
  const max = Math.floor(Number(process.env.CONNECTIONS ?? 20) / workers)
  if (max < 1) throw new Error(`${process.env.CONNECTIONS} connections are too few for ${workers} workers`)
  const start = () => cluster.fork({ POOL_MAX: max })
  for (let n = 0; n < workers; n++) start()

  let isEnding = false
  cluster.on('exit', () => {
    if (!isEnding) start()
  })
  // A terminal sends Ctrl+C to all of them; an orchestrator sends SIGTERM to this one only.
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      isEnding = true
      for (const each of Object.values(cluster.workers)) each.process.kill('SIGTERM')
    })
  }
}

function worker() {
  const registry = new PoolRegistry()
  const orders = registry.register(
    pgPool(pg, {
      name: 'orders',
      connectionString: process.env.DATABASE_URL,
      max: Number(process.env.POOL_MAX),
      connectionTimeoutMillis: 5_000,
    }),
  )
  const server = createServer(async (request, response) => {
    try {
      const { rows } = await orders.query('SELECT pg_backend_pid() AS backend, pg_sleep(0.02)')
      response.end(JSON.stringify({ worker: process.pid, backend: rows[0].backend }))
    } catch (error) {
      response.writeHead(503).end(error.message)
    }
  })
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}`)
  })
  process.on('SIGINT', () => undefined) // the primary decides
  registry.closeOnSignals({ signals: ['SIGTERM'], before: () => stopServer(server) })
}
