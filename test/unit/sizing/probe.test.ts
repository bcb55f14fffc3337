import { describe, expect, it } from 'vitest'
import { PoolError } from 'millpond'
import {
  autosize,
  findKnee,
  ThroughputProbe,
  uslPeak,
  uslThroughput,
  type LoadBin,
  type UslModel,
} from 'millpond/sizing'
import { FakeFactory } from 'millpond/testing'
import { exponential, randomOf, SERVERS, SimulatedLoad } from '../../support/sizing.ts'
import { engineOf } from '../../../src/core/pool.ts'
import { setUp } from '../../support/harness.ts'

/** A server that is always asked for more: completions of each block are drawn around what the law says. */
function probeOn(
  modelAt: (block: number) => UslModel,
  { start = 10, min = 2, max = 200, blocks = 240, seed = 1, saturatedAt = Infinity } = {},
) {
  const random = randomOf(seed)
  const probe = new ThroughputProbe(start, { min, max, random })
  const limits: number[] = []
  let done = 0
  let best = 0
  for (let block = 0; block < blocks; block++) {
    const model = modelAt(block)
    const { limit } = probe
    const mean = uslThroughput(model, limit)
    // Poisson counts, by their normal approximation.
    const noise = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const completions = Math.max(0, Math.round(mean + Math.sqrt(mean) * noise))
    probe.ended({ limit, completions, millis: 1_000, saturated: limit <= saturatedAt ? 1 : 0 })
    limits.push(limit)
    // The beginning is the search itself.
    if (block >= blocks / 4) {
      done += mean
      best += uslThroughput(model, uslPeak(model))
    }
  }
  return { probe, limits, share: done / best }
}

describe('the throughput probe', () => {
  it.each(Object.entries(SERVERS))('finds what a %s server serves best, from too few and from too many', (_, model) => {
    for (const start of [4, 150]) {
      for (const seed of [1, 2, 3]) {
        const { share, probe } = probeOn(() => model, { start, seed })
        expect(share).toBeGreaterThan(0.95)
        expect(probe.base).toBeLessThan(1.2 * uslPeak(model))
      }
    }
  })

  it('follows a server that changes, both ways', () => {
    const { share } = probeOn((block) => (block >= 120 && block < 240 ? SERVERS.strong : SERVERS.mild), { blocks: 360 })
    expect(share).toBeGreaterThan(0.93)
  })

  it('stays within its bounds', () => {
    const { limits } = probeOn(() => ({ gamma: 100, alpha: 0, beta: 0 }), { start: 5, min: 3, max: 12 })
    expect([Math.min(...limits) >= 3, Math.max(...limits)]).toEqual([true, 12])
    const narrow = probeOn(() => SERVERS.strong, { start: 5, min: 5, max: 5, blocks: 20 })
    expect(new Set(narrow.limits)).toEqual(new Set([5]))
  })

  it('moves only while the load would take more', () => {
    const { probe, limits } = probeOn(() => SERVERS.mild, { start: 20, saturatedAt: 0 })
    expect(probe.base).toBe(20)
    expect(new Set(limits)).toEqual(new Set([17, 23]))
  })
})

describe('the knee', () => {
  /** What is seen of a server while the number at work wanders over these sizes. */
  function binsOf(model: UslModel, most: number): LoadBin[] {
    const random = randomOf(3)
    return Array.from({ length: most }, (_, index) => {
      const connections = index + 1
      const throughput = uslThroughput(model, connections)
      const noise = (): number => 1 + 0.05 * (random() - 0.5)
      const shared = 500
      return {
        connections,
        millis: 1_000,
        completions: Math.round(throughput * noise()),
        shared,
        useMillis: (shared * connections * 1_000 * noise()) / throughput,
      }
    })
  }

  it.each(Object.entries(SERVERS))(
    'of a %s server is found by both estimators, for 95 %% of what the server can do',
    (_, model) => {
      const knee = findKnee(binsOf(model, 140))
      expect(knee?.agree).toBe(true)
      const best = uslThroughput(model, uslPeak(model))
      for (const found of [knee?.connections, knee?.byThroughput, knee?.byUseTime]) {
        expect(found).toBeGreaterThan(0.5 * uslPeak(model))
        expect(found).toBeLessThan(1.35 * uslPeak(model))
        expect(uslThroughput(model, found ?? 0) / best).toBeGreaterThan(0.95)
      }
    },
  )

  it('is not claimed beyond what was seen', () => {
    expect(findKnee(binsOf(SERVERS.mild, 12))).toBeUndefined()
    expect(findKnee([])).toBeUndefined()
  })
})

describe('autosize', () => {
  it('refuses to act where others may share the server, unless told that it is alone', async () => {
    const { pool } = setUp({ max: 8 })
    let error: unknown
    try {
      autosize(pool)
    } catch (thrown) {
      error = thrown
    }
    expect(PoolError.is(error, 'ERR_POOL_OPTION')).toBe(true)
    expect((error as Error).message).toContain('Say `alone: true`')
    expect(() => autosize(pool, { alone: true, min: 9 })).toThrow('Expected `min` to be at most `max` (8), got 9')
    const foreign = {
      name: 'x',
      kind: 'x',
      state: 'open' as const,
      stats: () => pool.stats(),
      health: () => pool.health(),
      close: () => pool.close(),
      on: () => undefined,
    }
    expect(() => autosize(foreign, { alone: true })).toThrow('only pools of this engine can be tuned')
    await pool.close()
  })

  it('allows everything while others are there, or cannot be counted', async () => {
    const { pool, clock } = setUp({ max: 8 }, new FakeFactory())
    const counts: (() => number)[] = [
      () => 3,
      () => {
        throw new Error('down')
      },
      () => 0,
    ]
    let asked = 0
    using tuner = autosize(pool, {
      others: () => counts[Math.min(asked++, 2)]?.() ?? 0,
      clock,
      random: () => 0,
      start: 4,
    })
    await clock.advance(1)
    expect(tuner.limit).toBe(Infinity)
    await clock.advance(5_000)
    expect([asked, tuner.limit]).toEqual([2, Infinity])
    await clock.advance(5_000)
    expect([asked, tuner.limit]).toEqual([3, 3])
  })

  it('brings a pool that is much too large to where the server does most, and lets go when it stops', async () => {
    const peak = uslPeak(SERVERS.strong)
    const rate = 1.5 * uslThroughput(SERVERS.strong, peak)
    const load = new SimulatedLoad(SERVERS.strong, {
      max: 100,
      arrivals: (random) => exponential(random, 1_000 / rate),
      seed: 5,
    })
    const measure = async (seconds: number): Promise<number> => {
      const from = load.completed
      await load.run(seconds * 1_000, 4)
      return (load.completed - from) / seconds
    }
    await measure(3)
    const untuned = await measure(4)
    const { inventory } = engineOf(load.pool)
    inventory.gate(Math.round(peak))
    await measure(3)
    const best = await measure(6)
    inventory.gate(Infinity)
    const tuner = autosize(load.pool, { alone: true, clock: load.clock, random: randomOf(5) })
    await measure(60)
    const tuned = await measure(15)
    expect(untuned / best).toBeLessThan(0.65)
    expect(tuned / best).toBeGreaterThan(0.93)
    expect(tuner.moves.length).toBeGreaterThan(2)
    // The sockets are all there still: only leases were held back.
    expect(load.pool.stats().total).toBe(100)
    expect(load.pool.stats().leases).toBeLessThan(50)
    tuner.stop()
    await load.run(2_000, 4)
    expect(load.pool.stats().leases).toBeGreaterThan(50)
  })
})
