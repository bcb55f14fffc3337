/**
 * `npm run bench:http -- [--rounds N] [--only <part of a pair's name>]`: ours against what they are in place of, and a
 * table of all clients; see `lib/pairs.mjs`.
 */
import { fileURLToPath } from 'node:url'
import { startHttp } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { figure, table } from '../lib/report.mjs'
import { runRounds } from '../lib/rounds.mjs'
import { median } from '../lib/statistics.mjs'
import { PAIRS, SUBJECTS } from './subjects.mjs'

const FIGURES = ['perSecond', 'p50', 'p99', 'cpuMicros'] as const
type Figures = Readonly<Record<(typeof FIGURES)[number], number>>
type Round = Readonly<Record<string, Readonly<Record<string, Figures>>>>

/** Rounds of the table of all clients, and how long each of them is warmed up and measured. */
const TABLE = { rounds: 2, millis: '500' }

/** A process for every client and round, with 10 and with 100 requests at a time. */
function tables(rounds: readonly Round[]): string {
  const names = Object.keys(rounds[0] ?? {})
  return ['10', '100']
    .map((callers) => {
      const row = (name: string): string[] =>
        FIGURES.map((key) => figure(median(rounds.map((round) => round[name]?.[callers]?.[key] ?? NaN))) as string)
      return table(
        [`all clients, ${callers} requests at a time`, 'requests/s', 'p50 ms', 'p99 ms', 'client CPU µs'],
        names.map((name) => [name, ...row(name)]),
      )
    })
    .join('\n\n')
}

await pairBench({
  name: 'http',
  head: 'in place of → Millpond',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startHttp()
    await run({ origin: server.origin })
    if (process.argv.includes('--only')) return undefined
    return await runRounds({
      subjects: Object.keys(SUBJECTS),
      rounds: TABLE.rounds,
      program: fileURLToPath(new URL('child.mjs', import.meta.url)),
      args: (subject: string) => [subject, server.origin, TABLE.millis],
    })
  },
  more: tables,
})
process.exit(0)
