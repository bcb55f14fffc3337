import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { Pool, type Lease } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { readCallers } from '../../../src/core/caller-mark.ts'
import { callersStack } from '../../../src/core/report.ts'
import { listen, setUp } from '../../support/harness.ts'
import { after } from '../../support/simulation.ts'

/** Over after 877.5 ms, between two rounds of upkeep. */
const SHORT_LIVED = { maxLifetimeMillis: 1_000, idleTimeoutMillis: Infinity, random: () => 0.51 }

/** A clock on which time can pass within one turn. */
class BusyClock extends ManualClock {
  busyMillis = 0

  override now(): number {
    return super.now() + this.busyMillis
  }

  override turnNow(): number {
    return this.now()
  }
}

describe('a release', () => {
  it('of what died while it was being reset ends it', async () => {
    const factory = new FakeFactory({ resets: true })
    let done = (): void => undefined
    factory.onReset = () => new Promise((resolve) => (done = resolve))
    const { pool, take, clock } = setUp({}, factory)
    const [lease] = await take(1)
    lease?.release()
    factory.resources[0]?.die(new FakeError('query'))
    done()
    await clock.settle()
    expect(pool.stats()).toMatchObject({ total: 0, destroyed: { lost: 1 } })
  })

  it('from within a create that the pool has just begun serves who waits', async () => {
    const factory = new FakeFactory()
    const leases: Lease<FakeResource>[] = []
    factory.onCreate = () => leases.shift()?.release()
    const { take, ask, clock } = setUp({ max: 2 }, factory)
    leases.push(...(await take(1)))
    const waiting = ask()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(1)
    waiting.lease?.release()
  })

  it('goes through `beforeAcquire` on its way to who waits', async () => {
    const prepared: number[] = []
    const { take, ask, clock } = setUp({ max: 1, hooks: { beforeAcquire: ({ id }) => void prepared.push(id) } })
    const [lease] = await take(1)
    const waiting = ask()
    lease?.release()
    await clock.settle()
    waiting.lease?.release()
    expect(prepared).toEqual([1, 1])
  })

  it('serves who waited past the deadline while some work blocked the event loop, however long', async () => {
    const clock = new BusyClock()
    const pool = new Pool(new FakeFactory(), { max: 1, clock })
    const lease = await pool.acquire()
    const waiting = pool.acquire({ timeoutMillis: 100 })
    await clock.advance(1)
    // Some work blocks the event loop and then gives back, before any timer could fire: the turn is not over.
    clock.busyMillis = 3_000
    lease.release()
    expect(pool.stats()).toMatchObject({ used: 1, waiting: 0, timedOut: 0 })
    ;(await waiting).release()
    await pool.close()
  })

  it('finds nobody where all who wait are about to be told that their time is over', async () => {
    const { pool, take, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    // So many expire in several turns of the event loop; the first who is told gives back before the others are.
    const waiting = Array.from({ length: 1_200 }, () =>
      pool.acquire({ timeoutMillis: 10 }).then(
        () => 'served',
        () => {
          if (held?.released === false) held.release()
          return 'told'
        },
      ),
    )
    await clock.advance(10)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['told']))
    expect(pool.stats()).toMatchObject({ idle: 1, waiting: 0, timedOut: 1_200, acquired: 1 })
  })

  it('with an error is heard with it', async () => {
    const { pool, take } = setUp()
    const errors: unknown[] = []
    pool.on('released', ({ error }) => errors.push(error))
    const [first, second] = await take(2)
    first?.release(new FakeError('query'))
    second?.release()
    expect(errors).toEqual([new FakeError('query'), undefined])
  })

  it('may be heard by a listener that acquires again at once', async () => {
    const { pool, take, clock } = setUp({ max: 1 })
    const heard: string[] = []
    pool.on('acquired', () => heard.push('acquired'))
    pool.on('released', () => {
      heard.push('released')
      if (heard.length < 4) void pool.acquire().then((lease) => lease.release())
    })
    const [lease] = await take(1)
    lease?.release()
    await clock.settle()
    expect(heard).toEqual(['acquired', 'released', 'acquired', 'released'])
  })
})

