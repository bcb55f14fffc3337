import { figure, table } from '../lib/report.mjs'
import { median, medianInterval } from '../lib/statistics.mjs'
import { RIVALS, SCENARIOS, SUBJECTS } from './subjects.mjs'

const HEAD = [
  '',
  'queries/s',
  'p50 ms',
  'p99 ms',
  'client CPU µs',
  'CPU against mysql2 (95 %)',
  'queries/s against mysql2 (95 %)',
]

/** The Markdown of the results. */
export function tables({ circumstances: { date, node, cores, loadAverage }, rounds }) {
  const [load] = [loadAverage.join(' / ')]
  const parts = [
    `${date.slice(0, 10)}, Node ${node}, ${cores} cores shared with the server, load ${load} at the end; medians of ${rounds.length} interleaved rounds, ratios within a round with the 95 % bootstrap interval of their median.`,
  ]
  for (const { name: scenario } of SCENARIOS) {
    const rows = Object.keys(SUBJECTS).flatMap((subject) => {
      const own = rounds.map((round) => round[subject]?.[scenario])
      if (own.includes(undefined)) return []
      const middle = (key) => figure(median(own.map((each) => each[key])))
      const against = (key) => {
        const rival = RIVALS[subject]
        if (rival === undefined) return ''
        const ratios = own.map((each, number) => each[key] / rounds[number][rival][scenario][key])
        const [low, high] = medianInterval(ratios)
        return `${median(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
      }
      return [
        [
          subject,
          middle('perSecond'),
          middle('p50'),
          middle('p99'),
          middle('cpuMicros'),
          against('cpuMicros'),
          against('perSecond'),
        ],
      ]
    })
    if (rows.length > 0) parts.push(`**${scenario}**`, table(HEAD, rows))
  }
  return parts.join('\n\n')
}
