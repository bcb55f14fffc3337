import { describe, expect, it } from 'vitest'
import type { AcquireOptions } from 'millpond'
import { setUp, type Harness } from '../../support/harness.ts'

/** Has callers wait for the one resource, and tells in which order they are served, each giving back at once. */
async function served(
  { pool, clock }: Harness,
  callers: readonly (AcquireOptions & { label: string })[],
  meanwhile: (label: string) => void = () => undefined,
): Promise<string[]> {
  const held = await pool.acquire()
  const order: string[] = []
  const all = callers.map(async (options) => {
    const lease = await pool.acquire(options)
    order.push(options.label)
    meanwhile(options.label)
    lease.release()
  })
  await clock.settle()
  held.release()
  await Promise.all(all)
  return order
}

describe('who is served next', () => {
  it('is who ranks highest, and among equals who came first, whatever the order in which they came', async () => {
    const ranks = [0, 5, -3, 9, 5, 0, -3, 9, 1]
    const callers = ranks.map((priority, index) => ({ priority, label: `${priority}/${index}` }))
    expect(await served(setUp({ max: 1 }), callers)).toEqual([
      '9/3',
      '9/7',
      '5/1',
      '5/4',
      '1/8',
      '0/0',
      '0/5',
      '-3/2',
      '-3/6',
    ])
  })

  it('is after eight others who was passed over so often; then rank counts again', async () => {
    const callers = [
      { priority: 0, label: 'low 1' },
      { priority: 0, label: 'low 2' },
      ...Array.from({ length: 20 }, (_, index) => ({ priority: 1, label: `high ${index + 1}` })),
    ]
    const order = await served(setUp({ max: 1 }), callers)
    expect(order.indexOf('low 1')).toBe(8)
    expect(order.indexOf('low 2')).toBe(17)
    expect(order.filter((label) => label.startsWith('high'))).toEqual(callers.slice(2).map(({ label }) => label))
  })

  it('is the lowest of several who are out of patience', async () => {
    const callers = [
      { priority: 0, label: 'low' },
      { priority: 1, label: 'middle' },
      ...Array.from({ length: 12 }, (_, index) => ({ priority: 2, label: `high ${index + 1}` })),
    ]
    const order = await served(setUp({ max: 1 }), callers)
    expect(order.slice(8, 10)).toEqual(['low', 'middle'])
  })
})

describe('a full queue', () => {
  it('refuses a newcomer who ranks no higher than anybody in it, and makes room for one who does', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1, maxWaiting: 3 })
    const [held] = await take(1)
    const [first, second, third] = [ask(), ask({ priority: 2 }), ask()]
    const equal = ask()
    await clock.settle()
    expect(equal.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'queue-full' })
    expect(third.settled).toBe(false)
    const higher = ask({ priority: 1 })
    await clock.settle()
    expect(third.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'queue-full' })
    expect([first.settled, second.settled, higher.settled]).toEqual([false, false, false])
    expect(pool.stats()).toMatchObject({ waiting: 3, refused: 2 })
    held?.release()
    for (const each of [second, higher, first]) {
      await clock.settle()
      each.lease?.release()
      expect(each.lease).toBeDefined()
    }
  })
})

describe('those who wait', () => {
  it('expire in the order in which they came', async () => {
    const { pool, take, clock } = setUp({ max: 1, acquireTimeoutMillis: 100 })
    const [held] = await take(1)
    const expired: number[] = []
    const all = Array.from({ length: 5 }, (_, index) => pool.acquire().catch(() => expired.push(index)))
    await clock.advance(200)
    await Promise.all(all)
    expect(expired).toEqual([0, 1, 2, 3, 4])
    held?.release()
  })

  it('are as old as the oldest, of whatever rank', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const low = ask({ priority: -1 })
    await clock.advance(300)
    const high = ask({ priority: 1 })
    await clock.advance(200)
    expect(pool.stats().oldestWaiterMillis).toBe(500)
    held?.release()
    await clock.settle()
    expect(high.lease).toBeDefined()
    expect(pool.stats().oldestWaiterMillis).toBe(500)
    high.lease?.release()
    await clock.settle()
    low.lease?.release()
    expect(pool.stats().oldestWaiterMillis).toBe(0)
  })
})