describe('a lease', () => {
  it('that was taken away has an aborted signal, also for who asks only then', async () => {
    const { pool, clock } = setUp({ maxUseMillis: 100 })
    pool.on('overused', () => undefined)
    const lease = await pool.acquire()
    await clock.advance(200)
    expect(lease.signal.aborted).toBe(true)
    expect(lease.signal.reason).toMatchObject({ message: 'it was out longer than `maxUseMillis`' })
  })

  it('shows its pool, and whether it is over, and never its resource', async () => {
    const { pool } = setUp({ name: 'orders' })
    const lease = await pool.acquire()
    expect(inspect(lease)).toBe("Lease { pool: 'orders', resource: 1 }")
    lease.release()
    expect(inspect(lease)).toBe("Lease { pool: 'orders', over }")
  })

  it('that was looked at, and came back in time, is no leak', async () => {
    const { pool, take, clock } = setUp({ leakThresholdMillis: 400 })
    const heard: string[] = []
    for (const event of ['leak', 'leakReturned'] as const) pool.on(event, () => heard.push(event))
    const [lease] = await take(1)
    await clock.advance(200)
    lease?.release()
    await clock.advance(1_000)
    expect(heard).toEqual([])
  })

  it('that `use` runs in for too long is a leak like any other', async () => {
    const { pool, clock } = setUp({ leakThresholdMillis: 400 })
    const leaks: (string | undefined)[] = []
    pool.on('leak', ({ label }) => leaks.push(label))
    const used = pool.use(() => after(clock, 1_000), { label: 'report' })
    await clock.advance(2_000)
    await used
    expect(leaks).toEqual(['report'])
  })

  it('that `use` ran in may be over before its callback fails', async () => {
    const { pool } = setUp()
    const failed = pool.use((_, lease) => {
      lease.release()
      throw new Error('the work failed')
    })
    await expect(failed).rejects.toThrow('the work failed')
    expect(pool.stats()).toMatchObject({ idle: 1, used: 0 })
  })
})

describe('a loss', () => {
  it('that is found out only when the lease comes back is told with what the adapter had said', async () => {
    const { pool, take, clock, factory } = setUp({ max: 1 })
    const told: unknown[] = []
    pool.on('destroyed', ({ reason, error }) => told.push(reason, error))
    const [lease] = await take(1)
    const error = new FakeError('disconnect', 'reset by peer')
    factory.resources[0]?.die(error)
    lease?.release()
    await clock.settle()
    expect(told).toEqual(['lost', error])
  })
})

describe('an acquire', () => {
  it.each([undefined, { label: 'the first after it' }])(
    'notices that the process was frozen, before any timer could fire (options: %o)',
    async (options) => {
      const factory = new FakeFactory({ validates: true })
      const clock = new BusyClock()
      const pool = new Pool(factory, { max: 1, validateAfterIdleMillis: Infinity, clock })
      ;(await pool.acquire()).release()
      // No CPU time was used meanwhile, and no timer has fired yet.
      clock.busyMillis = 60_000
      const lease = await pool.acquire(options)
      expect(factory.validateCalls).toBe(1)
      lease.release()
      await pool.close()
    },
  )

  it('is told of once, when it begins, whether or not it is served at once', async () => {
    const harness = setUp({ max: 1 })
    listen(harness, 'acquireStarted')
    const [lease] = await harness.take(1)
    const waiting = harness.ask({ label: 'second' })
    lease?.release()
    await harness.clock.settle()
    waiting.lease?.release()
    for (const each of await harness.take(1)) each.release()
    expect(harness.events).toHaveLength(3)
  })

  it('that takes only what is there is not counted where its label cannot be made', async () => {
    let fails = true
    const label = (): string => {
      if (fails) throw new Error('no request here')
      return 'GET /'
    }
    const { pool, take } = setUp({ label: () => label() })
    fails = false
    for (const lease of await take(1)) lease.release()
    fails = true
    expect(() => pool.tryAcquire()).toThrow('no request here')
    expect(pool.stats()).toMatchObject({ requested: 1, acquired: 1 })
    fails = false
  })

  it('that takes only what is there is heard too', async () => {
    const harness = setUp({ max: 1 })
    for (const lease of await harness.take(1)) lease.release()
    listen(harness, 'acquired')
    harness.pool.tryAcquire()?.release()
    expect(harness.events).toEqual(['acquired'])
  })

  it('that nests while another resource says goodbye is no deadlock: there will be room', async () => {
    const factory = new FakeFactory()
    const { pool, take, clock } = setUp({ max: 2, nested: 'throw', destroyTimeoutMillis: 5_000 }, factory)
    factory.onDestroy = () => after(clock, 1_000)
    pool.on('nested', () => undefined)
    const [leaving] = await take(1)
    const nested = pool.use(() => {
      leaving?.destroy()
      return pool.use(() => 'inside')
    })
    await clock.advance(1_000)
    expect(await nested).toBe('inside')
    expect(pool.stats().deadlocks).toBe(0)
  })

  it('without any time takes what is idle, and is heard', async () => {
    const harness = setUp({ max: 1 })
    const { pool, take } = harness
    for (const lease of await take(1)) lease.release()
    listen(harness, 'acquired')
    const lease = await pool.acquire({ timeoutMillis: 0 })
    expect(harness.events).toEqual(['acquired'])
    lease.release()
  })

  it('is labelled by the pool where it has no label of its own', async () => {
    const { pool } = setUp({ label: () => 'from the context' })
    const labels: (string | undefined)[] = []
    pool.on('acquired', ({ label }) => labels.push(label))
    ;(await pool.acquire()).release()
    ;(await pool.acquire({ label: 'own' })).release()
    expect(labels).toEqual(['from the context', 'own'])
  })

  it('that nests where that is allowed is counted as a deadlock, and not warned of', async () => {
    const harness = setUp({ max: 1, nested: 'allow' })
    listen(harness, 'nested', 'deadlock')
    const { pool, clock } = harness
    const nested = pool.use(() => pool.use(() => 'inside', { timeoutMillis: 50 })).catch((error: unknown) => error)
    await clock.advance(100)
    expect(await nested).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', report: { diagnosis: 'nested-acquire' } })
    expect(harness.events).toEqual(['deadlock'])
  })

  it('passes by a shared resource whose lifetime is over, and leaves it to those who hold it', async () => {
    const { pool, clock, factory } = setUp({ max: 1, maxLeasesPerResource: 3, ...SHORT_LIVED })
    const first = await pool.acquire()
    await clock.advance(880)
    const second = await pool.acquire()
    expect(second.resource.id).toBe(2)
    expect(factory.resources[0]?.destroyed).toBeUndefined()
    first.release()
    second.release()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBe('lifetime')
  })
})

