import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { OptionError, Pool, PoolClosedError } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import { setUp } from '../../support/harness.ts'

describe('a pool', () => {
  it('shows its name, its state and its numbers, and no resource', async () => {
    const { pool, take, ask, factory, clock } = setUp({ name: 'orders', max: 3 })
    const [one, other] = await take(2)
    one?.release()
    factory.holdCreates()
    const more = [ask(), ask(), ask()]
    await clock.settle()
    expect(inspect(pool)).toBe(
      "Pool { name: 'orders', kind: 'fake', state: 'open', idle: 0, used: 2, creating: 1, waiting: 2, max: 3 }",
    )
    expect([pool.name, pool.kind, pool.state]).toEqual(['orders', 'fake', 'open'])
    for (const create of factory.creates.splice(0)) create.open()
    await clock.settle()
    for (let round = 0; round < 3; round++) {
      for (const { lease } of more) if (lease?.released === false) lease.release()
      await clock.settle()
    }
    other?.release()
  })

  it('shows a hundred of what there is, unless it is asked for another number', async () => {
    const { pool, take, ask } = setUp({ max: 101 })
    const leases = await take(101)
    for (let count = 0; count < 101; count++) ask()
    expect([pool.leases().length, pool.waiters().length, pool.resources().length]).toEqual([100, 100, 100])
    const limit = 101
    expect([pool.leases({ limit }).length, pool.waiters({ limit }).length, pool.resources({ limit }).length]).toEqual([
      101, 101, 101,
    ])
    const closing = pool.close({ timeoutMillis: 1, waiters: 'reject' })
    for (const lease of leases) lease.release()
    await closing
  })

  it('has every option in force, and the sizes as they are now', () => {
    const { pool } = setUp({ name: 'orders', max: 5, min: 1, maxWaiting: 7 })
    expect(pool.options).toMatchObject({ name: 'orders', max: 5, min: 1, minIdle: 0, maxWaiting: 7, order: 'lifo' })
    pool.resize({ max: 9 })
    expect(pool.options).toMatchObject({ max: 9, min: 1 })
    pool.resize({ min: 2 })
    expect(pool.options).toMatchObject({ max: 9, min: 2 })
    expect(() => pool.resize({ min: 10 })).toThrow('Expected `min` to be at most `max` (9), got 10')
    expect(pool.options).toMatchObject({ max: 9, min: 2 })
  })

  it('is itself where it is told to listen, or to be ready', async () => {
    const { pool } = setUp()
    const listener = (): void => undefined
    expect(pool.on('closed', listener)).toBe(pool)
    expect(pool.off('closed', listener)).toBe(pool)
    expect(await pool.ready()).toBe(pool)
  })

  it('is closed at the end of a block, once for all who close it', async () => {
    const { pool } = setUp()
    const first = pool.close()
    expect(pool.close()).toBe(first)
    await pool[Symbol.asyncDispose]()
    expect(pool.state).toBe('closed')
  })

  it('takes away what is leased, and nothing else', async () => {
    const { pool, clock } = setUp({ name: 'orders' })
    const lease = await pool.acquire()
    expect(pool.takeAway(2)).toBe(false)
    expect(pool.takeAway(1)).toBe(true)
    expect(pool.takeAway(1)).toBe(false)
    expect(lease.signal.aborted).toBe(true)
    expect(() => lease.resource).toThrow(
      'pool "orders": a lease was used after its end: it was taken away by `takeAway`',
    )
    await clock.settle()
    expect(pool.stats().destroyed.interrupted).toBe(1)
    ;(await pool.acquire()).release()
    expect(pool.takeAway(2)).toBe(false)
  })

  it('counts as asked for only what it was asked for', async () => {
    const { pool } = setUp({ max: 1 })
    expect(pool.tryAcquire()).toBeUndefined()
    expect(pool.stats()).toMatchObject({ requested: 0, acquired: 0, created: 0 })
    const lease = await pool.acquire()
    expect(pool.tryAcquire()).toBeUndefined()
    lease.release()
    const again = pool.tryAcquire()
    expect(pool.stats()).toMatchObject({ requested: 2, acquired: 2, acquiredAfterWait: 1 })
    again?.release()
  })

  it('asks for a label when somebody asks for a resource, and takes a given one before its own', async () => {
    let asked = 0
    const { pool } = setUp({ label: () => `request ${++asked}` })
    const leases = [await pool.acquire(), await pool.acquire({ label: 'given' }), pool.tryAcquire()]
    expect(leases.map((lease) => lease?.label)).toEqual(['request 1', 'given', undefined])
    leases[1]?.release()
    const tried = pool.tryAcquire()
    expect(tried?.label).toBe('request 2')
    tried?.release()
    leases[0]?.release()
  })

  it('keeps stacks where it is told to', async () => {
    const tracked = await setUp({ trackStacks: true }).pool.acquire()
    expect(tracked).toBeDefined()
    const { pool } = setUp({ trackStacks: true })
    const lease = await pool.acquire()
    expect(pool.leases()[0]?.stack).toMatch(/^Error: acquired\n {4}at /)
    lease.release()
    tracked.release()
    const bare = setUp().pool
    const other = await bare.acquire({ label: 'x' })
    expect(bare.leases()[0]?.stack).toBeUndefined()
    other.release()
  })

  it('refuses wrong options of an acquire, of `ready` and of `invalidate`', async () => {
    const { pool } = setUp({ name: 'orders' })
    const complaint = async (asked: Promise<unknown>): Promise<unknown> => {
      const error: unknown = await asked.catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(OptionError)
      return [(error as OptionError).pool, (error as OptionError).option, (error as OptionError).message]
    }
    expect(await complaint(pool.acquire({ timeoutMillis: -1 }))).toEqual([
      'orders',
      'timeoutMillis',
      'Expected `timeoutMillis` to be a number of milliseconds ≥ 0 or Infinity, got -1',
    ])
    expect(await complaint(pool.acquire({ priority: 1.5 }))).toEqual([
      'orders',
      'priority',
      'Expected `priority` to be an integer, got 1.5',
    ])
    expect(await complaint(pool.ready({ timeoutMillis: 0 }))).toEqual([
      'orders',
      'timeoutMillis',
      'Expected `timeoutMillis` to be a number of milliseconds > 0 or Infinity, got 0',
    ])
    expect(() => pool.invalidate({ spreadMillis: -1 })).toThrow(
      'Expected `spreadMillis` to be a number of milliseconds ≥ 0, got -1',
    )
    expect(() => pool.invalidate({ spreadMillis: Infinity })).toThrow('got Infinity')
    await pool.close()
    await expect(pool.ready()).rejects.toBeInstanceOf(PoolClosedError)
  })

  it('refuses whoever comes while it closes, and tells so of an acquire with options, too', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const held = await pool.acquire()
    const closing = pool.close({ timeoutMillis: 100 })
    for (const late of [pool.acquire(), pool.acquire({ label: 'late' }), pool.ready()])
      await expect(late).rejects.toBeInstanceOf(PoolClosedError)
    const reason = new Error('gone')
    await expect(pool.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    held.release()
    await clock.advance(10)
    await closing
    expect(pool.stats()).toMatchObject({ requested: 4, acquired: 1, refused: 2, aborted: 1 })
  })

  it('takes ten seconds for `ready` where it is told nothing', async () => {
    const { pool, clock, factory } = setUp()
    factory.holdCreates()
    let failed: unknown
    pool.ready().catch((error: unknown) => (failed = error))
    await clock.advance(9_999)
    expect(failed).toBeUndefined()
    await clock.advance(1)
    expect(failed).toMatchObject({ name: 'CreateError' })
  })
})

