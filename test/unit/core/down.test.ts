import { describe, expect, it, vi } from 'vitest'
import { Pool } from 'millpond'
import { FakeError, ManualClock } from 'millpond/testing'
import { listen, setUp, type Harness } from '../../support/harness.ts'

/** Has every create fail with this class until it is undefined. */
function failing(
  harness: Harness,
  failure: { now: 'disconnect' | 'auth' | 'config' | 'saturated' | undefined },
): number[] {
  const at: number[] = []
  harness.factory.onCreate = () => {
    at.push(harness.clock.now())
    if (failure.now !== undefined) throw new FakeError(failure.now, `the real ${failure.now} error`)
  }
  return at
}

describe('a server that is down', () => {
  it('is asked by one probe at a time, ever more seldom, and callers wait for it', async () => {
    const harness = setUp({ max: 10, acquireTimeoutMillis: 60_000 })
    listen(harness, 'paused', 'resumed')
    const { clock, ask, pool, events } = harness
    const failure: { now: 'disconnect' | undefined } = { now: 'disconnect' }
    const attempts = failing(harness, failure)
    const told: number[] = []
    pool.on('resumed', (event) => told.push(event.attempts))
    const waiting = Array.from({ length: 50 }, () => ask())
    await clock.advance(30_000)
    expect(pool.state).toBe('paused')
    expect(attempts.length).toBeLessThanOrEqual(8 + 130)
    const gaps = attempts.slice(9).map((at, index) => at - (attempts[index + 8] ?? 0))
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_030)
    failure.now = undefined
    await clock.advance(1_100)
    expect(pool.state).toBe('open')
    expect(waiting.filter(({ lease }) => lease !== undefined).length).toBeGreaterThan(0)
    expect(events).toEqual(['paused', 'resumed'])
    // Eight failed together and made it pause; all the others, and the one that succeeded, were probes.
    expect(told).toEqual([pool.stats().createErrors - 8 + 1])
    for (let round = 0; round < 10; round++) {
      for (const { lease } of waiting) if (lease?.released === false) lease.release()
      await clock.settle()
    }
    expect(waiting.every(({ lease }) => lease !== undefined)).toBe(true)
  })

  it('that refuses at once is found a moment after it is back, the sooner the shorter it was away', async () => {
    for (const [outage, lateness] of [
      [1_000, 100],
      [4_000, 130],
      [60_000, 1_000],
    ] as const) {
      const harness = setUp({ max: 10, acquireTimeoutMillis: 300_000 })
      const { clock, ask } = harness
      const failure: { now: 'disconnect' | undefined } = { now: 'disconnect' }
      failing(harness, failure)
      const waiting = ask()
      await clock.advance(outage)
      failure.now = undefined
      await clock.advance(lateness)
      expect(waiting.lease, `${outage} ms`).toBeDefined()
      waiting.lease?.release()
    }
  })

  it('is asked at most every five seconds while nobody waits', async () => {
    const harness = setUp({ min: 1, max: 2 })
    const { clock, ask } = harness
    const attempts = failing(harness, { now: 'disconnect' })
    ask({ timeoutMillis: 10 })
    await clock.advance(120_000)
    const gaps = attempts.slice(12).map((at, index) => at - (attempts[index + 11] ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_001)
    expect(attempts.length).toBeGreaterThan(20)
  })

  it('that swallows a probe is left alone until it is answered, and the pool sleeps meanwhile', async () => {
    const harness = setUp({ max: 3, acquireTimeoutMillis: 60_000, createTimeoutMillis: 10_000 })
    const { pool, ask, clock, factory } = harness
    failing(harness, { now: 'disconnect' })
    const waiting = ask()
    await clock.advance(500)
    factory.onCreate = () => undefined
    factory.holdCreates()
    await clock.advance(1_000)
    expect(pool.stats()).toMatchObject({ creating: 1, waiting: 1 })
    const setTimer = vi.spyOn(clock, 'setTimer')
    await clock.advance(5_000)
    expect(setTimer.mock.calls.length).toBeLessThanOrEqual(5)
    factory.creates.shift()?.open()
    await clock.settle()
    expect(waiting.lease).toBeDefined()
    waiting.lease?.release()
  })

  it('is told at once with `failFastWhenDown`, with the real error', async () => {
    const harness = setUp({ failFastWhenDown: true })
    const { clock, ask } = harness
    failing(harness, { now: 'disconnect' })
    const first = ask()
    await clock.settle()
    expect(first.error).toMatchObject({ code: 'ERR_POOL_DOWN', cause: { message: 'the real disconnect error' } })
    const second = ask()
    await clock.settle()
    expect(second.code()).toBe('ERR_POOL_DOWN')
    expect(harness.factory.createCalls).toBe(1)
  })

  it('is waited for without `failFastWhenDown`, and with it while the pool is suspended', async () => {
    const waiting = setUp()
    failing(waiting, { now: 'disconnect' })
    waiting.ask()
    await waiting.clock.settle()
    const other = waiting.ask()
    await waiting.clock.settle()
    expect([waiting.pool.state, other.settled]).toEqual(['paused', false])
    const suspended = setUp({ failFastWhenDown: true })
    failing(suspended, { now: 'disconnect' })
    suspended.ask()
    await suspended.clock.settle()
    suspended.pool.suspend()
    const patient = suspended.ask()
    await suspended.clock.settle()
    expect([suspended.pool.state, patient.settled]).toEqual(['suspended', false])
  })

  it('is waited for by who can have what is open, though no more can be opened', async () => {
    const harness = setUp({ max: 2 })
    const { ask, take, clock } = harness
    const [held] = await take(1)
    failing(harness, { now: 'auth' })
    const first = ask()
    await clock.settle()
    const second = ask()
    await clock.settle()
    expect([first.settled, second.settled]).toEqual([false, false])
    held?.release()
    await clock.settle()
    first.lease?.release()
    await clock.settle()
    expect(second.lease?.resource.id).toBe(1)
    second.lease?.release()
  })

  it('is not asked sooner by who comes where asking again does not help', async () => {
    const harness = setUp()
    const { ask, clock, factory } = harness
    failing(harness, { now: 'auth' })
    for (let attempt = 1; attempt <= 6; attempt++) {
      ask()
      await clock.advance(6_000)
      expect(factory.createCalls).toBe(attempt)
    }
    ask()
    await clock.settle()
    expect(factory.createCalls).toBe(7)
    for (let early = 0; early < 2; early++) {
      await clock.advance(1_100)
      const refused = ask()
      await clock.settle()
      expect(refused.code()).toBe('ERR_POOL_CREATE')
      expect(factory.createCalls).toBe(7)
    }
  })

  it('is looked for at least once a second while callers are told at once, and seldom while nobody asks', async () => {
    const harness = setUp({ failFastWhenDown: true })
    const { clock, ask, factory } = harness
    failing(harness, { now: 'disconnect' })
    ask()
    await clock.advance(60_000)
    const attempts = factory.createCalls
    for (let second = 0; second < 20; second++) {
      ask()
      await clock.advance(1_100)
    }
    expect(factory.createCalls - attempts).toBeGreaterThanOrEqual(18)
    expect(factory.createCalls - attempts).toBeLessThanOrEqual(22)
    expect(attempts).toBeLessThan(25)
  })

  it('refills as fast as it keeps up: two at once, then more', async () => {
    const harness = setUp({ max: 20, maxConnecting: 8, acquireTimeoutMillis: 60_000 })
    const { clock, ask, factory } = harness
    const failure: { now: 'disconnect' | undefined } = { now: 'disconnect' }
    failing(harness, failure)
    const waiting = Array.from({ length: 20 }, () => ask())
    await clock.advance(3_000)
    failure.now = undefined
    factory.holdCreates()
    await clock.advance(1_100)
    const widths: number[] = []
    while (factory.creates.length > 0) {
      widths.push(factory.creates.length)
      factory.creates.splice(0, 1).forEach((create) => create.open())
      await clock.advance(5)
    }
    expect(widths.slice(0, 4)).toEqual([1, 2, 3, 4])
    expect(Math.max(...widths)).toBe(8)
    for (const { lease } of waiting) lease?.release()
  })

  it('whose answers stay slow is not asked for more at once', async () => {
    const harness = setUp({ max: 20, acquireTimeoutMillis: 600_000 })
    const { clock, ask, factory } = harness
    await clock.settle()
    const opened = ask()
    await clock.settle()
    opened.lease?.destroy()
    const failure: { now: 'disconnect' | undefined } = { now: 'disconnect' }
    failing(harness, failure)
    const waiting = Array.from({ length: 10 }, () => ask())
    await clock.advance(3_000)
    failure.now = undefined
    factory.holdCreates()
    await clock.advance(1_100)
    const widths: number[] = []
    for (let round = 0; round < 6; round++) {
      widths.push(factory.creates.length)
      await clock.advance(1_000)
      factory.creates.splice(0, 1).forEach((create) => create.open())
      await clock.settle()
    }
    expect(Math.max(...widths)).toBe(1)
    for (const create of factory.creates.splice(0)) create.open()
    await clock.settle()
    for (let round = 0; round < 12; round++) {
      for (const { lease } of waiting) if (lease?.released === false) lease.release()
      await clock.settle()
    }
  })

  it('says in a timeout that it cannot be reached, with the last error', async () => {
    const harness = setUp({ acquireTimeoutMillis: 500 })
    failing(harness, { now: 'disconnect' })
    const waiting = harness.ask()
    await harness.clock.advance(500)
    expect(waiting.error).toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
      report: { diagnosis: 'server-down' },
      cause: { message: 'the real disconnect error' },
    })
  })
})

