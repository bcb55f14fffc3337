import { describe, expect, it } from 'vitest'
import type { AcquireTimeoutError, PoolOptions } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp } from '../../support/harness.ts'

describe('the rounds of a pool', () => {
  const bare: PoolOptions = {
    createTimeoutMillis: Infinity,
    acquireTimeoutMillis: Infinity,
    destroyTimeoutMillis: Infinity,
    idleTimeoutMillis: Infinity,
    keepAliveMillis: Infinity,
    maxLifetimeMillis: Infinity,
  }

  it.each([
    [{}, 1_000],
    [{ idleTimeoutMillis: 0 }, 1_000],
    [{ idleTimeoutMillis: 5_000 }, 500],
    [{ keepAliveMillis: 5_000 }, 500],
    [{ maxLifetimeMillis: 20_000 }, 500],
    [{ leakThresholdMillis: 2_000 }, 500],
    [{ maxUseMillis: 2_000 }, 500],
    [{ maxUseMillis: 2_000, leakThresholdMillis: 1_000, keepAliveMillis: 9_000 }, 250],
    [{ idleTimeoutMillis: 50 }, 10],
    [{ idleTimeoutMillis: 600_000, keepAliveMillis: 120_000, maxLifetimeMillis: 1_800_000 }, 1_000],
  ])('with %o are as seldom as the shortest limit allows: every %d ms', async (options, millis) => {
    const { pool, clock } = setUp({ ...bare, ...options })
    const delays: number[] = []
    const setTimer = clock.setTimer.bind(clock)
    clock.setTimer = (callback, delayMillis) => {
      delays.push(delayMillis)
      return setTimer(callback, delayMillis)
    }
    const lease = await pool.acquire()
    await clock.advance(3 * millis)
    lease.destroy()
    expect(new Set(delays)).toEqual(new Set([millis]))
    expect(delays.length).toBeGreaterThanOrEqual(2)
  })

  it('end with the last resource, hold no process, and begin again with the next', async () => {
    const { pool, clock } = setUp(bare)
    const lease = await pool.acquire()
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
    lease.destroy()
    await clock.advance(2_000)
    expect(clock.pendingTimers).toBe(0)
    ;(await pool.acquire()).release()
    expect([clock.pendingTimers, clock.pendingRefTimers]).toEqual([1, 0])
  })

  it('close what was idle beyond `maxIdle` for a second, the coldest first', async () => {
    const { pool, clock, take, factory } = setUp({ max: 5, maxIdle: 2, idleTimeoutMillis: Infinity })
    for (const lease of await take(5)) {
      lease.release()
      await clock.advance(10)
    }
    expect(pool.stats().idle).toBe(5)
    await clock.advance(2_000)
    expect(pool.stats()).toMatchObject({ idle: 2, total: 2 })
    expect(factory.resources.map(({ destroyed }) => destroyed)).toEqual(['idle', 'idle', 'idle', undefined, undefined])
  })

  it('close what was idle for its time, down to `min` and `minIdle`', async () => {
    for (const [sizes, left] of [
      [{ min: 2 }, 2],
      [{ minIdle: 3 }, 3],
      [{}, 0],
    ] as const) {
      const { pool, clock, take } = setUp({ max: 5, idleTimeoutMillis: 10_000, ...sizes })
      for (const lease of await take(5)) lease.release()
      await clock.advance(9_000)
      expect(pool.stats().idle).toBe(5)
      await clock.advance(3_000)
      expect(pool.stats().idle).toBe(left)
    }
  })

  it('with fifo close half of what is idle for nobody, by the median', async () => {
    const { pool, clock, take } = setUp({ max: 4, order: 'fifo', idleTimeoutMillis: 10_000 })
    for (const lease of await take(4)) lease.release()
    const use = async (): Promise<void> => {
      ;(await pool.acquire()).release()
    }
    for (let second = 0; second < 9; second++) {
      await use()
      await clock.advance(1_000)
    }
    expect(pool.stats().idle).toBe(4)
    for (let second = 0; second < 6; second++) {
      await use()
      await clock.advance(1_000)
    }
    expect(pool.stats().idle).toBeLessThan(4)
  })
})

describe('the report of a timeout', () => {
  it('has the ages of the leases, and is one for all who run into it together', async () => {
    const { clock, take, ask } = setUp({ max: 3 })
    const leases = []
    for (const wait of [100, 200, 0]) {
      leases.push(...(await take(1)))
      await clock.advance(wait)
    }
    const waiting = [ask({ timeoutMillis: 50 }), ask({ timeoutMillis: 50 })]
    await clock.advance(50)
    const [one, other] = waiting.map(({ error }) => (error as AcquireTimeoutError).report)
    expect(one).toMatchObject({ leaseAgeP50: 250, leaseAgeP99: 350, waiting: 2 })
    expect(one?.longest.map(({ heldMillis }) => heldMillis)).toEqual([350, 250, 50])
    expect(other).toMatchObject({ leaseAgeP50: 250, waiting: 1 })
    expect(other?.longest).toBe(one?.longest)
    for (const lease of leases) lease.release()
  })

  it('is another one where the state has changed', async () => {
    const { clock, pool, ask } = setUp({ max: 1 })
    const held = await pool.acquire()
    const first = ask({ timeoutMillis: 0 })
    await clock.settle()
    expect((first.error as AcquireTimeoutError).report.diagnosis).not.toBe('suspended')
    pool.suspend()
    const second = ask({ timeoutMillis: 0 })
    await clock.settle()
    expect((second.error as AcquireTimeoutError).report.diagnosis).toBe('suspended')
    held.release()
  })
})

