import { describe, expect, it } from 'vitest'
import { AcquireTimeoutError, CreateError, OverloadedError, PoolClosedError, PoolDownError } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'
import { formatMillis, timeoutMessage, type AcquireReport } from '../../../src/core/report.ts'
import { setUp, type Asked, type Harness } from '../../support/harness.ts'

const REPORT: AcquireReport = {
  total: 5,
  idle: 1,
  used: 3,
  maintaining: 1,
  creating: 2,
  waiting: 7,
  max: 6,
  leaseAgeP50: 20,
  leaseAgeP99: 40,
  longest: [],
  diagnosis: 'pool-too-small',
}
const COUNTS = 'pool "orders": no fake resource within 100 ms (total=5 used=3 idle=1 creating=2 waiting=7 max=6)'

const timeoutOf = async (
  harness: Harness,
  asked = harness.ask({ timeoutMillis: 100 }),
): Promise<AcquireTimeoutError> => {
  await harness.clock.advance(100)
  expect(asked.error).toBeInstanceOf(AcquireTimeoutError)
  return asked.error as AcquireTimeoutError
}

describe('the message of a timeout', () => {
  const lease = { resourceId: 1, label: undefined, heldMillis: 1_500, stack: undefined }
  const messageOf = (report: Partial<AcquireReport>, stallMillis = 0): string =>
    timeoutMessage('orders', 'fake', 100, stallMillis, { ...REPORT, ...report })

  it('has the numbers, and what to look at', () => {
    expect(messageOf({})).toBe(
      `${COUNTS}; probable cause: the pool is too small for the load, or the work on a lease too slow`,
    )
  })

  it('says who holds longest, as far as that is known', () => {
    const cause = 'probable cause: the pool is suspended; call resume()'
    const of = (longest: object): string =>
      messageOf({ diagnosis: 'suspended', longest: [{ ...lease, ...longest }, lease] })
    expect(of({})).toBe(`${COUNTS}; longest lease held for 1.5 s; ${cause}`)
    expect(of({ label: 'report' })).toBe(`${COUNTS}; longest lease held for 1.5 s by "report"; ${cause}`)
    const stack =
      'Error: acquired\n    at node:internal\n    at (node:events:1:1)\n    at borrow (/app/x.ts:7:1)\n    at f'
    expect(of({ stack: stack.replace('    at node:internal\n', '') })).toBe(
      `${COUNTS}; longest lease held for 1.5 s, acquired at borrow (/app/x.ts:7:1); ${cause}`,
    )
    expect(of({ stack: 'Error: acquired' })).toBe(`${COUNTS}; longest lease held for 1.5 s; ${cause}`)
  })

  it('says how far a stall moved the deadline', () => {
    expect(messageOf({ diagnosis: 'event-loop-blocked' }, 400)).toBe(
      `${COUNTS}; deadline extended by 400 ms because the event loop stalled; probable cause: the event loop was blocked; look for synchronous work or a starved CPU`,
    )
  })
})

describe('a duration', () => {
  it.each([
    [999.4, '999 ms'],
    [1_000, '1.0 s'],
    [9_949, '9.9 s'],
    [10_000, '10 s'],
    [299_999, '300 s'],
    [300_000, '5 min'],
  ])('of %d ms reads as %s', (millis, text) => {
    expect(formatMillis(millis)).toBe(text)
  })
})

