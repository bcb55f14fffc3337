import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import { Histogram } from '../../../src/core/histogram.ts'
import { checkInvariants } from '../../support/invariants.ts'
import { listen, setUp } from '../../support/harness.ts'
import { watchFrom } from '../../support/watch-from.ts'

describe('watching', () => {
  it('shows one consistent snapshot, also inside a listener', async () => {
    const { pool, clock, take } = setUp({ max: 2 })
    const watch = watchFrom(pool, ['created', 'acquired', 'released', 'destroyed'], () => checkInvariants(pool))
    const leases = await take(2)
    leases[0]?.destroy()
    leases[1]?.release()
    await clock.settle()
    expect(watch).toMatchObject({ looks: 7, failures: [] })
  })

  it('survives listeners that throw, and reports them', async () => {
    const { pool } = setUp()
    const reported: string[] = []
    pool.on('failure', ({ from }) => reported.push(from))
    pool.on('acquired', () => {
      throw new Error('a listener fails')
    })
    ;(await pool.acquire()).release()
    expect(reported).toEqual(["a listener of 'acquired'"])
    expect(pool.stats().idle).toBe(1)
  })

  it('tells of a timeout when it happens, and not with whatever happens next', async () => {
    const { pool, ask, clock, events, take } = setUp({ max: 1, acquireTimeoutMillis: 100 })
    await take(1)
    pool.on('acquireFailed', ({ reason }) => events.push(reason))
    ask()
    await clock.advance(100)
    expect(events).toEqual(['timeout'])
  })

  it('tells of who tries as of who acquires, and not of one who gets nothing', async () => {
    const harness = setUp({ max: 1 })
    const { pool, events } = harness
    ;(await pool.acquire()).release()
    listen(harness, 'acquireStarted', 'acquired', 'acquireFailed')
    const lease = pool.tryAcquire()
    expect(pool.tryAcquire()).toBeUndefined()
    expect(events).toEqual(['acquireStarted', 'acquired'])
    expect(pool.stats()).toMatchObject({ requested: 2, acquired: 2 })
    lease?.release()
  })

  it('tells of many at once in order, with what listeners cause behind them, and begins anew', async () => {
    const { pool, take, clock } = setUp({ max: 100 })
    const told: string[] = []
    pool.on('released', ({ resourceId }) => {
      told.push(`released ${resourceId}`)
      if (resourceId === 1) pool.resize({ max: 99 })
    })
    pool.on('destroyed', ({ resourceId }) => told.push(`destroyed ${resourceId}`))
    pool.on('resized', ({ max }) => told.push(`resized ${max}`))
    pool.on('acquired', ({ resourceId }) => told.push(`acquired ${resourceId}`))
    const leases = await take(100)
    expect(told.splice(0)).toEqual(leases.map(({ resource }) => `acquired ${resource.id}`))
    pool.invalidate({ interruptInUse: true })
    await clock.settle()
    expect(told.filter((text) => text.startsWith('destroyed'))).toHaveLength(100)
    told.length = 0
    for (const lease of await take(2)) lease.release()
    expect(told).toEqual(['acquired 101', 'acquired 102', 'released 101', 'released 102'])
  })

  it('says that a release failed only where it did', async () => {
    const { pool } = setUp()
    const events: object[] = []
    pool.on('released', (event) => events.push(event))
    ;(await pool.acquire()).release()
    const error = new Error('a query failed')
    ;(await pool.acquire()).release(error)
    const released = { pool: 'fake', resourceId: 1, generation: 0, label: undefined, useMillis: 0 }
    expect(events).toStrictEqual([released, { ...released, error }])
  })

  it('publishes on diagnostics_channel, and stops hearing who goes', async () => {
    const { pool } = setUp({ name: 'published' })
    const heard: unknown[] = []
    const note = (message: unknown): void => void heard.push((message as { pool: string }).pool)
    subscribe('millpond:acquired', note)
    ;(await pool.acquire()).release()
    unsubscribe('millpond:acquired', note)
    const listener = (): void => void heard.push('listener')
    pool.on('acquired', listener)
    pool.off('acquired', listener)
    ;(await pool.acquire()).release()
    expect(heard).toEqual(['published'])
  })

  it('counts every request once, whatever comes of it', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1, maxWaiting: 2 })
    const [held] = await take(1)
    ask({ timeoutMillis: 10 })
    ask({ timeoutMillis: 20 })
    ask()
    ask({ signal: AbortSignal.abort(new Error('no')) })
    await clock.advance(50)
    held?.release()
    const { requested, acquired, timedOut, aborted, refused, failed, waiting } = pool.stats()
    expect({ requested, acquired, timedOut, aborted, refused, failed, waiting }).toEqual({
      requested: 5,
      acquired: 1,
      timedOut: 2,
      aborted: 1,
      refused: 1,
      failed: 0,
      waiting: 0,
    })
  })

  it('measures waits and uses', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask()
    await clock.advance(200)
    held?.release()
    await clock.settle()
    waiting.lease?.release()
    const { wait, use } = pool.stats()
    expect(wait).toMatchObject({ count: 2, max: 200 })
    expect(use).toMatchObject({ count: 2, max: 200, mean: 100 })
  })

  it('takes percentiles that are exact to 6 %', () => {
    const histogram = new Histogram()
    for (let value = 1; value <= 10_000; value++) histogram.record(value / 10)
    const { p50, p95, p99, max, mean, count } = histogram.snapshot()
    expect(Math.abs(p50 / 500 - 1)).toBeLessThan(0.065)
    expect(Math.abs(p95 / 950 - 1)).toBeLessThan(0.065)
    expect(Math.abs(p99 / 990 - 1)).toBeLessThan(0.065)
    expect({ max, count, mean: Math.round(mean) }).toEqual({ max: 1_000, count: 10_000, mean: 500 })
    expect(new Histogram().snapshot(3)).toEqual({ count: 3, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
  })

  it('tells its health without ever queueing', async () => {
    const { pool, take, clock, factory } = setUp({ max: 1 }, new FakeFactory({ validates: true }))
    expect(await pool.health()).toMatchObject({ status: 'pass', message: 'Pool is healthy' })
    const [held] = await take(1)
    expect((await pool.health()).status).toBe('warn')
    held?.release()
    factory.onValidate = () => new Promise(() => undefined)
    const hanging = pool.health({ timeoutMillis: 50 })
    await clock.advance(50)
    expect((await hanging).status).toBe('fail')
    pool.suspend()
    expect((await pool.health()).status).toBe('warn')
    pool.resume()
    await clock.advance(6_000)
    await pool.close()
    expect((await pool.health()).status).toBe('fail')
  })
})

describe('options', () => {
  const make = (options: object) => (): unknown => new Pool(new FakeFactory(), options)

  it('are refused when unknown, with the nearest name, or wrong, with rule and value', () => {
    expect(make({ maxWating: 1 })).toThrow('Unknown option `maxWating`; did you mean `maxWaiting`?')
    expect(make({ max: '20' })).toThrow("Expected `max` to be an integer ≥ 1 or Infinity, got '20' (string)")
    expect(make({ createTimeoutMillis: 0 })).toThrow(
      'Expected `createTimeoutMillis` to be a number of milliseconds > 0 or Infinity, got 0',
    )
    expect(make({ order: 'random' })).toThrow("Expected `order` to be one of 'lifo', 'fifo'")
    expect(make({ max: 2, min: 3 })).toThrow('Expected `min` to be at most `max` (2), got 3')
    expect(make({ hooks: { onCreat: () => undefined } })).toThrow('did you mean `hooks.onCreate`?')
  })

  it('are not kept: the caller’s object is its own', async () => {
    const options = { max: 1 }
    const pool = new Pool(new FakeFactory(), options)
    options.max = 5
    expect(pool.stats().max).toBe(1)
    await pool.close()
  })
})
