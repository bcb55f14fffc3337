import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { listen, setUp } from '../../support/harness.ts'

describe('what comes back', () => {
  it('without an error is ended where the adapter finds it broken', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const lease = await pool.acquire()
    const { resource } = lease
    resource.broken = true
    lease.release()
    await clock.settle()
    expect([resource.destroyed, pool.stats().total]).toEqual(['broken', 0])
  })

  it.each([undefined, null, false])('with %s has shown that it works', async (nothing) => {
    const { pool, clock, factory } = setUp(
      { max: 1, validateAfterIdleMillis: 100 },
      new FakeFactory({ validates: true }),
    )
    const lease = await pool.acquire()
    await clock.advance(500)
    lease.release(nothing)
    await clock.advance(100)
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(0)
  })

  it('again and again, without a pause, is never checked', async () => {
    const { pool, clock, factory } = setUp(
      { max: 1, validateAfterIdleMillis: 100 },
      new FakeFactory({ validates: true }),
    )
    for (let count = 0; count < 3; count++) {
      const lease = await pool.acquire()
      await clock.advance(90)
      lease.release()
      await clock.advance(90)
    }
    expect(factory.validateCalls).toBe(0)
  })

  it('with an error has not', async () => {
    const { pool, clock, factory } = setUp(
      { max: 1, validateAfterIdleMillis: 100 },
      new FakeFactory({ validates: true }),
    )
    const lease = await pool.acquire()
    await clock.advance(500)
    lease.release(new FakeError('query'))
    ;(await pool.acquire()).release()
    expect(factory.validateCalls).toBe(1)
  })

  it('through a check is the warmest, too', async () => {
    const { pool, clock, take, factory } = setUp(
      { max: 3, validateAfterIdleMillis: 100_000 },
      new FakeFactory({ validates: true }),
    )
    for (const lease of await take(3)) lease.release()
    const [dying] = factory.resources
    // The warmest of the others is asked whether it is alive, too.
    dying?.die(new FakeError('disconnect'))
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    expect((await pool.acquire()).resource.id).toBe(3)
    for (const { resourceId } of pool.leases()) pool.takeAway(resourceId)
  })

  it('through a reset is the warmest, too', async () => {
    const { pool, clock, take } = setUp({ max: 3 }, new FakeFactory({ resets: true }))
    const leases = await take(3)
    for (const lease of leases) {
      lease.release()
      await clock.settle()
    }
    expect((await pool.acquire()).resource.id).toBe(3)
    for (const { resourceId } of pool.leases()) pool.takeAway(resourceId)
  })
})

describe('a create that arrives', () => {
  it('when it is stale is ended before its hook', async () => {
    const hooked: number[] = []
    const { pool, clock, factory, ask } = setUp({ max: 1, hooks: { onCreate: ({ id }) => void hooked.push(id) } })
    factory.holdCreates()
    const asked = ask()
    pool.invalidate()
    factory.creates.splice(0)[0]?.open()
    await clock.settle()
    factory.creates.splice(0)[0]?.open()
    await clock.settle()
    asked.lease?.release()
    expect(hooked).toEqual([2])
  })

  it('and dies idle after somebody has had it is replaced without a back-off', async () => {
    const { pool, clock, factory, ask } = setUp({ max: 1 })
    const lease = await pool.acquire()
    const { resource } = lease
    lease.release()
    await clock.advance(10)
    resource.die(new FakeError('disconnect'))
    const asked = ask()
    await clock.settle()
    expect([factory.createCalls, asked.settled]).toEqual([2, true])
    asked.lease?.release()
  })
})

