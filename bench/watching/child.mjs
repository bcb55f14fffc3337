// One round of one subject, in a process of its own: what is watched, the scenario, and the server where there is one.
import diagnostics from 'node:diagnostics_channel'
import * as api from '@opentelemetry/api'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics' // prettier-ignore
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { Pool, PoolRegistry } from '../../dist/index.js'
import { instrument } from '../../dist/monitoring/opentelemetry/index.js'
import { renderPrometheus } from '../../dist/monitoring/prometheus/index.js'
import { watchPools } from '../../dist/monitoring/watch/index.js'

const [subject, scenario, connectionString] = process.argv.slice(2)
const registry = new PoolRegistry()
let collect = async () => undefined

/** Everything that asks for numbers now and then, and hears of what is rare. */
function startMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  api.metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
  instrument(registry, { api })
  // A busy second: everything is asked for once in it, however long a run takes.
  collect = async () => {
    await reader.collect()
    renderPrometheus(registry)
  }
  watchPools(registry, {
    logger: () => undefined,
    log: { everyMillis: 60_000 },
    openTelemetry: api,
  })
}

/** Somebody who wants to hear of every single acquire and release. */
function subscribeToAll() {
  for (const event of ['acquireStarted', 'acquired', 'released', 'created', 'destroyed'])
    diagnostics.subscribe(`millpond:${event}`, () => undefined)
}

// An application that is traced pays for that itself, watched or not.
new NodeTracerProvider().register()
if (subject === 'metrics' || subject === 'everything') startMetrics()
if (subject === 'channels' || subject === 'everything') subscribeToAll()

/** CPU of the whole process per operation, in microseconds: what else the machine does is not in it. */
async function measure(work, operations, warmUp) {
  await work(warmUp)
  await collect()
  globalThis.gc?.()
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await work(operations)
  await collect()
  const { user, system } = process.cpuUsage(before)
  return { cpuMicros: (user + system) / operations, millis: performance.now() - startedAt }
}

async function engine() {
  let id = 0
  const pool = registry.register(
    new Pool({ kind: 'postgres', create: async () => ({ id: ++id }), destroy: () => undefined }, { max: 10 }),
  )
  return await measure(
    async (operations) => {
      for (let index = 0; index < operations; index++) {
        const lease = await pool.acquire()
        lease.release()
        // As in a server, timers and I/O get their turn.
        if (index % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    },
    300_000,
    100_000,
  )
}

async function postgres() {
  const { default: pg } = await import('pg')
  const { pgPool } = await import('../../dist/adapters/pg/index.js')
  const pool = registry.register(pgPool(pg, { connectionString, max: 10 }))
  const result = await measure(
    async (queries) => {
      let left = queries
      const worker = async () => {
        while (left-- > 0) await pool.query('SELECT id, name FROM (VALUES (1, $1::text)) AS t (id, name)', ['Ada'])
      }
      // More than connections: callers wait, too.
      await Promise.all(Array.from({ length: 20 }, worker))
    },
    5_000,
    1_500,
  )
  await pool.end()
  return result
}

console.log(JSON.stringify(await (scenario === 'engine' ? engine() : postgres())))
process.exit(0)
