import { describe, expect, it } from 'vitest'
import { FakeError } from 'millpond/testing'
import { engineOf } from '../../../src/core/pool.ts'
import { listen, setUp } from '../../support/harness.ts'

describe('resize', () => {
  it('closes idle ones above the new `max` now, and leased ones on release', async () => {
    const { pool, take, clock } = setUp({ max: 4 })
    const leases = await take(4)
    leases[0]?.release()
    pool.resize({ max: 2 })
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 0, used: 3, max: 2, destroyed: { surplus: 1 } })
    for (const lease of leases.slice(1)) lease.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 2, destroyed: { surplus: 2 } })
  })

  it('closes what comes of creates under way that there is no room for any more', async () => {
    const { pool, ask, clock, factory } = setUp({ max: 3 })
    factory.holdCreates()
    const waiting = [ask(), ask(), ask()]
    await clock.settle()
    pool.resize({ max: 1 })
    for (const create of factory.creates.splice(0)) create.open()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ total: 1, destroyed: { surplus: 2 } })
    for (let served = 0; served < 3; served++) {
      waiting.find(({ lease }) => lease?.released === false)?.lease?.release()
      await clock.settle()
    }
    expect(pool.stats()).toMatchObject({ acquired: 3, created: 3, idle: 1 })
  })

  it('serves who waits as soon as there is more room, and fills a new `min`', async () => {
    const harness = setUp({ max: 1 })
    listen(harness, 'resized')
    const { pool, take, ask, clock } = harness
    const [held] = await take(1)
    const waiting = ask()
    pool.resize({ max: 4, min: 3 })
    await clock.settle()
    expect(waiting.lease).toBeDefined()
    expect(pool.stats().total).toBe(3)
    expect(harness.events).toEqual(['resized'])
    expect(() => pool.resize({ max: 1 })).toThrow('`min`')
    held?.release()
    waiting.lease?.release()
  })
})

describe('suspend', () => {
  it('hands out nothing until it is resumed, while deadlines run', async () => {
    const { pool, ask, clock } = setUp()
    ;(await pool.acquire()).release()
    pool.suspend()
    const short = ask({ timeoutMillis: 100 })
    const long = ask({ timeoutMillis: 5_000 })
    expect(pool.tryAcquire()).toBeUndefined()
    await clock.advance(1_000)
    expect(short.error).toMatchObject({ report: { diagnosis: 'suspended' } })
    expect(long.settled).toBe(false)
    pool.resume()
    await clock.settle()
    long.lease?.release()
    expect(long.lease).toBeDefined()
  })

  it('also keeps what is idle from those who take only that', async () => {
    const { pool, take, ask, clock } = setUp()
    for (const lease of await take(1)) lease.release()
    pool.suspend()
    const labelled = ask({ label: 'waits' })
    await clock.settle()
    expect([pool.tryAcquire(), labelled.settled]).toEqual([undefined, false])
    pool.resume()
    await clock.settle()
    labelled.lease?.release()
    pool.tryAcquire()?.release()
    expect(pool.stats()).toMatchObject({ acquired: 3, idle: 1 })
  })

  it('leaves a pool that is down as it was, and one that closes alone', async () => {
    const harness = setUp({ acquireTimeoutMillis: 60_000 })
    const { pool, ask, clock, factory } = harness
    listen(harness, 'suspended', 'paused')
    factory.onCreate = () => {
      throw new FakeError('disconnect')
    }
    const waiting = ask()
    await clock.advance(300)
    expect(pool.state).toBe('paused')
    pool.suspend()
    pool.suspend()
    expect(pool.state).toBe('suspended')
    pool.resume()
    pool.resume()
    expect([pool.state, harness.events]).toEqual(['paused', ['paused', 'suspended', 'suspended']])
    const closing = pool.close({ timeoutMillis: 100 })
    pool.suspend()
    expect(pool.state).toBe('closing')
    await clock.advance(3_000)
    await closing
    pool.suspend()
    pool.resume()
    expect([pool.state, waiting.code()]).toEqual(['closed', 'ERR_POOL_CLOSED'])
  })
})

