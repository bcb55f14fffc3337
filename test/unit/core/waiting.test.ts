import { describe, expect, it, vi } from 'vitest'
import type { AcquireTimeoutError } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import { setUp, type Asked, type Harness } from '../../support/harness.ts'

const idleForever = { idleTimeoutMillis: Infinity, acquireTimeoutMillis: 60_000 }

const diagnosisOf = ({ error }: Asked): string => (error as AcquireTimeoutError).report.diagnosis

/** Has the pool learn that a lease is out for a second. */
async function learn({ take, clock }: Harness, millis = 1_000): Promise<void> {
  const [lease] = await take(1)
  await clock.advance(millis)
  lease?.release()
  await clock.settle()
}

describe('the diagnosis of a timeout', () => {
  it('is a slow create also where more wait than are opened for, and there is room', async () => {
    const harness = setUp({ max: 3, maxConnecting: 1, ...idleForever })
    await learn(harness)
    const { ask, clock, factory, take } = harness
    const [held] = await take(1)
    factory.holdCreates()
    const waiting = [ask({ timeoutMillis: 50 }), ask({ timeoutMillis: 60 })]
    await clock.advance(50)
    expect(diagnosisOf(waiting[0] as Asked)).toBe('create-slow')
    await clock.advance(10)
    held?.release()
  })

  it('is a leak where most leases are stuck, and not all who wait are opened for', async () => {
    const harness = setUp({ max: 3, maxConnecting: 1, ...idleForever })
    await learn(harness, 1)
    const { ask, clock, factory, take } = harness
    const [held] = await take(1)
    factory.holdCreates()
    await clock.advance(1_000)
    const waiting = [ask({ timeoutMillis: 50 }), ask({ timeoutMillis: 60 })]
    await clock.advance(50)
    expect(diagnosisOf(waiting[0] as Asked)).toBe('leak-suspected')
    await clock.advance(10)
    held?.release()
  })

  it.each([1, 2])('is no slow create where only the overflow is opened: %d waiting', async (count) => {
    const harness = setUp({ max: 1, maxOverflow: 1, ...idleForever })
    await learn(harness)
    const { ask, clock, factory, take } = harness
    const [held] = await take(1)
    factory.holdCreates()
    const waiting = Array.from({ length: count }, (_, index) => ask({ timeoutMillis: 50 + index }))
    await clock.advance(50)
    expect(diagnosisOf(waiting[0] as Asked)).toBe('pool-too-small')
    await clock.advance(10)
    held?.release()
  })

  it('is no slow create where nothing is being opened', async () => {
    const factory = new FakeFactory({ resets: true })
    const { take, ask, clock } = setUp({ max: 1, ...idleForever }, factory)
    const [lease] = await take(1)
    factory.onReset = () => new Promise(() => undefined)
    lease?.release()
    const waiting = ask({ timeoutMillis: 50 })
    await clock.advance(50)
    expect(diagnosisOf(waiting)).toBe('pool-too-small')
  })

  it('of one whom a stall moved is not that of the others of the same instant', async () => {
    const harness = setUp({ max: 1, ...idleForever })
    await learn(harness, 5_000)
    const { ask, clock, take } = harness
    const [held] = await take(1)
    const stalled = ask({ timeoutMillis: 100 })
    await clock.settle()
    await clock.stall(400)
    // It was 300 ms late, and gets these once more: until then, this one waits as well.
    const other = ask({ timeoutMillis: 300 })
    await clock.advance(301)
    expect([stalled, other].map(diagnosisOf)).toEqual(['event-loop-blocked', 'pool-too-small'])
    held?.release()
  })

  it('comes with the three leases that are out longest, the longest first', async () => {
    const { ask, clock, take } = setUp({ max: 4, ...idleForever })
    const first = await take(4)
    // The resources that were opened first are lent last.
    for (const lease of first.reverse()) lease.release()
    const held = []
    for (let count = 0; count < 4; count++) {
      if (count === 2) held.push(...(await take(2)))
      else if (count < 2) held.push(...(await take(1)))
      await clock.advance(10)
    }
    held[0]?.release()
    const again = await take(1)
    await clock.advance(5)
    const waiting = ask({ timeoutMillis: 10 })
    await clock.advance(10)
    const { longest } = (waiting.error as AcquireTimeoutError).report
    const ages = longest.map(({ heldMillis }) => heldMillis)
    expect(ages).toHaveLength(3)
    expect(ages).toEqual([...ages].sort((one, other) => other - one))
    expect(new Set(ages).size).toBeGreaterThan(1)
    for (const lease of [...held.slice(1), ...again]) lease.release()
  })
})

