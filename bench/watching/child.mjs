// All rounds of one scenario, in one process: before every piece the pool begins to be watched in one way, behind it that
// ends, so that all ways run on the same compiled code and the same connections.
import * as api from '@opentelemetry/api'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { Pool, PoolRegistry } from '../../dist/index.js'
import { endWays, WAYS } from './ways.mjs'

const [scenario, roundsText, connectionString, only] = process.argv.slice(2)
const rounds = Number(roundsText)
const subjects = only === undefined ? Object.keys(WAYS) : only.split(',')
const registry = new PoolRegistry()

// An application that is traced pays for that itself, watched or not; its callers run in spans.
new NodeTracerProvider().register()
const tracer = api.trace.getTracer('bench')

/** What is done so many times in a round, and how often before every piece of it: how one is watched has just changed. */
async function scenarioOf(name) {
  if (name === 'engine') {
    let id = 0
    const pool = registry.register(
      new Pool({ kind: 'postgres', create: async () => ({ id: ++id }), destroy: () => undefined }, { max: 10 }),
    )
    const work = async (operations) => {
      for (let index = 0; index < operations; index++) {
        const lease = await pool.acquire()
        lease.release()
        // As in a server, timers and I/O get their turn.
        if (index % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
    return { work, operations: 300_000, warmUp: 20_000, end: () => pool.close() }
  }
  const { default: pg } = await import('pg')
  const { pgPool } = await import('../../dist/adapters/pg/index.js')
  const pool = registry.register(pgPool(pg, { connectionString, max: 10 }))
  const work = async (queries) => {
    let left = queries
    const caller = () =>
      tracer.startActiveSpan('caller', async (span) => {
        while (left-- > 0) await pool.query('SELECT id, name FROM (VALUES (1, $1::text)) AS t (id, name)', ['Ada'])
        span.end()
      })
    // More than connections: callers wait, too.
    await Promise.all(Array.from({ length: 20 }, caller))
  }
  return { work, operations: 20_000, warmUp: 2_000, end: () => pool.end() }
}

const { work, operations, warmUp, end } = await scenarioOf(scenario)

/** A round has so many pieces of every way, in turns: what the machine does besides hits all of them alike. */
const PIECES = 2

/** A piece of a round: CPU of the whole process for an operation, in microseconds, so that nobody else's is in it. */
async function piece(subject) {
  const { once, stop } = await WAYS[subject](registry)
  await work(warmUp)
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await work(operations / PIECES)
  // A scrape and a collection of what the piece has brought, some thirty times as often as in life.
  await once()
  const { user, system } = process.cpuUsage(before)
  const millis = performance.now() - startedAt
  await stop()
  return { cpuMicros: (user + system) / operations, millis }
}

async function runRound(round) {
  const first = round % subjects.length
  const order = [...subjects.slice(first), ...subjects.slice(0, first)]
  const result = Object.fromEntries(subjects.map((subject) => [subject, { cpuMicros: 0, millis: 0 }]))
  for (let part = 0; part < PIECES; part++) {
    for (const subject of part % 2 === 0 ? order : order.toReversed()) {
      const { cpuMicros, millis } = await piece(subject)
      result[subject].cpuMicros += cpuMicros
      result[subject].millis += millis
    }
  }
  return result
}

// Compiled for all of them before anything is measured: of queries, some 40,000 in every way.
for (let round = 0; round < 2; round++) await runRound(round)
const results = []
for (let round = 0; round < rounds; round++) {
  results.push(await runRound(round))
  process.stderr.write(`${scenario}: round ${round + 1} of ${rounds}\n`)
}
await end()
endWays()
console.log(JSON.stringify(results))
process.exit(0)