describe('a hook that fails for every resource', () => {
  it.each(['at once', 'in a moment'])('is backed off from, also where a resource is destroyed %s', async (how) => {
    const clock = new ManualClock()
    let creates = 0
    const pool = new Pool(
      {
        kind: 'hooked',
        create: () => Promise.resolve({ number: ++creates }),
        destroy: how === 'at once' ? () => undefined : () => Promise.resolve(),
      },
      {
        clock,
        max: 2,
        random: () => 0.5,
        acquireTimeoutMillis: 10_000,
        hooks: {
          onCreate: () => {
            throw new Error('the hook fails')
          },
        },
      },
    )
    pool.on('failure', () => undefined)
    const waiting = pool.acquire().catch((error: unknown) => error)
    await clock.advance(10_000)
    expect(await waiting).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
    expect(creates).toBeLessThan(30)
    await pool.close()
  })
})

describe('a create that cannot succeed', () => {
  it('tells `ready()` the real error when asking again does not help, without waiting for its timeout', async () => {
    const harness = setUp({ min: 1 })
    const { clock, ask, pool } = harness
    const failure: { now: 'auth' | undefined } = { now: 'auth' }
    const attempts = failing(harness, failure)
    ask()
    await clock.settle()
    const refused = pool.ready({ timeoutMillis: 60_000 }).catch((error: unknown) => error)
    await clock.advance(1_000)
    expect(await refused).toMatchObject({ code: 'ERR_POOL_CREATE', cause: { message: 'the real auth error' } })
    expect(attempts).toHaveLength(2)
    failure.now = undefined
    const ready = pool.ready({ timeoutMillis: 60_000 })
    await clock.advance(1_000)
    await ready
  })

  it.each(['auth', 'config'] as const)(
    'of class %s fails whoever waits at once, and is tried once per probe delay',
    async (now) => {
      const harness = setUp()
      const { clock, ask } = harness
      const attempts = failing(harness, { now })
      const first = ask()
      await clock.settle()
      expect(first.error).toMatchObject({ code: 'ERR_POOL_CREATE', cause: { message: `the real ${now} error` } })
      const soon = Array.from({ length: 20 }, () => ask())
      await clock.settle()
      expect(soon.every((each) => each.code() === 'ERR_POOL_CREATE')).toBe(true)
      expect(attempts).toHaveLength(1)
      await clock.advance(60_000)
      expect(attempts).toHaveLength(1)
      ask()
      await clock.settle()
      expect(attempts).toHaveLength(2)
    },
  )
})

