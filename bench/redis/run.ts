/** `npm run bench:redis`: GETs on a driver alone and on the lanes of a pool, and beside a command that blocks; see `lib/pairs.mjs`. */
import { fileURLToPath } from 'node:url'
import { startRedis } from '@millpond/rig'
import { pairBench } from '../lib/pairs.mjs'
import { figure, table } from '../lib/report.mjs'
import { runChild } from '../lib/rounds.mjs'
import { PAIRS } from './subjects.mjs'

const SIDES = ['theirs', 'ours'] as const

interface Quantiles {
  readonly p50: number
  readonly p99: number
}
type Blocking = Readonly<Record<string, Readonly<Record<(typeof SIDES)[number], Quantiles>>>>

await pairBench({
  name: 'redis',
  head: 'driver alone → Millpond on it',
  module: new URL('subjects.mjs', import.meta.url).href,
  pairs: PAIRS,
  async measure(run) {
    await using server = await startRedis()
    await server.ask('SET', 'k', 'x'.repeat(100))
    const target = { port: server.port }
    await run(target)
    const besides: Record<string, Record<string, unknown>> = {}
    const program = fileURLToPath(new URL('blocking.mjs', import.meta.url))
    for (const name of Object.keys(PAIRS)) {
      besides[name] = {}
      for (const side of SIDES)
        besides[name][side] = await runChild(program, [name, side, JSON.stringify(target)], 120_000)
    }
    return besides
  },
  more(besides: Blocking) {
    const rows = Object.entries(besides).map(([name, sides]) => [
      name,
      ...(['p50', 'p99'] as const).map((key) => SIDES.map((side) => figure(sides[side][key]) as string).join(' → ')),
    ])
    return table(['a GET beside a BLPOP that waits 200 ms, again and again', 'p50, ms', 'p99, ms'], rows)
  },
})
process.exit(0)