describe('a create', () => {
  it('may throw at once', async () => {
    const factory = new FakeFactory()
    factory.create = () => {
      throw new FakeError('config', 'no such host')
    }
    const { ask, clock, pool } = setUp({}, factory)
    const waiting = ask()
    await clock.settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_POOL_CREATE', cause: { message: 'no such host' } })
    expect(pool.stats()).toMatchObject({ creating: 0, createErrors: 1 })
  })

  it('that probes is told, with how many there were', async () => {
    const factory = new FakeFactory()
    factory.onCreate = () => {
      if (factory.createCalls < 4) throw new FakeError('restart')
    }
    const { pool, ask, clock } = setUp({ acquireTimeoutMillis: 60_000 }, factory)
    const probes: number[] = []
    pool.on('probe', ({ attempt }) => probes.push(attempt))
    const waiting = ask()
    await clock.advance(20_000)
    waiting.lease?.release()
    expect(probes).toEqual([1, 2, 3])
  })

  it('that never ends is written off beside resources at work', async () => {
    const factory = new FakeFactory()
    const options = { max: 3, maxConnecting: 1, createTimeoutMillis: 100, acquireTimeoutMillis: 60_000 }
    const { pool, take, ask, clock } = setUp(options, factory)
    const failures: string[] = []
    pool.on('failure', ({ from, error }) => failures.push(`${from}: ${String(error)}`))
    const [lease] = await take(1)
    factory.holdCreates()
    const waiting = ask()
    await clock.advance(10_000)
    expect(pool.stats().zombies).toBeLessThanOrEqual(1)
    expect(failures[0]).toBe(
      'create: Error: create 2 has not settled, and heeds no signal; it may hold a connection that nobody counts',
    )
    expect(failures.every((each) => each.startsWith('create: '))).toBe(true)
    lease?.release()
    await clock.settle()
    expect(waiting.lease?.resource.id).toBe(1)
    waiting.lease?.release()
  })
})

