import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { PoolError, type Lease } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'
import { listen, setUp } from '../../support/harness.ts'

const codeOf = (fn: () => unknown): string | undefined => {
  try {
    fn()
    return undefined
  } catch (error) {
    return PoolError.is(error) ? error.code : String(error)
  }
}

describe('a lease', () => {
  it('ends once: a second release, destroy or use throws and changes nothing', async () => {
    const { pool } = setUp({ max: 1 })
    const first = await pool.acquire({ label: 'first' })
    first.release()
    const second = await pool.acquire()
    const before = JSON.stringify(pool.stats())
    for (const misuse of [() => first.release(), () => first.destroy(), () => first.resource]) {
      expect(codeOf(misuse)).toBe('ERR_POOL_LEASE_RELEASED')
    }
    expect(JSON.stringify(pool.stats())).toBe(before)
    expect(second.resource.destroyed).toBeUndefined()
    second.release()
  })

  it('says by its label what was done with it after its end', async () => {
    const { pool } = setUp({ name: 'orders' })
    const lease = await pool.acquire({ label: 'report' })
    expect(lease.signal.aborted).toBe(false)
    lease.release()
    for (const [misuse, done] of [
      [() => lease.resource, 'used after its end'],
      [() => lease.release(), 'released'],
      [() => lease.destroy(), 'destroyed'],
    ] as const)
      expect(misuse).toThrow(`pool "orders": a lease "report" was ${done}: it was released before`)
  })

  it('is quiet when a block ends after an explicit release', async () => {
    const { pool } = setUp()
    {
      using lease = await pool.acquire()
      lease.release()
    }
    {
      using lease = await pool.acquire()
      expect(lease.released).toBe(false)
    }
    expect(pool.stats()).toMatchObject({ idle: 1, used: 0 })
  })

  it('destroys what its borrower found broken, by the adapter’s verdict', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const kept = await pool.acquire()
    kept.release(new FakeError('query'))
    const again = await pool.acquire()
    expect(again.resource.id).toBe(1)
    again.release(new FakeError('disconnect'))
    await clock.settle()
    expect(pool.stats().destroyed.broken).toBe(1)
    ;(await pool.acquire()).destroy('no good')
    await clock.settle()
    expect(pool.stats().destroyed.released).toBe(1)
  })

  it('is taken away after `maxUseMillis`: its signal aborts, and it says why', async () => {
    const harness = setUp({ maxUseMillis: 1_000 })
    listen(harness, 'overused')
    const { pool, clock, events } = harness
    const lease = await pool.acquire()
    const { signal } = lease
    await clock.advance(1_300)
    expect(signal.aborted).toBe(true)
    expect(() => lease.resource).toThrow('it was out longer than `maxUseMillis`')
    expect(pool.stats()).toMatchObject({ used: 0, leases: 0, destroyed: { overused: 1 } })
    expect(events).toEqual(['overused'])
  })

  it('is reported once as a leak, with label and stack, and when it comes back late', async () => {
    const harness = setUp({ leakThresholdMillis: 500 })
    const { pool, clock } = harness
    const heard: string[] = []
    pool.on('leak', ({ label, stack, heldMillis }) =>
      heard.push(`leak ${label} ${stack?.includes('lease.test.ts')} ${heldMillis >= 500}`),
    )
    pool.on('leakReturned', ({ label }) => heard.push(`returned ${label}`))
    const lease = await pool.acquire({ label: 'forgetful' })
    await clock.advance(3_000)
    expect(heard).toEqual(['leak forgetful true true'])
    lease.release()
    expect(heard).toEqual(['leak forgetful true true', 'returned forgetful'])
    expect(pool.stats().leaks).toBe(1)
  })

  it('that is garbage-collected unreleased has its resource destroyed', async () => {
    const harness = setUp({ reclaimAbandoned: true, max: 1 })
    const { pool, clock } = harness
    listen(harness, 'abandoned')
    let kept: Lease<unknown> | undefined = await pool.acquire({ label: 'lost' })
    await clock.advance(3_000)
    expect(kept.released).toBe(false)
    kept = undefined
    for (let round = 0; round < 50 && pool.stats().destroyed.abandoned === 0; round++) {
      globalThis.gc?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(harness.events).toEqual(['abandoned'])
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 0, leases: 0, leaks: 1 })
    ;(await pool.acquire()).release()
  })

  it('shows its pool and never its resource', async () => {
    const factory = new FakeFactory()
    const { pool } = setUp({ name: 'vault' }, factory)
    const lease = await pool.acquire()
    ;(lease.resource as unknown as { password: string }).password = 'very-secret'
    for (const each of [lease, pool, pool.stats()])
      expect(inspect(each, { depth: 9, showHidden: true })).not.toContain('very-secret')
    expect(inspect(lease)).toBe("Lease { pool: 'vault', resource: 1 }")
    lease.release()
  })

  it('can be taken away by the number of its resource, which is then destroyed', async () => {
    const { pool, take, clock } = setUp({ max: 2 })
    const [first, second] = await take(2)
    expect(pool.resources().map(({ resourceId, state, leases }) => [resourceId, state, leases])).toEqual([
      [1, 'leased', 1],
      [2, 'leased', 1],
    ])
    expect(pool.takeAway(1)).toBe(true)
    expect(first?.signal.aborted).toBe(true)
    expect(() => first?.release()).toThrow('it was taken away by `takeAway`')
    await clock.settle()
    expect(pool.takeAway(1)).toBe(false)
    expect(pool.stats()).toMatchObject({ used: 1, destroyed: { interrupted: 1 } })
    second?.release()
    expect(pool.takeAway(2)).toBe(false)
    expect(pool.resources()).toMatchObject([{ resourceId: 2, state: 'idle', uses: 1 }])
  })

  it('that is taken away may have others of its resource given back by whoever is told', async () => {
    const { pool, clock } = setUp({ max: 1, maxLeasesPerResource: 2 })
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()])
    first.signal.addEventListener('abort', () => second.release())
    expect(pool.takeAway(1)).toBe(true)
    await clock.settle()
    expect(pool.stats()).toMatchObject({ leases: 0, used: 0, total: 0, created: 1 })
    expect(() => second.release()).toThrow()
  })
})
