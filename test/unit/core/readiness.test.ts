import { describe, expect, it } from 'vitest'
import { setUp } from '../../support/harness.ts'

describe('who awaits `ready`', () => {
  it('keeps the process alive meanwhile, and only then', async () => {
    const { pool, clock, factory } = setUp({ createTimeoutMillis: Infinity })
    factory.holdCreates()
    const ready = pool.ready({ timeoutMillis: 1_000 })
    await clock.settle()
    expect(clock.pendingRefTimers).toBe(1)
    factory.creates.shift()?.open()
    await ready
    await clock.settle()
    expect(clock.pendingRefTimers).toBe(0)
  })

  it('may find what is open lent: it is ready all the same', async () => {
    const { pool, take } = setUp({ min: 2, max: 3 })
    const leases = await take(2)
    await pool.ready()
    expect(pool.stats()).toMatchObject({ used: 2, created: 2 })
    for (const lease of leases) lease.release()
  })

  it('awaits new ones in place of those that are shared no more, as they end on release', async () => {
    const { pool, take, clock, factory } = setUp({ min: 2, max: 4, maxLeasesPerResource: 2 })
    const leases = await take(4)
    factory.holdCreates()
    pool.invalidate()
    let isReady = false
    const ready = pool.ready().then(() => (isReady = true))
    await clock.settle()
    expect(isReady).toBe(false)
    for (const create of factory.creates.splice(0)) create.open()
    for (const lease of leases) lease.release()
    await clock.settle()
    for (const create of factory.creates.splice(0)) create.open()
    await ready
    expect(pool.stats()).toMatchObject({ idle: 2, destroyed: { stale: 2 } })
  })

  it('is told of what is open, lent or not, where it waits in vain', async () => {
    const { pool, take, clock, factory } = setUp({ name: 'orders', max: 3 })
    const [lease] = await take(1)
    factory.holdCreates()
    pool.resize({ min: 2 })
    const ready = expect(pool.ready({ timeoutMillis: 100 })).rejects.toThrow(
      'pool "orders": not ready within 100 ms: 1 of 2 fake resources are open',
    )
    await clock.advance(100)
    await ready
    lease?.release()
  })

  it('loses nothing by another one who waits less long', async () => {
    // What nobody waits for any more ends at once.
    const { pool, clock, factory } = setUp({ idleTimeoutMillis: 0 })
    factory.holdCreates()
    const short = expect(pool.ready({ timeoutMillis: 100 })).rejects.toThrow('not ready within 100 ms')
    const long = pool.ready({ timeoutMillis: 60_000 })
    await clock.advance(100)
    await short
    factory.creates.shift()?.open()
    expect(await long).toBe(pool)
    expect(pool.stats().created).toBe(1)
  })
})