describe('a server that grants fewer resources than wanted', () => {
  it('is asked for one more after ten seconds, and for the next as soon as it grants that', async () => {
    const factory = new FakeFactory()
    let granted = 2
    factory.onCreate = () => {
      if (factory.open >= granted) throw new FakeError('saturated')
    }
    const { pool, take, clock } = setUp({ max: 5, acquireTimeoutMillis: 60_000 }, factory)
    const held = await take(2)
    const waiting = [pool.acquire(), pool.acquire(), pool.acquire()]
    await clock.advance(5_000)
    expect(pool.stats()).toMatchObject({ total: 2, createErrors: 3 })
    granted = 4
    await clock.advance(5_500)
    expect(pool.stats()).toMatchObject({ total: 4, createErrors: 4, generation: 0 })
    granted = 5
    await clock.advance(9_000)
    expect(pool.stats().total).toBe(4)
    await clock.advance(1_000)
    expect(pool.stats().total).toBe(5)
    for (const lease of [...held, ...(await Promise.all(waiting))]) lease.release()
  })
})

describe('asking a pool how it is', () => {
  it('validates an idle resource, and passes', async () => {
    const factory = new FakeFactory({ validates: true })
    const { pool, take, clock } = setUp({}, factory)
    for (const lease of await take(1)) lease.release()
    await clock.settle()
    expect(await pool.health()).toMatchObject({ status: 'pass', message: 'Pool is healthy' })
    expect(factory.validateCalls).toBe(1)
  })

  it('says what it is doing: suspended, closing, closed, without a server', async () => {
    const harness = setUp()
    listen(harness, 'suspended')
    const { pool, take, clock } = harness
    const [lease] = await take(1)
    pool.suspend()
    expect(await pool.health()).toMatchObject({ status: 'warn', message: 'Pool is suspended' })
    pool.resume()
    expect(harness.events).toEqual(['suspended', 'suspended'])
    const closed = pool.close({ timeoutMillis: 1_000 })
    expect(await pool.health()).toMatchObject({ status: 'fail', message: 'Pool is closed' })
    lease?.release()
    await clock.settle()
    await closed
    expect(await pool.health()).toMatchObject({ status: 'fail', message: 'Pool is closed' })
    await expect(pool.ready()).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })

    const factory = new FakeFactory()
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    const down = setUp({ failFastWhenDown: true }, factory)
    expect(await down.pool.health()).toMatchObject({ status: 'fail', message: 'No connection could be opened' })
    await down.clock.settle()
    expect(await down.pool.health()).toMatchObject({ status: 'fail', message: 'Server cannot be reached' })
  })

  it('has everybody who awaits `ready` told together', async () => {
    const factory = new FakeFactory()
    factory.onCreate = () => after(clock, 10)
    const { pool, clock } = setUp({ min: 2 }, factory)
    const ready = Promise.all([pool.ready(), pool.ready({ timeoutMillis: 5_000 })])
    await clock.advance(20)
    expect(await ready).toEqual([pool, pool])
    expect(pool.stats().idle).toBe(2)
  })
})

describe('another death while a witness is asked', () => {
  it('leaves the others suspect when the witness has passed', async () => {
    const factory = new FakeFactory({ validates: true })
    const { pool, take, clock } = setUp({ max: 5, validateAfterIdleMillis: Infinity }, factory)
    factory.onValidate = () => after(clock, 10)
    for (const lease of await take(4)) lease.release()
    factory.resources[0]?.die(new FakeError('disconnect'))
    await clock.advance(5)
    factory.resources[1]?.die(new FakeError('disconnect'))
    await clock.advance(50)
    expect(factory.validateCalls).toBe(1)
    const leases = take(2)
    await clock.advance(50)
    // The one that was not the witness had to prove itself as well.
    expect(factory.validateCalls).toBeGreaterThanOrEqual(2)
    for (const lease of await leases) lease.release()
    expect(pool.stats()).toMatchObject({ generation: 0, destroyed: { lost: 2 } })
  })
})

describe('a lifetime that ends in a full pool', () => {
  it('is replaced after its end: there is no room before', async () => {
    const { pool, take, clock, factory } = setUp({ max: 2, min: 2, ...SHORT_LIVED })
    for (const lease of await take(2)) lease.release()
    await clock.advance(1_000)
    expect(factory.resources.slice(0, 2).map(({ destroyed }) => destroyed)).toEqual(['lifetime', 'lifetime'])
    expect(pool.stats().idle).toBe(2)
  })
})

describe('a deadline that two stalls have made late', () => {
  it('is extended by the first of them only', async () => {
    const { take, ask, clock } = setUp({ max: 1 })
    const [held] = await take(1)
    const waiting = ask({ timeoutMillis: 100 })
    await clock.advance(1)
    await clock.stall(300)
    expect(waiting.settled).toBe(false)
    await clock.stall(900)
    await clock.advance(1)
    expect(waiting.error).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', stallMillis: 201 })
    held?.release()
  })
})

