import { formatMillis } from '../../core/report.ts'
import type { Look } from '../look.ts'
import { sampleOf } from './history.ts'
import type { LogEntry } from './logger.ts'

/** What a pool did since the look before, in one line; every number is also in the fields. */
export function statsLine(now: Look, before: Look | undefined): LogEntry {
  const { stats } = now
  const sample = sampleOf(now, before)
  const { name, kind, state, max } = stats
  const got = sample.timedOut + sample.refused + sample.failed + sample.aborted
  const parts = [
    `${stats.used} of ${max === Infinity ? 'unlimited' : max} used, ${stats.idle} idle, ${stats.waiting} waiting`,
    `${sample.acquired} acquired${got === 0 ? '' : `, ${got} got nothing`}`,
    `wait p50 ${formatMillis(sample.waitP50)} p99 ${formatMillis(sample.waitP99)}`,
    `use p50 ${formatMillis(sample.useP50)} p99 ${formatMillis(sample.useP99)}`,
    `${sample.created} opened, ${sample.destroyed} closed`,
  ]
  const shownState = state === 'open' ? '' : ` ${state}`
  return {
    level: 'info',
    message: `pool "${name}" (${kind})${shownState}: ${parts.join(' · ')}`,
    fields: { pool: name, kind, state, ...(max === Infinity ? { ...sample, max: undefined } : sample) },
  }
}
