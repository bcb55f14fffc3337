import { describe, expect, it } from 'vitest'
import { overload, PATIENCE_MILLIS, SKEWED } from './overload.ts'

/** Of simulated overload. */
const SECONDS = 20

describe.each([1.2, 1.5, 3])('a pool that is asked for %f× of what its server can do', (load) => {
  it('by default loses nothing where callers wait a little less long than they can', async () => {
    const result = await overload(load, SECONDS, { acquireTimeoutMillis: PATIENCE_MILLIS - 50 })
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.wasted).toBe(0)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })

  it('by default serves nearly all it can where callers may wait for as long as they have, and give up by a signal', async () => {
    const result = await overload(load, SECONDS, { acquireTimeoutMillis: PATIENCE_MILLIS })
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.wasted).toBeLessThan(0.02)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })

  it("with admission: 'deadline' tells those at once whom it cannot serve", async () => {
    const result = await overload(load, SECONDS, {
      acquireTimeoutMillis: PATIENCE_MILLIS - 100,
      admission: 'deadline',
    })
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.wasted).toBe(0)
    expect(result.refusedAfter.p99).toBeLessThanOrEqual(5)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })

  it("with admission: 'deadline' does so too where a tenth of the work takes eleven times as long as the rest", async () => {
    const options = { acquireTimeoutMillis: PATIENCE_MILLIS - 100, admission: 'deadline' } as const
    const result = await overload(load, SECONDS, options, 1, SKEWED)
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.refusedAfter.p50).toBeLessThanOrEqual(5)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })

  it("with queue: 'codel' keeps the wait short without knowing how long callers can wait", async () => {
    const result = await overload(load, SECONDS, { queue: 'codel' })
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.wasted).toBe(0)
    expect(result.waited.p99).toBeLessThan(PATIENCE_MILLIS / 2)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })

  it('by default serves nearly all it can where callers give up by a signal, and never say when', async () => {
    const result = await overload(load, SECONDS, {})
    expect(result.goodput).toBeGreaterThan(0.98)
    expect(result.wasted).toBeLessThan(0.02)
    expect(result.recoveredAfterMillis).toBeLessThan(1_000)
  })
})

it('is the same for the same seed, and as good for others', async () => {
  expect(await overload(1.5, 5, { queue: 'codel' }, 7)).toEqual(await overload(1.5, 5, { queue: 'codel' }, 7))
  for (const seed of [2, 3, 4, 5, 6]) {
    expect((await overload(1.5, 20, { queue: 'codel' }, seed)).goodput).toBeGreaterThan(0.95)
    expect((await overload(1.5, 20, { acquireTimeoutMillis: 450 }, seed)).goodput).toBeGreaterThan(0.95)
  }
})
