import { describe, expect, it, vi } from 'vitest'
import type { Lease, PoolOptions } from 'millpond'
import { FakeError, FakeFactory, type FakeResource } from 'millpond/testing'
import { setUp, type Harness } from '../../support/harness.ts'

const IDLE_FOREVER = { idleTimeoutMillis: Infinity, maxLifetimeMillis: Infinity, acquireTimeoutMillis: 60_000 }

interface Before {
  readonly open: number
  readonly useMillis: number
  readonly createMillis: number
}

/** A pool in which so many are open, which knows how long a use and a create take, and whose creates wait from now on. */
async function experienced(
  { open, useMillis, createMillis }: Before,
  options: PoolOptions<FakeResource>,
  factory = new FakeFactory(),
): Promise<Harness> {
  const harness = setUp({ max: 20, maxConnecting: 20, ...IDLE_FOREVER, ...options }, factory)
  const { clock, ask } = harness
  factory.onCreate = () => new Promise((resolve) => clock.setTimer(resolve, createMillis))
  const leases = options.maxLeasesPerResource ?? 1
  const asked = Array.from({ length: open * leases }, () => ask())
  await clock.advance(createMillis)
  await clock.advance(useMillis)
  for (const { lease } of asked) lease?.release()
  await clock.settle()
  expect(harness.pool.stats()).toMatchObject({ total: open, idle: open })
  factory.holdCreates()
  return harness
}

const askFor = ({ ask }: Harness, count: number): void => {
  for (let index = 0; index < count; index++) ask({ timeoutMillis: 50_000 })
}
const release = (leases: Lease<FakeResource>[]): void => {
  for (const lease of leases) lease.release()
}

