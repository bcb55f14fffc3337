import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import type { PoolView } from 'millpond/dashboard'
import { judge } from '../../../packages/dashboard-page/src/judge.ts'
import { received } from '../../../packages/dashboard-page/src/received.ts'

/** What a page receives of a pool: through JSON, which has no Infinity. */
function viewOf(change: object = {}, of: Partial<PoolView> = {}): PoolView {
  const stats = { ...new Pool(new FakeFactory(), { name: 'orders', max: 4 }).stats(), ...change }
  return received(JSON.parse(JSON.stringify({ key: 'here/orders', stats, ...of })) as PoolView)
}

describe('how a pool does', () => {
  it.each([
    [{}, 'good', 'healthy'],
    [{ used: 4, waiting: 1, utilization: 1 }, 'warn', 'exhausted, callers wait'],
    [{ used: 3, waiting: 0, utilization: 0.9 }, 'warn', 'more than 80 % used'],
    [{ used: 40, waiting: 3, max: Infinity, utilization: 0 }, 'good', 'healthy'],
    [{ state: 'suspended' }, 'warn', 'suspended'],
    [{ state: 'paused', waiting: 3 }, 'bad', 'server cannot be reached'],
  ] as const)('%j: %s, %s', (change, level, why) => {
    expect(judge(viewOf(change))).toEqual({ level, why })
  })

  it('believes its health check', () => {
    const health = (status: 'warn' | 'fail'): Partial<PoolView> => ({
      health: { status, pool: 'orders', kind: 'fake', message: 'It says why', durationMillis: 1 },
    })
    expect(judge(viewOf({}, health('warn')))).toEqual({ level: 'warn', why: 'It says why' })
    expect(judge(viewOf({ utilization: 0.9 }, health('fail')))).toEqual({ level: 'bad', why: 'It says why' })
  })

  it('remembers a leak for a quarter of an hour', () => {
    expect(judge(viewOf({}, { leakedAt: Date.now() - 60_000 })).why).toMatch(/a leak was reported at/)
    expect(judge(viewOf({}, { leakedAt: Date.now() - 1_000_000 })).why).toBe('healthy')
  })
})
