import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addDistributions, countsUpTo, distributionSince, quantileOf } from '../../../src/core/distribution.ts'
import { Histogram } from '../../../src/core/histogram.ts'

const LIMITS = [0, 0.5, 1, 5, 10, 100, 1_000, 10_000, 5_000_000]
const recorded = (values: readonly number[]): Histogram => {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}
const durations = fc.array(fc.double({ min: 0, max: 4_000_000, noNaN: true }), { maxLength: 200 })

describe('distributions', () => {
  it('count up to any limit as exactly as a bucket is wide', () => {
    fc.assert(
      fc.property(durations, (values) => {
        const counts = countsUpTo(recorded(values).distribution(), LIMITS)
        for (const [index, limit] of LIMITS.entries()) {
          // A bucket reaches 12.5 % beyond the values that it holds, and those are rounded to microseconds.
          const below = values.filter((value) => value <= limit / 1.126 - 0.001).length
          const above = values.filter((value) => value <= limit * 1.126 + 0.001).length
          expect(counts[index]).toBeGreaterThanOrEqual(limit === 0 ? 0 : below)
          expect(counts[index]).toBeLessThanOrEqual(above)
        }
        expect(counts).toEqual(counts.toSorted((a, b) => a - b))
      }),
    )
  })

  it('tell what happened between two looks, and of two pools together', () => {
    fc.assert(
      fc.property(durations, durations, (first, second) => {
        const histogram = recorded(first)
        const earlier = histogram.distribution()
        for (const value of second) histogram.record(value)
        const since = distributionSince(histogram.distribution(), earlier)
        const alone = recorded(second).distribution()
        expect(since.count).toBe(second.length)
        expect(since.zeros).toBe(alone.zeros)
        expect(since.buckets).toEqual(alone.buckets)
        expect(quantileOf(since, 0.95)).toBe(quantileOf(alone, 0.95))
        const part = { wait: earlier, use: earlier, create: earlier }
        const sum = addDistributions([part, { wait: alone, use: alone, create: alone }]).use
        expect(sum.buckets).toEqual(histogram.distribution().buckets)
        expect(sum.count).toBe(first.length + second.length)
      }),
    )
  })

  it('are copies: what is recorded later does not change them', () => {
    const histogram = recorded([1])
    const taken = histogram.distribution(3)
    histogram.record(2)
    expect(taken.count).toBe(4)
    expect(taken.zeros).toBe(3)
    expect(quantileOf(taken, 1)).toBeCloseTo(1, 1)
    expect(quantileOf(taken, 0.5)).toBe(0)
  })
})