describe('with a growth horizon', () => {
  const usual = { open: 2, useMillis: 50, createMillis: 1_000 }

  it.each([
    // Two at work end four uses of 50 ms within 100 ms: only who comes after those is worth a create.
    [{ growthHorizonMillis: 100 }, [0, 0, 0, 0, 1, 2, 3]],
    [{ growthHorizonMillis: 100, maxLeasesPerResource: 2 }, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2]],
    // The pool's own horizon is the time of a create, at most 50 ms.
    [{ growthHorizonMillis: 'auto' }, [0, 0, 1, 2, 3]],
    [{ growthHorizonMillis: 0 }, [1, 2, 3]],
  ] as const)('%o opens for those only who would not be served meanwhile', async (options, expected) => {
    for (const [index, creates] of expected.entries()) {
      const harness = await experienced(usual, options)
      const held = await harness.take(2 * ('maxLeasesPerResource' in options ? options.maxLeasesPerResource : 1))
      askFor(harness, index + 1)
      await harness.clock.settle()
      expect(harness.factory.creates.length, `${index + 1} waiting`).toBe(creates)
      release(held)
    }
  })

  it('of its own opens more where creates are quicker than that', async () => {
    const harness = await experienced({ ...usual, createMillis: 20 }, { growthHorizonMillis: 'auto' })
    const held = await harness.take(2)
    askFor(harness, 1)
    await harness.clock.settle()
    expect(harness.factory.creates).toHaveLength(1)
    release(held)
  })

  it('counts on nobody who is stuck: out for four uses', async () => {
    for (const [heldMillis, creates] of [
      [199, 1],
      [200, 3],
    ] as const) {
      const harness = await experienced(usual, { growthHorizonMillis: 100 })
      const held = await harness.take(1)
      await harness.clock.advance(heldMillis)
      held.push(...(await harness.take(1)))
      askFor(harness, 5)
      await harness.clock.settle()
      expect(harness.factory.creates, `out for ${heldMillis} ms`).toHaveLength(creates)
      release(held)
    }
  })

  it('counts on a resource as long as one of its leases is not stuck', async () => {
    const harness = await experienced(
      { ...usual, open: 1 },
      { growthHorizonMillis: 100, maxLeasesPerResource: 2, order: 'lifo' },
    )
    const held = await harness.take(1)
    await harness.clock.advance(1_000)
    held.push(...(await harness.take(1)))
    askFor(harness, 4)
    await harness.clock.settle()
    expect(harness.factory.creates).toHaveLength(0)
    askFor(harness, 1)
    await harness.clock.settle()
    expect(harness.factory.creates).toHaveLength(1)
    release(held)
  })

  it('takes the time of a create for that of a use as long as nobody has given anything back', async () => {
    const harness = setUp({ max: 20, maxConnecting: 20, growthHorizonMillis: 2_000, ...IDLE_FOREVER })
    const { clock, factory, ask } = harness
    factory.onCreate = () => new Promise((resolve) => clock.setTimer(resolve, 1_000))
    const first = ask()
    await clock.advance(1_000)
    expect(first.settled).toBe(true)
    askFor(harness, 2)
    await clock.settle()
    expect(factory.createCalls).toBe(1)
    askFor(harness, 1)
    await clock.settle()
    expect(factory.createCalls).toBe(2)
    first.lease?.release()
  })

  it('opens for all as long as nothing is known', async () => {
    const harness = setUp({ max: 20, growthHorizonMillis: 100, ...IDLE_FOREVER })
    harness.factory.holdCreates()
    askFor(harness, 3)
    await harness.clock.settle()
    expect(harness.factory.creates).toHaveLength(3)
  })

  it.each([
    // The horizon, or the time of a create where that is shorter; looked at every 25 ms.
    [{ ...usual, createMillis: 1_000 }, 100],
    [{ ...usual, createMillis: 40 }, 50],
  ])('%o opens one for the oldest who has waited for %d ms', async (before, patience) => {
    const harness = await experienced(before, { growthHorizonMillis: 100 })
    const { clock, factory } = harness
    const held = await harness.take(2)
    askFor(harness, 1)
    await clock.advance(patience - 1)
    expect(factory.creates).toHaveLength(0)
    await clock.advance(1)
    expect(factory.creates).toHaveLength(1)
    // It is on its way: no second one for the same caller.
    await clock.advance(140)
    expect(factory.creates).toHaveLength(1)
    release(held)
  })

  it('opens as many as are wanted, also where somebody has waited for long', async () => {
    const harness = await experienced(usual, { growthHorizonMillis: 100 })
    const { clock, factory, pool } = harness
    const held = await harness.take(2)
    pool.suspend()
    askFor(harness, 7)
    await clock.advance(110)
    expect(factory.creates).toHaveLength(0)
    pool.resume()
    await clock.settle()
    expect(factory.creates).toHaveLength(3)
    release(held)
  })
})