describe('a saturated server', () => {
  it('is not asked for more than it granted, and one more every ten seconds', async () => {
    const harness = setUp({ max: 10, acquireTimeoutMillis: 100_000 })
    listen(harness, 'saturated')
    const { clock, pool, factory, take, ask, events } = harness
    const held = await take(3)
    factory.onCreate = () => {
      if (factory.open >= 3) throw new FakeError('saturated')
    }
    const waiting = [ask(), ask()]
    await clock.advance(9_000)
    expect(pool.state).toBe('open')
    expect(events.length).toBeLessThanOrEqual(2)
    const before = factory.createCalls
    await clock.advance(60_000)
    expect(factory.createCalls - before).toBeLessThanOrEqual(7)
    expect(pool.stats()).toMatchObject({ used: 3, generation: 0 })
    for (const lease of held) lease.release()
    await clock.settle()
    for (const { lease } of waiting) lease?.release()
  })

  it('is what who waits in vain is told of, with what it grants', async () => {
    const { clock, factory, take, ask } = setUp({ max: 10, acquireTimeoutMillis: 1_000 })
    const held = await take(3)
    factory.onCreate = () => {
      throw new FakeError('saturated')
    }
    const waiting = ask()
    await clock.advance(1_000)
    expect(waiting.error).toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
      message: expect.stringContaining('the server takes no more connections') as string,
      report: { diagnosis: 'server-saturated', total: 3, used: 3, max: 10 },
    })
    for (const lease of held) lease.release()
  })
})

