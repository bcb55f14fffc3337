import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp } from '../support/harness.ts'
import { expectIdentities } from '../support/identities.ts'
import { after, job, seeded } from '../support/simulation.ts'

/** Bugs of creating that pools in production had; each with where it happened. */
describe('creating', { retry: 0 }, () => {
  // HikariCP #1474, #2274, #2255, #1819, #2161: one thread opened connections, and a hung connect held it for ever.
  it('B1: a hung create does not block the other creates', async () => {
    const factory = new FakeFactory()
    const hung = new Hung()
    factory.onCreate = () => (factory.createCalls === 1 ? hung.step() : after(clock, 100))
    const { clock, pool } = setUp({ max: 8, createTimeoutMillis: 1_000 }, factory)
    const jobs = Array.from({ length: 8 }, () => job(pool, clock, 5_000))
    await clock.advance(100)
    expect(jobs.filter(({ servedAt }) => servedAt !== undefined)).toHaveLength(7)
    // The slot of the hung one is free at the deadline of its create, and filled after the shortest back-off.
    await clock.advance(900 + 200 + 100)
    expect(jobs.every(({ servedAt }) => servedAt !== undefined)).toBe(true)
    expect(pool.stats()).toMatchObject({ zombies: 1, used: 8, creating: 0 })
    await clock.advance(4_000)
    hung.end()
  })

  it('B1: creates that never end, and heed no signal, keep the pool empty no longer than the server is away', async () => {
    const factory = new FakeFactory()
    const hung = new Hung()
    let hangs = true
    factory.onCreate = () => (hangs ? hung.step() : after(clock, 10))
    const { clock, pool } = setUp(
      { max: 4, maxConnecting: 2, createTimeoutMillis: 1_000, acquireTimeoutMillis: 60_000 },
      factory,
    )
    const failures: unknown[] = []
    pool.on('failure', ({ error }) => failures.push(error))
    const first = job(pool, clock, 1)
    for (let second = 0; second < 30; second++) {
      await clock.advance(1_000)
      expect(pool.stats().zombies).toBeLessThanOrEqual(2)
    }
    hangs = false
    await clock.advance(2_100)
    expect(first.servedAt).toBeDefined()
    expect(failures.length).toBeGreaterThan(5)
    // What still comes of those that were written off is destroyed unseen.
    hung.succeed()
    await clock.advance(100)
    expect(factory.open).toBe(1)
    expect(pool.stats()).toMatchObject({ total: 1, zombies: 0 })
    expectIdentities(pool.stats())
  })

  // pgx #1259, sqlx #3132: a caller who gave up took the dial with it, and nothing was ever opened.
  it('B4: callers that give up earlier than a connect takes cause no storm of connects', async () => {
    const factory = new FakeFactory()
    factory.onCreate = () => after(clock, 150)
    const { clock, pool } = setUp({ max: 5 }, factory)
    const jobs = []
    for (let round = 0; round < 100; round++) {
      for (let caller = 0; caller < 10; caller++) jobs.push(job(pool, clock, 1, 50))
      await clock.advance(10)
    }
    await clock.advance(200)
    expect(factory.createCalls).toBeLessThanOrEqual(5)
    expect(jobs.every(({ endedAt }) => endedAt !== undefined)).toBe(true)
    expect(jobs.filter(({ servedAt }) => servedAt !== undefined).length).toBeGreaterThan(800)
  })

  // pgx #1354: with a slow network and callers who gave up in time, the pool came to a stand for good.
  it('B5: connects, work and checks that take longer than callers wait leave a pool that serves everybody', async () => {
    const random = seeded(1_354)
    const factory = new FakeFactory({ validates: true, resets: true })
    const latency = (): Promise<void> => after(clock, 40 + Math.floor(random() * 160))
    factory.onCreate = latency
    factory.onValidate = latency
    factory.onReset = latency
    const { clock, pool } = setUp({ max: 4, validateAfterIdleMillis: 20 }, factory)
    for (let round = 0; round < 600; round++) {
      const controller = new AbortController()
      const options = { signal: controller.signal, timeoutMillis: 1 + Math.floor(random() * 250) }
      void pool.acquire(options).then(
        (lease) => void latency().then(() => (random() < 0.1 ? lease.destroy() : lease.release())),
        () => undefined,
      )
      if (random() < 0.5) clock.setTimer(() => controller.abort(), Math.floor(random() * 200))
      await clock.advance(Math.floor(random() * 30))
      expectIdentities(pool.stats())
    }
    await clock.advance(1_000)
    expect(pool.stats()).toMatchObject({ waiting: 0, used: 0, maintaining: 0, creating: 0 })
    const jobs = Array.from({ length: 40 }, () => job(pool, clock, 10, 20_000))
    await clock.advance(20_000)
    expect(jobs.every(({ code, endedAt }) => code === undefined && endedAt !== undefined)).toBe(true)
  })

  // pgx #1780: connections that ended right after they were opened were opened again, without an end.
  it('B6: resources that die before anybody had them are not opened again and again', async () => {
    const factory = new FakeFactory()
    const { clock, pool } = setUp({ max: 10, min: 5 }, factory)
    pool.on('created', ({ resourceId }) => {
      clock.setTimer(() => factory.resources[resourceId - 1]?.die(new FakeError('disconnect')), 1)
    })
    await pool.acquire().then((lease) => lease.destroy())
    const before = factory.createCalls
    await clock.advance(30_000)
    const { created, total, destroyed } = pool.stats()
    expect(created - Object.values(destroyed).reduce((sum, count) => sum + count, 0)).toBe(total)
    expect(factory.createCalls - before).toBeLessThanOrEqual(60)
  })

  // pgx #1780, the other way round: the pool counted what it had opened wrongly, and opened more than it might.
  it('B6: creates and closes add up while resources break in use', async () => {
    const factory = new FakeFactory()
    factory.onCreate = () => after(clock, 5)
    const { clock, pool } = setUp({ max: 4 }, factory)
    for (let round = 0; round < 200; round++) {
      void pool.acquire({ timeoutMillis: 1_000 }).then((lease) => {
        if (round % 2 === 0) lease.resource.broken = true
        clock.setTimer(() => lease.release(), 3)
      })
      await clock.advance(2)
      expect(factory.open).toBeLessThanOrEqual(4)
    }
    await clock.advance(1_000)
    expect(pool.stats().total).toBe(factory.open)
  })

  // Vitess #17757, #20079: the worker that closed idle connections opened their successors, and stood still with the server.
  it('B15: retiring idle resources waits for no connect, and takes nothing from callers meanwhile', async () => {
    const factory = new FakeFactory()
    const { clock, pool, take } = setUp({ max: 8, maxLifetimeMillis: 10_000, createTimeoutMillis: 60_000 }, factory)
    const old = await take(2)
    await clock.advance(4_000)
    const young = await take(4)
    for (const lease of [...old, ...young]) lease.release()
    pool.resize({ min: 6 })
    factory.holdCreates()
    // Two get old at 8.75 s; their successors hang.
    await clock.advance(5_500)
    expect(pool.stats()).toMatchObject({ creating: 1, waiting: 0 })
    for (let round = 0; round < 20; round++) {
      const jobs = [job(pool, clock, 20), job(pool, clock, 20), job(pool, clock, 20), job(pool, clock, 20)]
      await clock.advance(100)
      expect(jobs.map(({ servedAt }) => servedAt)).toEqual(jobs.map(({ askedAt }) => askedAt))
    }
  })
})

/** Steps that hang until the test ends them. */
class Hung {
  readonly #gates: { resolve(): void; reject(error: unknown): void }[] = []

  step(): Promise<void> {
    return new Promise<void>((resolve, reject) => this.#gates.push({ resolve, reject }))
  }

  succeed(): void {
    for (const { resolve } of this.#gates.splice(0)) resolve()
  }

  end(): void {
    for (const { reject } of this.#gates.splice(0)) reject(new Error('the test is over'))
  }
}
