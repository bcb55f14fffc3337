/** `npm run bench:http -- [--rounds N] [--pair-rounds N]`: makes bench/results/http.json, and the tables of bench/README.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startHttp } from '@millpond/rig'
import * as reporting from '../lib/report.mjs'
import { circumstances, runRounds } from '../lib/rounds.mjs'
import * as statistics from '../lib/statistics.mjs'
import { PAIRS, SUBJECTS } from './subjects.mjs'

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMicros: number
}
type Round = Readonly<Record<string, Readonly<Record<string, Figures>>>>
interface Reporting {
  figure(value: number): string
  table(head: readonly string[], rows: readonly (readonly string[])[]): string
  writeSection(name: string, text: string): void
}
// The library of the benchmarks is plain JavaScript.
const { median, medianInterval } = statistics as unknown as {
  median(values: readonly number[]): number
  medianInterval(values: readonly number[]): [number, number]
}
const { figure, table, writeSection }: Reporting = reporting

/** CPU of each of a pair for a request, in one block of requests each. */
interface PairRound {
  readonly own: number
  readonly other: number
}
interface Results {
  readonly circumstances: { date: string; node: string; cores: number; loadAverage: readonly number[] }
  readonly rounds: readonly Round[]
  /** By the pair's names and the number of requests at a time. */
  readonly pairs: Readonly<Record<string, readonly PairRound[]>>
}

const CONCURRENCIES = ['10', '100'] as const

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    millis: { type: 'string', default: '1500' },
    'pair-rounds': { type: 'string', default: '25' },
    block: { type: 'string', default: '1000' },
    'report-only': { type: 'boolean', default: false },
  },
})
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const file = here('../results/http.json')

async function run(): Promise<Results> {
  await using server = await startHttp()
  const rounds = await runRounds({
    subjects: Object.keys(SUBJECTS),
    rounds: Number(values.rounds),
    program: here('./child.mjs'),
    args: (subject: string) => [subject, server.origin, values.millis],
  })
  const pairs: Record<string, readonly PairRound[]> = {}
  for (const [own = '', other = ''] of PAIRS) {
    for (const concurrency of CONCURRENCIES) {
      const name = `${own} / ${other}, ${concurrency}`
      const [result] = await runRounds({
        subjects: [name],
        rounds: 1,
        program: here('./pair.mjs'),
        args: () => [server.origin, own, other, concurrency, values['pair-rounds'], values.block],
        timeoutMillis: 600_000,
      })
      pairs[name] = (result as Record<string, readonly PairRound[]>)[name] ?? []
    }
  }
  return { circumstances: circumstances(), rounds, pairs } as unknown as Results
}

function report({ circumstances: when, rounds, pairs }: Results): string {
  const names = Object.keys(rounds[0] ?? {})
  const parts = [
    `${when.date.slice(0, 10)}, Node ${when.node}, ${when.cores} cores, load ${when.loadAverage.join(' / ')} at the end; medians of ${rounds.length} interleaved rounds.`,
  ]
  for (const concurrency of CONCURRENCIES) {
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
  }
  parts.push(
    table(
      ['client CPU for a request, in turns', 'ours µs', 'theirs µs', 'ratio within a round, median (95 %)'],
      Object.entries(pairs).map(([name, blocks]) => {
        const ratios = blocks.map(({ own, other }) => own / other)
        const [low, high] = medianInterval(ratios)
        return [
          `${name} at a time`,
          figure(median(blocks.map(({ own }) => own))),
          figure(median(blocks.map(({ other }) => other))),
          `${median(ratios).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`,
        ]
      }),
    ),
  )
  return parts.join('\n\n')
}

if (!values['report-only']) {
  writeFileSync(file, `${JSON.stringify(await run(), null, 1)}\n`)
}
const text = report(JSON.parse(readFileSync(file, 'utf8')) as Results)
writeSection('http', text)
console.log(text)