describe('looking at a pool', () => {
  it('shows as many resources as asked for, the oldest first', async () => {
    const { pool, take } = setUp({ max: 3 })
    const leases = await take(3)
    expect(pool.resources({ limit: 2 }).map(({ resourceId }) => resourceId)).toEqual([1, 2])
    expect(pool.resources()).toHaveLength(3)
    for (const lease of leases) lease.release()
  })

  it('shows where a lease was acquired, from the caller on', async () => {
    const { pool } = setUp({ trackStacks: true })
    // However many frames of ours and of adapters stand between.
    const deep = (depth: number): Promise<Lease<FakeResource>> => (depth === 0 ? pool.acquire() : deep(depth - 1))
    const borrow = async (): Promise<Lease<FakeResource>> => await deep(5)
    const lease = await borrow()
    expect(pool.leases()[0]?.stack).toMatch(/at borrow .*corners\.test\.ts/)
    const [head, first] = pool.leases()[0]?.stack?.split('\n') ?? []
    expect(head).toBe('Error: acquired')
    expect(first).toMatch(/deep .*corners\.test\.ts/)
    lease.release()
    expect(callersStack('Error: acquired\n    at bundle.js:1:2\n    at mine.js:3:4')).toContain('bundle.js')
    const own = 'file:///app/node_modules/millpond/dist'
    const built = `Error: acquired\n    at acquiredHere (${own}/core/report.js:1:2)\n    at query (${own}/adapters/pg/pg-pool.js:1:2)`
    expect(callersStack(`${built}\n    at handler (/app/orders.js:3:4)`)).toBe('Error: acquired\n    at handler (/app/orders.js:3:4)') // prettier-ignore
    // Nothing of the caller is left: ours are better than none.
    expect(callersStack(built)).toBe(built)
  })

  it('hears what was read of those who waited long enough, and whether it was in vain', async () => {
    const caller = new AsyncLocalStorage<string>()
    const end = readCallers({ read: () => caller.getStore(), fromMillis: 20 })
    const { pool, take, ask, clock } = setUp({ max: 1, slowMillis: 30 })
    const told: unknown[] = []
    pool.on('waited', ({ caller: who, waitMillis, acquired, label }) => told.push([who, waitMillis, acquired, label]))
    pool.on('longWait', (event) => told.push(['longWait', event.caller]))
    pool.on('acquireFailed', (event) => told.push([event.reason, event.caller]))
    const [held] = await take(1)
    caller.run('soon', () => ask({ timeoutMillis: 10 }))
    caller.run('late', () => ask({ timeoutMillis: 25, label: 'job' }))
    const served = caller.run('served', () => ask())
    const unread = ask()
    await clock.advance(50)
    held?.release()
    await clock.settle()
    served.lease?.release()
    await clock.settle()
    unread.lease?.release()
    expect(told).toEqual([
      ['timeout', 'soon'],
      ['timeout', 'late'],
      ['late', 25, false, 'job'],
      ['longWait', 'served'],
      ['served', 50, true, undefined],
      ['longWait', undefined],
    ])
    told.length = 0
    end()
    const [again] = await take(1)
    const late = caller.run('late', () => ask())
    await clock.advance(50)
    again?.release()
    await clock.settle()
    late.lease?.release()
    expect(told).toEqual([['longWait', undefined]])
  })
})

describe('options', () => {
  it('that are unknown, and like no other, are refused without a guess', () => {
    const make = (): unknown => new Pool(new FakeFactory(), { completelyUnheardOf: 1 } as object)
    expect(make).toThrow('completelyUnheardOf')
    expect(make).not.toThrow('did you mean')
  })

  it('allow nesting in production, and warn of it elsewhere', async () => {
    for (const [environment, warned] of [
      ['production', 0],
      ['test', 1],
    ] as const) {
      vi.stubEnv('NODE_ENV', environment)
      const clock = new ManualClock()
      const pool = new Pool(new FakeFactory(), { max: 1, clock })
      vi.unstubAllEnvs()
      let heard = 0
      pool.on('nested', () => heard++)
      const nested = pool.use(() => pool.use(() => 1, { timeoutMillis: 10 })).catch(() => undefined)
      await clock.advance(100)
      await nested
      expect(heard).toBe(warned)
      await pool.close()
    }
  })
})
