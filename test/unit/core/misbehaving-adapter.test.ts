import { describe, expect, it } from 'vitest'
import { Pool, type ResourceFactory } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { setUp } from '../../support/harness.ts'

function fails(step: string): never {
  throw new Error(`${step} is broken`)
}

describe('an adapter that throws where it is asked', () => {
  it('counts a resource as broken when `isBroken` throws, and says so', async () => {
    const factory = new FakeFactory()
    factory.isBroken = () => fails('isBroken')
    const { pool, take, clock } = setUp({}, factory)
    const reported: string[] = []
    pool.on('failure', ({ from }) => reported.push(from))
    const [lease] = await take(1)
    lease?.release(new Error('a query failed'))
    await clock.settle()
    expect(pool.stats().destroyed.broken).toBe(1)
    expect(reported).toEqual(['isBroken'])
  })

  it('takes an error that `classify` cannot place for what the moment suggests', async () => {
    const factory = new FakeFactory()
    factory.classify = () => fails('classify')
    const { pool, take, ask, clock } = setUp({ failFastWhenDown: true }, factory)
    const reported: string[] = []
    pool.on('failure', ({ from }) => reported.push(from))
    const [lease] = await take(1)
    lease?.release(new FakeError('query'))
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 1, generation: 0 })
    factory.onCreate = () => fails('create')
    pool.invalidate()
    const waiting = ask()
    await clock.settle()
    expect(waiting.code()).toBe('ERR_POOL_DOWN')
    expect(new Set(reported)).toEqual(new Set(['classify']))
  })

  it('resets a resource whose `needsReset` throws', async () => {
    const factory = new FakeFactory({ resets: true })
    Object.assign(factory, { needsReset: () => fails('needsReset') })
    const { pool, take, clock } = setUp({}, factory)
    const reported: string[] = []
    pool.on('failure', ({ from }) => reported.push(from))
    const [lease] = await take(1)
    lease?.release()
    await clock.settle()
    expect(factory.resetCalls).toBe(1)
    expect(pool.stats().idle).toBe(1)
    expect(new Set(reported)).toEqual(new Set(['needsReset']))
  })

  it('reports a leak although `isHeldOnPurpose` throws', async () => {
    const factory = new FakeFactory()
    Object.assign(factory, { isHeldOnPurpose: () => fails('isHeldOnPurpose') })
    const { pool, take, clock } = setUp({ leakThresholdMillis: 100 }, factory)
    const heard: string[] = []
    pool.on('failure', ({ from }) => heard.push(from))
    pool.on('leak', () => heard.push('leak'))
    pool.on('leakReturned', () => heard.push('leakReturned'))
    const [lease] = await take(1)
    await clock.advance(200)
    lease?.release()
    expect(heard).toEqual(['isHeldOnPurpose', 'leak', 'leakReturned'])
  })
})

describe('an adapter with the least that one can have', () => {
  const bare: ResourceFactory<{ id: number }> = { kind: 'bare', create: () => Promise.resolve({ id: 1 }), destroy() {} }

  it('keeps what comes back with an error: nothing says that it is broken', async () => {
    const clock = new ManualClock()
    const pool = new Pool(bare, { clock })
    const lease = await pool.acquire()
    lease.release(new Error('some work failed'))
    await clock.settle()
    expect(pool.stats().idle).toBe(1)
    expect(await pool.health()).toMatchObject({ status: 'pass' })
    await pool.close()
  })

  it('ends what comes back with an error that it classifies as a loss', async () => {
    const clock = new ManualClock()
    const pool = new Pool({ ...bare, classify: () => 'disconnect' as const }, { clock })
    const lease = await pool.acquire()
    lease.release(new Error('the socket died'))
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 0, destroyed: { broken: 1 } })
    await pool.close()
  })

  it('has what it lost without a word replaced like any other', async () => {
    let lost = (): void => undefined
    const clock = new ManualClock()
    const factory: ResourceFactory<object> = {
      ...bare,
      create(context) {
        lost = () => context.lost()
        return Promise.resolve({})
      },
    }
    const pool = new Pool(factory, { clock })
    const held = await pool.acquire()
    lost()
    // Told twice of the same death.
    lost()
    expect(pool.stats().used).toBe(1)
    held.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ total: 0, destroyed: { lost: 1, broken: 0 } })
    await pool.close()
  })
})

