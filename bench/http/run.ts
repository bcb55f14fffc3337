/** `npm run bench:http -- [--rounds N] [--millis N]`: makes bench/results/http.json, and the tables of bench/README.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startHttp } from '@millpond/rig'
import { figure, table, writeSection } from '../lib/report.mjs'
import { circumstances, runRounds } from '../lib/rounds.mjs'
import { median, medianInterval } from '../lib/statistics.mjs'
import { PAIRS, SUBJECTS } from './subjects.mjs'

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMicros: number
}
type Round = Readonly<Record<string, Readonly<Record<string, Figures>>>>
interface Results {
  readonly circumstances: { date: string; node: string; cores: number; loadAverage: readonly number[] }
  readonly rounds: readonly Round[]
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    millis: { type: 'string', default: '700' },
    only: { type: 'string', multiple: true },
    'report-only': { type: 'boolean', default: false },
  },
})
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const file = here('../results/http.json')

async function run(): Promise<Results> {
  await using server = await startHttp()
  const rounds = (await runRounds({
    subjects: Object.keys(SUBJECTS).filter((name) => values.only?.includes(name) ?? true),
    rounds: Number(values.rounds),
    program: here('./child.mjs'),
    args: (subject: string) => [subject, server.origin, values.millis],
  })) as unknown as Round[]
  return { circumstances: circumstances(), rounds } as unknown as Results
}

/** Of all rounds, and of the pair within each round. */
function report({ circumstances: when, rounds }: Results): string {
  const names = Object.keys(rounds[0] ?? {})
  const parts = [
    `${when.date.slice(0, 10)}, Node ${when.node}, ${when.cores} cores, load ${when.loadAverage.join(' / ')} at the end; medians of ${rounds.length} interleaved rounds.`,
  ]
  for (const concurrency of ['10', '100']) {
    const of = (name: string, key: keyof Figures): number[] =>
      rounds.map((round) => round[name]?.[concurrency]?.[key] ?? NaN)
    parts.push(
      table(
        [`${concurrency} requests at a time`, 'requests/s', 'p50 ms', 'p99 ms', 'client CPU µs/request'],
        names.map((name) => [
          name,
          ...(['perSecond', 'p50', 'p99', 'cpuMicros'] as const).map((key) => figure(median(of(name, key)))),
        ]),
      ),
    )
    const pairs = PAIRS.filter((pair) => pair.every((name) => names.includes(name)))
    parts.push(
      table(
        [`CPU per request, ${concurrency} at a time`, 'ratio within a round, median (95 %)'],
        pairs.map(([own = '', other = '']) => {
          const others = of(other, 'cpuMicros')
          const ratios = of(own, 'cpuMicros').map((micros, round) => micros / (others[round] ?? NaN))
          const [low, high] = medianInterval(ratios) as [number, number]
          return [`${own} / ${other}`, `${median(ratios).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`]
        }),
      ),
    )
  }
  return parts.join('\n\n')
}

if (!values['report-only']) {
  const results = await run()
  if (values.only !== undefined) {
    console.log(report(results))
    process.exit(0)
  }
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
}
const text = report(JSON.parse(readFileSync(file, 'utf8')) as Results)
writeSection('http', text)
console.log(text)
