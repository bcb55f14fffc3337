import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'
import {
  fromAllenCunneen,
  fromErlangC,
  fromLittle,
  fromThroughput,
  loadBetween,
  size,
  uslThroughput,
} from 'millpond/sizing'

describe('size', () => {
  it('gives the guide’s answers to the guide’s questions', () => {
    expect(size({ cores: 4, disks: 1 })).toMatchObject({ max: 9, min: 2, decidedBy: 'cores' })
    expect(size({ cores: 4, waitMillis: 50, serviceMillis: 50 })).toMatchObject({
      max: 8,
      min: 2,
      decidedBy: 'waiting',
    })
  })

  it('divides what is the server’s among the instances', () => {
    expect(size({ cores: 16, disks: 0, instances: 4 }).max).toBe(8)
    expect(size({ serverLimit: 103, instances: 5 })).toMatchObject({ max: 20, decidedBy: 'budget' })
  })

  it('takes no more than callers need, and no more than the server has', () => {
    const light = size({ cores: 16, ratePerSecond: 100, useMillis: 10 })
    expect(light).toMatchObject({ decidedBy: 'erlang-c', warnings: [] })
    expect(light.max).toBeLessThan(6)
    const heavy = size({ cores: 4, ratePerSecond: 2_000, useMillis: 20, serverLimit: 100, instances: 2 })
    expect(heavy).toMatchObject({ max: 4, decidedBy: 'cores' })
    expect(heavy.warnings[0]).toContain('but beyond 4 the server gets no more done')
    expect(size({ ratePerSecond: 2_000, useMillis: 20, serverLimit: 23 })).toMatchObject({
      max: 20,
      decidedBy: 'budget',
    })
  })

  it('counts that small pools queue by themselves', () => {
    const one = size({ ratePerSecond: 1_000, useMillis: 10 }).max
    const four = size({ ratePerSecond: 1_000, useMillis: 10, instances: 4 }).max
    expect(4 * four).toBeGreaterThan(one)
  })

  it('keeps a floor below which nested leases block each other, and says where that cannot be', () => {
    expect(size({ cores: 2, tasks: 10, connectionsPerTask: 3 })).toMatchObject({ max: 21, decidedBy: 'lock-floor' })
    expect(size({ tasks: 50, serverLimit: 23 }).warnings).toEqual([expect.stringContaining('can deadlock')])
    expect(size({ cores: 4, serverLimit: 5, instances: 9 }).warnings).toEqual([
      expect.stringContaining('put a pooler between'),
    ])
  })

  it('gives every reason with numbers, source and limits, as plain data', () => {
    const answer = size({
      cores: 8,
      waitMillis: 5,
      serviceMillis: 5,
      ratePerSecond: 500,
      instances: 2,
      serverLimit: 200,
      tasks: 3,
    })
    expect(answer.reasons.map(({ name }) => name)).toEqual([
      'waiting',
      'cores',
      'little',
      'erlang-c',
      'allen-cunneen',
      'lock-floor',
      'budget',
    ])
    expect(JSON.parse(JSON.stringify(answer))).toEqual(answer)
    for (const { why, source, limits, perInstance } of answer.reasons) {
      expect(why).toMatch(/\d.*\.$/)
      expect([source.length > 9, limits.length > 9, perInstance >= 1]).toEqual([true, true, true])
    }
  })

  it('takes what was measured for more than what was assumed', () => {
    // A law that peaks at 22; its knee is where 97 % of that is reached.
    const model = { gamma: 100, alpha: 0.05, beta: 0.002 }
    const throughput = [1, 2, 4, 8, 16, 24, 32].map((connections) => ({ connections, throughput: uslThroughput(model, connections) })) // prettier-ignore
    const answer = size({ throughput, cores: 64, instances: 2 })
    const [usl] = answer.reasons
    expect(usl).toMatchObject({ name: 'usl', role: 'knee', shown: expect.stringContaining('X(N) = 100 N / (1 + 0.05 (N − 1) + 0.002 N (N − 1))') as string }) // prettier-ignore
    const { connections = 0 } = usl ?? {}
    const most = Math.max(...throughput.map((each) => each.throughput))
    expect(uslThroughput(model, connections)).toBeGreaterThanOrEqual(0.97 * most)
    expect(uslThroughput(model, connections - 2)).toBeLessThan(0.97 * most)
    expect([answer.decidedBy, answer.max]).toEqual(['usl', Math.floor(connections / 2)])
    expect(() => size({ throughput: throughput.slice(0, 2) })).toThrow(
      'Expected `throughput` to have at least three sizes ≥ 1',
    )
  })

  it('says what it needs to know', () => {
    expect(() => size({})).toThrow('Say at least `cores`')
    expect(() => size({ cores: 4, instances: 0 })).toThrow('`instances`')
  })
})

it('has source and limits for every formula', () => {
  const objective = { waitMillis: 20, share: 0.01 }
  const points = [1, 2, 4].map((connections) => ({ connections, throughput: 100 * connections }))
  const results = [fromLittle(100, 25), fromErlangC(2.5, 25, objective), fromAllenCunneen(2.5, 25, objective, 4, 1), fromThroughput(points)] // prettier-ignore
  expect(results.map(({ connections }) => connections)).toEqual([3, 6, 7, 4])
  for (const { shown, source, limits } of results)
    expect([/\d/.test(shown), source.length > 9, limits.length > 9]).toEqual([true, true, true])
  expect(() => fromLittle(Number.NaN, 1)).toThrow('`ratePerSecond`')
})

it('takes the load of a running pool from two looks at its statistics', async () => {
  const clock = new ManualClock()
  const pool = new Pool(new FakeFactory(), { clock, max: 2, reclaimAbandoned: false })
  const use = async (millis: number): Promise<void> => {
    const lease = await pool.acquire()
    await clock.advance(millis)
    lease.release()
  }
  await use(400)
  const before = pool.stats()
  for (let count = 0; count < 10; count++) await use(50)
  await clock.advance(500)
  const load = loadBetween(before, pool.stats(), 1_000)
  expect(load).toMatchObject({ ratePerSecond: 10, waitedShare: 0, acquireMillis: 0 })
  expect(load.useMillis).toBeCloseTo(50, 3)
  expect(load.busy).toBeCloseTo(0.5, 3)
  expect(size({ ...load, cores: 4 }).max).toBeLessThanOrEqual(3)
  expect(() => loadBetween(before, before, 0)).toThrow('`elapsedMillis`')
  await pool.close()
})
