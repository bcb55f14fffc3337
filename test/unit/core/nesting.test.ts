import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import type { Lease } from 'millpond'
import { FakeFactory, type FakeResource } from 'millpond/testing'
import { listen, setUp } from '../../support/harness.ts'

describe('nested acquires', () => {
  it('that deadlock for certain are refused at once where it is asked for, and the others go on', async () => {
    const { pool, clock } = setUp({ max: 3, nested: 'throw', acquireTimeoutMillis: 5_000 })
    const outcomes = Promise.allSettled([1, 2, 3].map(() => pool.use(async () => await pool.use(() => 'inner'))))
    await clock.advance(10)
    const codes = (await outcomes).map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as { code: string }).code,
    )
    expect(codes.filter((code) => code === 'ERR_POOL_DEADLOCK')).toHaveLength(1)
    expect(codes.filter((code) => code === 'inner')).toHaveLength(2)
    expect(pool.stats().deadlocks).toBe(1)
  })

  it('are announced, and named in the timeout', async () => {
    const harness = setUp({ max: 1, nested: 'warn', acquireTimeoutMillis: 100 })
    listen(harness, 'nested', 'deadlock')
    const { pool, clock, events } = harness
    const outcome = pool.use(() => pool.acquire()).catch((error: unknown) => error)
    await clock.advance(100)
    expect(await outcome).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', report: { diagnosis: 'nested-acquire' } })
    expect(events).toEqual(['nested', 'deadlock'])
  })

  it('are seen through another pool’s callback', async () => {
    const outer = setUp({ max: 1, nested: 'throw' })
    const inner = setUp({ max: 1, nested: 'throw' })
    const outcome = outer.pool
      .use(() => inner.pool.use(() => outer.pool.use(() => undefined)))
      .catch((error: unknown) => error)
    await outer.clock.advance(10)
    expect(await outcome).toMatchObject({ code: 'ERR_POOL_DEADLOCK' })
  })

  it('are not seen where callers only wait side by side', async () => {
    const harness = setUp({ max: 1, nested: 'throw' })
    listen(harness, 'nested', 'deadlock')
    const { pool, clock, events } = harness
    const all = Promise.all([1, 2, 3, 4].map(() => pool.use(() => undefined)))
    await clock.advance(10)
    await all
    expect(events).toEqual([])
  })

  it('are none of what a callback has left behind, however it ended', async () => {
    const endings: (() => void)[] = [
      () => undefined,
      () => {
        throw new Error('failed')
      },
    ]
    for (const end of endings) {
      const harness = setUp({ max: 1, nested: 'warn' })
      listen(harness, 'nested', 'deadlock')
      const { pool, take, clock, events } = harness
      let goOn = (): void => undefined
      const gate = new Promise<void>((resolve) => (goOn = resolve))
      let left: Promise<Lease<FakeResource>> | undefined
      const callback = (): void => {
        left = gate.then(() => pool.acquire())
        end()
      }
      await pool.use(callback).catch(() => undefined)
      const [held] = await take(1)
      goOn()
      await clock.settle()
      expect(pool.stats()).toMatchObject({ used: 1, waiting: 1 })
      held?.release()
      ;(await left)?.release()
      expect(events).toEqual([])
    }
  })

  it('are fine while something is free', async () => {
    const { pool } = setUp({ max: 2, nested: 'throw' })
    expect(await pool.use(() => pool.use(() => 'fine'))).toBe('fine')
  })
})

describe('the async context', () => {
  it('of a caller is the one in which it goes on, and background work has none', async () => {
    const context = new AsyncLocalStorage<string>()
    const factory = new FakeFactory({ validates: true, resets: true })
    const background = new Set<string | undefined>()
    factory.onCreate = () => void background.add(context.getStore())
    factory.onValidate = () => void background.add(context.getStore())
    factory.onReset = () => void background.add(context.getStore())
    factory.onDestroy = () => void background.add(context.getStore())
    const { pool, clock } = setUp({ max: 1, validateAfterIdleMillis: 0 }, factory)
    const seen: (string | undefined)[] = []
    const all = Promise.all(
      ['a', 'b', 'c'].map((store) =>
        context.run(store, async () => {
          await pool.use(() => seen.push(context.getStore()))
          seen.push(context.getStore())
          const lease = await pool.acquire()
          seen.push(context.getStore())
          lease.release()
          await clock.settle()
        }),
      ),
    )
    await clock.advance(100)
    await all
    expect(seen.sort().join('')).toBe('aaabbbccc')
    await pool.close()
    expect([...background]).toEqual([undefined])
  })
})
