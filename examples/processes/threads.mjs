// DATABASE_URL=postgres://… CONNECTIONS=6 node examples/processes/threads.mjs
// Sockets belong to the thread that opened them: every worker has a pool of its own, and the sum of their `max` is what counts.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import pg from 'pg'
import { pgPool } from 'millpond/pg'

const JOBS = 60

if (isMainThread) await main()
else await work()

async function main() {
  const threads = Number(process.env.THREADS ?? 3)
  const max = Math.floor(Number(process.env.CONNECTIONS ?? 6) / threads)
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: { max } }))
  const backends = new Set()
  let done = 0
  const finished = new Promise((resolve, reject) => {
    for (const worker of workers) {
      worker.on('error', reject)
      worker.on('message', ({ backend }) => {
        backends.add(backend)
        if (++done === JOBS) resolve()
      })
    }
  })
  for (let job = 0; job < JOBS; job++) workers[job % threads].postMessage({ job })
  // Signals reach the main thread only: it tells the workers.
  process.once('SIGTERM', () => end(workers))
  await finished
  await end(workers)
  console.log(JSON.stringify({ jobs: done, threads, max, backends: backends.size }))
}

async function end(workers) {
  for (const worker of workers) worker.postMessage('close')
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
}

async function work() {
  const pool = pgPool(pg, { connectionString: process.env.DATABASE_URL, max: workerData.max })
  parentPort.on('message', async (message) => {
    if (message === 'close') {
      await pool.close()
      parentPort.close() // nothing is left that keeps this thread alive
      return
    }
    const { rows } = await pool.query('SELECT pg_backend_pid() AS backend, pg_sleep(0.005)')
    parentPort.postMessage({ job: message.job, backend: rows[0].backend })
  })
}
