import { table } from '../lib/report.mjs'
import { median } from '../lib/statistics.mjs'
import type { Results, Run } from './run.ts'

/** A table for each fault; medians over the rounds, and in how many of them the process crashed. */
export function summary({ circumstances, faultMillis, rounds }: Results): string {
  const runs = rounds.flat()
  const measuredFaults = Object.entries(faultMillis).filter(([fault]) => runs.some((run) => run.fault === fault))
  const parts = measuredFaults.map(([fault, millis]) => {
    const ofFault = runs.filter((run) => run.fault === fault)
    const subjects = [...new Set(ofFault.map(({ subject }) => subject))].sort(byName(rounds))
    const rows = subjects.map((subject) =>
      rowOf(
        subject,
        ofFault.filter((run) => run.subject === subject),
        millis,
      ),
    )
    const head = [
      fault,
      'errors',
      'first success after, ms',
      'longest acquire, ms',
      'longest call, ms',
      'never answered',
      'connections lost',
      'connects meanwhile',
      'connects after',
      'crashed',
    ]
    const when = circumstances[fault]
    const measured = Math.max(...subjects.map((subject) => ofFault.filter((run) => run.subject === subject).length))
    return `${String(when?.['date']).slice(0, 10)}, Node ${String(when?.['node'])}; ${measured === 1 ? 'one round' : `medians of ${measured} rounds`}, load ${String((when?.['loadAverage'] as number[] | undefined)?.[1])} at the end.\n\n${table(head, rows)}`
  })
  return parts.join('\n\n')
}

function byName(rounds: Results['rounds']) {
  const order = [...new Set(rounds[0]?.map(({ subject }) => subject))]
  return (a: string, b: string): number => order.indexOf(a) - order.indexOf(b)
}

function rowOf(subject: string, runs: readonly Run[], faultMillis: number): string[] {
  const crashes = runs.filter(({ seen }) => seen.crashed).length
  const alive = runs.filter(({ seen }) => !seen.crashed).map(({ seen }) => seen)
  const crashed = crashes === 0 ? 'no' : `${crashes} of ${runs.length}`
  if (alive.length === 0) return [subject, ...Array.from({ length: 8 }, () => ''), crashed]
  const figure = (pick: (seen: (typeof alive)[number]) => number): string => {
    const value = median(alive.map(pick)) as number
    return Number.isFinite(value) ? String(Math.round(value)) : 'never'
  }
  return [
    subject,
    figure(({ calls }) => calls.filter(([, , , failure]) => failure !== undefined).length),
    // Answered after the fault was over.
    figure(({ calls }) => {
      const ends = calls.filter(([, , , failure]) => failure === undefined).map(([askedAt, , took]) => askedAt + took)
      return Math.min(...ends.filter((at) => at >= faultMillis)) - faultMillis
    }),
    figure(({ calls }) => Math.max(...calls.map(([, waited]) => waited))),
    figure(({ calls }) => Math.max(...calls.map(([, , took]) => took))),
    figure(({ neverAnswered }) => neverAnswered),
    figure(({ sockets }) => sockets.filter(([triedAt, closedAt]) => triedAt < 0 && (closedAt ?? -1) >= 0).length),
    figure(({ sockets }) => sockets.filter(([at]) => at >= 0 && at < faultMillis).length),
    figure(({ sockets }) => sockets.filter(([at]) => at >= faultMillis).length),
    crashed,
  ]
}
