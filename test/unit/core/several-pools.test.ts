import { describe, expect, it } from 'vitest'
import type { LeaseInfo, PoolStats } from 'millpond'
import { NO_DISTRIBUTION } from '../../../src/core/distribution.ts'
import { Histogram } from '../../../src/core/histogram.ts'
import type { PoolEventSource } from '../../../src/core/managed-pool.ts'
import { Counters } from '../../../src/core/stats.ts'
import { sumStats } from '../../../src/core/sum-stats.ts'
import { distributionsOf, leasesOf, resourcesOf, waitersOf, type Part } from '../../../src/core/together.ts'

const GAUGES = ['total', 'idle', 'used', 'maintaining', 'closing', 'creating', 'zombies', 'waiting', 'min', 'leases']
const COUNTERS = Object.keys(new Counters()).filter((name) => name !== 'destroyed')
const TIMES = { count: 2, mean: 10, p50: 8, p95: 9, p99: 11, max: 12 }

/** Statistics in which every number is another one, by this factor. */
function statsOf(factor: number): PoolStats {
  const numbers = [...GAUGES, ...COUNTERS].map((name, index) => [name, factor * (index + 1)] as const)
  return {
    ...(Object.fromEntries(numbers) as unknown as PoolStats),
    max: factor * 100,
    oldestWaiterMillis: factor * 7,
    generation: factor * 3,
    destroyed: { ...new Counters().destroyed, idle: factor, lost: factor * 2 },
    wait: TIMES,
    use: { ...TIMES, count: factor },
    create: { ...TIMES, p95: factor * 9, p99: factor * 11, max: factor * 12, p50: factor * 8 },
  }
}

describe('the statistics of several pools', () => {
  it('sum what is now of those that are, and what was counted also of those that were', () => {
    const sum = sumStats(
      { name: 'all', kind: 'kind', state: 'open', max: Infinity },
      [statsOf(1), statsOf(10)],
      [statsOf(100)],
    ) as unknown as Record<string, number>
    for (const [index, name] of GAUGES.entries()) expect([name, sum[name]]).toEqual([name, 11 * (index + 1)])
    for (const [index, name] of COUNTERS.entries())
      expect([name, sum[name]]).toEqual([name, 111 * (GAUGES.length + index + 1)])
    expect(sum).toMatchObject({ name: 'all', kind: 'kind', state: 'open', max: 1_100, generation: 30 })
    expect(sum).toMatchObject({ oldestWaiterMillis: 70, utilization: (11 * 3) / 1_100 })
    expect(sum['destroyed']).toEqual({ ...new Counters().destroyed, idle: 111, lost: 222 })
  })

  it('have the mean of all, and the highest of their percentiles', () => {
    const { wait, use, create } = sumStats(
      { name: 'all', kind: 'kind', state: 'open', max: 5 },
      [statsOf(1), { ...statsOf(3), use: { ...TIMES, count: 3, mean: 30 } }],
      [],
    )
    expect(wait).toEqual({ count: 4, mean: 10, p50: 8, p95: 9, p99: 11, max: 12 })
    expect(use).toMatchObject({ count: 4, mean: 25 })
    expect(create).toMatchObject({ p50: 24, p95: 27, p99: 33, max: 36 })
  })

  it('are of no use where there is nothing', () => {
    const none = sumStats({ name: 'all', kind: 'kind', state: 'open', max: Infinity }, [], [])
    expect(none).toMatchObject({ max: 0, utilization: 0, total: 0, requested: 0, destroyed: {}, generation: 0 })
    expect(none.wait).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
    const bounded = sumStats({ name: 'all', kind: 'kind', state: 'open', max: 60 }, [statsOf(1)], [])
    expect([bounded.max, bounded.utilization]).toEqual([60, 3 / 60])
  })
})

describe('what can be seen of several pools', () => {
  const lease = (heldMillis: number): LeaseInfo => ({ resourceId: 1, label: undefined, heldMillis, stack: undefined })
  const limits: (number | undefined)[] = []
  const part = (...millis: number[]): PoolEventSource => ({
    on: () => undefined,
    leases: (options) => (limits.push(options?.limit), millis.map(lease)),
    waiters: (options) => (
      limits.push(options?.limit),
      millis.map((waitedMillis) => ({ label: undefined, waitedMillis, priority: 0, leftMillis: 1 }))
    ),
    resources: (options) => (
      limits.push(options?.limit),
      millis.map((ageMillis) => ({ resourceId: 1, state: 'idle', generation: 0, ageMillis, uses: 0, leases: 0 }))
    ),
    distributions: () => {
      const histogram = new Histogram()
      for (const each of millis) histogram.record(each)
      return { wait: histogram.distribution(), use: histogram.distribution(), create: histogram.distribution() }
    },
  })
  const pools = [part(5, 1), { on: () => undefined }, part(9, 3)]
  const parts = pools.map((pool, index): Part => [`part ${index}`, pool])

  it('is what each of them shows, the longest first, as many as are asked for', () => {
    expect(leasesOf(parts).map(({ heldMillis }) => heldMillis)).toEqual([9, 5, 3, 1])
    expect(leasesOf(parts).map((each) => each.part)).toEqual(['part 2', 'part 0', 'part 2', 'part 0'])
    limits.splice(0, 2)
    expect(leasesOf(parts, { limit: 2 }).map(({ heldMillis }) => heldMillis)).toEqual([9, 5])
    expect(waitersOf(parts).map(({ waitedMillis }) => waitedMillis)).toEqual([9, 5, 3, 1])
    expect(waitersOf(parts, { limit: 1 }).map(({ waitedMillis }) => waitedMillis)).toEqual([9])
    expect(resourcesOf(parts).map(({ ageMillis }) => ageMillis)).toEqual([9, 5, 3, 1])
    expect(resourcesOf(parts, { limit: 3 }).map(({ ageMillis }) => ageMillis)).toEqual([9, 5, 3])
    // Each part is asked for no more than is wanted in all.
    expect(limits).toEqual([100, 100, 2, 2, 100, 100, 1, 1, 100, 100, 3, 3])
  })

  it('has the distributions of all, and of those that are gone', () => {
    const past = { wait: NO_DISTRIBUTION, use: { ...NO_DISTRIBUTION, count: 4, zeros: 4 }, create: NO_DISTRIBUTION }
    const { wait, use, create } = distributionsOf(pools, past)
    expect([wait.count, use.count, create.count]).toEqual([4, 8, 4])
    expect([wait.sumMillis, use.sumMillis]).toEqual([18, 18])
  })
})
