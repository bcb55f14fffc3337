import { describe, expect, it } from 'vitest'
import type { Pool } from 'millpond'
import { FakeError, FakeFactory, type FakeResource } from 'millpond/testing'
import { setUp, type Harness } from '../../support/harness.ts'

/** Borrows in a frame of its own, so that nothing on the stack keeps the lease. */
async function forget(pool: Pool<FakeResource>, label?: string): Promise<void> {
  await pool.acquire(label === undefined ? undefined : { label })
}

/** Collects until the pool has noticed, some turns of the event loop at the most. */
async function collect({ clock, pool }: Harness, until: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !until(); turn++) {
    ;(globalThis as { gc?: () => void }).gc?.()
    await clock.advance(1)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  expect(until(), JSON.stringify(pool.stats())).toBe(true)
}

describe('a lease that was garbage-collected without a release', () => {
  it('gives its resource up, and is told with its label', async () => {
    const harness = setUp({ max: 2, reclaimAbandoned: true, maxUseMillis: 60_000, trackStacks: true })
    const { pool, clock, factory } = harness
    const told: (string | undefined)[] = []
    pool.on('abandoned', ({ label, stack }) => told.push(label, stack?.includes('forget') === true ? 'stack' : 'none'))
    await forget(pool, 'report')
    // Only what is still out when upkeep comes by is watched.
    await clock.advance(1_500)
    await collect(harness, () => pool.stats().destroyed.abandoned === 1)
    expect(told).toEqual(['report', 'stack'])
    expect(pool.stats()).toMatchObject({ used: 0, leases: 0, leaks: 1 })
    expect(factory.open).toBe(0)
  })

  it('is reported as a leak first where it was out that long', async () => {
    const harness = setUp({ max: 1, reclaimAbandoned: true, leakThresholdMillis: 2_000 })
    const { pool, clock } = harness
    const told: string[] = []
    pool.on('leak', () => told.push('leak'))
    pool.on('leakReturned', () => told.push('came back'))
    pool.on('abandoned', () => told.push('abandoned'))
    const lease = await pool.acquire()
    await clock.advance(2_500)
    expect(told).toEqual(['leak'])
    lease.release()
    expect(told).toEqual(['leak', 'came back'])
    await forget(pool)
    await clock.advance(1_000)
    await collect(harness, () => told.length === 3)
    expect(told).toEqual(['leak', 'came back', 'abandoned'])
  })

  it('gives up only its own share of a resource that others hold too', async () => {
    const harness = setUp({ max: 1, maxLeasesPerResource: 3, reclaimAbandoned: true })
    const { pool, clock, factory } = harness
    pool.on('abandoned', () => undefined)
    const kept = await pool.acquire()
    await forget(pool)
    const watched = await pool.acquire()
    await clock.advance(1_500)
    await collect(harness, () => pool.stats().leases === 2)
    // Whoever lost it may still be using it: it takes nobody new, and ends with those who hold it.
    expect(pool.stats()).toMatchObject({ used: 1, total: 1 })
    kept.release()
    watched.release()
    await clock.settle()
    expect(factory.open).toBe(0)
  })

  it('is not told of once it was released, or taken away', async () => {
    const harness = setUp({ max: 2, reclaimAbandoned: true, maxUseMillis: 3_000 })
    const { pool, clock } = harness
    const told: string[] = []
    for (const event of ['abandoned', 'overused'] as const) pool.on(event, () => told.push(event))
    await (async () => {
      const released = await pool.acquire()
      const overused = await pool.acquire()
      await clock.advance(1_500)
      released.release()
      await clock.advance(2_500)
      expect(overused.released).toBe(true)
    })()
    for (let turn = 0; turn < 20; turn++) {
      ;(globalThis as { gc?: () => void }).gc?.()
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await clock.advance(1_000)
    expect(told).toEqual(['overused'])
    expect(pool.stats().leaks).toBe(0)
  })
})

describe('a resource with several leases', () => {
  it('is kept alive while it is idle, and given back to its place', async () => {
    const factory = new FakeFactory({ validates: true })
    const { pool, take, clock } = setUp(
      { max: 2, min: 2, maxLeasesPerResource: 2, keepAliveMillis: 1_000, maxLifetimeMillis: Infinity },
      factory,
    )
    for (const lease of await take(4)) lease.release()
    await clock.advance(5_000)
    expect(factory.validateCalls).toBeGreaterThanOrEqual(4)
    expect(pool.stats()).toMatchObject({ idle: 2, created: 2 })
  })

  it('that dies takes nobody new and ends with its last lease', async () => {
    const { pool, clock, factory } = setUp({ max: 1, maxLeasesPerResource: 3 })
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()])
    factory.resources[0]?.die(new FakeError('disconnect'))
    const third = await pool.acquire()
    expect(third.resource.id).toBe(2)
    for (const lease of [first, second, third]) lease.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBe('lost')
    expect(pool.stats().idle).toBe(1)
  })
})
