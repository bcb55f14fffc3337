/**
 * `npm run bench:overload -- [--rounds N] [--seconds N] [--add]`: what a pool on a real PostgreSQL makes of more load than
 * the server can take. A round is every policy at every load, and as many callers as connections and no queue, which is
 * the most that client and server do together at that moment. `--add` adds rounds to those there are.
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

const LOADS = [1.2, 1.5, 3]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    add: { type: 'boolean', default: false },
    'report-only': { type: 'boolean', default: false },
  },
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
  /** Answers in time, a second. */
  readonly answers: number
  /** The most that can be had: of as many callers as connections, in the same round. */
  readonly ceiling: number
  /** `max / service time` in the same round. */
  readonly capacity: number
  /** Leases that ended after their caller had gone, as a share of the capacity. */
  readonly wasted: number
  /** How much of the time connections were not lent, as a share. */
  readonly idle: number
  /** How long the server took for a piece of work meanwhile, in milliseconds, as seen by who held the connection. */
  readonly serviceMillis: number
  /** CPU that the client used, as a share of one core. */
  readonly cpu: number
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

/** What client and server do together with nobody waiting: answers a second. */
async function mostAnswers(server: PostgresServer): Promise<number> {
  await using pool = pgPool(pg, { ...server.config, max: MAX, min: MAX })
  await pool.ready()
  const startedAt = performance.now()
  let answers = 0
  await Promise.all(
    Array.from({ length: MAX }, async () => {
      while (performance.now() - startedAt < seconds * 1_000) {
        await pool.use((client) => client.query(WORK), { signal: AbortSignal.timeout(PATIENCE_MILLIS) })
        answers++
      }
    }),
  )
  return (answers * 1_000) / (performance.now() - startedAt)
}

async function offerLoad(
  server: PostgresServer,
  policy: string,
  load: number,
  { capacity, ceiling }: { capacity: number; ceiling: number },
): Promise<Outcome> {
  const pool = pgPool(pg, { ...server.config, max: MAX, min: MAX, ...POLICIES[policy] })
  await pool.ready()
  const answered: number[] = []
  const refused: number[] = []
  let late = 0
  let lastBadAt = 0
  let counts = false
  let [heldMillis, served] = [0, 0]
  let [countedFrom, countedUntil] = [Infinity, Infinity]
  const caller = async (): Promise<void> => {
    const cameAt = performance.now()
    const isCounted = counts
    try {
      await pool.use(
        async (client) => {
          const heldAt = performance.now()
          await client.query(WORK)
          heldMillis += Math.max(0, Math.min(performance.now(), countedUntil) - Math.max(heldAt, countedFrom))
          if (counts) served++
        },
        { signal: AbortSignal.timeout(PATIENCE_MILLIS) },
      )
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
  await offer(load * capacity, 2_000)
  counts = true
  const cpuBefore = process.cpuUsage()
  countedFrom = performance.now()
  await offer(load * capacity, seconds * 1_000)
  counts = false
  const { user, system } = process.cpuUsage(cpuBefore)
  countedUntil = performance.now()
  const millis = countedUntil - countedFrom
  await offer(0.5 * capacity, 2_000)
  await Promise.all(pending)
  await pool.close()
  return {
    policy,
    load,
    answers: (answered.length * 1_000) / millis,
    ceiling,
    capacity,
    wasted: (late * 1_000) / millis / capacity,
    idle: 1 - heldMillis / (MAX * millis),
    serviceMillis: heldMillis / served,
    cpu: (user + system) / 1_000 / millis,
    refused: refused.length,
    refusedAfter: { p50: quantile(refused, 0.5), p99: quantile(refused, 0.99) },
    answeredAfter: { p50: quantile(answered, 0.5), p99: quantile(answered, 0.99) },
    recoveredAfterMillis: Math.max(0, lastBadAt - countedUntil),
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

/** Every policy at every load, beginning with another one in every round. */
async function runRound(server: PostgresServer, round: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const policies = Object.keys(POLICIES)
  for (const load of LOADS) {
    const capacity = (MAX * 1_000) / (await serviceMillis(server))
    const ceiling = await mostAnswers(server)
    for (let index = 0; index < policies.length; index++) {
      const policy = policies[(index + round) % policies.length] as string
      outcomes.push(await offerLoad(server, policy, load, { capacity, ceiling }))
    }
  }
  return outcomes
}

interface Results {
  readonly circumstances: readonly { readonly date: string; readonly node: string; readonly cores: number }[]
  readonly seconds: number
  readonly rounds: readonly (readonly Outcome[])[]
}

const file = fileURLToPath(new URL('../results/overload.json', import.meta.url))
const read = (): Results => JSON.parse(readFileSync(file, 'utf8')) as Results
if (!values['report-only']) {
  await using server = await startPostgres()
  const before = values.add ? read() : undefined
  const rounds: (readonly Outcome[])[] = [...(before?.rounds ?? [])]
  const added = Number(values.rounds)
  for (let round = 0; round < added; round++) rounds.push(await runRound(server, rounds.length))
  const measured = { circumstances: [...(before?.circumstances ?? []), circumstances()], seconds, rounds }
  writeFileSync(file, `${JSON.stringify(measured, null, 1)}\n`)
}

const { circumstances: when, rounds, seconds: length } = read()
const all = rounds.flat()
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const rows = LOADS.flatMap((load) =>
  Object.keys(POLICIES).map((policy) => {
    const runs = all.filter((run) => run.load === load && run.policy === policy)
    const middle = (pick: (run: Outcome) => number): number => median(runs.map(pick)) as number
    const times = (pick: (run: Outcome) => { readonly p50: number; readonly p99: number }): string =>
      `${middle((run) => pick(run).p50).toFixed(0)} / ${middle((run) => pick(run).p99).toFixed(0)}`
    return [
      policy,
      `${load}×`,
      percent(middle(({ answers, capacity }) => answers / capacity)),
      percent(middle(({ answers, ceiling }) => answers / ceiling)),
      percent(middle(({ wasted }) => wasted)),
      percent(middle(({ idle }) => idle)),
      middle(({ serviceMillis: took }) => took).toFixed(1),
      percent(middle(({ cpu }) => cpu)),
      Math.round(middle(({ refused }) => refused)),
      middle(({ refused }) => refused) === 0 ? '' : times(({ refusedAfter }) => refusedAfter),
      times(({ answeredAfter }) => answeredAfter),
      Math.round(middle(({ recoveredAfterMillis }) => recoveredAfterMillis)),
    ]
  }),
)
const head = [
  'policy',
  'load',
  'of max / service',
  'of the ceiling',
  'worked for nobody',
  'idle',
  'each took, ms',
  'client CPU',
  'refused',
  'told after, p50 / p99 ms',
  'answered after, p50 / p99 ms',
  'recovered after, ms',
]
const last = when.at(-1)
const shares = all.map(({ ceiling, capacity }) => ceiling / capacity)
const text = `${last?.date.slice(0, 10)}, Node ${last?.node}, ${last?.cores} cores; ${MAX} connections, ${((MAX * 1_000) / (median(all.map(({ capacity }) => capacity)) as number)).toFixed(1)} ms for each piece of work: ${Math.round(median(all.map(({ capacity }) => capacity)) as number)} a second; medians of ${rounds.length} rounds of ${length} s each. The ceiling is ${percent(median(shares) as number)} of that (${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}).

${table(head, rows)}`
writeSection('overload', text)
console.log(text)
