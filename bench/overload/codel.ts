/**
 * `npm run bench:codel`: which constants of controlled delay to take, in a simulation (callers wait 500 ms, the server
 * needs 20 ms for each): what remains of the capacity under overload, how long served callers waited, and how much of a
 * burst survives that could all be served in time.
 */
import { fileURLToPath } from 'node:url'
import { writeFileSync } from 'node:fs'
import { CONTROLLED_DELAY } from '../../src/core/load.ts'
import { bursts, overload } from '../../test/simulation/overload.ts'
import { table, writeSection } from '../lib/report.mjs'

const CANDIDATES = [
  [5, 100],
  [20, 200],
  [50, 500],
  [100, 500],
  [100, 1_000],
  [200, 1_000],
] as const
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const chosen = { ...CONTROLLED_DELAY }
const rows: (string | number)[][] = []
const raw: object[] = []
for (const [targetMillis, intervalMillis] of CANDIDATES) {
  Object.assign(CONTROLLED_DELAY, { targetMillis, intervalMillis })
  const loads = []
  for (const load of [1.2, 1.5, 3]) loads.push(await overload(load, 60, { queue: 'codel' }))
  const survived = []
  for (const size of [100, 150, 200]) survived.push(await bursts(size, { queue: 'codel' }))
  raw.push({ targetMillis, intervalMillis, loads, survived })
  const isChosen = targetMillis === chosen.targetMillis && intervalMillis === chosen.intervalMillis
  rows.push([
    `${targetMillis} / ${intervalMillis} ms${isChosen ? ' (taken)' : ''}`,
    ...loads.map(({ goodput }) => percent(goodput)),
    Math.round(Math.max(...loads.map(({ waited }) => waited.p99))),
    ...survived.map(percent),
  ])
}
const text = table(
  ['target / interval', '1.2×', '1.5×', '3×', 'wait p99, ms', 'burst of 100', 'of 150', 'of 200'],
  rows,
)
writeFileSync(
  fileURLToPath(new URL('../results/codel.json', import.meta.url)),
  `${JSON.stringify({ date: new Date().toISOString(), node: process.version, raw }, null, 1)}\n`,
)
writeSection('codel', text)
console.log(text)
