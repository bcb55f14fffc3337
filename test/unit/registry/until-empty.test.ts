import { describe, expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'

function make(options: object = {}): { clock: ManualClock; registry: PoolRegistry; pool: Pool<unknown> } {
  const clock = new ManualClock()
  const registry = new PoolRegistry()
  const pool = registry.register(new Pool(new FakeFactory(), { clock, idleTimeoutMillis: 5_000, ...options }))
  return { clock, registry, pool }
}

/** Whether a promise has settled by now, and how. */
function settled<R>(promise: Promise<R>): () => R | 'pending' {
  let state: R | 'pending' = 'pending'
  void promise.then((value) => (state = value))
  return () => state
}

describe('waiting for the pools of a registry to be empty', () => {
  it('is over at once where nothing is open', async () => {
    const { registry, clock } = make()
    expect(await registry.untilEmpty({ clock })).toBe(true)
  })

  it('lasts until what is used is back and what is idle is closed', async () => {
    const { registry, clock, pool } = make()
    const lease = await pool.acquire()
    const state = settled(registry.untilEmpty({ clock }))
    await clock.advance(10_000)
    expect(state()).toBe('pending')
    lease.release()
    await clock.advance(1_000)
    expect([state(), pool.stats().idle]).toEqual(['pending', 1])
    await clock.advance(10_000)
    expect([state(), pool.stats().total]).toEqual([true, 0])
  })

  it('does not wait for what `min` holds', async () => {
    const { registry, clock, pool } = make({ min: 1 })
    await pool.use(() => undefined)
    expect(await registry.untilEmpty({ clock })).toBe(true)
    expect(pool.stats().total).toBe(1)
  })

  it('ends at the latest deadline of all who wait, and says that it did', async () => {
    const { registry, clock, pool } = make({ idleTimeoutMillis: Infinity })
    await pool.use(() => undefined)
    const first = settled(registry.untilEmpty({ clock, timeoutMillis: 1_000 }))
    await clock.advance(500)
    const second = settled(registry.untilEmpty({ clock, timeoutMillis: 2_000 }))
    await clock.advance(1_000)
    expect([first(), second()]).toEqual(['pending', 'pending'])
    await clock.advance(1_100)
    expect([first(), second()]).toEqual([false, false])
    // Whoever asks again gets a watch of their own.
    const third = settled(registry.untilEmpty({ clock, timeoutMillis: 300 }))
    await clock.advance(100)
    expect(third()).toBe('pending')
    await clock.advance(300)
    expect(third()).toBe(false)
  })
})