describe('an exception in the middle of the loop', () => {
  it('reaches whoever set it off, and leaves a pool that goes on', async () => {
    let fails = false
    const random = (): number => {
      if (fails) throw new Error('no entropy')
      return 0.5
    }
    const factory = new FakeFactory()
    const { pool, take, clock, ask } = setUp({ max: 2, random }, factory)
    const [lease] = await take(1)
    factory.create = () => {
      fails = true
      throw new FakeError('disconnect')
    }
    pool.suspend()
    const waiting = ask()
    expect(() => pool.resume()).toThrow('no entropy')
    fails = false
    lease?.release()
    await clock.settle()
    expect(waiting.lease).toBeDefined()
    waiting.lease?.release()
    expect(pool.stats()).toMatchObject({ idle: 1, waiting: 0 })
  })
})

describe('a check that is never answered', () => {
  it('is waited for no longer than a connect takes, also by a full pool: the next one is checked', async () => {
    const factory = new FakeFactory({ validates: true })
    const { pool, take, clock, ask } = setUp({ max: 2, maxLifetimeMillis: Infinity }, factory)
    for (const lease of await take(2)) lease.release()
    await clock.advance(600)
    factory.onValidate = ({ id }) => (id === 2 ? new Promise(() => undefined) : undefined)
    const askedAt = clock.now()
    const waiting = ask()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ maintaining: 1, idle: 1, waiting: 1 })
    // A round of upkeep, which would also look, comes only once a second.
    await clock.advance(11)
    expect(waiting.lease?.resource.id).toBe(1)
    expect(clock.now() - askedAt).toBe(11)
    waiting.lease?.release()
  })
})

describe('a resource that turns out unfit at the last moment', () => {
  it('is ended and the next one handed out: its lifetime was over when somebody asked', async () => {
    // Over after 877.5 ms, between two rounds of upkeep.
    const options = { max: 3, maxLifetimeMillis: 1_000, idleTimeoutMillis: Infinity, random: () => 0.51 }
    const { pool, take, clock, factory } = setUp(options)
    const old = await take(1)
    await clock.advance(700)
    const young = await take(1)
    for (const lease of [...young, ...old]) lease.release()
    await clock.advance(180)
    const events: string[] = []
    pool.on('destroyed', ({ reason }) => events.push(reason))
    const lease = await pool.acquire({ label: 'asks' })
    expect(lease.resource.id).toBe(2)
    lease.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBe('lifetime')
    expect(events).toEqual(['lifetime'])
  })

  it('is ended and another one opened for who waits: its lifetime was over when the pool was resumed', async () => {
    const options = { max: 1, maxLifetimeMillis: 1_000, idleTimeoutMillis: Infinity, random: () => 0.51 }
    const { pool, take, ask, clock, factory } = setUp(options)
    const [lease] = await take(1)
    lease?.release()
    await clock.advance(800)
    pool.suspend()
    const waiting = ask()
    await clock.advance(80)
    pool.resume()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(2)
    expect(factory.resources[0]?.destroyed).toBe('lifetime')
    waiting.lease?.release()
  })

  it('is no witness for a generation that has ended while it was asked', async () => {
    const factory = new FakeFactory({ validates: true })
    let answer = (): void => undefined
    factory.onValidate = () => new Promise((resolve) => (answer = resolve))
    const { pool, take, clock } = setUp({ max: 3 }, factory)
    const leases = await take(3)
    for (const lease of leases) lease.release()
    factory.resources[2]?.die(new FakeError('disconnect'))
    await clock.settle()
    expect(pool.stats().maintaining).toBe(1)
    pool.invalidate()
    answer()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ total: 0, generation: 1, destroyed: { stale: 2, lost: 1 } })
  })

  it('is kept when its check fails for a reason that says nothing about others', async () => {
    const factory = new FakeFactory({ validates: true })
    factory.onValidate = (resource: FakeResource) => {
      if (resource.id === 1) throw new FakeError('query', 'this one only')
    }
    const { pool, take, clock } = setUp({ max: 2, validateAfterIdleMillis: 0 }, factory)
    const heard: unknown[] = []
    pool.on('validated', ({ error }) => heard.push(error instanceof Error ? error.message : 'passed'))
    const leases = await take(2)
    for (const lease of leases.reverse()) lease.release()
    await clock.advance(1)
    const lease = await pool.acquire()
    expect(lease.resource.id).toBe(2)
    lease.release()
    expect(heard).toEqual(['this one only', 'passed'])
    expect(pool.stats()).toMatchObject({ generation: 0, destroyed: { validate: 1 } })
  })
})
