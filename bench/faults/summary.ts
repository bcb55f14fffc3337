import { table } from '../lib/report.mjs'
import { median } from '../lib/statistics.mjs'
import type { Results, Run } from './run.ts'

/** A table for each fault; medians over the rounds, and in how many of them the process crashed. */
export function summary({ circumstances, faultMillis, rounds }: Results): string {
  const runs = rounds.flat()
  const parts = Object.entries(faultMillis).map(([fault, millis]) => {
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
      'longest call, ms',
      'never answered',
      'connects meanwhile',
      'connects after',
      'crashed',
    ]
    const when = circumstances[fault]
    const measured = Math.max(...subjects.map((subject) => ofFault.filter((run) => run.subject === subject).length))
    return `${String(when?.['date']).slice(0, 10)}, Node ${String(when?.['node'])}; medians of ${measured} rounds.\n\n${table(head, rows)}`
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
  if (alive.length === 0) return [subject, '', '', '', '', '', '', crashed]
  const figure = (pick: (seen: (typeof alive)[number]) => number): string =>
    String(Math.round(median(alive.map(pick)) as number))
  return [
    subject,
    figure(({ calls }) => calls.filter(([, , failure]) => failure !== undefined).length),
    // Asked and answered after the fault was over.
    figure(({ calls }) => {
      const firsts = calls.filter(([askedAt, took, failure]) => failure === undefined && askedAt + took >= faultMillis)
      return Math.max(0, Math.min(...firsts.map(([askedAt, took]) => askedAt + took)) - faultMillis)
    }),
    figure(({ calls }) => Math.max(...calls.map(([, took]) => took))),
    figure(({ neverAnswered }) => neverAnswered),
    figure(({ connects }) => connects.filter((at) => at >= 0 && at < faultMillis).length),
    figure(({ connects }) => connects.filter((at) => at >= faultMillis).length),
    crashed,
  ]
}
