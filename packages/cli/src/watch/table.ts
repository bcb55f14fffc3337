import { table, type Paint } from '../terminal.ts'
import type { PoolSample, Scrape } from './scrape.ts'

/** What is shown of one pool. Rates and percentiles are of the time since the scrape before, or since it began. */
export interface Row {
  readonly pool: string
  readonly kind: string
  readonly up: boolean
  readonly used: number
  readonly max: number | undefined
  readonly idle: number
  readonly creating: number
  readonly waiting: number
  readonly oldestWaiterSeconds: number
  /** Undefined at the first look. */
  readonly acquiresPerSecond: number | undefined
  /** Undefined where nobody got anything meanwhile. */
  readonly waitP99Seconds: number | undefined
  readonly timeouts: number
  readonly utilization: number | undefined
}

export function rowsOf(now: Scrape, before: Scrape | undefined): Row[] {
  return now.pools.map((pool) => {
    const earlier = before?.pools.find((each) => each.pool === pool.pool)
    // A process that was restarted counts from the beginning.
    const known = earlier !== undefined && earlier.acquired <= pool.acquired ? earlier : undefined
    const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000
    return {
      pool: pool.pool,
      kind: pool.kind,
      up: pool.up,
      used: pool.used,
      max: pool.max,
      idle: pool.idle,
      creating: pool.creating,
      waiting: pool.waiting,
      oldestWaiterSeconds: pool.oldestWaiterSeconds,
      acquiresPerSecond: known === undefined ? undefined : (pool.acquired - known.acquired) / seconds,
      waitP99Seconds: pool.waitP99Seconds ?? quantile(0.99, pool, known),
      timeouts: pool.timedOut,
      utilization: pool.max === undefined ? undefined : pool.used / Math.max(1, pool.max),
    }
  })
}

/** As Prometheus' `histogram_quantile`: within a bucket, as if its values were spread evenly. */
function quantile(share: number, { waitBuckets }: PoolSample, before: PoolSample | undefined): number | undefined {
  const counts = waitBuckets.map(
    ([limit, count], index) => [limit, count - (before?.waitBuckets[index]?.[1] ?? 0)] as const,
  )
  const total = counts.at(-1)?.[1] ?? 0
  if (total <= 0) return undefined
  const rank = share * total
  let [from, below] = [0, 0]
  for (const [limit, count] of counts) {
    if (count >= rank)
      return limit === Infinity ? from : from + (limit - from) * ((rank - below) / (count - below || 1))
    ;[from, below] = [limit, count]
  }
  return from
}

/** The keys that sort, and what they sort by; greatest first, except names. */
export const SORTS: Readonly<Record<string, { readonly name: string; readonly by: (row: Row) => number | string }>> = {
  n: { name: 'name', by: ({ pool }) => pool },
  u: { name: 'utilization', by: ({ utilization }) => utilization ?? -1 },
  w: { name: 'waiting', by: ({ waiting }) => waiting },
  o: { name: 'oldest', by: ({ oldestWaiterSeconds }) => oldestWaiterSeconds },
  a: { name: 'acquires', by: ({ acquiresPerSecond }) => acquiresPerSecond ?? -1 },
  p: { name: 'p99 wait', by: ({ waitP99Seconds }) => waitP99Seconds ?? -1 },
  t: { name: 'timeouts', by: ({ timeouts }) => timeouts },
}

export function sorted(rows: readonly Row[], key: string, reversed = false): Row[] {
  const by = (SORTS[key] ?? SORTS['n'])?.by ?? (({ pool }: Row) => pool)
  const inOrder = [...rows].sort((a, b) => {
    const [left, right] = [by(a), by(b)]
    if (typeof left === 'string' || typeof right === 'string') return String(left).localeCompare(String(right))
    return right - left || a.pool.localeCompare(b.pool)
  })
  return reversed ? inOrder.reverse() : inOrder
}

const duration = (seconds: number | undefined): string =>
  seconds === undefined ? '–' : seconds < 1 ? `${Math.round(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`

export function renderRows(rows: readonly Row[], paint: Paint): string {
  return table(
    [
      'pool',
      'kind',
      'util',
      'used',
      'max',
      'idle',
      'opening',
      'waiting',
      'oldest',
      'acq/s',
      'p99 wait',
      'timeouts',
      '',
    ],
    rows.map((row) => [
      row.pool,
      row.kind,
      row.utilization === undefined ? '–' : `${Math.round(row.utilization * 100)} %`,
      String(row.used),
      row.max === undefined ? '–' : String(row.max),
      String(row.idle),
      String(row.creating),
      String(row.waiting),
      duration(row.oldestWaiterSeconds),
      row.acquiresPerSecond === undefined ? '–' : row.acquiresPerSecond.toFixed(row.acquiresPerSecond < 10 ? 1 : 0),
      duration(row.waitP99Seconds),
      String(row.timeouts),
      row.up ? '' : 'down',
    ]),
    paint,
  )
}
