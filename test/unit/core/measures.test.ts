import { describe, expect, it } from 'vitest'
import {
  addDistributions,
  bucketOf,
  BUCKETS,
  countsUpTo,
  distributionSince,
  NO_DISTRIBUTION,
  quantileOf,
  valueOf,
} from '../../../src/core/distribution.ts'
import { Histogram } from '../../../src/core/histogram.ts'
import { Load } from '../../../src/core/load.ts'
import { Operations, type OperationTold } from '../../../src/core/operations.ts'
import { Events } from '../../../src/core/events.ts'
import { ManualClock } from 'millpond/testing'

const recorded = (...values: number[]): Histogram => {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

describe('a bucket', () => {
  it('is a microsecond wide at first, then an eighth of its power of two', () => {
    expect([0, 0.001, 0.007, 0.008, 0.015, 0.016, 0.017, 0.018].map(bucketOf)).toEqual([0, 1, 7, 8, 15, 16, 16, 17])
    expect([1, 1_000, 1e9, Infinity].map(bucketOf)).toEqual([63, 143, 231, 231])
    expect(BUCKETS).toBe(240)
  })

  it('stands for the middle of what it holds', () => {
    expect([0, 1, 7, 8, 15, 16, 17].map(valueOf)).toEqual([0, 0.001, 0.007, 0.0085, 0.0155, 0.017, 0.019])
    for (let bucket = 8; bucket < 231; bucket++) {
      expect(bucketOf(valueOf(bucket) - 0.0004)).toBe(bucket)
      expect(valueOf(bucket + 1)).toBeGreaterThan(valueOf(bucket))
    }
  })
})

describe('a histogram', () => {
  it('counts, and knows mean and longest', () => {
    const histogram = recorded(0, -1, 4.096, 8.192)
    expect(histogram.snapshot()).toEqual({ count: 4, mean: 3.072, p50: 0, p95: 8.192, p99: 8.192, max: 8.192 })
    expect(histogram.snapshot(2)).toMatchObject({ count: 6, mean: 2.048 })
    expect(histogram.zeros).toBe(2)
    const { count, sumMillis, zeros, buckets } = histogram.distribution(1)
    expect({ count, sumMillis, zeros }).toEqual({ count: 5, sumMillis: 12.288, zeros: 3 })
    expect([buckets[bucketOf(4.096)], buckets[bucketOf(8.192)]]).toEqual([1, 1])
  })

  it('tells no percentile above the longest that there was', () => {
    const { p50, p95, p99, max } = recorded(1.024, 1.024).snapshot()
    expect([p50, p95, p99, max]).toEqual([1.024, 1.024, 1.024, 1.024])
  })

  it('ranks percentiles', () => {
    const histogram = recorded(...Array.from({ length: 100 }, (_, index) => (index + 1) * 0.001))
    const { p50, p95, p99 } = histogram.snapshot()
    expect([p50, p95, p99]).toEqual([valueOf(bucketOf(0.05)), valueOf(bucketOf(0.095)), valueOf(bucketOf(0.099))])
  })
})

describe('a distribution', () => {
  it('has no percentile where there is nothing, and the longest that fits for the last', () => {
    expect(quantileOf(NO_DISTRIBUTION, 0.5)).toBe(0)
    expect(quantileOf(recorded(0, 0, 5).distribution(), 2 / 3)).toBe(0)
    expect(quantileOf(recorded(0, 0, 5).distribution(), 0.67)).toBe(valueOf(bucketOf(5)))
    expect(quantileOf({ ...NO_DISTRIBUTION, count: 5 }, 1)).toBe(0)
    expect(Object.isFrozen(NO_DISTRIBUTION)).toBe(true)
  })

  it('counts what is in a bucket by the share of it that is below the limit', () => {
    // 0.016 and 0.017 ms are in one bucket, which begins at 0.016 and ends at 0.018.
    const distribution = recorded(0, 0.003, 0.016, 0.017, 0.016, 0.017, 1).distribution()
    expect(countsUpTo(distribution, [0, 0.002, 0.0035, 0.004, 0.016, 0.0165, 0.017, 0.018, 5_000])).toEqual([
      1, 1, 1, 2, 2, 3, 4, 6, 7,
    ])
    expect(countsUpTo(distribution, [1e12])).toEqual([7])
    expect(countsUpTo(distribution, [])).toEqual([])
  })

  it('is added to and subtracted from others', () => {
    const [one, other] = [recorded(0, 1, 2).distribution(), recorded(2, 3).distribution()]
    const part = (each: typeof one): Parameters<typeof addDistributions>[0][number] => ({
      wait: each,
      use: each,
      create: NO_DISTRIBUTION,
    })
    const sum = addDistributions([part(one), part(other)])
    expect([sum.wait.count, sum.wait.sumMillis, sum.wait.zeros]).toEqual([5, 8, 1])
    expect(sum.use).toEqual(sum.wait)
    expect(sum.create).toEqual(NO_DISTRIBUTION)
    expect(sum.wait.buckets[bucketOf(2)]).toBe(2)
    expect(distributionSince(sum.wait, other)).toEqual(one)
  })
})

describe('the load of a pool', () => {
  it('is known from the first use: the mean follows in tenths', () => {
    const load = new Load()
    expect([load.meanUseMillis, load.medianUseMillis]).toEqual([undefined, undefined])
    load.record(10)
    expect(load.meanUseMillis).toBe(10)
    load.record(20)
    expect(load.meanUseMillis).toBe(11)
    load.record(0)
    expect(load.meanUseMillis).toBeCloseTo(9.9)
    const { count, max } = load.useTimes.snapshot()
    expect([count, max, load.useTimes.zeros]).toEqual([3, 20, 1])
  })

  it('has a median from twenty uses on, which is taken anew every sixteen', () => {
    const load = new Load()
    for (let use = 1; use <= 19; use++) load.record(use)
    expect(load.medianUseMillis).toBeUndefined()
    load.record(20)
    expect(load.medianUseMillis).toBe(11)
    for (let use = 0; use < 15; use++) load.record(1_000)
    expect(load.medianUseMillis).toBe(11)
    load.record(1_000)
    expect(load.medianUseMillis).toBe(19)
  })

  it('forgets what is more than 128 uses ago', () => {
    const load = new Load()
    for (let use = 0; use < 64; use++) load.record(1)
    for (let use = 0; use < 128; use++) load.record(500)
    expect(load.medianUseMillis).toBe(500)
    const half = new Load()
    for (let use = 0; use < 63; use++) half.record(1)
    for (let use = 0; use < 65; use++) half.record(500)
    expect(half.medianUseMillis).toBe(500)
  })
})

describe('operations', () => {
  function setUp(slowMillis = 100): { clock: ManualClock; operations: Operations; heard: unknown[]; events: Events } {
    const clock = new ManualClock()
    const events = new Events('orders')
    const heard: unknown[] = []
    const operations = new Operations({ options: { name: 'orders', slowMillis }, events, clock })
    return { clock, operations, heard, events }
  }
  const told: OperationTold = { describe: () => 'SELECT ?', label: 'GET /' }

  it('are counted, also where they fail or nobody listens', async () => {
    const { clock, operations } = setUp()
    const done = operations.run(told, () => new Promise<void>((resolve) => clock.setTimer(resolve, 30)))
    await clock.advance(30)
    await done
    const failing = operations.run(told, () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    expect(() =>
      operations.run(told, () => {
        throw new Error('at once')
      }),
    ).toThrow('at once')
    expect(operations.run(told, () => 7)).toBe(7)
    expect([operations.total, operations.totalMillis]).toEqual([4, 30])
  })

  it('are slow from the limit on, waiting included', async () => {
    const { clock, operations } = setUp()
    const startedAt = operations.now()
    await clock.advance(60)
    expect(operations.wasSlow(startedAt, 39)).toBe(false)
    expect(operations.wasSlow(startedAt, 40)).toBe(true)
    await clock.advance(39)
    expect(operations.wasSlow(startedAt)).toBe(false)
    await clock.advance(1)
    expect(operations.wasSlow(startedAt)).toBe(true)
  })

  it('are told of in the context that is asked for, and described only where somebody listens', async () => {
    const { clock, operations, events, heard } = setUp()
    let described = 0
    const describe = (): string => `statement ${++described}`
    operations.tell({ describe }, operations.now(), true)
    expect(described).toBe(0)
    events.on('slow', (event) => heard.push(event))
    const startedAt = operations.now()
    await clock.advance(5)
    const contexts: string[] = []
    const inContext = (announce: () => void): void => {
      contexts.push('entered')
      announce()
    }
    operations.tell({ describe, label: 'GET /', waitMillis: 3, inContext }, startedAt, true)
    operations.tell({ describe }, startedAt, false)
    expect(contexts).toEqual(['entered'])
    const event = { pool: 'orders', useMillis: 5 }
    expect(heard).toStrictEqual([
      { ...event, operation: 'statement 1', label: 'GET /', waitMillis: 3, failed: true },
      { ...event, operation: 'statement 2', label: undefined, waitMillis: 0, failed: false },
    ])
  })
})