it('who has only just come has all of its time left', async () => {
  const { pool, take, ask, clock } = setUp({ max: 1 })
  const [held] = await take(1)
  const waiting = ask({ timeoutMillis: 700 })
  expect(pool.waiters()).toMatchObject([{ waitedMillis: 0, leftMillis: 700 }])
  await clock.advance(100)
  expect(pool.waiters()).toMatchObject([{ waitedMillis: 100, leftMillis: 600 }])
  held?.release()
  await clock.settle()
  waiting.lease?.release()
})

describe('admission by deadline', () => {
  it('lets everybody in as long as it knows nothing', async () => {
    const { take, ask, clock } = setUp({ max: 1, admission: 'deadline', ...idleForever })
    const [held] = await take(1)
    const waiting = [ask()]
    await clock.advance(1_000)
    waiting.push(ask({ timeoutMillis: 100 }))
    await clock.settle()
    expect(waiting.map(({ settled }) => settled)).toEqual([false, false])
    await clock.advance(100)
    held?.release()
    await clock.settle()
    waiting[0]?.lease?.release()
  })

  it('lets a burst in', async () => {
    const { take, ask, clock } = setUp({ max: 1, admission: 'deadline', ...idleForever })
    for (let count = 0; count < 20; count++) {
      const [lease] = await take(1)
      await clock.advance(100)
      lease?.release()
    }
    const [held] = await take(1)
    const burst = Array.from({ length: 5 }, () => ask({ timeoutMillis: 300 }))
    await clock.settle()
    expect(burst.map(({ settled }) => settled)).toEqual([false, false, false, false, false])
    await clock.advance(300)
    held?.release()
  })
})

describe('whether all who hold a lease wait for one', () => {
  const codeOf = (error: unknown): string => (error as { code: string }).code

  it.each([{ max: 2 }, { max: 1, maxLeasesPerResource: 2 }])('%o is not so while one of them works', async (sizes) => {
    const { pool, clock } = setUp({ ...sizes, nested: 'throw' })
    const working = pool.use(() => clock.advance(50))
    const nested = pool.use(() => pool.acquire({ timeoutMillis: 10 })).catch(codeOf)
    expect(await nested).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    await working
    expect(pool.stats().deadlocks).toBe(0)
  })

  it('is not so once one of them has given up waiting', async () => {
    const { pool, clock } = setUp({ max: 2, nested: 'throw' })
    let goOn = (): void => undefined
    const gaveUp = pool.use(async () => {
      await pool.acquire({ timeoutMillis: 10 }).catch(codeOf)
      await new Promise<void>((resolve) => (goOn = resolve))
    })
    const working = pool.use(() => clock.advance(20))
    await working
    const other = pool.use(() => pool.acquire({ timeoutMillis: 10 })).catch(codeOf)
    await clock.advance(20)
    goOn()
    expect(await other).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    await gaveUp
    expect(pool.stats().deadlocks).toBe(0)
  })

  it('is not so while another resource is being reset', async () => {
    const factory = new FakeFactory({ resets: true })
    const { pool, take, clock } = setUp({ max: 2, nested: 'throw' }, factory)
    const [lease] = await take(1)
    const used = pool
      .use(async () => {
        factory.onReset = () => new Promise(() => undefined)
        lease?.release()
        return await pool.acquire({ timeoutMillis: 10 })
      })
      .catch(codeOf)
    await clock.advance(20)
    expect(await used).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(pool.stats().deadlocks).toBe(0)
  })

  it('is not so where a resource has room for more leases, but the pool is suspended', async () => {
    const { pool, clock } = setUp({ max: 1, maxLeasesPerResource: 2, nested: 'throw' })
    const used = pool
      .use(async () => {
        pool.suspend()
        return await pool.acquire({ timeoutMillis: 10 })
      })
      .catch(codeOf)
    await clock.advance(20)
    expect(await used).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(pool.stats().deadlocks).toBe(0)
  })
})

