// DATABASE_URL=postgres://… node examples/processes/threads-before.mjs
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import pg from 'pg'

const [JOBS, THREADS] = [60, 3]

if (isMainThread) {
  const workers = Array.from({ length: THREADS }, () => new Worker(new URL(import.meta.url)))
  const backends = new Set()
  let done = 0
  for (const worker of workers) {
    worker.on('message', async ({ backend }) => {
      backends.add(backend)
      if (++done < JOBS) return
      console.log(JSON.stringify({ jobs: done, threads: THREADS, backends: backends.size }))
      // Nothing ends by itself: each thread has a pool of its own that is open.
      for (const each of workers) await each.terminate()
    })
  }
  for (let job = 0; job < JOBS; job++) workers[job % THREADS].postMessage({ job })
} else {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  parentPort.on('message', async () => {
    const { rows } = await pool.query('SELECT pg_backend_pid() AS backend, pg_sleep(0.005)')
    parentPort.postMessage({ backend: rows[0].backend })
  })
}
