import { describe, expect, it } from 'vitest'
import type { AcquireTimeoutError } from 'millpond'
import { setUp } from '../../support/harness.ts'

describe('a deadline', () => {
  it('ends the wait when it has passed, and not before', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask({ timeoutMillis: 100 })
    await clock.advance(99)
    expect(waiting.settled).toBe(false)
    await clock.advance(1)
    expect(waiting.code()).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    held?.release()
  })

  it('lets what has arrived in the same turn win', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask({ timeoutMillis: 100 })
    clock.setTimer(() => clock.setTimer(() => held?.release(), 0), 100)
    await clock.advance(100)
    await clock.settle()
    expect(waiting.lease ?? waiting.code()).toBeDefined()
    waiting.lease?.release()
  })

  it('is extended once by a stall of the event loop, which the error names', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask({ timeoutMillis: 100 })
    await clock.settle()
    await clock.stall(400)
    expect(waiting.settled).toBe(false)
    await clock.advance(299)
    expect(waiting.settled).toBe(false)
    await clock.advance(2)
    expect(waiting.error).toMatchObject({ stallMillis: 300, report: { diagnosis: 'event-loop-blocked' } })
    held?.release()
  })

  it('is extended by no more than a second, and not by a hiccup', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const long = ask({ timeoutMillis: 100 })
    await clock.settle()
    await clock.stall(9_000)
    await clock.advance(1_001)
    expect(long.error).toMatchObject({ stallMillis: 1_000 })
    const short = ask({ timeoutMillis: 100 })
    await clock.settle()
    await clock.stall(120)
    await clock.settle()
    expect(short.error).toMatchObject({ stallMillis: 0 })
    held?.release()
  })

  it('begins when the turn of the event loop ends in which the caller came', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask({ timeoutMillis: 100 })
    await clock.stall(80)
    await clock.advance(99)
    expect(waiting.settled).toBe(false)
    await clock.advance(1)
    expect(waiting.error).toMatchObject({ stallMillis: 0 })
    held?.release()
  })

  it('of thousands that pass together settles all, each once', async () => {
    const { take, ask, clock, pool } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = Array.from({ length: 3_000 }, () => ask({ timeoutMillis: 50 }))
    await clock.advance(60)
    expect(waiting.every((each) => each.code() === 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    expect(pool.stats()).toMatchObject({ timedOut: 3_000, waiting: 0 })
    held?.release()
  })

  it('holds for different timeouts in any order', async () => {
    const { take, ask, clock } = setUp({ max: 1, acquireTimeoutMillis: 300 })
    const [held] = await take(1)
    const order: number[] = []
    const timeouts = [500, 100, 300, 200, 300, 400, 50]
    const waiting = timeouts.map((timeoutMillis) => ask({ timeoutMillis }))
    for (let passed = 0; passed < 520; passed += 10) {
      await clock.advance(10)
      waiting.forEach((each, index) => {
        if (each.settled && !order.includes(index)) order.push(index)
      })
    }
    expect(order.map((index) => timeouts[index])).toEqual([50, 100, 200, 300, 300, 400, 500])
    held?.release()
  })

  it('tells who holds what, since when, and what is probably the cause', async () => {
    const { pool, ask, clock } = setUp({ max: 2, trackStacks: true, name: 'orders' })
    const held = [await pool.acquire({ label: 'checkout' }), await pool.acquire()]
    await clock.advance(5_000)
    const waiting = ask({ timeoutMillis: 100 })
    await clock.advance(100)
    const error = waiting.error as AcquireTimeoutError
    expect(error.message).toContain(
      'pool "orders": no fake resource within 100 ms (total=2 used=2 idle=0 creating=0 waiting=1 max=2)',
    )
    expect(error.message).toMatch(/longest lease held for 5\.1 s by "checkout", acquired at .*\/deadline\.test\.ts:\d+/)
    expect(error.message).toContain('leak suspected')
    expect(error.report.longest[0]?.stack).toContain('deadline.test.ts')
    for (const lease of held) lease.release()
  })

  it('suspects no leak while what is being opened would serve all who wait', async () => {
    const { take, ask, clock, factory } = setUp({ max: 4 })
    const [held] = await take(1)
    factory.holdCreates()
    await clock.advance(5_000)
    const waiting = [ask({ timeoutMillis: 100 }), ask({ timeoutMillis: 100 })]
    await clock.advance(100)
    expect(waiting[0]?.error).toMatchObject({ report: { diagnosis: 'create-slow' } })
    held?.release()
  })
})