describe('first come, first served', () => {
  /** Who is served next of three who wait now. */
  async function nextOfThree({ take, ask, clock }: Harness): Promise<number> {
    const [held] = await take(1)
    const waiting = [ask(), ask(), ask()]
    held?.release()
    await clock.settle()
    const next = waiting.findIndex(({ lease }) => lease !== undefined)
    for (let round = 0; round < 3; round++) {
      for (const { lease } of waiting) if (lease?.released === false) lease.release()
      await clock.settle()
    }
    return next
  }

  it('is not doubted because of those who gave up without having waited', async () => {
    const harness = setUp({ max: 1 })
    for (let count = 0; count < 40; count++) {
      const gone = new AbortController()
      const lease = await harness.pool.acquire({ signal: gone.signal })
      gone.abort()
      lease.release()
    }
    expect(await nextOfThree(harness)).toBe(0)
  })

  it.each([
    ['fifo', 3],
    ['codel', 0],
  ] as const)('is given up where most had gone of those who can say so: %s', async (queue, skipped) => {
    const { take, ask, clock } = setUp({ max: 1, queue, acquireTimeoutMillis: 60_000 })
    const [held] = await take(1)
    // Two of three cannot say whether they have gone.
    const served = Array.from({ length: 96 }, (_, index) => {
      const gone = new AbortController()
      return { gone, asked: ask(index % 3 === 0 ? { signal: gone.signal } : {}) }
    })
    const last = [ask(), ask(), ask(), ask()]
    held?.release()
    await clock.settle()
    for (let turn = served.shift(); turn !== undefined; turn = served.shift()) {
      turn.gone.abort()
      turn.asked.lease?.release()
      await clock.settle()
    }
    expect(last.findIndex(({ lease }) => lease !== undefined)).toBe(skipped)
    for (let round = 0; round < 4; round++) {
      for (const { lease } of last) if (lease?.released === false) lease.release()
      await clock.settle()
    }
  })
})

describe('a queue that CoDel watches', () => {
  const codel = { max: 1, name: 'orders', queue: 'codel', ...idleForever } as const

  it('sheds nobody while somebody is served in time, however long the others wait', async () => {
    const { take, ask, clock, pool } = setUp(codel)
    let [held] = await take(1)
    const low = Array.from({ length: 3 }, () => ask())
    for (let round = 0; round < 20; round++) {
      const high = ask({ priority: 1 })
      await clock.advance(40)
      held?.release()
      await clock.settle()
      held = high.lease ?? low.find(({ lease }) => lease?.released === false)?.lease
      if (high.lease === undefined) {
        held?.release()
        await clock.settle()
        held = high.lease
      }
    }
    expect(low.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
    expect(pool.stats().refused).toBe(0)
    held?.release()
    for (let round = 0; round < 4; round++) {
      await clock.settle()
      for (const { lease } of low) if (lease?.released === false) lease.release()
    }
  })

  it('counts how long those have waited who still do', async () => {
    const { take, ask, clock } = setUp(codel)
    const [held] = await take(1)
    const gone = new AbortController()
    ask({ signal: gone.signal })
    await clock.advance(70)
    const waiting = ask()
    await clock.advance(20)
    gone.abort()
    // It had waited for 30 ms when it was looked at first: only the next 500 ms tell that the queue stands.
    await clock.advance(920)
    expect((waiting.error as Error).message).toBe('pool "orders": shed after 930 ms, because the queue does not drain')
    held?.release()
  })

  it('is looked at every 100 ms, however many wait', async () => {
    const { take, ask, clock } = setUp(codel)
    const [held] = await take(1)
    const setTimer = vi.spyOn(clock, 'setTimer')
    for (let count = 0; count < 50; count++) {
      ask({ timeoutMillis: 5_000 })
      await clock.advance(1)
    }
    await clock.advance(450)
    expect(setTimer.mock.calls.length).toBeLessThanOrEqual(15)
    held?.release()
    await clock.advance(5_000)
  })

  it.each(['was served', 'was shed', 'has gone'] as const)(
    'is no overload any more when it was empty for long, whoever was last %s',
    async (end) => {
      const { take, ask, clock } = setUp(codel)
      const [held] = await take(1)
      const gone = new AbortController()
      // The first is shed as soon as the queue has stood for long enough.
      const first = ask()
      await clock.advance(1_050)
      const second = ask({ signal: gone.signal })
      while (!first.settled) await clock.advance(10)
      if (end === 'was shed') while (!second.settled) await clock.advance(10)
      if (end === 'has gone') gone.abort()
      held?.release()
      await clock.settle()
      second.lease?.release()
      await clock.advance(3_000)
      const [again] = await take(1)
      const burst = ask()
      await clock.advance(300)
      again?.release()
      await clock.settle()
      expect(burst.error).toBeUndefined()
      expect(burst.lease).toBeDefined()
      burst.lease?.release()
    },
  )
})
