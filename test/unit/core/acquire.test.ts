import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { PoolError } from 'millpond'
import { setUp } from '../../support/harness.ts'

describe('acquire', () => {
  it('opens nothing before the first use', async () => {
    const { pool, clock, factory } = setUp({ min: 3 })
    await clock.advance(10_000)
    expect(factory.createCalls).toBe(0)
    ;(await pool.acquire()).release()
    await clock.settle()
    expect(factory.createCalls).toBe(3)
  })

  it('gives the resource that was used last, or, in fifo order, the one that rests longest', async () => {
    for (const [order, expected] of [
      ['lifo', 3],
      ['fifo', 1],
    ] as const) {
      const { pool, take } = setUp({ order })
      const leases = await take(3)
      for (const lease of leases) lease.release()
      const lease = await pool.acquire()
      expect(lease.resource.id).toBe(expected)
      lease.release()
    }
  })

  it('serves whoever waits in the order of arrival, and lets nobody overtake', async () => {
    const { pool, take, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const order: number[] = []
    const waiting = [1, 2, 3].map((number) => pool.use(() => order.push(number)))
    expect(pool.tryAcquire()).toBeUndefined()
    held?.release()
    waiting.push(pool.use(() => order.push(4)))
    await clock.settle()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3, 4])
  })

  it('serves higher priorities first, but passes nobody over more than eight times', async () => {
    const { pool, take } = setUp({ max: 1 })
    const [held] = await take(1)
    const order: string[] = []
    const low = pool.use(() => order.push('low'))
    const high = Array.from({ length: 12 }, () => pool.use(() => order.push('high'), { priority: 1 }))
    held?.release()
    await Promise.all([low, ...high])
    expect(order.indexOf('low')).toBe(8)
  })

  it('takes only what is idle at once with a timeout of 0', async () => {
    const { pool, ask, clock, factory } = setUp({ max: 1 })
    const first = ask({ timeoutMillis: 0 })
    await clock.settle()
    expect(first.code()).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(factory.createCalls).toBe(0)
    ;(await pool.acquire()).release()
    const second = ask({ timeoutMillis: 0 })
    await clock.settle()
    second.lease?.release()
    expect(second.lease).toBeDefined()
  })

  it('rejects with the reason of an abort: at once, or while it waits, and forgets the signal', async () => {
    const { take, ask, clock, pool } = setUp({ max: 1 })
    const [held] = await take(1)
    const reason = new Error('changed my mind')
    const aborted = ask({ signal: AbortSignal.abort(reason) })
    const controller = new AbortController()
    const waiting = ask({ signal: controller.signal })
    await clock.settle()
    expect(aborted.error).toBe(reason)
    expect(waiting.settled).toBe(false)
    controller.abort(reason)
    await clock.settle()
    expect(waiting.error).toBe(reason)
    expect(pool.stats()).toMatchObject({ aborted: 2, waiting: 0, requested: 3 })
    held?.release()
    const late = new AbortController()
    ;(await pool.acquire({ signal: late.signal })).release()
    late.abort()
    expect(pool.stats().idle).toBe(1)
  })

  it('may be asked by many with one signal: nobody is warned of a leak that is none', async () => {
    const { take, ask, clock, pool } = setUp({ max: 1 })
    const warnings: string[] = []
    const note = ({ name }: Error): void => {
      warnings.push(name)
    }
    process.on('warning', note)
    await take(1)
    const controller = new AbortController()
    const waiting = Array.from({ length: 20 }, () => ask({ signal: controller.signal }))
    await clock.settle()
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(20)
    controller.abort(new Error('the request is over'))
    await clock.settle()
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(waiting.every(({ error }) => (error as Error).message === 'the request is over')).toBe(true)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(pool.stats().waiting).toBe(0)
    expect(warnings).toEqual([])
  })

  it('cancels no create when its caller gives up: what is opened is idle for the next', async () => {
    const { ask, clock, factory, pool } = setUp()
    factory.holdCreates()
    const controller = new AbortController()
    ask({ signal: controller.signal })
    controller.abort()
    await clock.settle()
    factory.creates[0]?.open()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 1, waiting: 0, created: 1 })
  })

  it('binds nobody to the create that it caused', async () => {
    const { ask, clock, factory, take } = setUp({ max: 2 })
    const [held] = await take(1)
    factory.holdCreates()
    const waiting = ask()
    await clock.settle()
    expect(factory.creates).toHaveLength(1)
    held?.release()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(1)
    factory.creates.shift()?.open()
    await clock.settle()
    waiting.lease?.release()
  })

  it('refuses bad options before anything changes', async () => {
    const { ask, clock, pool } = setUp()
    const wrong = [ask({ timeoutMillis: -1 }), ask({ timeoutMillis: NaN }), ask({ priority: 0.5 })]
    await clock.settle()
    expect(wrong.map((each) => each.code())).toEqual(Array<string>(3).fill('ERR_POOL_OPTION'))
    expect(pool.stats()).toMatchObject({ refused: 3, created: 0 })
  })

  it('refuses a newcomer when the queue is full, unless it ranks higher than somebody', async () => {
    const { take, ask, clock } = setUp({ max: 1, maxWaiting: 2 })
    const [held] = await take(1)
    const first = ask()
    const second = ask()
    const third = ask()
    const higher = ask({ priority: 1 })
    await clock.settle()
    expect(third.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'queue-full' })
    expect(second.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'queue-full' })
    expect(first.settled || higher.settled).toBe(false)
    held?.release()
    await clock.settle()
    expect(higher.lease).toBeDefined()
    higher.lease?.release()
    await clock.settle()
    first.lease?.release()
  })

  it('says that a closed pool is closed', async () => {
    const { pool, ask, clock } = setUp()
    await pool.close()
    const late = ask()
    await clock.settle()
    expect(PoolError.is(late.error, 'ERR_POOL_CLOSED')).toBe(true)
  })
})
