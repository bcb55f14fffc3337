import { describe, expect, it } from 'vitest'
import { Load } from '../../../src/core/load.ts'

function loadOf(...useTimes: readonly number[]): Load {
  const load = new Load()
  for (const millis of useTimes) load.record(millis)
  return load
}

/** `count` times the same. */
const times = (count: number, millis: number): number[] => Array<number>(count).fill(millis)

describe('what a lease typically takes', () => {
  it('is unknown before the twentieth', () => {
    expect(loadOf(...times(19, 10)).typicalUseMillis).toBeUndefined()
    expect(loadOf(...times(20, 10)).typicalUseMillis).toBe(10)
  })

  it('is the mean, which the median of work of two kinds is far from', () => {
    const load = loadOf(...times(18, 10), ...times(2, 110))
    expect(load.medianUseMillis).toBe(10)
    expect(load.typicalUseMillis).toBe(19)
  })

  it('is told by the middle one in size, not in time', () => {
    const load = loadOf(...times(10, 10), 500, ...times(9, 10))
    expect([load.medianUseMillis, load.typicalUseMillis]).toEqual([10, 14.5])
  })

  it('is not what one job of a minute says', () => {
    expect(loadOf(...times(127, 10), 60_000).typicalUseMillis).toBeCloseTo(10.7, 1)
  })

  it('forgets what was longer ago than 128 leases, within sixteen', () => {
    const load = loadOf(...times(128, 1_000), ...times(64, 10))
    expect(load.typicalUseMillis).toBe(505)
    for (let lease = 0; lease < 15; lease++) load.record(10)
    expect(load.typicalUseMillis).toBe(505)
    for (let lease = 0; lease < 49; lease++) load.record(10)
    expect(load.typicalUseMillis).toBe(10)
    expect(load.medianUseMillis).toBe(10)
  })

  it('is nothing where most take no time', () => {
    expect(loadOf(...times(100, 0), 50).typicalUseMillis).toBe(0)
  })
})
