/**
 * `npm run bench:overload -- [--seconds N]`: what a pool on a real PostgreSQL makes of more load than the server can take.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { sleep, startPostgres, type PostgresServer } from '@millpond/rig'
import { PoolError } from 'millpond'
import { pgPool, type PgPoolOptions } from 'millpond/pg'
import { table, writeSection } from '../lib/report.mjs'
import { circumstances } from '../lib/rounds.mjs'
import { median } from '../lib/statistics.mjs'

const MAX = 10
const PATIENCE_MILLIS = 500
const WORK = 'SELECT pg_sleep(0.02)'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, 'report-only': { type: 'boolean', default: false } },
})
const seconds = Number(values.seconds)

const POLICIES: Readonly<Record<string, PgPoolOptions<typeof pg>>> = {
  'as it comes': {},
  'acquireTimeoutMillis: 450': { acquireTimeoutMillis: 450 },
  "admission: 'deadline', 400 ms": { acquireTimeoutMillis: 400, admission: 'deadline' },
  "queue: 'codel'": { queue: 'codel' },
}

interface Outcome {
  readonly policy: string
  readonly load: number
  readonly goodput: number
  readonly wasted: number
  readonly refused: number
  readonly refusedAfter: { readonly p50: number; readonly p99: number }
  readonly answeredAfter: { readonly p50: number; readonly p99: number }
  readonly recoveredAfterMillis: number
}

/** How long the work takes with nobody else about. */
async function serviceMillis(server: PostgresServer): Promise<number> {
  await using pool = pgPool(pg, { ...server.config, max: MAX })
  const times = await Promise.all(
    Array.from({ length: MAX }, async () => {
      const mine: number[] = []
      for (let left = 20; left > 0; left--) {
        const startedAt = performance.now()
        await pool.query(WORK)
        mine.push(performance.now() - startedAt)
      }
      return mine
    }),
  )
  return median(times.flat()) as number
}

async function offerLoad(server: PostgresServer, policy: string, load: number, capacity: number): Promise<Outcome> {
  const pool = pgPool(pg, { ...server.config, max: MAX, min: MAX, ...POLICIES[policy] })
  await pool.ready()
  const answered: number[] = []
  const refused: number[] = []
  let late = 0
  let lastBadAt = 0
  let counts = false
  const caller = async (): Promise<void> => {
    const cameAt = performance.now()
    const isCounted = counts
    try {
      await pool.use((client) => client.query(WORK), { signal: AbortSignal.timeout(PATIENCE_MILLIS) })
      const took = performance.now() - cameAt
      if (took > PATIENCE_MILLIS) lastBadAt = performance.now()
      if (!isCounted) return
      if (took <= PATIENCE_MILLIS) answered.push(took)
      else late++
    } catch (error) {
      lastBadAt = performance.now()
      if (isCounted && error instanceof PoolError) refused.push(performance.now() - cameAt)
    }
  }
  const pending = new Set<Promise<void>>()
  const offer = async (rate: number, millis: number): Promise<void> => {
    const until = performance.now() + millis
    for (let at = performance.now(); at < until;) {
      at += (-Math.log(1 - Math.random()) * 1_000) / rate
      const gap = at - performance.now()
      if (gap > 0) await sleep(gap)
      const one = caller()
      pending.add(one)
      void one.then(() => pending.delete(one))
    }
  }
  await offer(load * capacity, 3_000)
  counts = true
  await offer(load * capacity, seconds * 1_000)
  counts = false
  const overloadedUntil = performance.now()
  await offer(0.5 * capacity, 3_000)
  await Promise.all(pending)
  await pool.close()
  return {
    policy,
    load,
    goodput: answered.length / (capacity * seconds),
    wasted: late / (capacity * seconds),
    refused: refused.length,
    refusedAfter: { p50: quantile(refused, 0.5), p99: quantile(refused, 0.99) },
    answeredAfter: { p50: quantile(answered, 0.5), p99: quantile(answered, 0.99) },
    recoveredAfterMillis: Math.max(0, lastBadAt - overloadedUntil),
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

const file = fileURLToPath(new URL('../results/overload.json', import.meta.url))
if (!values['report-only']) {
  await using server = await startPostgres()
  const service = await serviceMillis(server)
  const capacity = (MAX * 1_000) / service
  const outcomes: Outcome[] = []
  for (const load of [1.2, 1.5, 3]) {
    for (const policy of Object.keys(POLICIES)) {
      outcomes.push(await offerLoad(server, policy, load, capacity))
    }
  }
  writeFileSync(
    file,
    `${JSON.stringify({ circumstances: circumstances(), seconds, service, capacity, outcomes }, null, 1)}\n`,
  )
}

const result = JSON.parse(readFileSync(file, 'utf8')) as {
  circumstances: { date: string; node: string; cores: number }
  seconds: number
  service: number
  capacity: number
  outcomes: Outcome[]
}
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const text = `${result.circumstances.date.slice(0, 10)}, Node ${result.circumstances.node}, ${result.circumstances.cores} cores; ${MAX} connections, ${result.service.toFixed(1)} ms for each piece of work: ${Math.round(result.capacity)} a second; ${result.seconds} s each.

${table(
  [
    'policy',
    'load',
    'goodput',
    'worked for nobody',
    'refused',
    'told after, p50 / p99 ms',
    'answered after, p50 / p99 ms',
    'recovered after, ms',
  ],
  result.outcomes.map((each) => [
    each.policy,
    `${each.load}×`,
    percent(each.goodput),
    percent(each.wasted),
    each.refused,
    each.refused === 0 ? '' : `${each.refusedAfter.p50.toFixed(0)} / ${each.refusedAfter.p99.toFixed(0)}`,
    `${each.answeredAfter.p50.toFixed(0)} / ${each.answeredAfter.p99.toFixed(0)}`,
    Math.round(each.recoveredAfterMillis),
  ]),
)}`
writeSection('overload', text)
console.log(text)
