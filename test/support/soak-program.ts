import { writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { Soak } from './soak/soak.ts'

// npm run soak -- --minutes 60 [--seed 1] [--calls 100] [--fault-seconds 10,50] [--report FILE]
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    calls: { type: 'string', default: '100' },
    'fault-seconds': { type: 'string' },
    report: { type: 'string' },
  },
})
const millis = Number(values.minutes) * 60_000
const [least = 0, most = 0] = (values['fault-seconds'] ?? (millis >= 1_800_000 ? '10,50' : '1,4'))
  .split(',')
  .map(Number)
if (!(millis > 0) || !(most >= least && least > 0)) {
  console.error(
    `Expected --minutes above 0 and --fault-seconds LEAST,MOST; got ${values.minutes} and ${values['fault-seconds'] ?? 'none'}`,
  )
  process.exit(2)
}
console.log(
  `soak: ${values.minutes} minutes, a fault every ${least} to ${most} s, ${values.calls} calls a second, seed ${values.seed}`,
)
/** Of the machine, at every rest: what else it had to do. */
const loads: number[] = []
const soak = new Soak({
  millis,
  faultEveryMillis: [least * 1_000, most * 1_000],
  checkEveryMillis: Math.min(120_000, millis / 8),
  callsPerSecond: Number(values.calls),
  burst: 10_000,
  callsAtRest: 2_000,
  seed: Number(values.seed),
  say: (line) => {
    loads.push(loadavg()[0] ?? 0)
    console.log(`${line}; load ${loads.at(-1)?.toFixed(1)}`)
  },
})
const startedAt = new Date()
const report = await soak.run()
const { faults, outcomes, stats, longestAcquireMillis, heapMegabytesPerHour, problems } = report
const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
console.log(`faults: ${listed(faults)}`)
console.log(`callers: ${listed(outcomes)}; longest acquire ${Math.round(longestAcquireMillis)} ms`)
console.log(
  `accounting: ${stats.requested} requested = ${stats.acquired} acquired + ${stats.timedOut} timed out + ${stats.aborted} aborted + ${stats.refused} refused + ${stats.failed} failed; ${stats.created} created; destroyed: ${listed(stats.destroyed)}`,
)
console.log(`heap: ${heapMegabytesPerHour.toFixed(2)} MB an hour after the warm-up`)
for (const problem of problems.slice(0, 50)) console.log(`PROBLEM ${problem}`)
console.log(problems.length === 0 ? 'soak: nothing is wrong' : `soak: ${problems.length} problems`)
if (values.report !== undefined) {
  const machine = { node: process.version, cores: cpus().length, loads }
  const run = { at: startedAt.toISOString(), minutes: Number(values.minutes), seed: Number(values.seed), machine }
  writeFileSync(values.report, `${JSON.stringify({ ...run, ...report }, null, 2)}\n`)
}
process.exitCode = problems.length === 0 ? 0 : 1
