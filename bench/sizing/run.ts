/**
 * `npm run bench:sizing -- --mix locking|computing|waiting`: what PostgreSQL gets done with pools of several sizes, the size that
 * `advise` gives, where `autosize` comes to rest, and whether it keeps still beside another process. Four minutes each;
 * `--report-only` makes the tables anew.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { sleep, startPostgres, type PostgresServer } from '@millpond/rig'
import { pgPool } from 'millpond/pg'
import { advise, autosize } from 'millpond/sizing'
import { figure, table, writeSection } from '../lib/report.mjs'
import { circumstances } from '../lib/rounds.mjs'
import { median, medianInterval, mulberry32 } from '../lib/statistics.mjs'
import { Callers, MIXES, throughputOf, type LoadedPool, type Mix } from './load.ts'

const SIZES = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32]
const MOST = 32
const CALLERS = 48

const { values } = parseArgs({
  options: {
    mix: { type: 'string', default: 'computing' },
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '60' },
    'report-only': { type: 'boolean', default: false },
  },
})

interface Advised {
  readonly recommended: number
  readonly verdicts: readonly string[]
  readonly knee: { readonly byThroughput?: number | undefined; readonly byUseTime?: number | undefined } | undefined
}

interface Tuned {
  readonly moves: readonly { readonly afterSeconds: number; readonly to: number }[]
  readonly limits: { readonly least: number; readonly most: number }
  readonly base: number
}

interface Result {
  readonly circumstances: ReturnType<typeof circumstances>
  readonly title: string
  readonly curve: Readonly<Record<string, readonly number[]>>
  readonly advised: readonly Advised[]
  readonly best: number
  readonly advisedSize: number
  readonly final: Readonly<Record<'best' | 'advised' | 'largest', readonly number[]>>
  readonly tuned: Tuned
  readonly tunedFinal: Readonly<Record<'tuned' | 'best', readonly number[]>>
  readonly beside: { readonly moves: number; readonly limit: number | null; readonly limitAfterwards: number | null }
}

const random = mulberry32(20)

async function makePool(server: PostgresServer, max: number): Promise<LoadedPool> {
  const pool = pgPool(pg, { ...server.config, max, min: max, application_name: 'bench' })
  await pool.ready()
  return pool
}

/** Blocks of these pools, in another order in every round. */
async function compare<K extends string>(
  pools: Readonly<Record<K, LoadedPool>>,
  mix: Mix,
  rounds: number,
): Promise<Record<K, number[]>> {
  const names = Object.keys(pools) as K[]
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of names.map((each) => ({ each, at: random() })).sort((a, b) => a.at - b.at))
      // prettier-ignore
      rates[name.each].push(await throughputOf(pools[name.each], mix, { callers: CALLERS, millis: 1_500, random }))
    process.stderr.write(`round ${round + 1} of ${rounds}\n`)
  }
  return rates
}

/** A day in a quarter of a minute: callers come and go, from one to more than the pool has. */
async function adviseOn(server: PostgresServer, mix: Mix): Promise<Advised> {
  const pool = await makePool(server, MOST)
  const load = new Callers(pool, mix, random)
  const advisor = advise(pool, { serverLimit: 200, serverCores: circumstances().cores })
  for (let step = 0; step < 40; step++) {
    load.count = 1 + Math.floor(random() * CALLERS)
    await sleep(400)
  }
  const { recommended, findings, knee } = advisor.advice()
  advisor.stop()
  await load.stop()
  await pool.close()
  return { recommended, verdicts: findings.map(({ verdict }) => verdict), knee }
}

async function tune(
  pool: LoadedPool,
  mix: Mix,
  seconds: number,
): Promise<Tuned & { readonly tuner: ReturnType<typeof autosize> }> {
  const startedAt = performance.now()
  const moves: { afterSeconds: number; to: number }[] = []
  const tuner = autosize(pool, {
    alone: true,
    onMove: ({ to }) => moves.push({ afterSeconds: (performance.now() - startedAt) / 1_000, to }),
  })
  const load = new Callers(pool, mix, random)
  load.count = CALLERS
  let [least, most] = [Infinity, 0]
  while (performance.now() - startedAt < seconds * 1_000) {
    await sleep(100)
    if (!Number.isFinite(tuner.limit)) continue
    ;[least, most] = [Math.min(least, tuner.limit), Math.max(most, tuner.limit)]
  }
  await load.stop()
  return { tuner, moves, limits: { least, most }, base: tuner.base }
}

/** A process of its own works on the server; the tuner counts its connections and must not act. */
async function besideAnother(server: PostgresServer, mix: Mix): Promise<Result['beside']> {
  const neighbour = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('./neighbour.ts', import.meta.url)), server.connectionString],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  await new Promise((resolve) => neighbour.stdout.once('data', resolve))
  const pool = await makePool(server, MOST)
  const load = new Callers(pool, mix, random)
  load.count = CALLERS
  const asking = new pg.Client({ ...server.config, application_name: 'bench' })
  await asking.connect()
  const tuner = autosize(pool, {
    others: async () => {
      const { rows } = await asking.query<{ others: number }>(
        `SELECT count(*)::int AS others FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'bench'`,
      )
      return rows[0]?.others ?? 1
    },
  })
  await sleep(12_000)
  const [moves, limit] = [tuner.moves.length, finite(tuner.limit)]
  neighbour.stdin.end()
  await new Promise((resolve) => neighbour.once('exit', resolve))
  await sleep(7_000)
  const limitAfterwards = finite(tuner.limit)
  tuner.stop()
  await load.stop()
  await pool.close()
  await asking.end()
  return { moves, limit, limitAfterwards }
}

