import type { DestroyReason } from './factory.ts'
import type { HistogramSnapshot } from './histogram.ts'
import type { PoolState } from './lifecycle.ts'
import type { PoolStats } from './stats.ts'

const COUNTERS = [
  'requested',
  'acquired',
  'acquiredAfterWait',
  'timedOut',
  'aborted',
  'refused',
  'failed',
  'created',
  'createErrors',
  'leaks',
  'deadlocks',
] as const

const GAUGES = [
  'total',
  'idle',
  'used',
  'maintaining',
  'closing',
  'creating',
  'zombies',
  'waiting',
  'min',
  'leases',
] as const

/** Sums counts and means exactly; a percentile of a sum cannot be had from percentiles, so it is the highest of any part. */
function sumHistograms(parts: readonly HistogramSnapshot[]): HistogramSnapshot {
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  const highest = (field: 'p50' | 'p95' | 'p99' | 'max'): number =>
    parts.reduce((most, part) => Math.max(most, part[field]), 0)
  const total = parts.reduce((sum, part) => sum + part.count * part.mean, 0)
  return {
    count,
    mean: count === 0 ? 0 : total / count,
    p50: highest('p50'),
    p95: highest('p95'),
    p99: highest('p99'),
    max: highest('max'),
  }
}

/** The statistics of several pools as those of one. What was counted goes on counting in `past`, what is open does not. */
export function sumStats(
  { name, kind, state, max: bound }: { name: string; kind: string; state: PoolState; max: number },
  present: readonly PoolStats[],
  past: readonly PoolStats[],
): PoolStats {
  const all = [...present, ...past]
  const sum = <F extends string>(
    fields: readonly F[],
    parts: readonly Readonly<Record<F, number>>[],
  ): Record<F, number> =>
    Object.fromEntries(fields.map((field) => [field, parts.reduce((total, part) => total + part[field], 0)])) as Record<
      F,
      number
    >
  const gauges = sum(GAUGES, present)
  const max = bound === Infinity ? present.reduce((total, part) => total + part.max, 0) : bound
  const reasons = Object.keys(all[0]?.destroyed ?? {}) as DestroyReason[]
  const destroyed = sum(
    reasons,
    all.map((part) => part.destroyed),
  )
  return {
    name,
    kind,
    state,
    ...gauges,
    max,
    utilization: max === 0 ? 0 : gauges.used / max,
    oldestWaiterMillis: present.reduce((most, part) => Math.max(most, part.oldestWaiterMillis), 0),
    ...sum(COUNTERS, all),
    destroyed,
    generation: present.reduce((most, part) => Math.max(most, part.generation), 0),
    wait: sumHistograms(all.map(({ wait }) => wait)),
    use: sumHistograms(all.map(({ use }) => use)),
    create: sumHistograms(all.map(({ create }) => create)),
  }
}
