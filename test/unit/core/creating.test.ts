import { describe, expect, it } from 'vitest'
import { FakeError } from 'millpond/testing'
import { listen, setUp } from '../../support/harness.ts'

describe('creating', () => {
  it('opens one for every caller that nothing under way will serve, within `maxConnecting` and `max`', async () => {
    const { ask, clock, factory, pool } = setUp({ max: 5, maxConnecting: 3 })
    factory.holdCreates()
    for (let index = 0; index < 10; index++) ask({ timeoutMillis: 50 })
    await clock.settle()
    expect(factory.creates).toHaveLength(3)
    factory.creates.shift()?.open()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ creating: 3, used: 1, waiting: 9 })
    await clock.advance(60)
  })

  it('opens no more than the work needs with a growth horizon: fifty callers of 2 ms on five idle, creates of 150 ms', async () => {
    for (const [growthHorizonMillis, most] of [
      [0, 45],
      ['auto', 1],
    ] as const) {
      const { pool, clock, factory, take } = setUp({
        max: 50,
        maxConnecting: 45,
        growthHorizonMillis,
        acquireTimeoutMillis: 10_000,
      })
      factory.onCreate = () => new Promise((resolve) => clock.setTimer(resolve, 150))
      const opened = take(5)
      await clock.advance(1_000)
      for (const lease of await opened) lease.release()
      const work = (): Promise<void> =>
        pool.use(
          () =>
            new Promise<void>((resolve) => {
              clock.setTimer(resolve, 2)
            }),
        )
      // Use times are learnt from what was before.
      for (let round = 0; round < 80; round++) {
        const done = work()
        await clock.advance(2)
        await done
      }
      const before = factory.createCalls
      const all = Promise.all(Array.from({ length: 50 }, work))
      await clock.advance(400)
      await all
      expect(factory.createCalls - before).toBeLessThanOrEqual(most)
      if (growthHorizonMillis === 0) expect(factory.createCalls - before).toBeGreaterThan(20)
    }
  })

  it('frees the slot of a create that hangs, and destroys what comes of it late', async () => {
    const { ask, clock, factory, pool } = setUp({ max: 1, createTimeoutMillis: 1_000, acquireTimeoutMillis: 10_000 })
    factory.holdCreates()
    const waiting = ask()
    await clock.advance(1_000)
    expect(pool.stats()).toMatchObject({ zombies: 1, createErrors: 1 })
    expect(factory.creates[0]?.context.signal.aborted).toBe(true)
    await clock.advance(1_000)
    expect(factory.creates).toHaveLength(2)
    factory.creates[1]?.open()
    await clock.settle()
    expect(waiting.lease).toBeDefined()
    const late = factory.creates[0]?.open()
    await clock.settle()
    expect(late?.destroyed).toBe('late')
    expect(pool.stats()).toMatchObject({ zombies: 0, used: 1, created: 2 })
    factory.creates.splice(0)
    waiting.lease?.release()
  })

  it('keeps no more hung creates than `maxConnecting`', async () => {
    const { ask, clock, factory, pool } = setUp({
      max: 10,
      maxConnecting: 2,
      createTimeoutMillis: 100,
      acquireTimeoutMillis: 60_000,
    })
    factory.holdCreates()
    for (let index = 0; index < 5; index++) ask()
    pool.on('failure', () => undefined)
    await clock.advance(30_000)
    expect(pool.stats().zombies).toBe(2)
    // One at a time is still tried, as seldom as any probe, in place of the oldest hung one.
    expect(factory.createCalls).toBeGreaterThan(20)
    expect(factory.createCalls).toBeLessThanOrEqual(2 + 35)
    factory.creates.splice(0).forEach((create) => create.fail(new FakeError('disconnect')))
    await clock.advance(40_000)
  })

  it('does not let one hung create block the others', async () => {
    const { ask, clock, factory } = setUp({ max: 3 })
    factory.holdCreates()
    const waiting = [ask(), ask()]
    await clock.settle()
    factory.creates.pop()?.open()
    await clock.settle()
    expect(waiting[0]?.lease).toBeDefined()
    waiting[0]?.lease?.release()
    await clock.settle()
    expect(waiting[1]?.lease).toBeDefined()
    waiting[1]?.lease?.release()
  })

  it('opens extra ones under pressure, and keeps none of them', async () => {
    const { pool, take, clock } = setUp({ max: 2, maxOverflow: 2 })
    const leases = await take(4)
    expect(pool.stats()).toMatchObject({ used: 4, utilization: 2 })
    for (const lease of leases) lease.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 2, destroyed: { surplus: 2 } })
  })

  it('gives `min` and `minIdle` back what they lost', async () => {
    const { pool, take, clock, factory } = setUp({ max: 10, min: 2, minIdle: 3 })
    const leases = await take(2)
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 3, used: 2 })
    await clock.advance(1_000)
    factory.resources.at(-1)?.die()
    await clock.settle()
    expect(pool.stats().idle).toBe(3)
    for (const lease of leases) lease.destroy()
    await clock.settle()
    expect(pool.stats().idle).toBe(3)
  })

  it('runs hooks where they belong, and ends what they reject', async () => {
    const calls: string[] = []
    const harness = setUp({
      max: 1,
      hooks: {
        onCreate: ({ id }) => void calls.push(`create ${id}`),
        beforeAcquire: ({ id }) => void calls.push(`before ${id}`),
        afterRelease: ({ id }) => {
          calls.push(`after ${id}`)
          if (id === 1 && calls.length > 5) throw new Error('no more')
        },
      },
    })
    const { pool, clock } = harness
    pool.on('failure', () => calls.push('reported'))
    for (let round = 0; round < 2; round++) {
      await pool.use(({ id }) => calls.push(`use ${id}`))
      await clock.settle()
    }
    expect(calls).toEqual(['create 1', 'before 1', 'use 1', 'after 1', 'before 1', 'use 1', 'after 1', 'reported'])
    expect(pool.stats().destroyed.hook).toBe(1)
    expect(pool.tryAcquire()).toBeUndefined()
  })

  it('bounds a hook that never ends', async () => {
    const { pool, clock, ask } = setUp({
      max: 1,
      hookTimeoutMillis: 100,
      acquireTimeoutMillis: 300,
      hooks: { beforeAcquire: () => new Promise<void>(() => undefined) },
    })
    const waiting = ask()
    await clock.advance(400)
    expect(waiting.code()).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(pool.stats().destroyed.hook).toBeGreaterThan(0)
    pool.on('failure', () => undefined)
    await clock.advance(1_000)
  })

  it('is ready once `min` is open, and tells why it is not', async () => {
    const { pool, factory, clock } = setUp({ min: 2, max: 4 })
    await pool.ready()
    expect(pool.stats().idle).toBe(2)
    const other = setUp()
    other.factory.onCreate = () => {
      throw new FakeError('auth', 'wrong password')
    }
    await expect(other.pool.ready()).rejects.toMatchObject({
      code: 'ERR_POOL_CREATE',
      cause: { message: 'wrong password' },
    })
    const hanging = setUp()
    hanging.factory.holdCreates()
    const notReady = hanging.pool.ready({ timeoutMillis: 100 }).catch((error: unknown) => error)
    await hanging.clock.advance(100)
    expect(await notReady).toMatchObject({
      code: 'ERR_POOL_CREATE',
      message: expect.stringContaining('0 of 1') as string,
    })
    expect(factory.open).toBe(2)
    await clock.settle()
  })

  it('tells its events in order', async () => {
    const harness = setUp()
    listen(harness, 'createStarted', 'created', 'acquireStarted', 'acquired', 'released', 'destroyed', 'closed')
    const { pool, events } = harness
    ;(await pool.acquire()).release()
    await pool.close()
    expect(events).toEqual([
      'acquireStarted',
      'createStarted',
      'created',
      'acquired',
      'released',
      'destroyed',
      'closed',
    ])
  })
})