describe('what is being reset', () => {
  const hang = (factory: FakeFactory): void => {
    factory.onReset = () => new Promise(() => undefined)
  }

  it.each([
    [30, 30],
    [0, 10],
  ])('where a create takes %d ms is waited for that long: %d ms', async (createMillis, patience) => {
    const factory = new FakeFactory({ resets: true })
    const harness = await experienced({ open: 1, useMillis: 5, createMillis }, { max: 2 }, factory)
    const [lease] = await harness.take(1)
    hang(factory)
    lease?.release()
    askFor(harness, 1)
    await harness.clock.advance(patience)
    expect(factory.creates).toHaveLength(0)
    await harness.clock.advance(1)
    expect(factory.creates).toHaveLength(1)
  })

  it('is given up one after the other, the earliest first', async () => {
    const factory = new FakeFactory({ resets: true })
    const harness = await experienced({ open: 2, useMillis: 5, createMillis: 30 }, {}, factory)
    const [one, other] = await harness.take(2)
    hang(factory)
    one?.release()
    askFor(harness, 2)
    await harness.clock.advance(20)
    expect(factory.creates).toHaveLength(1)
    other?.release()
    await harness.clock.advance(11)
    expect(factory.creates).toHaveLength(1)
    await harness.clock.advance(20)
    expect(factory.creates).toHaveLength(2)
  })

  it('counts only as long as it is', async () => {
    const factory = new FakeFactory({ resets: true })
    const harness = await experienced({ open: 2, useMillis: 5, createMillis: 30 }, {}, factory)
    const [one, other] = await harness.take(2)
    one?.release()
    const again = await harness.take(1)
    hang(factory)
    other?.release()
    askFor(harness, 2)
    await harness.clock.settle()
    expect(factory.creates).toHaveLength(1)
    release(again)
  })

  it('wakes nobody up again and again once it takes too long', async () => {
    const factory = new FakeFactory({ resets: true })
    const harness = await experienced({ open: 1, useMillis: 5, createMillis: 30 }, { maxConnecting: 1 }, factory)
    const [lease] = await harness.take(1)
    hang(factory)
    lease?.release()
    askFor(harness, 3)
    await harness.clock.advance(100)
    const setTimer = vi.spyOn(harness.clock, 'setTimer')
    await harness.clock.advance(900)
    expect(setTimer.mock.calls.length).toBeLessThanOrEqual(3)
  })

  it('is spare for `minIdle`', async () => {
    const factory = new FakeFactory({ resets: true })
    const harness = setUp({ max: 5, minIdle: 1, ...IDLE_FOREVER }, factory)
    const [lease] = await harness.take(1)
    await harness.clock.settle()
    expect(harness.pool.stats()).toMatchObject({ used: 1, idle: 1 })
    hang(factory)
    lease?.release()
    await harness.clock.settle()
    expect(harness.pool.stats()).toMatchObject({ total: 2, creating: 0 })
    expect(factory.createCalls).toBe(2)
  })
})

describe('beside those who wait', () => {
  it('`minIdle` is opened for, by resources and not by leases', async () => {
    const harness = setUp({ max: 9, maxConnecting: 9, minIdle: 1, maxLeasesPerResource: 2, ...IDLE_FOREVER })
    harness.factory.holdCreates()
    askFor(harness, 2)
    await harness.clock.settle()
    expect(harness.factory.creates).toHaveLength(2)
  })

  it('`minIdle` takes nothing of the overflow', async () => {
    const harness = setUp({ max: 2, maxOverflow: 2, minIdle: 1, ...IDLE_FOREVER })
    const held = await harness.take(2)
    await harness.clock.settle()
    harness.factory.holdCreates()
    askFor(harness, 1)
    await harness.clock.settle()
    // Another look changes nothing.
    harness.pool.resize({ max: 2 })
    await harness.clock.advance(100)
    expect(harness.pool.stats()).toMatchObject({ used: 2, creating: 1 })
    release(held)
  })

  it('what `min` lost comes back without the overflow, when there is room', async () => {
    const { take, factory, pool, clock } = setUp({ min: 2, max: 2, maxOverflow: 1, ...IDLE_FOREVER })
    const [one, other] = await take(2)
    let gone: () => void = () => undefined
    factory.onDestroy = () => new Promise((resolve) => (gone = resolve))
    one?.destroy()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 1, creating: 0 })
    expect(factory.createCalls).toBe(2)
    factory.onDestroy = () => undefined
    gone()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 1, idle: 1 })
    other?.release()
  })

  it('nobody probes for a pool in which something is open', async () => {
    const { take, ask, factory, clock, pool } = setUp({ max: 3, ...IDLE_FOREVER })
    const held = await take(1)
    factory.onCreate = () => {
      throw new FakeError('disconnect')
    }
    ask({ timeoutMillis: 300 })
    await clock.advance(300)
    const { createCalls } = factory
    expect([pool.stats().timedOut, createCalls > 1]).toEqual([1, true])
    await clock.advance(60_000)
    expect(factory.createCalls).toBe(createCalls)
    release(held)
  })
})

