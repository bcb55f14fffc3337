import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import type { PoolEvents } from 'millpond'
import { setUp } from '../../support/harness.ts'

describe('slow work', () => {
  it('is announced with the wait, the use and the label, and described only then', async () => {
    const { pool, clock } = setUp({ slowMillis: 100, name: 'shop' })
    const heard: unknown[] = []
    let described = 0
    const describeIt = (): string => `operation ${++described}`
    const run = (millis: number, waitMillis = 0): Promise<void> =>
      pool.operations.run({ describe: describeIt, label: 'job', waitMillis }, () => wait(millis))
    const wait = (millis: number): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, millis))
    expect(pool.operations.watched).toBe(false)
    const unheard = run(500)
    await clock.advance(500)
    await unheard
    pool.on('slow', (slow) => heard.push(slow))
    expect(pool.operations.watched).toBe(true)
    for (const [millis, waited] of [[99], [100], [40, 60]] as const) {
      const ran = run(millis, waited)
      await clock.advance(millis)
      await ran
    }
    expect(described).toBe(2)
    expect(heard).toEqual([
      { pool: 'shop', operation: 'operation 1', label: 'job', waitMillis: 0, useMillis: 100, failed: false },
      { pool: 'shop', operation: 'operation 2', label: 'job', waitMillis: 60, useMillis: 40, failed: false },
    ])
  })

  it('is announced where it failed too, and the failure is the caller’s', async () => {
    const { pool, clock } = setUp({ slowMillis: 10 })
    const heard: boolean[] = []
    pool.on('slow', ({ failed }) => heard.push(failed))
    const failing = pool.operations.run(
      { describe: () => 'a' },
      () => new Promise((_, reject) => void clock.setTimer(() => reject(new Error('of the work')), 20)),
    )
    const settled = expect(failing).rejects.toThrow('of the work')
    await clock.advance(20)
    await settled
    expect(() =>
      pool.operations.run({ describe: () => 'b', waitMillis: 50 }, () => {
        throw new Error('at once')
      }),
    ).toThrow('at once')
    expect(pool.operations.run({ describe: () => 'c', waitMillis: 50 }, () => 7)).toBe(7)
    expect(heard).toEqual([true, true, false])
  })

  it('is a channel of diagnostics_channel', async () => {
    const { pool, clock } = setUp({ slowMillis: 10, name: 'channelled' })
    const heard: unknown[] = []
    const note = (message: unknown): void => void heard.push(message)
    subscribe('millpond:slow', note)
    expect(pool.operations.watched).toBe(true)
    const ran = pool.operations.run({ describe: () => 'x', waitMillis: 11 }, () => Promise.resolve())
    await clock.settle()
    await ran
    unsubscribe('millpond:slow', note)
    expect(pool.operations.watched).toBe(false)
    expect(heard).toMatchObject([{ pool: 'channelled', operation: 'x' }])
  })

  it('is measured nowhere with `slowMillis: Infinity`', () => {
    const { pool } = setUp({ slowMillis: Infinity })
    pool.on('slow', () => undefined)
    expect(pool.operations.watched).toBe(false)
  })

  it('includes long waits and long leases', async () => {
    const { pool, clock, ask } = setUp({ max: 1, slowMillis: 1_000 })
    const waits: PoolEvents['longWait'][] = []
    const leases: PoolEvents['longLease'][] = []
    pool.on('longWait', (event) => waits.push(event))
    pool.on('longLease', (event) => leases.push(event))
    const held = await pool.acquire({ label: 'slow' })
    const asked = ask({ label: 'patient' })
    await clock.advance(1_000)
    held.release()
    await clock.settle()
    asked.lease?.release()
    const quick = await pool.acquire()
    await clock.advance(999)
    quick.release()
    expect(waits).toMatchObject([{ label: 'patient', waitMillis: 1_000, resourceId: 1 }])
    expect(leases).toMatchObject([{ label: 'slow', useMillis: 1_000, resourceId: 1 }])
  })

  it('does not count who holds a resource on purpose', async () => {
    const { pool, clock, factory } = setUp({ slowMillis: 10 })
    Object.assign(factory, { isHeldOnPurpose: () => true })
    const heard: unknown[] = []
    pool.on('longLease', (event) => heard.push(event))
    const lease = await pool.acquire()
    await clock.advance(1_000)
    lease.release()
    expect(heard).toEqual([])
  })
})

describe('a look at a pool', () => {
  it('shows the leases that are out, longest first, with label, age, resource and stack', async () => {
    const { pool, clock } = setUp({ max: 3, trackStacks: true })
    const first = await pool.acquire({ label: 'first' })
    await clock.advance(50)
    await pool.acquire({ label: 'second' })
    expect(pool.leases()).toMatchObject([
      { resourceId: 1, label: 'first', heldMillis: 50 },
      { resourceId: 2, label: 'second', heldMillis: 0 },
    ])
    expect(pool.leases({ limit: 1 })).toHaveLength(1)
    expect(pool.leases()[0]?.stack).toContain('slow.test.ts')
    first.release()
    expect(pool.leases().map(({ label }) => label)).toEqual(['second'])
  })

  it('shows who waits, in the order in which they are served', async () => {
    const { pool, clock, ask, take } = setUp({ max: 1, acquireTimeoutMillis: 500 })
    await take(1)
    ask({ label: 'a' })
    await clock.advance(10)
    ask({ label: 'b', priority: 1, timeoutMillis: Infinity })
    ask({ label: 'c', timeoutMillis: 100 })
    await clock.advance(40)
    expect(pool.waiters()).toEqual([
      { label: 'b', waitedMillis: 40, priority: 1, leftMillis: Infinity },
      { label: 'a', waitedMillis: 50, priority: 0, leftMillis: 450 },
      { label: 'c', waitedMillis: 40, priority: 0, leftMillis: 60 },
    ])
    expect(pool.waiters({ limit: 2 })).toHaveLength(2)
  })
})