/** JSON has no Infinity; no limit is null. */
const finite = (limit: number): number | null => (Number.isFinite(limit) ? limit : null)

const file = (mix: string): string => fileURLToPath(new URL(`../results/sizing-${mix}.json`, import.meta.url))

async function measure(name: string): Promise<void> {
  const mix = MIXES[name]
  if (mix === undefined) throw new Error(`there is no mix "${name}"; there are ${Object.keys(MIXES).join(', ')}`)
  await using server = await startPostgres({ settings: { max_connections: 250 } })
  const pools: Record<string, LoadedPool> = {}
  for (const each of SIZES) pools[each] = await makePool(server, each)
  const curve = await compare(pools, mix, Number(values.rounds))
  const best = SIZES.reduce((most, each) => (rateOf(curve, each) > rateOf(curve, most) ? each : most))
  const advised: Advised[] = []
  for (let run = 0; run < 3; run++) advised.push(await adviseOn(server, mix))
  const advisedSize = median(advised.map(({ recommended }) => recommended)) as number
  pools[advisedSize] ??= await makePool(server, advisedSize)
  const pick = (size: number): LoadedPool => pools[size] ?? raise()
  const final = await compare({ best: pick(best), advised: pick(advisedSize), largest: pick(MOST) }, mix, 8)
  const { tuner, ...tuned } = await tune(pick(MOST), mix, Number(values.seconds))
  const tunedFinal = await compare({ tuned: pick(MOST), best: pick(best) }, mix, 6)
  tuner.stop()
  const beside = await besideAnother(server, mix)
  for (const pool of Object.values(pools)) await pool.close()
  const result: Result = { circumstances: circumstances(), title: mix.title, curve, advised, best, advisedSize, final, tuned, tunedFinal, beside } // prettier-ignore
  writeFileSync(file(name), `${JSON.stringify(result, null, 1)}\n`)
}

const rateOf = (curve: Result['curve'], size: number): number => median([...(curve[size] ?? [])]) as number

function raise(): never {
  throw new Error('there is no pool of this size')
}

/** A share of the best, within each round, with its interval. */
function shareOf(subject: readonly number[], best: readonly number[]): string {
  const ratios = subject.map((rate, round) => rate / (best[round] ?? NaN))
  const [low = NaN, high = NaN] = medianInterval(ratios) as number[]
  const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`
  return `${percent(median(ratios) as number)} (${percent(low)} – ${percent(high)})`
}

function section(name: string): string {
  const { circumstances: where, title, curve, advised, best, advisedSize, final, tuned, tunedFinal, beside } = JSON.parse(readFileSync(file(name), 'utf8')) as Result // prettier-ignore
  const most = rateOf(curve, best)
  const rates = SIZES.map((size) => rateOf(curve, size))
  const recommended = advised.map((each) => each.recommended).join(', ')
  const verdicts = [...new Set(advised.flatMap((each) => each.verdicts))].join(', ')
  const path = tuned.moves.map(({ to }) => to).join(' → ')
  const last = tuned.moves.at(-1)
  return `**${title}.** ${where.date.slice(0, 10)}, Node ${where.node}, ${where.cores} cores that server and callers share (load ${where.loadAverage[0]}); ${CALLERS} callers, medians of ${curve[best]?.length ?? 0} interleaved rounds.

${table(
  ['connections', ...SIZES.map(String)],
  [
    ['served a second', ...rates.map((rate) => figure(rate) as string)],
    ['of the best', ...rates.map((rate) => `${((rate / most) * 100).toFixed(0)} %`)],
  ],
)}

- \`advise\`, three times, on a pool of ${MOST} and callers who come and go: ${recommended} (${verdicts}). A pool of ${advisedSize} serves ${shareOf(final.advised, final.best)} of what one of ${best}, the best of the table, does in the same rounds; one of ${MOST} ${shareOf(final.largest, final.best)}.
- \`autosize\`, alone, from ${MOST}: ${MOST} → ${path}${last === undefined ? '' : `, the last move after ${last.afterSeconds.toFixed(0)} s`}; limits from ${tuned.limits.least} to ${tuned.limits.most}. Then ${shareOf(tunedFinal.tuned, tunedFinal.best)} of what ${best} do.
- \`autosize\` beside another process with 4 connections: ${beside.moves} moves in 12 s, ${beside.limit === null ? 'every lease allowed' : `${beside.limit} leases allowed`}; when that process has gone, ${beside.limitAfterwards === null ? 'every lease allowed' : `it begins (${beside.limitAfterwards} leases)`}.`
}

if (!values['report-only']) await measure(values.mix)
const text = Object.keys(MIXES)
  .filter((name) => existsSync(file(name)))
  .map(section)
  .join('\n\n')
writeSection('sizing', text)
console.log(text)