describe('the diagnosis of a timeout', () => {
  it('is a pool that is too small, where leases are as short as usual', async () => {
    const harness = setUp({ name: 'orders', max: 2 })
    const { clock, take } = harness
    for (const lease of await take(2)) {
      await clock.advance(50)
      lease.release()
    }
    const held = await take(2)
    const error = await timeoutOf(harness)
    expect(error.report).toStrictEqual({
      total: 2,
      idle: 0,
      used: 2,
      maintaining: 0,
      creating: 0,
      waiting: 1,
      max: 2,
      leaseAgeP50: 100,
      leaseAgeP99: 100,
      longest: [
        { resourceId: 1, label: undefined, heldMillis: 100, stack: undefined },
        { resourceId: 2, label: undefined, heldMillis: 100, stack: undefined },
      ],
      diagnosis: 'pool-too-small',
    })
    expect([error.waitedMillis, error.stallMillis, error.stack?.includes('\n    at ')]).toEqual([100, 0, false])
    for (const lease of held) lease.release()
  })

  it('is a suspended pool', async () => {
    const harness = setUp({ name: 'orders', max: 1 })
    harness.pool.suspend()
    const error = await timeoutOf(harness)
    expect(error.report.diagnosis).toBe('suspended')
    expect(error.message).toMatch(/probable cause: the pool is suspended; call resume\(\)$/)
  })

  it('is a server that cannot be reached, with the last error as the cause', async () => {
    const harness = setUp({ name: 'orders', max: 1 })
    const cause = new FakeError('restart', 'connect ECONNREFUSED')
    harness.factory.onCreate = () => {
      throw cause
    }
    const error = await timeoutOf(harness)
    expect(error.report.diagnosis).toBe('server-down')
    expect(error.cause).toBe(cause)
    expect(error.message).toMatch(/probable cause: the server cannot be reached; see the cause of this error$/)
  })

  it('is none of the server as long as something is open', async () => {
    const harness = setUp({ name: 'orders', max: 2 })
    const [held] = await harness.take(1)
    harness.factory.onCreate = () => {
      throw new FakeError('restart')
    }
    const error = await timeoutOf(harness)
    expect(error.report.diagnosis).toBe('leak-suspected')
    held?.release()
  })

  it('is a server that takes no more', async () => {
    const harness = setUp({ name: 'orders', max: 2 })
    const [held] = await harness.take(1)
    harness.factory.onCreate = () => {
      throw new FakeError('saturated')
    }
    const error = await timeoutOf(harness)
    expect(error.report.diagnosis).toBe('server-saturated')
    expect(error.message).toMatch(/the server takes no more connections; lower `max` or raise the limit of the server$/)
    held?.release()
  })

  it('is a nested acquire', async () => {
    const harness = setUp({ name: 'orders', max: 1, nested: 'allow' })
    let inner: Asked | undefined
    const used = harness.pool.use(async () => {
      inner = harness.ask({ timeoutMillis: 100 })
      await harness.clock.advance(100)
    })
    await used
    expect((inner?.error as AcquireTimeoutError).report.diagnosis).toBe('nested-acquire')
    expect((inner?.error as Error).message).toMatch(
      /nested acquire: every lease belongs to a callback that waits for this pool; pass the resource on instead of acquiring again$/,
    )
  })

  it('is a create that takes too long', async () => {
    const harness = setUp({ name: 'orders', max: 1 })
    harness.factory.holdCreates()
    const error = await timeoutOf(harness)
    expect(error.report.diagnosis).toBe('create-slow')
    expect(error.message).toMatch(/probable cause: creating a resource takes longer than this caller could wait$/)
  })

  it('is a leak where more than half of the leases are out for ten times as long as usual', async () => {
    const harness = setUp({ name: 'orders', max: 4 })
    const { clock, take, ask } = harness
    const usual = await take(4)
    await clock.advance(10)
    for (const lease of usual) lease.release()
    const stuck = await take(2)
    await clock.advance(2_000)
    stuck.push(...(await take(2)))
    expect((await timeoutOf(harness)).report.diagnosis).toBe('pool-too-small')
    await clock.advance(1)
    const error = await timeoutOf(harness, ask({ timeoutMillis: 100 }))
    expect(error.report.diagnosis).toBe('leak-suspected')
    expect(error.message).toMatch(
      /leak suspected: leases are out far longer than usual; set `leakThresholdMillis` to see who holds them$/,
    )
    for (const lease of stuck) lease.release()
  })
})