describe('a create', () => {
  it('is told why the last one failed, and nothing where it did not', async () => {
    const { ask, factory, clock } = setUp(IDLE_FOREVER)
    const told: unknown[] = []
    const error = new FakeError('disconnect')
    factory.onCreate = (context) => {
      told.push('lastError' in context ? context.lastError : 'none')
      if (told.length === 1) throw error
    }
    const first = ask()
    await clock.advance(2_000)
    const second = ask()
    await clock.settle()
    expect(told).toEqual(['none', error, 'none'])
    first.lease?.release()
    second.lease?.release()
  })

  it('that fails in an unknown way is taken for a connection that was lost', async () => {
    const { ask, factory, clock, pool } = setUp({ ...IDLE_FOREVER, max: 1 })
    Object.defineProperty(factory, 'classify', { value: undefined })
    const failures: string[] = []
    pool.on('createFailed', ({ failure }) => failures.push(failure))
    factory.onCreate = () => {
      if (failures.length === 0) throw new Error('what is this')
    }
    const waiting = ask()
    await clock.advance(2_000)
    expect(failures).toEqual(['disconnect'])
    waiting.lease?.release()
  })

  it('that a server has no room for where nothing is open is tried again like any other', async () => {
    const { ask, factory, clock } = setUp({ ...IDLE_FOREVER, max: 1 })
    factory.onCreate = () => {
      if (factory.createCalls < 3) throw new FakeError('saturated')
    }
    const waiting = ask()
    await clock.advance(4_000)
    expect(waiting.lease).toBeDefined()
    waiting.lease?.release()
  })

  it('that fails after its time leaves nothing to be closed', async () => {
    const { ask, factory, clock, pool } = setUp({ ...IDLE_FOREVER, max: 1, createTimeoutMillis: 100 })
    factory.holdCreates()
    ask({ timeoutMillis: 150 })
    await clock.advance(100)
    expect(pool.stats().zombies).toBe(1)
    factory.creates.shift()?.fail(new FakeError('disconnect'))
    await clock.settle()
    expect(pool.stats()).toMatchObject({ zombies: 0, created: 0 })
    expect(factory.destroyCalls).toBe(0)
    await clock.advance(100)
  })
})

describe('a resource that dies', () => {
  it('again is told of once, with what it said first', async () => {
    const { take, factory, clock, pool } = setUp(IDLE_FOREVER)
    const told: unknown[] = []
    pool.on('destroyed', ({ error }) => told.push(error))
    const [held] = await take(1)
    const first = new FakeError('disconnect', 'the first')
    factory.resources[0]?.die(first)
    factory.resources[0]?.die(new FakeError('disconnect', 'the second'))
    held?.release()
    await clock.settle()
    expect(told).toEqual([first])
  })
})

describe('a pool sleeps', () => {
  it.each([
    ['while nobody waits, whatever its horizon', 'nobody waits'],
    ['while a probe is under way that would not serve all', 'a probe'],
    ['while there is no room for a probe', 'no room'],
  ] as const)('%s', async (_, why) => {
    const harness = setUp({ max: 3, growthHorizonMillis: why === 'nobody waits' ? 100 : 0, ...IDLE_FOREVER })
    const { clock, factory, take, pool, ask } = harness
    const held = await take(1)
    if (why !== 'nobody waits') {
      factory.onCreate = () => {
        throw new FakeError('disconnect')
      }
      ask({ timeoutMillis: 20_000 })
      ask({ timeoutMillis: 20_000 })
      await clock.advance(100)
      if (why === 'a probe') factory.holdCreates()
      else pool.resize({ max: 1 })
    }
    await clock.advance(3_000)
    const setTimer = vi.spyOn(clock, 'setTimer')
    await clock.advance(1_000)
    expect(setTimer.mock.calls.length).toBeLessThanOrEqual(5)
    release(held)
  })
})
