import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { figures, percentile, pick } from '../../support/chaos.ts'
import { after, job, seeded, type Job } from '../../support/simulation.ts'

describe('what takes hours (simulated)', { timeout: 240_000, retry: 0 }, () => {
  it('C20: two hundred connections that were born together do not die together', async () => {
    const clock = new ManualClock()
    const factory = new FakeFactory()
    factory.onCreate = () => after(clock, 50)
    const pool = new Pool<FakeResource>(factory, {
      clock,
      random: seeded(20),
      max: 220,
      min: 200,
      maxLifetimeMillis: 1_800_000,
      idleTimeoutMillis: Infinity,
      reclaimAbandoned: false,
    })
    const ready = pool.ready({ timeoutMillis: 60_000 })
    await clock.advance(10_000)
    await ready
    const closedAt: number[] = []
    const ages: number[] = []
    let fewest = Infinity
    pool.on('destroyed', ({ reason, ageMillis }) => {
      if (reason === 'close') return
      closedAt.push(clock.now())
      ages.push(ageMillis)
    })
    const seconds = pick(6 * 3_600, 2 * 3_600)
    const random = seeded(2)
    for (let second = 0; second < seconds; second++) {
      if (random() < 0.5) job(pool, clock, random() * 500)
      await clock.advance(1_000)
      const { idle, used } = pool.stats()
      fewest = Math.min(fewest, idle + used)
    }
    // In any ten seconds, wherever they begin.
    const most = Math.max(
      ...closedAt.map((from, index) => closedAt.filter((at, other) => other >= index && at < from + 10_000).length),
    )
    figures('C20 lifetimes of 200 connections', {
      'simulated hours': seconds / 3_600,
      closed: closedAt.length,
      'most closed in any 10 s': most,
      'fewest open': fewest,
      'youngest closed min': Math.min(...ages) / 60_000,
      'oldest closed min': Math.max(...ages) / 60_000,
    })
    expect(closedAt.length).toBeGreaterThan(200)
    expect(pool.stats().destroyed.lifetime).toBe(closedAt.length)
    expect(most).toBeLessThanOrEqual(0.06 * 200)
    expect(fewest).toBeGreaterThanOrEqual(200)
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(0.75 * 1_800_000)
    expect(Math.max(...ages)).toBeLessThanOrEqual(1_800_000 + 60_000)
    const closed = pool.close()
    await clock.advance(5_000)
    await closed
  })

  it.each([
    { open: 10, seed: 1, most: { p99: 320, longest: 400 } },
    { open: 10, seed: 2, most: { p99: 320, longest: 400 } },
    { open: 10, seed: 3, most: { p99: 320, longest: 400 } },
    // Eight connects at a time reach 38 connections after 750 ms: whoever comes last by then waits for about 400 ms.
    { open: 0, seed: 1, most: { p99: 450, longest: 450 } },
  ])(
    'C18: a step to 38 connections of work, connects of 150 ms, $open open before (seed $seed)',
    async ({ open, seed, most }) => {
      const clock = new ManualClock()
      const random = seeded(seed)
      const factory = new FakeFactory()
      factory.onCreate = () => after(clock, 150)
      const pool = new Pool<FakeResource>(factory, { clock, random, max: 60, min: open, reclaimAbandoned: false })
      if (open > 0) await Promise.all([pool.ready(), clock.advance(1_000)])
      const jobs: Job[] = []
      let mostOpen = 0
      for (let at = 0; at < 20_000;) {
        const gap = (-Math.log(1 - random()) * 1_000) / 380
        await clock.advance(gap)
        at += gap
        jobs.push(job(pool, clock, 100))
        mostOpen = Math.max(mostOpen, pool.stats().total + pool.stats().creating)
      }
      await clock.advance(5_000)
      const waits = jobs.map(({ servedAt = Infinity, askedAt }) => servedAt - askedAt)
      figures(`C18 step to 380/s from ${open} open, seed ${seed}`, {
        jobs: jobs.length,
        'wait p50 ms': percentile(waits, 0.5),
        'wait p99 ms': percentile(waits, 0.99),
        'longest wait ms': Math.max(...waits),
        'most open': mostOpen,
      })
      expect(percentile(waits, 0.99)).toBeLessThanOrEqual(most.p99)
      expect(Math.max(...waits)).toBeLessThanOrEqual(most.longest)
      expect(mostOpen).toBeLessThanOrEqual(60)
      const closed = pool.close()
      await clock.advance(5_000)
      await closed
    },
  )

  // HikariCP's and psycopg's test: 50 callers at once on 5 idle connections, work of 2 ms, connects of 150 ms.
  it.each([
    [0, 50],
    ['auto' as const, 1],
  ])(
    'a spike of 50 short callers on 5 connections, growth horizon %s: nobody waits for a connect',
    async (growthHorizonMillis, mostCreates) => {
      const clock = new ManualClock()
      const factory = new FakeFactory()
      factory.onCreate = () => after(clock, 150)
      const pool = new Pool<FakeResource>(factory, {
        clock,
        random: seeded(1),
        max: 50,
        growthHorizonMillis,
        reclaimAbandoned: false,
      })
      pool.resize({ max: 5 })
      for (let round = 0; round < 20; round++) {
        for (let each = 0; each < 5; each++) job(pool, clock, 2)
        await clock.advance(200)
      }
      pool.resize({ max: 50 })
      const before = factory.createCalls
      const startedAt = clock.now()
      const jobs = Array.from({ length: 50 }, () => job(pool, clock, 2))
      await clock.advance(1_000)
      const last = Math.max(...jobs.map(({ endedAt = Infinity }) => endedAt)) - startedAt
      figures(`spike of 50 on 5, growth horizon ${growthHorizonMillis}`, {
        creates: factory.createCalls - before,
        'last done after ms': last,
      })
      expect(last).toBeLessThanOrEqual(25)
      expect(factory.createCalls - before).toBeLessThanOrEqual(Math.min(mostCreates, 45))
      const closed = pool.close()
      await clock.advance(5_000)
      await closed
    },
  )
})
