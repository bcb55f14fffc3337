/** npm run bench:watching -- --rounds 15: makes bench/results/watching.json and its section of bench/README.md. */
import { writeFileSync } from 'node:fs'
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

const index = process.argv.indexOf('--rounds')
const rounds = index === -1 ? 15 : Number(process.argv[index + 1])
const program = fileURLToPath(new URL('./child.mjs', import.meta.url))

const raw: Record<string, Record<Subject, Figures>[]> = {}
{
  await using server = await startPostgres()
  for (const scenario of ['engine', 'postgres'])
    raw[scenario] = (await runChild(program, [scenario, String(rounds), server.connectionString], 600_000)) as Record<
      Subject,
      Figures
    >[]
}

function section(scenario: string, unit: string, scale: number): string {
  const results = raw[scenario] ?? []
  const rows = SUBJECTS.map((subject) => {
    const own = results.map((round) => round[subject].cpuMicros)
    const ratios = results.map((round) => round[subject].cpuMicros / round.nothing.cpuMicros)
    const [low = NaN, high = NaN] = medianInterval(ratios) as number[]
    const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`
    const dearer =
      subject === 'nothing' ? '' : `${percent(median(ratios) as number)} (${percent(low)} – ${percent(high)})`
    return [NAMES[subject], figure((median(own) as number) * scale) as string, dearer]
  })
  return table(['', `CPU, ${unit}`, 'dearer (95 %)'], rows)
}

const where = circumstances()
writeFileSync(
  fileURLToPath(new URL('../results/watching.json', import.meta.url)),
  `${JSON.stringify({ ...where, rounds, raw }, null, 1)}\n`,
)
writeSection(
  'watching',
  `${where.date.slice(0, 10)}, Node ${where.node}, ${where.cores} cores (load ${where.loadAverage[0]}); medians of ${rounds} interleaved rounds in one
process, ratios within a round with the 95 % bootstrap interval of their median. Before every block the pool begins to be
watched in one way, behind it that ends. OpenTelemetry's tracing is registered throughout, and callers of the database run in
spans: that is the application's cost. Prometheus and OpenTelemetry are asked once a block, which is several times as often as
in life.

A query on PostgreSQL, 20 callers over 10 connections, blocks of 20,000 queries, CPU of the client process:

${section('postgres', 'µs', 1)}

An acquire and a release of the engine alone, blocks of 300,000:

${section('engine', 'ns', 1_000)}`,
)
