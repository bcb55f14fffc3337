import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp } from '../../support/harness.ts'

describe('close', () => {
  it('serves who waits already, refuses newcomers, and gives leases their time', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask()
    const closing = pool.close({ timeoutMillis: 1_000 })
    const late = ask()
    await clock.settle()
    expect(late.code()).toBe('ERR_POOL_CLOSED')
    held?.release()
    await clock.settle()
    expect(waiting.lease).toBeDefined()
    waiting.lease?.release()
    expect(await closing).toMatchObject({ closed: 1, forced: 0, rejected: 0 })
    expect(pool.state).toBe('closed')
  })

  it('rejects who waits where it is asked to', async () => {
    const { pool, take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask()
    const closing = pool.close({ waiters: 'reject' })
    await clock.settle()
    expect(waiting.code()).toBe('ERR_POOL_CLOSED')
    held?.release()
    expect(await closing).toMatchObject({ rejected: 1 })
  })

  it('is over when the last who waited has given up, and not only after its grace time', async () => {
    const { pool, ask, clock, factory } = setUp({ acquireTimeoutMillis: 300 })
    factory.onCreate = () => {
      throw new Error('down')
    }
    const waiting = ask()
    await clock.settle()
    const closing = pool.close({ timeoutMillis: 60_000 })
    await clock.advance(300)
    expect(waiting.code()).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(pool.state).toBe('closed')
    expect(await closing).toMatchObject({ closed: 0, forced: 0, durationMillis: 300 })
  })

  it('cuts what never comes back, and names who held it', async () => {
    const { pool, clock } = setUp()
    const lease = await pool.acquire({ label: 'report job' })
    const { signal } = lease
    const closing = pool.close({ timeoutMillis: 500 })
    await clock.advance(500)
    const report = await closing
    expect(report).toMatchObject({ forced: 1, closed: 0, holders: [{ label: 'report job', heldMillis: 500 }] })
    expect(signal.aborted).toBe(true)
    expect(() => lease.release()).toThrow('the pool closed, and its grace time was over')
  })

  it('ends what is idle at once, and leaves leases their time, whatever else is under way', async () => {
    const factory = new FakeFactory({ resets: true })
    const { pool, take, clock } = setUp({ max: 3 }, factory)
    const [held, idle, reset] = await take(3)
    idle?.release()
    await clock.settle()
    factory.onReset = () => new Promise(() => undefined)
    reset?.release()
    const closing = pool.close({ timeoutMillis: 500 })
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 1, maintaining: 1, idle: 0 })
    await clock.advance(499)
    expect(held?.signal.aborted).toBe(false)
    expect(pool.state).toBe('closing')
    await clock.advance(5_001)
    expect(held?.signal.aborted).toBe(true)
    expect(await closing).toMatchObject({ forced: 1 })
  })

  it('keeps what is idle for who still waits, until it is known to be of no use', async () => {
    const factory = new FakeFactory({ validates: true })
    const { pool, take, ask, clock } = setUp({ max: 2, maxLifetimeMillis: Infinity }, factory)
    for (const lease of await take(2)) lease.release()
    await clock.advance(600)
    factory.onValidate = ({ id }) => {
      if (id === 2) throw new FakeError('query')
    }
    const waiting = ask()
    const closing = pool.close()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(1)
    expect(factory.createCalls).toBe(2)
    waiting.lease?.release()
    await closing
  })

  it('cleans nothing that comes back: nobody will use it', async () => {
    const factory = new FakeFactory({ resets: true })
    const { pool, take } = setUp({ max: 1 }, factory)
    const [lease] = await take(1)
    const closing = pool.close()
    lease?.release()
    expect(await closing).toMatchObject({ closed: 1, forced: 0 })
    expect(factory.resetCalls).toBe(0)
    expect(factory.resources[0]?.destroyed).toBe('close')
  })

  it('counts what it cuts by resources, however many held one of them', async () => {
    const { pool, take, clock } = setUp({ max: 2, maxLeasesPerResource: 3 })
    const leases = await take(6)
    for (const lease of leases.filter(({ resource }) => resource.id === 2)) lease.release()
    const closing = pool.close({ timeoutMillis: 500 })
    await clock.advance(500)
    const report = await closing
    expect(report).toMatchObject({ forced: 1, closed: 1 })
    expect(report.holders).toHaveLength(3)
  })

  it('never shows a create that was under way', async () => {
    const { pool, ask, clock, factory } = setUp()
    factory.holdCreates()
    const waiting = ask()
    await clock.settle()
    const closing = pool.close({ timeoutMillis: 100 })
    await clock.advance(100)
    expect(waiting.code()).toBe('ERR_POOL_CLOSED')
    expect(factory.creates[0]?.context.signal.reason).toMatchObject({
      name: 'StepCancelledError',
      message: 'create took longer than 100 ms',
    })
    const late = factory.creates.shift()?.open()
    await clock.settle()
    expect(late?.destroyed).toBe('late')
    await clock.advance(2_000)
    expect(await closing).toMatchObject({ pendingCreates: 0 })
  })

  it('waits for creates that heed their signal a little later, also when it rejects who waits', async () => {
    const { pool, ask, clock, factory } = setUp({ max: 3 })
    factory.onCreate = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => clock.setTimer(() => reject(new Error('given up')), 5))
      })
    const waiting = [ask(), ask()]
    await clock.settle()
    const closing = pool.close({ waiters: 'reject' })
    await clock.settle()
    expect(waiting.map(({ code }) => code())).toEqual(['ERR_POOL_CLOSED', 'ERR_POOL_CLOSED'])
    expect(pool.state).toBe('closing')
    await clock.advance(5)
    expect(await closing).toMatchObject({ pendingCreates: 0, rejected: 2 })
  })

  it('waits for a create that heeds no signal as long as for a goodbye, and ends what it opens later', async () => {
    const { pool, ask, clock, factory } = setUp({ destroyTimeoutMillis: 1_000 })
    factory.holdCreates()
    ask()
    await clock.settle()
    const closing = pool.close({ timeoutMillis: 100 })
    await clock.advance(1_099)
    expect(pool.state).toBe('closing')
    await clock.advance(1)
    expect(await closing).toMatchObject({ pendingCreates: 1, closed: 0, durationMillis: 1_100 })
    const late = factory.creates.shift()?.open()
    await clock.settle()
    expect(late?.destroyed).toBe('late')
  })

  it('does not wait for ever for a goodbye that never ends', async () => {
    const { pool, ask, clock, factory } = setUp({ destroyTimeoutMillis: 1_000 })
    const opened = ask()
    await clock.settle()
    opened.lease?.release()
    factory.onDestroy = () => new Promise<void>(() => undefined)
    pool.on('failure', () => undefined)
    const closing = pool.close()
    await clock.advance(1_100)
    expect(await closing).toMatchObject({ closed: 1 })
  })

  it('is done once: everybody gets the same report', async () => {
    const { pool } = setUp()
    ;(await pool.acquire()).release()
    const [first, second] = await Promise.all([pool.close(), pool.close()])
    expect(first).toBe(second)
  })

  it('can be asked for by a listener', async () => {
    const { pool } = setUp()
    pool.on('released', () => void pool.close())
    ;(await pool.acquire()).release()
    expect(await pool.close()).toMatchObject({ closed: 1 })
  })

  it('ends a wait for readiness', async () => {
    const { pool, factory } = setUp()
    factory.holdCreates()
    const ready = pool.ready().catch((error: unknown) => error)
    void pool.close({ timeoutMillis: 1 })
    expect(await ready).toMatchObject({ code: 'ERR_POOL_CLOSED' })
  })

  it('happens at the end of an `await using` block', async () => {
    const { pool } = setUp()
    {
      await using scoped = pool
      ;(await scoped.acquire()).release()
    }
    expect(pool.state).toBe('closed')
  })
})
