import { describe, expect, it } from 'vitest'
import type { PoolEventName } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp, type Harness } from '../../support/harness.ts'

/** Notes every event with all that it says. */
function hear({ pool }: Harness, ...names: PoolEventName[]): [PoolEventName, unknown][] {
  const heard: [PoolEventName, unknown][] = []
  for (const name of names) pool.on(name, (event) => heard.push([name, event]))
  return heard
}

describe('what is announced', () => {
  it('of a resource, from its create to its end', async () => {
    const harness = setUp({ name: 'orders', max: 1 })
    const { pool, clock, factory } = harness
    pool.invalidate()
    const heard = hear(harness, 'createStarted', 'created', 'acquireStarted', 'acquired', 'released', 'destroyed')
    const of = { pool: 'orders', resourceId: 1, generation: 1 }
    factory.holdCreates()
    const asked = harness.ask({ label: 'GET /' })
    await clock.advance(30)
    factory.creates.splice(0)[0]?.open()
    await clock.advance(12)
    asked.lease?.release()
    const lease = await pool.acquire()
    const error = new FakeError('query')
    lease.release(error)
    const broken = new FakeError('disconnect')
    ;(await pool.acquire()).release(broken)
    await clock.settle()
    expect(heard).toStrictEqual([
      ['acquireStarted', { pool: 'orders', label: 'GET /' }],
      ['createStarted', { ...of, attempt: 1 }],
      ['created', { ...of, durationMillis: 30 }],
      ['acquired', { ...of, label: 'GET /', durationMillis: 30 }],
      ['released', { ...of, label: 'GET /', useMillis: 12 }],
      ['acquireStarted', { pool: 'orders', label: undefined }],
      ['acquired', { ...of, label: undefined, durationMillis: 0 }],
      ['released', { ...of, label: undefined, useMillis: 0, error }],
      ['acquireStarted', { pool: 'orders', label: undefined }],
      ['acquired', { ...of, label: undefined, durationMillis: 0 }],
      ['released', { ...of, label: undefined, useMillis: 0, error: broken }],
      ['destroyed', { ...of, reason: 'broken', ageMillis: 12, uses: 3 }],
    ])
  })

  it('of a server that goes away and comes back', async () => {
    const harness = setUp({ name: 'orders', max: 1, acquireTimeoutMillis: 60_000 })
    const { pool, clock, factory } = harness
    const heard = hear(harness, 'createStarted', 'createFailed', 'paused', 'probe', 'resumed', 'created')
    const error = new FakeError('restart')
    factory.holdCreates()
    const asked = harness.ask()
    await clock.advance(5)
    factory.creates.splice(0)[0]?.fail(error)
    await clock.advance(1_000)
    expect(pool.state).toBe('paused')
    factory.creates.splice(0)[0]?.open()
    await clock.settle()
    const of = (resourceId: number): object => ({ pool: 'orders', resourceId, generation: 0 })
    // The probe came 90 ms after the first attempt.
    const durationMillis = 915
    expect(heard).toStrictEqual([
      ['createStarted', { ...of(1), attempt: 1 }],
      ['createFailed', { ...of(1), durationMillis: 5, failure: 'restart', error }],
      ['paused', { pool: 'orders', failure: 'restart', error }],
      ['createStarted', { ...of(2), attempt: 2 }],
      ['probe', { pool: 'orders', attempt: 1 }],
      ['created', { ...of(2), durationMillis }],
      ['resumed', { pool: 'orders', pausedMillis: 1_000, attempts: 1 }],
    ])
    asked.lease?.release()
  })

  it('of those who get nothing, and why', async () => {
    const harness = setUp({ name: 'orders', max: 1, maxWaiting: 2 })
    const { pool, clock, ask, take } = harness
    const [held] = await take(1)
    const heard = hear(harness, 'acquireFailed')
    const reason = new Error('the caller is gone')
    const [early, late] = [new AbortController(), new AbortController()]
    early.abort(reason)
    ask({ signal: early.signal, label: 'early' })
    ask({ timeoutMillis: 20, label: 'short' })
    ask({ signal: late.signal, label: 'late' })
    ask({ label: 'one too many' })
    await clock.advance(10)
    late.abort(reason)
    await clock.advance(10)
    ask({ timeoutMillis: 0, label: 'at once' })
    await clock.settle()
    const error = (code: string): unknown => expect.objectContaining({ code })
    expect(heard.map(([, event]) => event)).toStrictEqual([
      { pool: 'orders', label: 'early', reason: 'aborted', durationMillis: 0, error: reason },
      {
        pool: 'orders',
        label: 'one too many',
        reason: 'refused',
        durationMillis: 0,
        error: error('ERR_POOL_OVERLOADED'),
      },
      { pool: 'orders', label: 'late', reason: 'aborted', durationMillis: 10, error: reason },
      {
        pool: 'orders',
        label: 'short',
        reason: 'timeout',
        durationMillis: 20,
        error: error('ERR_POOL_ACQUIRE_TIMEOUT'),
      },
      {
        pool: 'orders',
        label: 'at once',
        reason: 'timeout',
        durationMillis: 0,
        error: error('ERR_POOL_ACQUIRE_TIMEOUT'),
      },
    ])
    held?.release()
    expect(pool.stats()).toMatchObject({ aborted: 2, refused: 1, timedOut: 2 })
  })

  it('of a check that passes, and of one that does not', async () => {
    const harness = setUp({ name: 'orders', validateAfterIdleMillis: 100 }, new FakeFactory({ validates: true }))
    const { pool, clock, factory, ask } = harness
    const heard = hear(harness, 'validated', 'destroyed')
    ;(await pool.acquire()).release()
    await clock.advance(200)
    factory.onValidate = () => new Promise((resolve) => clock.setTimer(resolve, 7))
    const passing = ask()
    await clock.advance(7)
    passing.lease?.release()
    await clock.advance(200)
    const error = new FakeError('disconnect')
    factory.onValidate = () => Promise.reject(error)
    const failing = ask()
    await clock.settle()
    failing.lease?.release()
    const of = { pool: 'orders', resourceId: 1, generation: 0 }
    expect(heard).toStrictEqual([
      ['validated', { ...of, durationMillis: 7 }],
      ['validated', { ...of, durationMillis: 0, error }],
      ['destroyed', { ...of, reason: 'validate', ageMillis: 407, uses: 2, error }],
    ])
  })

  it('of what is out for too long, and what waited for it', async () => {
    const harness = setUp({ name: 'orders', max: 1, leakThresholdMillis: 400, trackStacks: false, slowMillis: 1_000 })
    const { clock, ask, pool } = harness
    const heard = hear(harness, 'leak', 'leakReturned', 'longWait', 'longLease')
    const lease = await pool.acquire({ label: 'report' })
    const waiting = ask({ label: 'patient' })
    await clock.advance(1_000)
    lease.release()
    await clock.settle()
    waiting.lease?.release()
    const of = { pool: 'orders', resourceId: 1, generation: 0 }
    expect(heard).toStrictEqual([
      ['leak', { ...of, label: 'report', heldMillis: 400, stack: undefined }],
      ['longLease', { ...of, label: 'report', useMillis: 1_000 }],
      ['leakReturned', { ...of, label: 'report', heldMillis: 1_000, stack: undefined }],
      ['longWait', { ...of, label: 'patient', waitMillis: 1_000 }],
    ])
  })

  it('of what is taken away', async () => {
    const harness = setUp({ name: 'orders', max: 1, maxUseMillis: 400, trackStacks: false })
    const heard = hear(harness, 'overused', 'destroyed')
    await harness.pool.acquire({ label: 'report' })
    await harness.clock.advance(400)
    const of = { pool: 'orders', resourceId: 1, generation: 0 }
    expect(heard).toStrictEqual([
      ['overused', { ...of, label: 'report', heldMillis: 400, stack: undefined }],
      ['destroyed', { ...of, reason: 'overused', ageMillis: 400, uses: 1 }],
    ])
  })

  it('of callbacks that wait for their own pool', async () => {
    const harness = setUp({ name: 'orders', max: 1, nested: 'throw', trackStacks: false })
    const { pool, clock } = harness
    const heard = hear(harness, 'nested', 'deadlock')
    const used = pool.use(() => pool.acquire({ label: 'inner' }), { label: 'outer' })
    await expect(used).rejects.toMatchObject({
      name: 'DeadlockError',
      message:
        'pool "orders": deadlock: all 1 leases belong to callbacks that wait for this pool; pass the resource on instead of acquiring again',
    })
    await clock.settle()
    const holder = { resourceId: 1, label: 'outer', heldMillis: 0, stack: undefined }
    expect(heard).toStrictEqual([
      ['nested', { pool: 'orders', label: 'inner', holder }],
      ['deadlock', { pool: 'orders', holders: [holder] }],
    ])
  })

  it('of what is done to the pool', async () => {
    const harness = setUp({ name: 'orders', max: 2 })
    const { pool, clock } = harness
    const heard = hear(harness, 'invalidated', 'suspended', 'resized', 'frozen', 'closed')
    ;(await pool.acquire()).release()
    pool.invalidate()
    pool.invalidate({ reason: 'a new password' })
    pool.suspend()
    pool.resume()
    pool.resize({ min: 0, max: 3 })
    await clock.advance(100)
    ;(await pool.acquire()).release()
    await clock.freeze(10_000)
    await clock.settle()
    const report = await pool.close()
    expect(heard).toStrictEqual([
      ['invalidated', { pool: 'orders', generation: 1, reason: 'requested', automatic: false }],
      ['invalidated', { pool: 'orders', generation: 2, reason: 'a new password', automatic: false }],
      ['suspended', { pool: 'orders', suspended: true }],
      ['suspended', { pool: 'orders', suspended: false }],
      ['resized', { pool: 'orders', min: 0, max: 3 }],
      ['frozen', { pool: 'orders', gapMillis: 9_100 }],
      ['closed', report],
    ])
    expect(report).toStrictEqual({
      pool: 'orders',
      closed: 1,
      forced: 0,
      pendingCreates: 0,
      rejected: 0,
      holders: [],
      durationMillis: 0,
    })
  })

  it('of a server that takes no more, and of errors that nobody can be told', async () => {
    const harness = setUp({ name: 'orders', max: 3 })
    const { pool, clock, factory, ask, take } = harness
    const heard = hear(harness, 'saturated', 'failure')
    const [held] = await take(1)
    factory.onCreate = () => {
      throw new FakeError('saturated')
    }
    ask({ timeoutMillis: 10 })
    await clock.advance(10)
    const error = new Error('the socket is stuck')
    factory.onDestroy = () => Promise.reject(error)
    held?.destroy()
    await clock.settle()
    factory.onDestroy = () => undefined
    expect(heard).toStrictEqual([
      ['saturated', { pool: 'orders', limit: 1 }],
      ['failure', { pool: 'orders', from: 'destroy', error }],
    ])
    expect(pool.stats().total).toBe(0)
  })
})
