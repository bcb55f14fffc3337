/** npm run bench:watching -- --rounds 15: makes bench/results/watching.json and its section of bench/README.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '@millpond/rig'
import { figure, table, writeSection } from '../lib/report.mjs'
import { circumstances, runChild } from '../lib/rounds.mjs'
import { median, medianInterval } from '../lib/statistics.mjs'

interface Figures {
  readonly cpuMicros: number
  readonly millis: number
}

const NAMES = {
  nothing: 'nobody watches',
  findings: '`watchPools`: events, slow operations with their trace, history',
  prometheus: 'a scrape of Prometheus',
  openTelemetry: '`instrument`: OpenTelemetry’s metrics, and long waits in traces',
  producer: 'the same, with `durationProducer`',
  channels: 'a subscriber to every acquire and release',
  dashboard: 'the dashboard, with somebody who looks at it',
  everything: 'all of these (durations from the producer)',
} as const
type Subject = keyof typeof NAMES
const SUBJECTS = Object.keys(NAMES) as Subject[]

function argument(name: string): string | undefined {
  const index = process.argv.indexOf(name)
  return index === -1 ? undefined : process.argv[index + 1]
}

const rounds = Number(argument('--rounds') ?? 15)
/** One scenario alone; of the others the last results are kept. */
const only = argument('--only')
const program = fileURLToPath(new URL('./child.mjs', import.meta.url))
const RESULTS = fileURLToPath(new URL('../results/watching.json', import.meta.url))

type Round = Partial<Record<Subject, Figures>>
interface Results {
  readonly rounds: number
  readonly loadAverage: readonly number[]
  readonly raw: readonly Round[]
}

/** What is run, how many times the rounds, and which ways of being watched; in a pair, nothing and all stand side by side. */
const SCENARIOS = { engine: [1], postgres: [1], pair: [2, 'nothing,everything'] } as const
type Scenario = keyof typeof SCENARIOS

const results: Partial<Record<Scenario, Results>> =
  only === undefined
    ? {}
    : (JSON.parse(readFileSync(RESULTS, 'utf8')) as { results: Partial<Record<Scenario, Results>> }).results
{
  await using server = await startPostgres()
  for (const [scenario, [times, ways]] of Object.entries(SCENARIOS) as [Scenario, readonly [number, string?]][]) {
    if (only !== undefined && scenario !== only) continue
    const name = scenario === 'pair' ? 'postgres' : scenario
    const args = [name, String(rounds * times), server.connectionString, ...(ways === undefined ? [] : [ways])]
    const raw = (await runChild(program, args, 900_000)) as Round[]
    results[scenario] = { rounds: rounds * times, loadAverage: circumstances().loadAverage, raw }
  }
}

function section(scenario: Scenario, unit: string, scale: number): string {
  const { raw = [], rounds: times, loadAverage } = results[scenario] ?? {}
  const of = (round: Round, subject: Subject): number => round[subject]?.cpuMicros ?? NaN
  const rows = SUBJECTS.filter((subject) => raw[0]?.[subject] !== undefined).map((subject) => {
    const own = raw.map((round) => of(round, subject))
    const ratios = raw.map((round) => of(round, subject) / of(round, 'nothing'))
    const [low = NaN, high = NaN] = medianInterval(ratios) as number[]
    const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`
    const dearer =
      subject === 'nothing' ? '' : `${percent(median(ratios) as number)} (${percent(low)} – ${percent(high)})`
    return [NAMES[subject], figure((median(own) as number) * scale) as string, dearer]
  })
  return table([`${times} rounds, load ${loadAverage?.[0]}`, `CPU, ${unit}`, 'dearer (95 %)'], rows)
}

const where = circumstances()
writeFileSync(RESULTS, `${JSON.stringify({ ...where, results }, null, 1)}\n`)
writeSection(
  'watching',
  `${where.date.slice(0, 10)}, Node ${where.node}, ${where.cores} cores; medians of interleaved rounds in one process, ratios within a round with the 95 %
bootstrap interval of their median. A round has two pieces of every way in turns; before each the pool begins to be watched
in that way, behind it that ends.
OpenTelemetry's tracing is registered throughout, and callers of the database run in spans: that is the application's cost.
Prometheus and OpenTelemetry are asked at the end of every piece, and the dashboard moves four times a second, which is many
times as often as in life.

A query on PostgreSQL, 20 callers over 10 connections, 20,000 queries a round, CPU of the client process. Nothing and all,
side by side:

${section('pair', 'µs', 1)}

Each way by itself:

${section('postgres', 'µs', 1)}

An acquire and a release of the engine alone, 300,000 a round:

${section('engine', 'ns', 1_000)}`,
)
