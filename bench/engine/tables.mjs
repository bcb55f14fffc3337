import { figure, table } from '../lib/report.mjs'
import { median } from '../lib/statistics.mjs'

const POOLS = [
  'millpond',
  'mysql2 (callback)',
  'lightning-pool',
  'node-redis',
  'mysql2 (promise)',
  'generic-pool',
  'pg-pool',
  'tarn',
]
const CONTENDED = ['contended 100', 'contended 1,000', 'contended 10,000']
const nanos = (scenario) => (figures) => figures[scenario]?.nanosPerOperation

export function tables({ circumstances, rounds }) {
  /** The median over the rounds of what `pick` finds in a subject's figures. */
  const of = (subject, pick) => {
    const values = rounds.map((round) => pick(round[subject])).filter((value) => value !== undefined)
    return values.length === 0 ? undefined : median(values)
  }
  /** The median of the ratios to another subject, each within one round. */
  const ratio = (subject, other, pick) =>
    median(rounds.map((round) => pick(round[subject]) / pick(round[other])).filter((value) => !Number.isNaN(value)))
  const harnessOf = (subject) => (subject === 'mysql2 (callback)' ? 'harness (callback)' : 'harness')
  const above = (subject, scenario) =>
    median(rounds.map((round) => nanos(scenario)(round[subject]) - nanos(scenario)(round[harnessOf(subject)])))

  const time = table(
    ['ns per acquire + release', 'one caller', '100 callers', '1,000 callers', '10,000 callers'],
    ['harness', 'harness (callback)', 'floor', ...POOLS].map((subject) => [
      subject,
      ...['uncontended', ...CONTENDED].map((scenario) => figure(of(subject, nanos(scenario)))),
    ]),
  )
  const aboveHarness = table(
    ['ns above the harness', '100 callers', '1,000 callers', '10,000 callers'],
    POOLS.map((subject) => [subject, ...CONTENDED.map((scenario) => figure(above(subject, scenario)))]),
  )
  const cost = table(
    [
      '10,000 waiters',
      'bytes each',
      'µs to queue one',
      'all time out: µs CPU each',
      'last one late by, ms',
      'longest stall, ms',
      'still queued 5 s later',
      'cancel: ns each, oldest first',
      'newest first',
    ],
    ['harness', ...POOLS].map((subject) => [
      subject,
      figure(of(subject, (figures) => figures.memory?.bytesPerWaiter)),
      figure(of(subject, (figures) => figures.timeouts?.enqueueMicros)),
      figure(of(subject, (figures) => figures.timeouts?.cpuMicrosPerWaiter)),
      figure(of(subject, (figures) => figures.timeouts?.lastLateMillis)),
      figure(of(subject, (figures) => figures.timeouts?.longestStallMillis)),
      figure(of(subject, (figures) => figures.timeouts?.queuedForEver)),
      figure(of(subject, (figures) => figures.aborts?.oldestFirstNanos)),
      figure(of(subject, (figures) => figures.aborts?.newestFirstNanos)),
    ]),
  )
  const uncontended = nanos('uncontended')
  const promisePeers = POOLS.filter((name) => name !== 'millpond' && name !== 'mysql2 (callback)')
  const fastest = promisePeers.reduce((a, b) => (of(a, uncontended) <= of(b, uncontended) ? a : b))
  return `${circumstances.date.slice(0, 10)}, Node ${circumstances.node}, ${circumstances.cores} cores, load ${circumstances.loadAverage.join(' / ')} at the end; medians of ${rounds.length} interleaved rounds.

${time}

One caller: ${figure(ratio(fastest, 'millpond', uncontended))}× as fast as the fastest promise pool (${fastest}), ${figure(ratio('mysql2 (callback)', 'millpond', uncontended))}× as mysql2's callbacks, ${figure(ratio('millpond', 'floor', uncontended))}× the floor. Contended, in all: ${CONTENDED.map((scenario) => `${figure(ratio('millpond', 'mysql2 (callback)', nanos(scenario)))}×`).join(', ')} of mysql2's callbacks, ${CONTENDED.map((scenario) => `${figure(ratio('millpond', 'lightning-pool', nanos(scenario)))}×`).join(', ')} of lightning-pool.

${aboveHarness}

${cost}
`
}
