import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { listen, setUp } from '../../support/harness.ts'

const validating = (): FakeFactory => new FakeFactory({ validates: true })

describe('upkeep', () => {
  it('ends a resource within 75 to 100 % of its lifetime, and never during a lease', async () => {
    const random = { now: 0 }
    const { pool, clock } = setUp({ maxLifetimeMillis: 100_000, idleTimeoutMillis: Infinity, random: () => random.now })
    ;(await pool.acquire()).release()
    await clock.advance(74_000)
    expect(pool.stats().idle).toBe(1)
    await clock.advance(2_500)
    expect(pool.stats().destroyed.lifetime).toBe(1)
    random.now = 1
    const lease = await pool.acquire()
    await clock.advance(200_000)
    expect(pool.stats().used).toBe(1)
    lease.release()
    await clock.settle()
    expect(pool.stats().destroyed.lifetime).toBe(2)
  })

  it('opens the replacement before it ends what `min` holds', async () => {
    const { pool, clock, factory } = setUp({ min: 2, max: 4, maxLifetimeMillis: 100_000 })
    await pool.ready()
    let fewest = 2
    for (let passed = 0; passed < 300; passed++) {
      await clock.advance(1_000)
      fewest = Math.min(fewest, pool.stats().idle)
    }
    expect(fewest).toBe(2)
    expect(factory.createCalls).toBeGreaterThan(4)
  })

  it('closes what is idle too long, down to `min`', async () => {
    const { pool, take, clock } = setUp({ max: 6, min: 1, idleTimeoutMillis: 10_000 })
    for (const lease of await take(6)) lease.release()
    await clock.advance(9_900)
    expect(pool.stats().idle).toBe(6)
    await clock.advance(1_200)
    expect(pool.stats()).toMatchObject({ idle: 1, destroyed: { idle: 5 } })
  })

  it('keeps what is used, and closes the surplus beside it', async () => {
    const { pool, take, clock } = setUp({ max: 6, idleTimeoutMillis: 10_000 })
    for (const lease of await take(6)) lease.release()
    for (let passed = 0; passed < 20; passed++) {
      await pool.use(() => undefined)
      await clock.advance(1_000)
    }
    expect(pool.stats().idle).toBe(1)
  })

  it('in fifo order closes the median of what was idle, which a burst does not move', async () => {
    const { pool, take, clock } = setUp({ max: 8, idleTimeoutMillis: 10_000, order: 'fifo' })
    for (const lease of await take(8)) lease.release()
    for (let passed = 0; passed < 12; passed++) {
      const busy = await take(passed === 5 ? 8 : 3)
      await clock.advance(500)
      for (const lease of busy) lease.release()
      await clock.advance(500)
    }
    const { idle } = pool.stats()
    expect(idle).toBeGreaterThanOrEqual(3 - 3)
    expect(idle).toBeLessThan(8)
  })

  it('closes what is idle beyond `maxIdle` after a second, and nothing in a shorter pause', async () => {
    const { pool, take, clock } = setUp({ max: 6, min: 1, maxIdle: 2, idleTimeoutMillis: Infinity })
    for (let round = 0; round < 5; round++) {
      for (const lease of await take(6)) lease.release()
      await clock.advance(800)
    }
    expect(pool.stats()).toMatchObject({ idle: 6, created: 6 })
    await clock.advance(2_000)
    expect(pool.stats()).toMatchObject({ idle: 2, destroyed: { idle: 4 } })
    pool.resize({ min: 5 })
    for (const lease of await take(6)) lease.release()
    await clock.advance(5_000)
    expect(pool.stats().idle).toBe(5)
  })

  it('keeps to `maxIdle` in fifo order too', async () => {
    const { pool, take, clock } = setUp({ max: 6, maxIdle: 2, order: 'fifo', idleTimeoutMillis: 60_000 })
    for (const lease of await take(6)) lease.release()
    await clock.advance(2_500)
    expect(pool.stats().idle).toBe(2)
  })

  it('closes on release with an idle timeout of 0', async () => {
    const { pool, clock } = setUp({ idleTimeoutMillis: 0 })
    ;(await pool.acquire()).release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 0, destroyed: { idle: 1 } })
  })

  it('keeps what `min` holds, and the same ones, also with an idle timeout of 0', async () => {
    const { pool, take, clock } = setUp({ idleTimeoutMillis: 0, min: 2, minIdle: 1 })
    for (const lease of await take(2)) lease.release()
    await clock.settle()
    const { created } = pool.stats()
    const [again] = await take(1)
    again?.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 2, created, destroyed: { idle: created - 2 } })
  })

  it('keeps alive, one at a time, only what `min` holds', async () => {
    const { pool, clock, factory, take } = setUp(
      { min: 2, max: 5, keepAliveMillis: 10_000, idleTimeoutMillis: 5_000 },
      validating(),
    )
    for (const lease of await take(5)) lease.release()
    await clock.advance(8_000)
    expect(pool.stats().idle).toBe(2)
    let atOnce = 0
    factory.onValidate = () => {
      atOnce = Math.max(atOnce, pool.stats().maintaining)
    }
    await clock.advance(40_000)
    expect(factory.validateCalls).toBeGreaterThanOrEqual(6)
    expect(factory.validateCalls).toBeLessThanOrEqual(12)
    expect(atOnce).toBe(1)
  })

  it('keeps alive in time however many `min` holds', async () => {
    const { pool, clock, factory, take } = setUp({ min: 50, max: 50, keepAliveMillis: 10_000 }, validating())
    for (const lease of await take(50)) lease.release()
    const provenAt = new Map<number, number>()
    let longest = 0
    let most = 0
    factory.onValidate = async ({ id }) => {
      longest = Math.max(longest, clock.now() - (provenAt.get(id) ?? 1_000))
      most = Math.max(most, pool.stats().maintaining)
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5))
      provenAt.set(id, clock.now())
    }
    await clock.advance(60_000)
    expect(provenAt.size).toBe(50)
    expect(most).toBe(1)
    // Within 120 % of its time, a round, and the checks of the others.
    expect(longest).toBeLessThanOrEqual(12_000 + 1_000 + 50 * 5)
  })

  it('replaces what fails to stay alive', async () => {
    const { pool, clock, factory } = setUp({ min: 1, max: 3, keepAliveMillis: 10_000 }, validating())
    await pool.ready()
    factory.onValidate = (resource) => {
      if (resource.id === 1) throw new FakeError('disconnect')
    }
    await clock.advance(20_000)
    expect(pool.stats()).toMatchObject({ idle: 1, destroyed: { validate: 1 } })
  })

  it('validates on acquire only what was idle for long', async () => {
    const { pool, clock, factory } = setUp({ validateAfterIdleMillis: 1_000 }, validating())
    ;(await pool.acquire()).release()
    await clock.advance(900)
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(0)
    await clock.advance(1_100)
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(1)
  })

  it('replaces what fails its validation without its caller noticing', async () => {
    const { pool, clock, factory } = setUp({ validateAfterIdleMillis: 0 }, validating())
    ;(await pool.acquire()).release()
    await clock.advance(10)
    factory.onValidate = (resource) => {
      if (resource.id === 1) throw new FakeError('disconnect')
    }
    const lease = await pool.acquire()
    expect(lease.resource.id).toBe(2)
    lease.release()
  })

  it.each([
    ['frozen', 'freeze'],
    ['asleep', 'sleep'],
  ])('has every idle resource prove itself after the process was %s', async (_name, how) => {
    const harness = setUp({ validateAfterIdleMillis: Infinity }, validating())
    listen(harness, 'frozen')
    const { pool, clock, factory, events } = harness
    ;(await pool.acquire()).release()
    if (how === 'freeze') await clock.freeze(60_000)
    else {
      clock.jumpWallClock(60_000)
      await clock.advance(1_100)
    }
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(1)
    expect(events).toEqual(['frozen'])
  })

  it('takes a busy process for busy, and a wall clock that is set back for that', async () => {
    const { pool, clock, factory } = setUp({ validateAfterIdleMillis: Infinity }, validating())
    ;(await pool.acquire()).release()
    await clock.stall(60_000)
    clock.jumpWallClock(-3_600_000)
    await clock.advance(2_000)
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(0)
    expect(pool.stats().created).toBe(1)
  })

  it('resets what needs it before the next borrower, and ends what cannot be reset', async () => {
    const factory = new FakeFactory({ resets: true })
    const { pool, clock } = setUp({ max: 1, resetTimeoutMillis: 100 }, factory)
    await pool.use(() => undefined)
    await clock.settle()
    expect(factory.resetCalls).toBe(1)
    factory.onReset = () => new Promise(() => undefined)
    await pool.use(() => undefined)
    await clock.advance(150)
    expect(pool.stats().destroyed.reset).toBe(1)
    Object.assign(factory, { needsReset: () => false })
    await pool.use(() => undefined)
    expect(factory.resetCalls).toBe(2)
  })

  it('ends what was used often enough', async () => {
    const { pool, clock } = setUp({ maxUses: 3 })
    for (let round = 0; round < 3; round++) {
      ;(await pool.acquire()).release()
      await clock.settle()
    }
    expect(pool.stats().destroyed.uses).toBe(1)
  })
})