describe('a pool whose creates fail', () => {
  it('is paused only when nothing is open, and as soon as that is so', async () => {
    const { pool, clock, factory, take, ask } = setUp({ max: 2, acquireTimeoutMillis: 60_000 })
    const [held] = await take(1)
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    const waiting = ask()
    await clock.settle()
    expect(pool.state).toBe('open')
    factory.onCreate = () => undefined
    factory.holdCreates()
    await clock.advance(200)
    // One is open, and a probe is under way.
    expect([factory.creates.length, pool.state]).toEqual([1, 'open'])
    factory.creates.splice(0)[0]?.fail(new FakeError('restart'))
    await clock.settle()
    expect(pool.state).toBe('open')
    held?.release(new FakeError('disconnect'))
    expect(pool.state).toBe('paused')
    await clock.advance(5_000)
    factory.creates.splice(0)[0]?.open()
    await clock.settle()
    waiting.lease?.release()
    expect(pool.state).toBe('open')
  })

  it('goes on probing although nobody asks', async () => {
    const { pool, clock, factory, ask } = setUp({ max: 2 })
    const down = (): never => {
      throw new FakeError('restart')
    }
    factory.onCreate = down
    ask({ timeoutMillis: 10 })
    await clock.advance(20_000)
    expect([pool.state, pool.stats().waiting]).toEqual(['paused', 0])
    const before = factory.createCalls
    await clock.advance(20_000)
    expect(factory.createCalls - before).toBeGreaterThanOrEqual(4)
    factory.onCreate = () => undefined
    await clock.advance(6_000)
    expect([pool.state, pool.stats().idle]).toEqual(['open', 1])
  })

  it('counts who is told at once as failed, and who finds it closed as refused', async () => {
    for (const [failure, code] of [
      ['auth', 'ERR_POOL_CREATE'],
      ['restart', 'ERR_POOL_DOWN'],
    ] as const) {
      const { pool, clock, factory, ask } = setUp({ max: 1, failFastWhenDown: true })
      factory.onCreate = () => {
        throw new FakeError(failure)
      }
      ask()
      await clock.settle()
      expect(pool.stats()).toMatchObject({ failed: 1, refused: 0 })
      const late = ask()
      await clock.settle()
      expect([late.code(), pool.stats().failed, pool.stats().refused]).toEqual([code, 2, 0])
    }
  })

  it('is paused when it is resumed without a server, and open where something is open, or nothing is known', async () => {
    const fresh = setUp({ max: 1 })
    fresh.pool.suspend()
    fresh.pool.resume()
    expect(fresh.pool.state).toBe('open')
    const { pool, clock, factory, take, ask } = setUp({ max: 2 })
    const [held] = await take(1)
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    ask({ timeoutMillis: 10 })
    await clock.advance(10)
    pool.suspend()
    pool.resume()
    expect(pool.state).toBe('open')
    held?.destroy()
    await clock.settle()
    pool.suspend()
    pool.resume()
    expect(pool.state).toBe('paused')
  })

  it('begins its back-off anew once somebody who waited has had a resource', async () => {
    let breaks = true
    const { clock, factory, ask } = setUp({
      max: 1,
      acquireTimeoutMillis: 600_000,
      hooks: {
        onCreate: () => {
          if (breaks) throw new FakeError('disconnect')
        },
      },
    })
    const waiting = ask()
    await clock.advance(30_000)
    breaks = false
    await clock.advance(10_000)
    expect(waiting.lease).toBeDefined()
    waiting.lease?.destroy()
    await clock.settle()
    breaks = true
    const before = factory.createCalls
    const again = ask()
    // The first failure of a new row is tried again after 120 ms.
    await clock.advance(150)
    expect(factory.createCalls - before).toBe(2)
    breaks = false
    await clock.advance(10_000)
    again.lease?.release()
  })
})

describe('who waits', () => {
  it('is still served with a new resource while the pool closes', async () => {
    const { pool, clock, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask()
    const closing = pool.close({ timeoutMillis: 1_000 })
    held?.release(new FakeError('disconnect'))
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(2)
    waiting.lease?.release()
    await clock.advance(10)
    expect(await closing).toMatchObject({ rejected: 0, forced: 0 })
  })

  it('in a full pool is heard of at once', async () => {
    const harness = setUp({ max: 1 })
    const { take, ask, events } = harness
    const [held] = await take(1)
    listen(harness, 'acquireStarted')
    const waiting = ask({ label: 'full' })
    expect(events).toEqual(['acquireStarted'])
    held?.release()
    await harness.clock.settle()
    waiting.lease?.release()
  })

  it('since before anybody listened is heard of without a label', async () => {
    const { pool, clock, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask()
    const heard: unknown[] = []
    pool.on('acquired', ({ label, resourceId }) => heard.push([label, resourceId]))
    held?.release()
    await clock.settle()
    expect(heard).toEqual([[undefined, 1]])
    waiting.lease?.release()
  })
})

describe('`minIdle`', () => {
  it('is filled up again when a labelled caller takes what is idle', async () => {
    const { pool, clock, factory } = setUp({ max: 5, minIdle: 1 })
    ;(await pool.acquire()).release()
    await clock.settle()
    const before = factory.createCalls
    const leases = [await pool.acquire({ label: 'a' }), await pool.acquire({ label: 'b' })]
    await clock.settle()
    expect(factory.createCalls - before).toBeGreaterThanOrEqual(1)
    expect(pool.stats().idle).toBe(1)
    for (const lease of leases) lease.release()
  })

  it('does not keep `ready` from opening what it waits for', async () => {
    const { pool, clock, factory } = setUp({ max: 5, minIdle: 1 })
    const ready = pool.ready()
    await clock.settle()
    await ready
    expect(factory.createCalls).toBe(1)
  })

  it('does not keep a worn-out resource from being replaced before it goes', async () => {
    const { pool, clock, factory } = setUp({
      max: 5,
      minIdle: 1,
      maxLifetimeMillis: 10_000,
      idleTimeoutMillis: Infinity,
    })
    ;(await pool.acquire()).release()
    for (let passed = 0; passed < 15_000; passed += 500) {
      await clock.advance(500)
      expect(pool.stats().idle).toBeGreaterThanOrEqual(1)
    }
    expect(pool.stats()).toMatchObject({ idle: 1 })
    // None is older than it may become, although nobody has asked for anything.
    expect(pool.resources()[0]?.ageMillis).toBeLessThan(10_000)
    expect(factory.resources.slice(0, -1).map(({ destroyed }) => destroyed)).toEqual(['lifetime', 'lifetime'])
  })
})
