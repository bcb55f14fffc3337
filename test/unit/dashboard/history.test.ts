import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { History, ONE_HOUR, SERIES, type Sample } from '../../../src/dashboard/history.ts'

const sample = (value: number | null): Sample => SERIES.map(() => value)
const START = Date.UTC(2030, 0, 1)

describe('the history of a pool', () => {
  it('keeps every sample for five minutes, one in ten for an hour, and nothing longer', () => {
    const history = new History()
    for (let second = 0; second < 7_200; second++) history.add(START + second * 1_000, sample(second))
    const { times } = history.columns()
    const last = START + 7_199_000
    expect(times.at(-1)).toBe(last)
    expect(last - (times[0] ?? 0)).toBeLessThanOrEqual(ONE_HOUR.wholeMillis)
    expect(last - (times[0] ?? 0)).toBeGreaterThan(ONE_HOUR.wholeMillis - 20_000)
    const recent = times.filter((time) => time > last - ONE_HOUR.fineMillis)
    expect(recent.length).toBeGreaterThanOrEqual(300)
    expect(history.length).toBeLessThan(660 + 10)
  })

  it('shows a short peak an hour later', () => {
    const history = new History()
    for (let second = 0; second < 3_000; second++) history.add(START + second * 1_000, sample(second === 42 ? 99 : 1))
    expect(Math.max(...(history.columns().columns[0] ?? []).map(Number))).toBe(99)
  })

  it('is the same on the other side, whatever was added before and after', () => {
    const span = { fineMillis: 5_000, perCoarse: 4, wholeMillis: 40_000 }
    fc.assert(
      fc.property(fc.nat(120), fc.array(fc.integer({ min: 200, max: 3_000 }), { maxLength: 60 }), (before, gaps) => {
        const here = new History(span)
        for (let index = 0; index <= before; index++) here.add(START + index * 1_000, sample(index))
        const there = History.from(here.columns(), span)
        let time = START + before * 1_000
        for (const gap of gaps) {
          time += gap
          here.add(time, sample(gap))
          there.add(time, sample(gap))
        }
        for (const { times } of [here.columns(), there.columns()]) {
          expect(times).toEqual([...times].sort((a, b) => a - b))
          expect(times.at(-1)).toBe(time)
        }
        expect(there.columns(span.fineMillis / 2)).toEqual(here.columns(span.fineMillis / 2))
      }),
    )
  })

  it('begins anew when the clock was set back, rather than running backwards', () => {
    const history = new History()
    history.add(START + 10_000, sample(1))
    history.add(START, sample(2))
    expect(history.columns().times).toEqual([START])
  })

  it('keeps gaps: what was not known is null, also when thinned', () => {
    const history = new History({ fineMillis: 1_000, perCoarse: 2, wholeMillis: 100_000 })
    for (let second = 0; second < 6; second++) history.add(START + second * 1_000, sample(second < 2 ? null : second))
    expect(history.columns().columns[0]?.[0]).toBeNull()
    expect(history.columns().columns[0]?.at(-1)).toBe(5)
  })

  it('refuses a sample of another width', () => {
    expect(() => new History().add(START, [1])).toThrow(/Expected 14 numbers, got 1/)
  })
})
