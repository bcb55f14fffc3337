import { describe, expect, it } from 'vitest'
import type { PoolOptions } from 'millpond'
import { FakeError, FakeFactory, type FakeResource } from 'millpond/testing'
import { setUp, type Harness } from '../../support/harness.ts'

/** A pool of so many idle ones, which are validated only where there is reason to. */
async function idle(
  count: number,
  options: PoolOptions<FakeResource> = {},
  factory = new FakeFactory({ validates: true }),
): Promise<Harness & { told: unknown[] }> {
  const harness = setUp(
    { max: 5, idleTimeoutMillis: Infinity, validateAfterIdleMillis: Infinity, keepAliveMillis: Infinity, ...options },
    factory,
  )
  for (const lease of await harness.take(count)) lease.release()
  const told: unknown[] = []
  harness.pool.on('invalidated', ({ reason, automatic, generation }) => told.push([reason, automatic, generation]))
  return { ...harness, told }
}

const fail = (failure: 'disconnect' | 'role-change' | 'restart') => (): void => {
  throw new FakeError(failure)
}

describe('an invalidation', () => {
  it.each(['restart', 'disconnect', 'role-change'] as const)(
    'after a %s tells so, and that nobody asked for it',
    async (failure) => {
      const { take, factory, clock, told } = await idle(3)
      const [lease] = await take(1)
      factory.onValidate = fail(failure)
      lease?.release(new FakeError(failure))
      await clock.settle()
      expect(told).toEqual([[failure, true, 1]])
    },
  )

  it('is none for an error of the work, whatever the others would say', async () => {
    const { take, factory, clock, told } = await idle(3)
    const [lease] = await take(1)
    factory.onValidate = fail('role-change')
    lease?.release(new FakeError('query'))
    await clock.settle()
    expect([factory.validateCalls, told]).toEqual([0, []])
  })

  it('that was asked for while a witness was asked is not repeated for what that one says', async () => {
    const { take, factory, clock, pool, told } = await idle(2)
    const [lease] = await take(1)
    let answer: (error: unknown) => void = () => undefined
    factory.onValidate = () => new Promise((_, reject) => (answer = reject))
    lease?.destroy(new FakeError('disconnect'))
    await clock.settle()
    pool.invalidate()
    answer(new FakeError('disconnect'))
    await clock.settle()
    expect(told).toEqual([['requested', false, 1]])
    expect(pool.stats()).toMatchObject({ total: 0, generation: 1 })
  })
})

describe('a witness', () => {
  it('that passes leaves nobody to be validated, neither after a death nor after a role that seems to have changed', async () => {
    for (const failure of ['disconnect', 'role-change'] as const) {
      const { take, factory, clock } = await idle(4)
      const [lease] = await take(1)
      await clock.advance(10)
      lease?.release(new FakeError(failure))
      await clock.settle()
      expect(factory.validateCalls).toBe(1)
      for (const each of await take(3)) each.release()
      expect(factory.validateCalls, failure).toBe(1)
    }
  })

  it('is asked again after a death for which there was none', async () => {
    const { take, factory, clock } = await idle(2)
    const [one, other] = await take(2)
    one?.destroy(new FakeError('disconnect'))
    await clock.settle()
    expect(factory.validateCalls).toBe(0)
    other?.release()
    await clock.settle()
    for (const lease of await take(2)) lease.release()
    const before = factory.validateCalls
    factory.resources.find(({ destroyed }) => destroyed === undefined)?.die(new FakeError('disconnect'))
    await clock.settle()
    expect(factory.validateCalls).toBe(before + 1)
  })

  it('is asked after a death also where a role has changed just before', async () => {
    const { take, factory, clock, told } = await idle(2)
    const [lease] = await take(1)
    factory.onValidate = fail('role-change')
    lease?.release(new FakeError('role-change'))
    await clock.settle()
    for (const each of await take(2)) each.release()
    factory.onValidate = fail('disconnect')
    factory.resources.at(-1)?.die(new FakeError('disconnect'))
    await clock.settle()
    expect(told).toEqual([
      ['role-change', true, 1],
      ['disconnect', true, 2],
    ])
  })

  it('is asked for a role again after 30 s', async () => {
    const { take, factory, clock, told } = await idle(2)
    factory.onValidate = fail('role-change')
    for (const wait of [29_000, 2_000, 0]) {
      const leases = await take(2)
      leases[1]?.release()
      leases[0]?.release(new FakeError('role-change'))
      await clock.advance(wait)
      factory.validateCalls = 0
    }
    expect(told.length).toBe(2)
  })

  it('that takes too long is told of with the step and its limit', async () => {
    const { take, factory, clock, pool, told } = await idle(3, { validateTimeoutMillis: 200 })
    const errors: unknown[] = []
    pool.on('validated', ({ error }) => errors.push(error))
    const [lease] = await take(1)
    factory.onValidate = () => new Promise(() => undefined)
    lease?.release(new FakeError('disconnect'))
    await clock.advance(200)
    expect(errors).toMatchObject([{ name: 'StepTimeoutError', message: 'validate took longer than 200 ms' }])
    expect(told).toEqual([['disconnect', true, 1]])
  })

  it('is none where nothing can be validated', async () => {
    const { take, clock, pool } = await idle(3, {}, new FakeFactory())
    let validated = 0
    pool.on('validated', () => validated++)
    const [lease] = await take(1)
    lease?.release(new FakeError('disconnect'))
    await clock.settle()
    expect(validated).toBe(0)
    expect(pool.stats()).toMatchObject({ idle: 2, generation: 0 })
  })
})

describe('asking an idle resource how it is', () => {
  it('leaves it where it was: the coldest', async () => {
    const { pool, take, factory, clock } = await idle(2)
    expect((await pool.health()).status).toBe('pass')
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    const [warm] = await take(1)
    expect(warm?.resource.id).toBe(2)
    warm?.release()
  })

  it('ends it where it has become stale meanwhile', async () => {
    const { pool, factory, clock } = await idle(1)
    let answer: () => void = () => undefined
    factory.onValidate = () => new Promise((resolve) => (answer = resolve))
    const health = pool.health()
    await clock.settle()
    pool.invalidate()
    answer()
    await clock.settle()
    expect((await health).status).toBe('pass')
    expect(pool.stats()).toMatchObject({ idle: 0, destroyed: { stale: 1 } })
  })

  it('draws the conclusions where the server says that it goes down, and none where it answers', async () => {
    const { pool, factory, clock, told } = await idle(3)
    await pool.health()
    await clock.settle()
    expect([factory.validateCalls, told]).toEqual([1, []])
    factory.onValidate = fail('restart')
    await pool.health()
    await clock.settle()
    expect(told).toEqual([['restart', true, 1]])
  })
})
