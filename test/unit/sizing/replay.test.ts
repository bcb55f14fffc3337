import { describe, expect, it } from 'vitest'
import { connectionsByErlangC, connectionsByReplay, replay, type Trace } from 'millpond/sizing'
import { exponential, randomOf } from '../../support/sizing.ts'

type Random = () => number

/** How callers arrive at a mean rate of one a millisecond: the time to the next. */
const ARRIVALS: Readonly<Record<string, () => (random: Random, index: number) => number>> = {
  'at random': () => (random) => exponential(random, 1),
  'in batches of five': () => (random, index) => (index % 5 === 0 ? exponential(random, 5) : 0),
  'in phases': () => {
    let left = 0
    let isBusy = false
    return (random) => {
      if (left <= 0) {
        isBusy = !isBusy
        left = exponential(random, 2_000)
      }
      const gap = exponential(random, isBusy ? 1 / 1.6 : 1 / 0.4)
      left -= gap
      return gap
    }
  },
}

const USES: Readonly<Record<string, (random: Random, mean: number) => number>> = {
  constant: (_, mean) => mean,
  exponential,
  'of very different length': (random, mean) => {
    // Log-normal with a squared coefficient of variation of 9.
    const sigma = Math.sqrt(Math.log(10))
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    return mean * Math.exp(sigma * normal - (sigma * sigma) / 2)
  },
}

function traceOf(length: number, load: number, arrivals: string, uses: string, seed: number): Trace {
  const random = randomOf(seed)
  const next = ARRIVALS[arrivals]?.()
  const use = USES[uses]
  const trace = { length, arrivals: new Float64Array(length), uses: new Float64Array(length) }
  let now = 0
  for (let index = 0; index < length; index++) {
    now += next?.(random, index) ?? 0
    trace.arrivals[index] = now
    trace.uses[index] = use?.(random, load) ?? 0
  }
  return trace
}

/** At most 1 % wait longer than one mean time of use. */
const objectiveOf = (load: number) => ({ waitMillis: load, share: 0.01 })

describe('a replay', () => {
  it('serves first come first served', () => {
    const trace = { length: 4, arrivals: Float64Array.of(0, 1, 2, 3), uses: Float64Array.of(10, 10, 10, 10) }
    // One connection: waits of 0, 9, 18, 27.
    expect([0, 9, 18, 27].map((waitMillis) => replay(trace, 1, waitMillis))).toEqual([0.75, 0.5, 0.25, 0])
    expect(replay(trace, 4, 0)).toBe(0)
    expect(replay({ ...trace, length: 0 }, 1, 0)).toBe(0)
  })

  it.each([2, 5, 10])(
    'of 50,000 callers at random finds what theory knows, within one connection, at a load of %i',
    (load) => {
      const exact = connectionsByErlangC(load, load, objectiveOf(load))
      for (const seed of [1, 2, 3]) {
        const found = connectionsByReplay(traceOf(50_000, load, 'at random', 'exponential', seed), objectiveOf(load))
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(1)
      }
    },
  )

  // The truth is what 500,000 callers of the same kind need.
  it.each([
    [2, 'in batches of five', 'exponential', 1],
    [10, 'at random', 'constant', 1],
    [10, 'at random', 'of very different length', 1],
    [10, 'in batches of five', 'exponential', 1],
    [10, 'in phases', 'exponential', 1],
    // Above: phases of two seconds make a trace of 50,000 short, and one of 40 at work needs 68.
    [40, 'in batches of five', 'exponential', 2],
    [40, 'in phases', 'exponential', 4],
  ] as const)('at a load of %i, %s, use %s, is off by %i at most', (load, arrivals, uses, most) => {
    const truth = connectionsByReplay(traceOf(500_000, load, arrivals, uses, 99), objectiveOf(load))
    const found = connectionsByReplay(traceOf(50_000, load, arrivals, uses, 4), objectiveOf(load))
    expect(Math.abs(found - truth)).toBeLessThanOrEqual(most)
  })

  it('sees the bursts that formulas do not', () => {
    const trace = traceOf(50_000, 10, 'in phases', 'of very different length', 5)
    expect(connectionsByReplay(trace, objectiveOf(10))).toBeGreaterThanOrEqual(
      connectionsByErlangC(10, 10, objectiveOf(10)) + 4,
    )
  })
})
