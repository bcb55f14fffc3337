import { describe, expect, it } from 'vitest'
import { POOL_EVENT_NAMES } from '../../src/core/events.ts'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp } from '../support/harness.ts'
import { after, job, seeded, type Job } from '../support/simulation.ts'
import { expectIdentities } from '../support/identities.ts'
import { watchFrom } from '../support/watch-from.ts'

/** Bugs of handing out that pools in production had; each with where it happened. */
describe('handing out', { retry: 0 }, () => {
  // Vitess #20308: released connections were handed to callers long gone, and useful work came to a standstill.
  it('B7: no resource is handed to a waiter that has expired', async () => {
    const { clock, pool, take } = setUp({ max: 5, maxWaiting: 20_000 })
    const held = await take(5)
    const expired = Array.from({ length: 10_000 }, () => job(pool, clock, 10, 100))
    await clock.advance(99)
    // The event loop is busy at the very moment, and the resources come back in that turn.
    await clock.stall(2)
    for (const lease of held) lease.release()
    await clock.settle()
    const handedOut = expired.filter(({ servedAt }) => servedAt !== undefined).length
    await clock.advance(100)
    expect(handedOut).toBeLessThanOrEqual(5)
    expect(expired.every(({ endedAt, servedAt }) => endedAt !== undefined || servedAt !== undefined)).toBe(true)
    const fresh: Job[] = []
    for (let round = 0; round < 100; round++) {
      fresh.push(job(pool, clock, 10), job(pool, clock, 10), job(pool, clock, 10), job(pool, clock, 10))
      await clock.advance(10)
    }
    await clock.advance(20)
    expect(fresh.filter(({ endedAt, askedAt }) => (endedAt ?? Infinity) - askedAt <= 20)).toHaveLength(400)
  })

  // Vitess #17675, sqlx #622, commons-pool: a connection lay idle while somebody waited for one.
  it('B8: nothing is idle while somebody waits', async () => {
    const random = seeded(622)
    const { clock, pool } = setUp({ max: 3 })
    const aborts: AbortController[] = []
    for (let round = 0; round < 2_000; round++) {
      const controller = new AbortController()
      aborts.push(controller)
      const workMillis = Math.floor(random() * 8)
      void pool.acquire({ signal: controller.signal, timeoutMillis: 1 + Math.floor(random() * 30) }).then(
        (lease) => clock.setTimer(() => lease.release(), workMillis),
        () => undefined,
      )
      if (random() < 0.3) aborts[Math.floor(random() * aborts.length)]?.abort()
      await clock.advance(random() < 0.6 ? 1 : 0)
      const { idle, waiting } = pool.stats()
      expect(idle > 0 && waiting > 0).toBe(false)
    }
    await clock.advance(100)
    expect(pool.stats()).toMatchObject({ waiting: 0, used: 0 })
  })

  // commons-pool, Npgsql: a destroyed or failed connection freed a slot, and no waiter was told.
  it('B9: a freed slot wakes a waiter: after a destroy, a failed create, a failed reset and a resize', async () => {
    const factory = new FakeFactory({ resets: true })
    const { clock, pool, take, ask } = setUp({ max: 1, acquireTimeoutMillis: 30_000 }, factory)
    const [lease] = await take(1)
    const afterDestroy = ask()
    lease?.destroy()
    await clock.settle()
    expect(afterDestroy.lease).toBeDefined()

    const afterBroken = ask()
    if (afterDestroy.lease !== undefined) afterDestroy.lease.resource.broken = true
    afterDestroy.lease?.release()
    await clock.settle()
    expect(afterBroken.lease).toBeDefined()

    factory.onReset = () => {
      throw new FakeError('disconnect')
    }
    const afterFailedReset = ask()
    afterBroken.lease?.release()
    await clock.settle()
    expect(afterFailedReset.lease).toBeDefined()
    factory.onReset = () => undefined

    const afterResize = ask()
    pool.resize({ max: 2 })
    await clock.settle()
    expect(afterResize.lease).toBeDefined()

    const afterFailedCreate = ask()
    pool.resize({ max: 3 })
    factory.onCreate = () => {
      throw new FakeError('timeout')
    }
    afterResize.lease?.destroy()
    await clock.settle()
    factory.onCreate = () => undefined
    await clock.advance(1_100)
    expect(afterFailedCreate.lease).toBeDefined()
    afterFailedCreate.lease?.release()
    afterFailedReset.lease?.release()
  })

  // mysql_async #212, bb8: a newcomer took the connection for which a waiter had just been woken.
  it('B10: a woken waiter is not robbed by a newcomer', async () => {
    const { clock, pool, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    const first = ask()
    await clock.settle()
    held?.release()
    // Before the continuation of the first waiter has run:
    const newcomer = ask()
    expect(pool.tryAcquire()).toBeUndefined()
    await clock.settle()
    expect(first.lease).toBeDefined()
    expect(newcomer.lease).toBeUndefined()
    first.lease?.release()
    await clock.settle()
    newcomer.lease?.release()
  })

  // Go's database/sql #31708: waiters were served at random, the unluckiest after 7.5 minutes instead of 2.
  it('B11: nobody waits longer than the queue takes to drain', async () => {
    const { clock, pool } = setUp({ max: 4, acquireTimeoutMillis: 600_000 })
    const jobs = Array.from({ length: 1_000 }, () => job(pool, clock, 20))
    let newcomers = 0
    while (jobs.some(({ servedAt }) => servedAt === undefined) && newcomers++ < 5_000) {
      if (newcomers % 2 === 0) job(pool, clock, 20)
      await clock.advance(1)
    }
    const waits = jobs.map(({ servedAt = Infinity, askedAt }) => servedAt - askedAt)
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
    const drainMillis = (1_000 / 4) * 20
    expect(Math.max(...waits)).toBeLessThanOrEqual(1.05 * drainMillis)
    expect(Math.max(...waits) / mean).toBeLessThanOrEqual(2.1)
    expect(waits).toEqual([...waits].sort((a, b) => a - b))
    await clock.advance(60_000)
  })

  // sqlx's num_idle, seen by RisingWave #24991: a count was published after the thing it counted, and fell below zero.
  it('B13: counts never underflow, whoever looks and whenever', async () => {
    const factory = new FakeFactory({ resets: true, validates: true })
    const random = seeded(24_991)
    factory.onCreate = () => after(clock, 1 + Math.floor(random() * 3))
    factory.onReset = () => (random() < 0.1 ? Promise.reject(new FakeError('disconnect')) : undefined)
    const { clock, pool } = setUp({ max: 4, min: 1, validateAfterIdleMillis: 3, maxUses: 5 }, factory)
    const watch = watchFrom(pool, POOL_EVENT_NAMES, () => {
      const stats = pool.stats()
      for (const [name, value] of Object.entries({ ...stats, ...stats.destroyed })) {
        if (typeof value === 'number') expect(value, name).toBeGreaterThanOrEqual(0)
      }
      expectIdentities(stats)
      expect(stats.idle + stats.used + stats.maintaining).toBeLessThanOrEqual(4)
    })
    for (let round = 0; round < 500; round++) {
      job(pool, clock, Math.floor(random() * 6), 20)
      if (random() < 0.05) factory.resources.findLast(({ destroyed }) => destroyed === undefined)?.die()
      await clock.advance(1)
    }
    expect(watch.failures).toEqual([])
    expect(watch.looks).toBeGreaterThan(1_000)
    await clock.advance(100)
  })

  // go-redis #1819: handing out the last used one first, all traffic stayed on a few members of a proxy tier.
  it("B16: behind a load balancer, `order: 'fifo'` uses every resource alike", async () => {
    const uses = async (order: 'lifo' | 'fifo'): Promise<number[]> => {
      const { clock, pool, take, factory } = setUp({ max: 8, order, idleTimeoutMillis: Infinity })
      for (const lease of await take(8)) lease.release()
      const counts = new Map(factory.resources.map(({ id }) => [id, 0]))
      for (let round = 0; round < 400; round++) {
        await pool.use(({ id }) => void counts.set(id, (counts.get(id) ?? 0) + 1))
        await clock.advance(1)
      }
      return [...counts.values()]
    }
    const [fifo, lifo] = [await uses('fifo'), await uses('lifo')]
    expect(Math.max(...fifo) - Math.min(...fifo)).toBeLessThanOrEqual(1)
    expect(Math.max(...lifo)).toBe(400)
  })
})
