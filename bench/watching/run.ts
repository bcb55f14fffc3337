/** npm run bench:watching -- --rounds 15: makes bench/results/watching.json and its section of bench/README.md. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '@millpond/rig'
import { figure, table, writeSection } from '../lib/report.mjs'
import { circumstances, runRounds } from '../lib/rounds.mjs'
import { median, medianInterval } from '../lib/statistics.mjs'

interface Figures {
  readonly cpuMicros: number
  readonly millis: number
}

const SUBJECTS = ['nothing', 'metrics', 'channels', 'everything'] as const
const NAMES: Readonly<Record<(typeof SUBJECTS)[number], string>> = {
  nothing: 'nobody watches',
  metrics: 'watchPools, and one scrape of Prometheus and of OpenTelemetry',
  channels: 'a subscriber to every acquire and release',
  everything: 'all of these',
}

const index = process.argv.indexOf('--rounds')
const rounds = index === -1 ? 15 : Number(process.argv[index + 1])
const program = fileURLToPath(new URL('./child.mjs', import.meta.url))
await using server = await startPostgres()

const raw: Record<string, Record<string, Figures>[]> = {}
for (const [scenario, times] of [
  ['postgres', rounds],
  ['engine', Math.min(rounds, 5)],
] as const)
  raw[scenario] = (await runRounds({
    subjects: [...SUBJECTS],
    rounds: times,
    program,
    args: (subject: string) => [subject, scenario, server.connectionString],
  })) as Record<string, Figures>[]

function section(scenario: string, unit: string, scale: number): string {
  const results = raw[scenario] ?? []
  const rows = SUBJECTS.map((subject) => {
    const own = results.map((round) => round[subject]?.cpuMicros ?? NaN)
    const ratios = results.map((round) => (round[subject]?.cpuMicros ?? NaN) / (round['nothing']?.cpuMicros ?? NaN))
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
  `${where.date.slice(0, 10)}, Node ${where.node}, ${where.cores} cores (load ${where.loadAverage[0]}); medians of ${rounds} interleaved rounds (5 of the engine), each subject in a
process of its own, ratios within a round with the 95 % bootstrap interval of their median. Every subject has OpenTelemetry's tracing registered: that is
the application's cost.

An acquire and a release of the engine alone, 300,000 of them:

${section('engine', 'ns', 1_000)}

A query on PostgreSQL, 20 callers over 10 connections, 5,000 queries, CPU of the client process:

${section('postgres', 'µs', 1)}`,
)
