import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { listen, setUp, type Harness } from '../../support/harness.ts'

const validating = (): FakeFactory => new FakeFactory({ validates: true })

/** Three resources, of which one has said goodbye, and has had no answer. */
async function closingOne(): Promise<Harness & { end: () => void }> {
  const factory = validating()
  let end = (): void => undefined
  factory.onDestroy = ({ id }) => (id === 1 ? new Promise((resolve) => (end = resolve)) : undefined)
  const harness = setUp({ max: 3 }, factory)
  for (const lease of await harness.take(3)) lease.release()
  harness.pool.resize({ max: 2 })
  await harness.clock.settle()
  return { ...harness, end: () => end() }
}

describe('invalidation', () => {
  it('replaces idle ones now, leased ones on release, and those being created on arrival', async () => {
    const { pool, take, clock, factory, ask } = setUp({ max: 4 })
    const leases = await take(2)
    leases[0]?.release()
    factory.holdCreates()
    ask()
    const coming = ask()
    await clock.settle()
    pool.invalidate()
    await clock.settle()
    expect(factory.resources[0]?.destroyed).toBeUndefined()
    factory.creates.shift()?.open()
    await clock.settle()
    expect(factory.resources[2]?.destroyed).toBe('stale')
    leases[1]?.release()
    await clock.settle()
    expect(factory.resources[1]?.destroyed).toBe('stale')
    expect(pool.stats().generation).toBe(1)
    coming.lease?.release()
    pool.on('acquireFailed', () => undefined)
  })

  it('can be spread over time', async () => {
    const { pool, take, clock } = setUp({ max: 4 })
    for (const lease of await take(4)) lease.release()
    pool.invalidate({ spreadMillis: 10_000 })
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 4, generation: 0 })
    // In the middle of that time, as the harness draws lots.
    await clock.advance(4_900)
    expect(pool.stats().idle).toBe(4)
    await clock.advance(6_100)
    expect(pool.stats().destroyed.lifetime).toBe(4)
  })

  it('can take resources from their borrowers', async () => {
    const { pool, clock } = setUp()
    const lease = await pool.acquire()
    const { signal } = lease
    pool.invalidate({ interruptInUse: true })
    await clock.settle()
    expect(signal.aborted).toBe(true)
    expect(pool.stats()).toMatchObject({ used: 0, destroyed: { interrupted: 1 } })
    expect(() => lease.release()).toThrow('invalidated with `interruptInUse`')
  })
})

describe('the death of a resource', () => {
  it('costs itself only when another one proves that the server is there', async () => {
    const { pool, take, clock, factory } = setUp({ max: 20 }, validating())
    for (const lease of await take(20)) lease.release()
    factory.resources[3]?.die()
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    expect(pool.stats()).toMatchObject({ idle: 19, generation: 0, destroyed: { lost: 1 } })
  })

  it('is learnt as well from a borrower who destroys what it has', async () => {
    const { pool, take, clock, factory } = setUp({ max: 3 }, validating())
    const leases = await take(3)
    leases[0]?.release()
    leases[1]?.release()
    factory.onValidate = () => {
      throw new FakeError('timeout')
    }
    leases[2]?.destroy(new FakeError('timeout'))
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    expect(pool.stats()).toMatchObject({ total: 0, generation: 1 })
  })

  it('asks no witness that dies in the same turn', async () => {
    const { pool, take, clock, factory } = setUp({ max: 20 }, validating())
    for (const lease of await take(20)) lease.release()
    for (const resource of factory.resources) resource.die()
    await clock.settle()
    expect(factory.validateCalls).toBe(0)
    expect(pool.stats()).toMatchObject({ total: 0, generation: 0, destroyed: { lost: 20 } })
  })

  it('leaves nobody free of suspicion who was suspect before, because the process was frozen', async () => {
    const { pool, take, clock, factory } = setUp({ max: 4, validateAfterIdleMillis: Infinity }, validating())
    for (const lease of await take(4)) lease.release()
    await clock.freeze(60_000)
    // One dies, and another proves that the server is there; what the server forgot of the others is not known.
    factory.resources[3]?.die()
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    for (const lease of await take(3)) lease.release()
    expect(factory.validateCalls).toBe(3)
    expect(pool.stats().generation).toBe(0)
  })

  it('that the pool brought about itself says nothing about the others', async () => {
    const { pool, take, clock, factory, end } = await closingOne()
    factory.resources[0]?.die(new FakeError('disconnect'))
    await clock.settle()
    expect(factory.validateCalls).toBe(0)
    for (const lease of await take(1)) lease.release()
    expect(factory.validateCalls).toBe(0)
    expect(pool.stats()).toMatchObject({ generation: 0, closing: 1, idle: 2 })
    end()
  })

  it('says more where the server says that it goes down, also to one that is being closed', async () => {
    const { pool, clock, factory, end } = await closingOne()
    factory.resources[0]?.die(new FakeError('restart'))
    await clock.settle()
    expect(pool.stats()).toMatchObject({ generation: 1, total: 1, closing: 1 })
    end()
  })

  it('ends the generation when the other one fails, too', async () => {
    const harness = setUp({ max: 5 }, validating())
    listen(harness, 'invalidated')
    const { pool, take, clock, factory, events } = harness
    for (const lease of await take(5)) lease.release()
    factory.onValidate = () => {
      throw new FakeError('disconnect')
    }
    factory.resources[0]?.die()
    factory.resources[1]?.die()
    await clock.settle()
    expect(events).toEqual(['invalidated'])
    expect(pool.stats()).toMatchObject({ idle: 0, generation: 1 })
  })

  it('ends the generation at once when the server said that it goes down, once', async () => {
    const harness = setUp({ max: 5 })
    listen(harness, 'invalidated')
    const { pool, take, clock, factory, events } = harness
    const leases = await take(3)
    leases[2]?.release()
    for (const lease of leases.slice(0, 2)) lease.release(new FakeError('restart'))
    factory.resources[2]?.die(new FakeError('restart'))
    await clock.settle()
    expect(events).toEqual(['invalidated'])
    expect(pool.stats().generation).toBe(1)
  })

  it('is not concluded from errors of the work, timeouts, or failing creates', async () => {
    const { pool, take, clock, factory, ask } = setUp({ max: 5 }, validating())
    const leases = await take(3)
    leases[0]?.release(new FakeError('query'))
    leases[1]?.release(new FakeError('timeout'))
    factory.onCreate = () => {
      throw new FakeError('disconnect')
    }
    leases[2]?.release()
    const waiting = [ask(), ask(), ask()]
    await clock.advance(3_000)
    for (const { lease } of waiting) lease?.release()
    await clock.settle()
    expect(pool.stats().generation).toBe(0)
  })

  it('of its role is believed when a second one confirms it, and at most every 30 s', async () => {
    const harness = setUp({ max: 5 }, validating())
    const { pool, take, clock, factory } = harness
    const leases = await take(3)
    leases[1]?.release()
    leases[2]?.release()
    leases[0]?.release(new FakeError('role-change'))
    await clock.settle()
    expect(pool.stats().generation).toBe(0)
    factory.onValidate = () => {
      throw new FakeError('role-change')
    }
    const [again] = await take(1)
    again?.release(new FakeError('role-change'))
    await clock.settle()
    expect(pool.stats().generation).toBe(1)
    const more = await take(2)
    more[1]?.release()
    more[0]?.release(new FakeError('role-change'))
    await clock.settle()
    expect(pool.stats().generation).toBe(1)
  })
})