describe('the message of who', () => {
  it('finds the pool closed', async () => {
    const { pool, ask, clock } = setUp({ name: 'orders' })
    await pool.close()
    const asked = ask()
    await clock.settle()
    expect(asked.error).toBeInstanceOf(PoolClosedError)
    expect((asked.error as Error).message).toBe('pool "orders" is closed')
    await expect(pool.ready()).rejects.toThrow('pool "orders" is closed')
  })

  it('asks while the server is down', async () => {
    const { ask, clock, factory } = setUp({ name: 'orders', failFastWhenDown: true })
    const cause = new FakeError('disconnect', 'the network is unreachable')
    factory.onCreate = () => {
      throw cause
    }
    ask()
    await clock.settle()
    const asked = ask()
    await clock.settle()
    expect(asked.error).toBeInstanceOf(PoolDownError)
    expect(asked.error).toMatchObject({
      message:
        'pool "orders": the server cannot be reached, the next probe is due in 90 ms; see the cause of this error',
      retryAfterMillis: 90,
      pool: 'orders',
      cause,
    })
  })

  it('asks with credentials that are refused', async () => {
    const { ask, clock, factory } = setUp({ name: 'orders' })
    const cause = new FakeError('auth', 'no such user')
    factory.onCreate = () => {
      throw cause
    }
    const asked = ask()
    await clock.settle()
    expect(asked.error).toBeInstanceOf(CreateError)
    expect(asked.error).toMatchObject({
      message: 'pool "orders": no fake resource can be created (auth); see the cause of this error',
      pool: 'orders',
      cause,
    })
  })

  it('waits for the pool to be ready for too long', async () => {
    const { pool, clock, factory } = setUp({ name: 'orders', min: 3, max: 3, maxConnecting: 1 })
    factory.holdCreates()
    const ready = pool.ready({ timeoutMillis: 200 })
    const failed = expect(ready).rejects.toMatchObject({
      name: 'CreateError',
      message: 'pool "orders": not ready within 200 ms: 1 of 3 fake resources are open',
    })
    factory.creates.splice(0)[0]?.open()
    await clock.advance(200)
    await failed
  })

  it('comes to a full queue', async () => {
    const { take, ask, clock } = setUp({ name: 'orders', max: 2, maxWaiting: 3 })
    const used = await take(2)
    await clock.advance(100)
    for (const lease of used) lease.release()
    const held = await take(2)
    for (let index = 0; index < 3; index++) ask({ timeoutMillis: 10 })
    const refused = ask()
    await clock.settle()
    expect(refused.error).toBeInstanceOf(OverloadedError)
    expect(refused.error).toMatchObject({
      message: 'pool "orders": 3 callers wait already (maxWaiting 3)',
      reason: 'queue-full',
      retryAfterMillis: 150,
    })
    await clock.advance(10)
    for (const lease of held) lease.release()
  })

  it('would be served too late', async () => {
    const { take, ask, clock } = setUp({ name: 'orders', max: 1, admission: 'deadline' })
    for (let count = 0; count < 20; count++) {
      const [lease] = await take(1)
      await clock.advance(100)
      lease?.release()
    }
    const [held] = await take(1)
    const waiting = ask()
    await clock.advance(100)
    // Two would keep the pool busy for 200 ms, and a tenth of the time is left for the work.
    const refused = ask({ timeoutMillis: 210 })
    const admitted = ask({ timeoutMillis: 230 })
    await clock.settle()
    expect(refused.error).toMatchObject({
      name: 'OverloadedError',
      message: 'pool "orders": 1 callers wait, the next would be served in about 200 ms and can wait 210 ms',
      reason: 'deadline',
      retryAfterMillis: 11,
    })
    expect(admitted.settled).toBe(false)
    held?.release()
    await clock.settle()
    waiting.lease?.release()
    await clock.settle()
    admitted.lease?.release()
  })

  it('would be served too late is none where nobody asked for that', async () => {
    const { take, ask, clock } = setUp({ name: 'orders', max: 1 })
    for (let count = 0; count < 20; count++) {
      const [lease] = await take(1)
      await clock.advance(100)
      lease?.release()
    }
    const [held] = await take(1)
    const waiting = [ask({ timeoutMillis: 1_000 })]
    await clock.advance(100)
    waiting.push(ask({ timeoutMillis: 50 }))
    await clock.advance(49)
    expect(waiting.map(({ settled }) => settled)).toEqual([false, false])
    await clock.advance(1)
    held?.release()
    await clock.settle()
    waiting[0]?.lease?.release()
  })

  it('is shed from a queue that does not drain', async () => {
    const { ask, clock, pool } = setUp({ name: 'orders', max: 1, queue: 'codel', acquireTimeoutMillis: 10_000 })
    const asked: Asked[] = []
    const durations: number[] = []
    pool.on('acquireFailed', ({ durationMillis }) => durations.push(durationMillis))
    const shed = (): Asked | undefined => asked.find(({ error }) => error !== undefined)
    for (let count = 0; count < 60 && shed() === undefined; count++) {
      for (let each = 0; each < 3; each++) asked.push(ask())
      await clock.advance(50)
      asked.find(({ lease }) => lease?.released === false)?.lease?.release()
    }
    expect(shed()?.error).toMatchObject({ name: 'OverloadedError', reason: 'shed' })
    expect((shed()?.error as Error).message).toMatch(
      /^pool "orders": shed after [\d.]+ m?s, because the queue does not drain$/,
    )
    expect((shed()?.error as OverloadedError).retryAfterMillis).toBeGreaterThan(0)
    expect((shed()?.error as Error).stack).not.toContain('\n    at ')
    // Nobody is shed who has waited for less than twice the target.
    expect(Math.min(...durations)).toBeGreaterThan(200)
    for (const { lease } of asked) if (lease?.released === false) lease.release()
    const closing = pool.close({ timeoutMillis: 10, waiters: 'reject' })
    await clock.advance(100)
    await closing
  })
})

describe('the message of a step of the adapter', () => {
  it('that takes too long says which, and its limit', async () => {
    const { ask, clock, factory, pool } = setUp(
      { name: 'orders', createTimeoutMillis: 300, acquireTimeoutMillis: 1_000 },
      new FakeFactory(),
    )
    const errors: Error[] = []
    pool.on('createFailed', ({ error, failure }) => {
      expect(failure).toBe('timeout')
      errors.push(error as Error)
    })
    factory.holdCreates()
    const asked = ask()
    await clock.advance(300)
    expect(errors[0]).toMatchObject({
      name: 'StepTimeoutError',
      code: 'ETIMEDOUT',
      message: 'create took longer than 300 ms',
    })
    factory.creates.splice(0).at(-1)?.open()
    await clock.advance(1_000)
    asked.lease?.release()
  })
})