describe('a nested acquire', () => {
  it('is warned of once for a pool where nobody listens', async () => {
    const warnings: string[] = []
    const note = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`)
    process.on('warning', note)
    const { pool, clock } = setUp({ name: 'orders', max: 2, nested: 'warn' })
    const nest = (): Promise<unknown> =>
      pool.use(() => pool.use(() => pool.acquire({ timeoutMillis: 10 }))).catch(() => undefined)
    const first = nest()
    await clock.advance(20)
    await first
    const second = nest()
    await clock.advance(20)
    await second
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings).toEqual([
      'MillpondWarning: pool "orders": a callback of use() waits for its own pool; pass the resource on instead of acquiring again, or the pool can deadlock',
    ])
  })

  it('of a callback that has given its lease back already is told of without a holder', async () => {
    const { pool, clock } = setUp({ name: 'orders', max: 1, nested: 'warn' })
    const heard: unknown[] = []
    pool.on('nested', (event) => heard.push(event))
    const taken: Promise<unknown>[] = []
    const used = pool.use((_, lease) => {
      lease.release()
      taken.push(pool.acquire().then((other) => clock.advance(5).then(() => other.release())))
      return pool.acquire({ label: 'inner' })
    })
    await clock.advance(20)
    ;(await used).release()
    await Promise.all(taken)
    const holder = { resourceId: 0, label: undefined, heldMillis: 0, stack: undefined }
    expect(heard).toStrictEqual([{ pool: 'orders', label: 'inner', holder }])
  })

  it('is one only in a callback of the same pool, and names the lease of that callback', async () => {
    const outer = setUp({ name: 'outer', max: 1, nested: 'warn' })
    const { pool, clock } = setUp({ name: 'inner', max: 2, nested: 'warn' })
    const heard: unknown[] = []
    pool.on('nested', ({ holder }) => heard.push(holder.label))
    const held = [await pool.acquire({ label: 'first' }), await pool.acquire({ label: 'second' })]
    const foreign = outer.pool.use(() => pool.acquire({ timeoutMillis: 5 })).catch(() => undefined)
    await clock.advance(5)
    await foreign
    expect(heard).toEqual([])
    held[1]?.release()
    await clock.advance(10)
    const own = pool.use(() => pool.acquire({ timeoutMillis: 5 }), { label: 'mine' }).catch(() => undefined)
    await clock.advance(5)
    await own
    expect(heard).toEqual(['mine'])
    held[0]?.release()
  })

  it('is no deadlock while something else may come: room, an overflow, a share, or a lease outside of callbacks', async () => {
    for (const options of [{ max: 2 }, { max: 1, maxOverflow: 1 }, { max: 1, maxLeasesPerResource: 2 }]) {
      const { pool, clock, factory } = setUp({ ...options, nested: 'throw' })
      const used = pool.use(async (_, lease) => {
        if (options.maxLeasesPerResource === undefined) factory.holdCreates()
        const inner = pool.acquire({ timeoutMillis: 10 }).catch((error: unknown) => (error as { code: string }).code)
        await clock.advance(10)
        expect(lease.released).toBe(false)
        return await inner
      })
      const got = await used
      if (typeof got === 'object') got.release()
      else expect(got).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
      expect(pool.stats().deadlocks).toBe(0)
    }
    const { pool, clock } = setUp({ max: 2, nested: 'throw' })
    const outside = await pool.acquire()
    const used = pool.use(() => pool.acquire({ timeoutMillis: 100 }))
    await clock.settle()
    outside.release()
    ;(await used).release()
    expect(pool.stats().deadlocks).toBe(0)
  })
})

it('a queue that CoDel watches is watched no longer where nobody waits', async () => {
  const { clock, take, ask } = setUp({ max: 1, queue: 'codel', idleTimeoutMillis: Infinity })
  const [held] = await take(1)
  const waiting = ask()
  await clock.advance(50)
  held?.release()
  await clock.advance(1_000)
  waiting.lease?.destroy()
  await clock.advance(5_000)
  expect(clock.pendingTimers).toBe(0)
})

describe('when it may make sense to try again', () => {
  it('counts what the server grants, and the leases that each carries', async () => {
    const { take, ask, clock, factory, pool } = setUp({ max: 4, maxLeasesPerResource: 2, maxWaiting: 6 })
    const used = await take(2)
    await clock.advance(100)
    for (const lease of used) lease.release()
    const held = await take(2)
    factory.onCreate = () => {
      throw new FakeError('saturated')
    }
    for (let count = 0; count < 6; count++) ask({ timeoutMillis: 50 })
    await clock.settle()
    const refused = ask()
    await clock.settle()
    // One resource with two leases is all that there is: six who wait keep it busy for three times 100 ms.
    expect(pool.stats().total).toBe(1)
    expect(refused.error).toMatchObject({ retryAfterMillis: 300 })
    await clock.advance(50)
    for (const lease of held) lease.release()
  })
})

it('what is checked in the background of a pool without a check is not looked at', async () => {
  const { pool, clock, factory } = setUp({ max: 1, min: 1, keepAliveMillis: 1_000 }, new FakeFactory())
  ;(await pool.acquire()).release()
  await clock.advance(10_000)
  expect([factory.validateCalls, pool.stats().idle]).toEqual([0, 1])
})