describe('a callback of `use`', () => {
  it('has the resource and the lease, and its result is the result', async () => {
    const { pool } = setUp()
    const result = await pool.use((resource, lease) => {
      expect(lease.resource).toBe(resource)
      expect(pool.stats().used).toBe(1)
      return resource.id
    })
    expect([result, pool.stats().used, pool.stats().idle]).toEqual([1, 0, 1])
  })

  it('that fails gives the resource back with its error, and fails with it', async () => {
    const { pool, clock } = setUp()
    const errors: unknown[] = []
    pool.on('released', ({ error }) => errors.push(error))
    const error = new Error('of the callback')
    await expect(pool.use(() => Promise.reject(error))).rejects.toBe(error)
    await expect(
      pool.use((_, lease) => {
        lease.release()
        throw error
      }),
    ).rejects.toBe(error)
    await clock.settle()
    expect(errors).toEqual([error, undefined])
    expect(pool.stats()).toMatchObject({ used: 0, idle: 1 })
  })

  it('may release its lease itself', async () => {
    const { pool } = setUp()
    expect(await pool.use((_, lease) => (lease.release(), 7))).toBe(7)
    expect(pool.stats()).toMatchObject({ used: 0, idle: 1 })
  })
})

it('a pool takes no clock but the process’s where none is given', async () => {
  const pool = new Pool(new FakeFactory(), { name: 'real', reclaimAbandoned: false })
  const startedAt = performance.now()
  const lease = await pool.acquire()
  lease.release()
  expect(pool.resources()[0]?.ageMillis).toBeLessThanOrEqual(performance.now() - startedAt)
  await pool.close()
})
