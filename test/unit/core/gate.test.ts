import { describe, expect, it } from 'vitest'
import { engineOf } from '../../../src/core/pool.ts'
import { setUp } from '../../support/harness.ts'

describe('a gate', () => {
  it('lets out no more leases than it says, and closes nothing', async () => {
    const { pool, take, ask, clock } = setUp({ max: 6 })
    const leases = await take(6)
    for (const lease of leases) lease.release()
    const { inventory } = engineOf(pool)
    inventory.gate(2)
    const allowed = await take(2)
    const third = ask()
    await clock.settle()
    expect(pool.tryAcquire()).toBeUndefined()
    expect([third.settled, pool.stats().idle, pool.stats().total]).toEqual([false, 4, 6])
    allowed[0]?.release()
    await clock.settle()
    expect([third.settled, pool.stats().used]).toEqual([true, 2])
    third.lease?.release()
    allowed[1]?.release()
  })

  it('lets nobody pass from hand to hand while more are out than it allows', async () => {
    const { pool, take, ask, clock } = setUp({ max: 4 })
    const leases = await take(4)
    const waiting = [ask(), ask()]
    engineOf(pool).inventory.gate(2)
    leases[0]?.release()
    leases[1]?.release()
    await clock.settle()
    expect(waiting.map(({ settled }) => settled)).toEqual([false, false])
    leases[2]?.release()
    await clock.settle()
    expect(waiting.map(({ settled }) => settled)).toEqual([true, false])
    leases[3]?.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 2, total: 4 })
    for (const { lease } of waiting) lease?.release()
  })

  it('opens no resource that it would not let out', async () => {
    const { pool, ask, factory, clock } = setUp({ max: 10 })
    engineOf(pool).inventory.gate(3)
    const asked = [1, 2, 3, 4, 5].map(() => ask())
    await clock.settle()
    expect([factory.createCalls, pool.stats().used, pool.stats().waiting]).toEqual([3, 3, 2])
    engineOf(pool).inventory.gate(Infinity)
    await clock.settle()
    expect(asked.every(({ settled }) => settled)).toBe(true)
    for (const { lease } of asked) lease?.release()
  })
})
