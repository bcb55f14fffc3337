import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { listen, setUp } from '../support/harness.ts'
import { after, job, never } from '../support/simulation.ts'

/** Bugs of the steps between two borrowers that pools in production had; each with where it happened. */
describe('steps between two borrowers', { retry: 0 }, () => {
  // HikariCP #607: the caller itself closed what it found dead, and waited for that beyond its own timeout.
  it('B2: a hung close keeps no caller beyond its deadline', async () => {
    const factory = new FakeFactory()
    factory.onDestroy = never
    const { clock, pool, take } = setUp({ max: 2, acquireTimeoutMillis: 1_000, destroyTimeoutMillis: 500 }, factory)
    for (const lease of await take(2)) lease.release()
    pool.invalidate()
    const served = job(pool, clock, 1)
    const late = job(pool, clock, 1, 100)
    await clock.advance(100)
    expect(late.code).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    await clock.advance(400)
    expect(served.servedAt).toBe(served.askedAt + 500)
    await clock.advance(10)
  })

  // HikariCP #1819: a keep-alive found every connection dead, and none was opened again for six days.
  it('B3: what a keep-alive finds dead is replaced', async () => {
    const factory = new FakeFactory({ validates: true })
    const { clock, pool, take } = setUp(
      { max: 5, min: 5, keepAliveMillis: 10_000, idleTimeoutMillis: Infinity },
      factory,
    )
    for (const lease of await take(5)) lease.release()
    let dead = true
    factory.onValidate = () => {
      if (dead) throw new FakeError('timeout')
    }
    pool.on('invalidated', () => (dead = false))
    await clock.advance(15_000)
    expect(dead).toBe(false)
    expect(pool.stats()).toMatchObject({ idle: 5, total: 5 })
    expect(pool.stats().created).toBeGreaterThanOrEqual(10)
  })

  // HikariCP #1819 again, with the server away at that moment.
  it('B3: what a keep-alive finds dead is replaced when the server is back', async () => {
    const factory = new FakeFactory({ validates: true })
    const { clock, pool, take } = setUp(
      { max: 5, min: 5, keepAliveMillis: 10_000, idleTimeoutMillis: Infinity },
      factory,
    )
    for (const lease of await take(5)) lease.release()
    factory.onValidate = () => {
      throw new FakeError('disconnect')
    }
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    await clock.advance(60_000)
    expect(pool.stats()).toMatchObject({ total: 0, state: 'paused' })
    factory.onValidate = factory.onCreate = () => undefined
    await clock.advance(6_000)
    expect(pool.stats()).toMatchObject({ idle: 5, state: 'open' })
  })

  // psycopg #1123, #1208, #1275, #509: a caller was cancelled while its connection was checked, rolled back or opened,
  // and the connection was lost with it.
  it.each([
    ['queued', { holds: 'nothing' }],
    ['being connected', { holds: 'create' }],
    ['being checked', { holds: 'validate' }],
    ['being prepared', { holds: 'beforeAcquire' }],
    ['being rolled back', { holds: 'reset' }],
    ['being tidied up after', { holds: 'afterRelease' }],
  ])('B12: a cancel while a resource is %s loses no slot', async (_, { holds }) => {
    const factory = new FakeFactory({ validates: true, resets: true })
    let wait = (): Promise<void> => Promise.resolve()
    const at = (step: string) => (): Promise<void> => (step === holds ? wait() : Promise.resolve())
    factory.onCreate = at('create')
    factory.onValidate = at('validate')
    factory.onReset = at('reset')
    const hooks = { beforeAcquire: at('beforeAcquire'), afterRelease: at('afterRelease') }
    const { clock, pool, take } = setUp({ max: 3, validateAfterIdleMillis: 0, hooks }, factory)
    if (holds !== 'create') for (const lease of await take(holds === 'nothing' ? 1 : 3)) lease.release()
    await clock.advance(1)
    wait = () => after(clock, 20)
    // At every millisecond of the step, and one turn before and after it.
    for (let cancelAt = 0; cancelAt <= 22; cancelAt++) {
      const held = holds === 'reset' || holds === 'afterRelease' ? await quickly(clock, pool.acquire()) : undefined
      const controller = new AbortController()
      const outcome = pool.acquire({ signal: controller.signal }).then(
        (lease) => clock.setTimer(() => lease.release(), 1),
        () => undefined,
      )
      held?.release()
      await clock.advance(cancelAt)
      controller.abort()
      await clock.advance(100)
      await outcome
    }
    wait = () => Promise.resolve()
    await clock.advance(100)
    const all = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()])
    expect(pool.stats()).toMatchObject({ used: 3, waiting: 0 })
    for (const lease of all) lease.release()
    await clock.advance(100)
    expect(factory.open).toBe(3)
  })

  // sqlx #4349: a ping when a connection came back had no time limit, and its permit was gone for ever.
  it('B14: a return that never ends gives its slot back at its deadline', async () => {
    const factory = new FakeFactory({ resets: true })
    factory.onReset = never
    const { clock, pool, take } = setUp({ max: 2, resetTimeoutMillis: 300 }, factory)
    for (const lease of await take(2)) lease.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ maintaining: 2, idle: 0 })
    const next = [job(pool, clock, 1), job(pool, clock, 1)]
    await clock.advance(301)
    expect(next.every(({ servedAt, askedAt }) => (servedAt ?? Infinity) - askedAt <= 301)).toBe(true)
    expect(pool.stats().destroyed.reset).toBe(2)
    await clock.advance(1_000)
  })

  // MongoDB's CMAP specification, rationale: a paused pool whose generation does not grow keeps what is on its way.
  it('B17: clearing a paused pool counts a generation each time, and tells of nothing that was cleared', async () => {
    const factory = new FakeFactory()
    const harness = setUp({ max: 2 }, factory)
    const { clock, pool, take, ask, events } = harness
    listen(harness, 'invalidated')
    const [lease] = await take(1)
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    lease?.release(new FakeError('restart'))
    const waiting = ask()
    await clock.advance(10)
    expect(pool.stats()).toMatchObject({ state: 'paused', generation: 1 })
    expect(events).toEqual(['invalidated'])
    // An error of the old generation is old news; a clear on request counts, and has nothing to tell of.
    factory.resources[0]?.die(new FakeError('restart'))
    expect(pool.stats().generation).toBe(1)
    factory.onCreate = () => undefined
    factory.holdCreates()
    await clock.advance(1_100)
    pool.invalidate()
    pool.invalidate()
    expect(pool.stats().generation).toBe(3)
    expect(events).toEqual(['invalidated'])
    // The probe that was under way belongs to a cleared generation: nobody gets it.
    factory.creates.shift()?.open()
    await clock.settle()
    expect(factory.resources[1]?.destroyed).toBe('stale')
    factory.creates.shift()?.open()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(3)
    waiting.lease?.release()
  })
})

async function quickly<R>(clock: { advance(millis: number): Promise<void> }, promise: Promise<R>): Promise<R> {
  void clock.advance(100)
  return await promise
}