describe('a resource that is opened and fails before anybody has it', () => {
  it('counts as a failed create: it is tried again ever more seldom, not in a loop', async () => {
    const { pool, ask, clock, factory } = setUp({
      acquireTimeoutMillis: 20_000,
      hooks: { onCreate: () => Promise.reject(new Error('a hook fails')) },
    })
    pool.on('failure', () => undefined)
    const waiting = ask()
    await clock.advance(20_000)
    expect(waiting.error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', cause: { message: 'a hook fails' } })
    expect(factory.createCalls).toBeLessThanOrEqual(30)
    expect(pool.stats().destroyed.hook).toBe(factory.createCalls)
  })

  it('counts as one also where it dies by itself, while its hook runs', async () => {
    const { ask, clock, factory, pool } = setUp({
      acquireTimeoutMillis: 5_000,
      hooks: { onCreate: (resource) => resource.die(new FakeError('disconnect')) },
    })
    const waiting = ask()
    await clock.advance(5_000)
    expect(waiting.error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', cause: { failure: 'disconnect' } })
    expect(factory.createCalls).toBeLessThanOrEqual(12)
    expect(pool.stats().destroyed.lost).toBe(factory.createCalls)
  })

  it('counts from the beginning again once somebody has had one', async () => {
    const { pool, clock, factory } = setUp({ max: 1, min: 1, maxLifetimeMillis: Infinity })
    let dies = true
    const openedAt: number[] = []
    factory.onCreate = () => {
      openedAt.push(clock.now())
      if (dies) clock.setTimer(() => factory.resources.at(-1)?.die(new FakeError('disconnect')), 5)
    }
    const failed = pool.acquire().then((lease) => lease.destroy())
    await clock.advance(0)
    await failed
    openedAt.length = 0
    await clock.advance(10_000)
    const gaps = (): number[] => openedAt.slice(1).map((at, index) => at - (openedAt[index] ?? 0))
    expect(Math.max(...gaps())).toBeGreaterThan(1_000)
    dies = false
    await clock.advance(6_000)
    // It is idle, and goes the shortest way.
    ;(await pool.acquire()).destroy()
    dies = true
    openedAt.length = 0
    await clock.advance(700)
    expect(openedAt.length).toBeGreaterThanOrEqual(3)
    dies = false
    await clock.advance(6_000)
  })
})
