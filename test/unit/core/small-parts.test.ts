import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { Histogram } from '../../../src/core/histogram.ts'
import { assertEntryMove, assertPoolMove, CLOSED, IDLE } from '../../../src/core/lifecycle.ts'
import { checkOption, describeRule, nearestName, type OptionRule } from '../../../src/core/option-check.ts'
import { formatMillis } from '../../../src/core/report.ts'
import { sumStats } from '../../../src/core/sum-stats.ts'
import { AcquireTimeoutError, Pool, PoolError } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'

describe('the clock of the process', () => {
  it('reads one time in one turn of the event loop, and another in the next', async () => {
    const first = systemClock.turnNow()
    const until = performance.now() + 3
    while (performance.now() < until) Math.random()
    expect(systemClock.turnNow()).toBe(first)
    expect(systemClock.now()).toBeGreaterThan(first)
    await new Promise((resolve) => setImmediate(resolve))
    expect(systemClock.turnNow()).toBeGreaterThan(first)
  })

  it('tells the wall’s time and the CPU time used, in milliseconds', () => {
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(10_000)
    const { user, system } = process.cpuUsage()
    const used = systemClock.cpuMillis()
    expect(used).toBeGreaterThanOrEqual((user + system) / 1_000)
    expect(used).toBeLessThan((user + system) / 1_000 + 60_000)
  })

  it('sets timers that can be cancelled, and that may be longer than Node’s own', async () => {
    const rung: string[] = []
    const far = systemClock.setTimer(() => rung.push('far'), 1e12)
    const cancelled = systemClock.setTimer(() => rung.push('cancelled'), 1)
    cancelled.cancel()
    await new Promise<void>((resolve) => {
      const soon = systemClock.setTimer(() => systemClock.afterTurn(resolve), 5)
      soon.unref()
      soon.ref()
    })
    far.cancel()
    expect(rung).toEqual([])
  })
})

describe('a histogram', () => {
  it('keeps durations below 8 µs apart, and takes those above 35 minutes for that long', () => {
    const histogram = new Histogram()
    for (const millis of [0.003, 0.003, 0.003, 5e6]) histogram.record(millis)
    const { p50, max, count } = histogram.snapshot()
    expect({ p50, max, count }).toEqual({ p50: 0.003, max: 5e6, count: 4 })
    expect(new Histogram().snapshot()).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
  })
})

describe('a transition that the table does not know', () => {
  it('is a bug, and says which', () => {
    expect(() => assertEntryMove(CLOSED, IDLE)).toThrow('bug: a resource cannot go from closed to idle')
    expect(() => assertPoolMove('closed', 'open')).toThrow('bug: a pool cannot go from closed to open')
  })
})

describe('a rule of an option', () => {
  const rules: readonly (readonly [OptionRule, string, unknown, unknown, string])[] = [
    [{ type: 'integer', min: 1 }, 'an integer ≥ 1', 1, 0, '0'],
    [{ type: 'integer', min: 0, infinity: true }, 'an integer ≥ 0 or Infinity', Infinity, 1.5, '1.5'],
    [{ type: 'duration' }, 'a number of milliseconds > 0', 0.5, Infinity, 'Infinity'],
    [{ type: 'duration', zero: true, infinity: true }, 'a number of milliseconds ≥ 0 or Infinity', 0, NaN, 'NaN'],
    [{ type: 'boolean' }, 'a boolean', false, null, 'null'],
    [{ type: 'string' }, 'a string that is not empty', 'name', '', "'' (string)"],
    [{ type: 'function' }, 'a function', () => 1, true, 'true'],
    [{ type: 'object' }, 'an object', {}, 'text', "'text' (string)"],
    [{ type: 'string-or-function' }, 'a string or a function', () => 'label', [], 'an array'],
    [{ type: 'one-of', values: ['lifo', 'fifo'] }, "one of 'lifo', 'fifo'", 'fifo', {}, 'object'],
  ]

  it.each(rules)('%o reads as %s', (rule, text, right, wrong, quoted) => {
    expect(describeRule(rule)).toBe(text)
    expect(() => checkOption('orders', 'option', right, rule)).not.toThrow()
    expect(() => checkOption('orders', 'option', wrong, rule)).toThrow(
      `Expected \`option\` to be ${text}, got ${quoted}`,
    )
  })

  it('has a text for a string as well as for a function', () => {
    expect(() => checkOption('orders', 'label', 'text', { type: 'string-or-function' })).not.toThrow()
  })
})

describe('the nearest name', () => {
  it('is the one that was probably meant, or none', () => {
    const known = ['idleTimeoutMillis', 'maxLifetimeMillis', 'max']
    expect(nearestName('idleTimeOutMilis', known)).toBe('idleTimeoutMillis')
    expect(nearestName('mx', known)).toBe('max')
    expect(nearestName('', known)).toBeUndefined()
    expect(nearestName('completelyDifferent', known)).toBeUndefined()
  })

  it('is none that takes three changes of a short name, wherever they are', () => {
    expect(nearestName('cdef', ['xycdeg'])).toBeUndefined()
    expect(nearestName('a', ['xyz'])).toBeUndefined()
    expect(nearestName('abcd', ['xyc'])).toBeUndefined()
    expect(nearestName('abcd', ['xbc'])).toBe('xbc')
  })
})

describe('a duration in a message', () => {
  it.each([
    [0.4, '0 ms'],
    [999, '999 ms'],
    [1_500, '1.5 s'],
    [61_000, '61 s'],
    [600_000, '10 min'],
  ])('%d ms reads as %s', (millis, text) => {
    expect(formatMillis(millis)).toBe(text)
  })
})

describe('errors', () => {
  it('are recognized by their brand, and nothing else is', () => {
    for (const other of [undefined, null, 'text', new Error('no'), {}]) expect(PoolError.is(other)).toBe(false)
  })

  it('have a cause only where there is one', () => {
    const [plain, caused] = [undefined, 'the server is down'].map(
      (cause) => new AcquireTimeoutError('orders', 'too late', 1, 0, {} as AcquireTimeoutError['report'], cause),
    )
    expect(plain).not.toHaveProperty('cause')
    expect(caused).toHaveProperty('cause', 'the server is down')
  })
})

describe('statistics of several pools', () => {
  const named = (name: string, max: number): Parameters<typeof sumStats>[0] => ({
    name,
    kind: 'fake',
    state: 'open',
    max,
  })

  it('add up, past pools included, with the widest percentile', async () => {
    const clock = new ManualClock()
    const pools = [2, 3].map((max) => new Pool(new FakeFactory(), { max, clock, name: `pool of ${max}` }))
    const [first, second] = pools as [(typeof pools)[number], (typeof pools)[number]]
    const held = await first.acquire()
    const other = await second.acquire()
    await clock.advance(40)
    other.release()
    const past = second.stats()
    const sum = sumStats(named('all', Infinity), [first.stats()], [past])
    expect(sum).toMatchObject({ name: 'all', used: 1, max: 2, utilization: 0.5, requested: 2, acquired: 2, created: 2 })
    expect(sum.use).toMatchObject({ count: 1, max: 40, mean: 40 })
    expect(sum.wait.max).toBeGreaterThanOrEqual(0)
    expect(sumStats(named('bounded', 8), [first.stats()], []).utilization).toBe(1 / 8)
    expect(sumStats(named('none', Infinity), [], [])).toMatchObject({ max: 0, utilization: 0, destroyed: {} })
    held.release()
    await Promise.all(pools.map((pool) => pool.close()))
  })
})