describe('a resource that carries several leases', () => {
  it('is handed out to those with the fewest, and idle only at none', async () => {
    const { pool, clock } = setUp({ max: 2, maxLeasesPerResource: 3 })
    const leases = await Promise.all(Array.from({ length: 6 }, () => pool.acquire()))
    const byResource = leases.map(({ resource }) => resource.id)
    expect(byResource.filter((id) => id === 1)).toHaveLength(3)
    expect(pool.stats()).toMatchObject({ used: 2, leases: 6, total: 2 })
    const ofFirst = leases.filter(({ resource }) => resource.id === 1)
    ofFirst.slice(0, 2).forEach((lease) => lease.release())
    const next = await pool.acquire()
    expect(next.resource.id).toBe(1)
    next.release()
    for (const lease of leases) if (!lease.released) lease.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 2, leases: 0 })
  })

  it.each([
    ['lifo', [2, 2, 2]],
    ['fifo', [1, 2, 1]],
  ] as const)('is among equals the one that was used last, or longest ago: %s', async (order, expected) => {
    const { pool, take } = setUp({ max: 2, maxLeasesPerResource: 2, order })
    const leases = await take(4)
    for (const lease of leases.sort((a, b) => a.resource.id - b.resource.id)) lease.release()
    const used: number[] = []
    for (let turn = 0; turn < 3; turn++) {
      const lease = await pool.acquire()
      used.push(lease.resource.id)
      lease.release()
    }
    expect(used).toEqual(expected)
  })

  it('takes fewer where its server says so, and as many as before when it says that', async () => {
    const { pool, clock, ask } = setUp({ max: 2, maxLeasesPerResource: 4 })
    const { inventory } = engineOf(pool)
    const first = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()])
    expect(pool.stats()).toMatchObject({ total: 1, leases: 3 })
    inventory.limitLeases(2)
    expect(pool.options.maxLeasesPerResource).toBe(2)
    const next = [ask(), ask(), ask()]
    await clock.settle()
    expect(next.map(({ lease }) => lease?.resource.id)).toEqual([2, 2, undefined])
    first[0]?.release() // the first has still two
    await clock.settle()
    expect(next[2]?.lease).toBeUndefined()
    first[1]?.release()
    await clock.settle()
    expect(next[2]?.lease?.resource.id).toBe(1)
    const last = ask()
    await clock.settle()
    expect(last.lease).toBeUndefined()
    inventory.limitLeases(1_000)
    await clock.settle()
    expect([pool.options.maxLeasesPerResource, last.lease !== undefined]).toEqual([4, true])
    inventory.limitLeases(0)
    expect(pool.options.maxLeasesPerResource).toBe(1)
    for (const lease of [first[2], last.lease, ...next.map((asked) => asked.lease)]) lease?.release()
    expect(pool.stats()).toMatchObject({ idle: 2, leases: 0 })
  })

  it('takes nobody new once one of those who hold it has found it broken', async () => {
    const { pool, clock, factory } = setUp({ max: 1, maxLeasesPerResource: 3 })
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()])
    first.release(new FakeError('disconnect'))
    const third = await pool.acquire()
    expect([second.resource.id, third.resource.id]).toEqual([1, 2])
    expect(factory.resources[0]?.destroyed).toBeUndefined()
    second.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBe('lost')
    third.release()
    expect(pool.stats()).toMatchObject({ idle: 1, total: 1 })
  })

  it('takes nobody new once it was used often enough, however its leases overlap', async () => {
    const { pool, clock, factory, ask } = setUp({ max: 1, maxLeasesPerResource: 4, maxUses: 3 })
    let held = await pool.acquire()
    for (let use = 2; use <= 3; use++) {
      const next = await pool.acquire()
      held.release()
      held = next
    }
    expect(held.resource.id).toBe(1)
    // The third use was its last: it makes room for another one at once, and ends with the lease that is out.
    const fourth = ask()
    await clock.settle()
    expect(fourth.lease?.resource.id).toBe(2)
    held.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBe('uses')
    expect(pool.stats()).toMatchObject({ used: 1, total: 1 })
    fourth.lease?.release()
  })

  it('is ended only by its last lease', async () => {
    const { pool, clock, factory } = setUp({ max: 1, maxLeasesPerResource: 3 })
    const [one, two] = [await pool.acquire(), await pool.acquire()]
    one.destroy()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBeUndefined()
    two.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBeDefined()
  })
})

