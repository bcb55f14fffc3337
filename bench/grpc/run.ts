/**
 * `npm run bench:grpc -- [--rounds N] [--only <part of a pair's name>]`: a pool in place of one channel, and slow calls
 * from a server that allows so many streams on a connection; see `lib/pairs.mjs`.
 */
import { fileURLToPath } from 'node:url'
import { RIG_PROTO, startGrpc } from '@millpond/rig'
import { pairBench, withInterval } from '../lib/pairs.mjs'
import { figure, table } from '../lib/report.mjs'
import { runRounds } from '../lib/rounds.mjs'
import { median } from '../lib/statistics.mjs'
import { PAIRS, SUBJECTS } from './subjects.mjs'

const FIGURES = ['perSecond', 'p50', 'p99', 'cpuMicros'] as const
type Figures = Readonly<Record<(typeof FIGURES)[number], number>>
type Round = Readonly<Record<string, Figures>>

const BASE = 'one channel'
const SLOW = { callers: 500, sleepMillis: 200, streams: 100, calls: 2_000, rounds: 3 }

function slowCalls(rounds: readonly Round[]): string {
  const of = (name: string, key: keyof Figures): number[] => rounds.map((round) => round[name]?.[key] ?? NaN)
  const rows = Object.keys(rounds[0] ?? {}).map((name) => {
    const base = of(BASE, 'perSecond')
    const ratios = of(name, 'perSecond').map((each, round) => each / (base[round] ?? NaN))
    const ratio = name === BASE ? '1' : withInterval(ratios)
    const [perSecond = '', ...others] = FIGURES.map((key) => figure(median(of(name, key))) as string)
    return [name, perSecond, ratio, ...others]
  })
  const { callers, sleepMillis, streams } = SLOW
  const head = `calls of ${sleepMillis} ms by ${callers} callers, ${streams} streams a connection`
  return table([head, 'calls/s', '× one channel (95 %)', 'p50, ms', 'p99, ms', 'client CPU, µs'], rows)
}

await pairBench({
  name: 'grpc',
  head: 'one channel → Millpond',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startGrpc({})
    await run({ address: server.target, proto: RIG_PROTO })
    if (process.argv.includes('--only')) return undefined
    const { callers, sleepMillis, streams, calls, rounds } = SLOW
    await using limited = await startGrpc({ maxConcurrentStreams: streams })
    const target = JSON.stringify({ address: limited.target, proto: RIG_PROTO, sleepMillis })
    return await runRounds({
      subjects: Object.keys(SUBJECTS),
      rounds,
      program: fileURLToPath(new URL('child.mjs', import.meta.url)),
      args: (subject: string) => [subject, target, String(callers), String(calls)],
    })
  },
  more: slowCalls,
})
process.exit(0)