describe('a resource that ends with its last lease', () => {
  it.each(['lost', 'replaced', 'too old'] as const)('and is %s keeps nobody from a new one', async (how) => {
    const options = { max: 1, maxLeasesPerResource: 2, maxLifetimeMillis: 60_000, idleTimeoutMillis: Infinity }
    const { pool, clock, factory } = setUp(options)
    const long = await pool.acquire()
    if (how === 'lost') factory.resources[0]?.die()
    else if (how === 'replaced') pool.invalidate()
    else await clock.advance(61_000)
    const next = await pool.acquire()
    expect(next.resource.id).toBe(2)
    expect(pool.stats()).toMatchObject({ total: 2, used: 2, leases: 2 })
    const [third, fourth] = [await pool.acquire(), pool.acquire({ timeoutMillis: 10 })]
    expect(third.resource.id).toBe(2)
    await expect(Promise.all([fourth, clock.advance(20)])).rejects.toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
    long.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBeDefined()
    next.release()
    third.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, leases: 0 })
  })

  it('lets `min` be filled beside it', async () => {
    const { pool, clock } = setUp({ max: 2, min: 1, maxLeasesPerResource: 2 })
    const long = await pool.acquire()
    pool.invalidate()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 1, idle: 1 })
    long.release()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ used: 0, idle: 1 })
  })
})

describe('overload', () => {
  it('refuses at once who would not be served in time, with `admission: deadline`, but no burst', async () => {
    const { pool, ask, clock, take } = setUp({ max: 1, admission: 'deadline', acquireTimeoutMillis: 10_000 })
    for (let round = 0; round < 30; round++) {
      const lease = await pool.acquire()
      await clock.advance(100)
      lease.release()
    }
    const [held] = await take(1)
    const burst = Array.from({ length: 5 }, () => ask({ timeoutMillis: 10_000 }))
    expect(pool.stats().waiting).toBe(5)
    await clock.advance(150)
    const late = ask({ timeoutMillis: 300 })
    const patient = ask({ timeoutMillis: 5_000 })
    await clock.settle()
    expect(late.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'deadline' })
    expect((late.error as { retryAfterMillis: number }).retryAfterMillis).toBeGreaterThan(0)
    expect(patient.settled).toBe(false)
    held?.release()
    for (let round = 0; round < 10; round++) {
      await clock.settle()
      for (const { lease } of [...burst, patient]) if (lease?.released === false) lease.release()
    }
  })

  it('costs no stack for whoever hears of it from somebody else: displaced, shed, timed out', async () => {
    const { take, ask, clock } = setUp({ max: 1, maxWaiting: 1, acquireTimeoutMillis: 100 })
    const [held] = await take(1)
    const displaced = ask()
    const waiting = ask({ priority: 1 })
    const refused = ask()
    await clock.advance(200)
    const frames = ({ error }: typeof displaced): number => (error as Error).stack?.match(/\n\s+at /g)?.length ?? 0
    expect([displaced.code(), waiting.code(), refused.code()]).toEqual([
      'ERR_POOL_OVERLOADED',
      'ERR_POOL_ACQUIRE_TIMEOUT',
      'ERR_POOL_OVERLOADED',
    ])
    expect([frames(displaced), frames(waiting)]).toEqual([0, 0])
    expect(frames(refused)).toBeGreaterThan(0)
    expect(Error.stackTraceLimit).toBeGreaterThan(0)
    held?.release()
  })

  it('sheds who waited longest when the queue stands, with `queue: codel`', async () => {
    const { pool, ask, clock, take } = setUp({ max: 1, queue: 'codel', acquireTimeoutMillis: 60_000 })
    const [held] = await take(1)
    const first = ask()
    await clock.advance(2_000)
    expect(first.error).toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'shed' })
    expect(pool.stats().refused).toBe(1)
    held?.release()
  })
})
