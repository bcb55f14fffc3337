import { expect, describe, it } from 'vitest'
import { ManualClock } from 'millpond/testing'
import { Ledger, Times } from '../../../src/core/ledger.ts'
import { expectIdentities } from '../../support/identities.ts'

const IDENTITY = { name: 'orders', kind: 'foreign', state: 'open', min: 1, max: 4, generation: 7 } as const

function setUp(): { clock: ManualClock; whole: Times; ledger: Ledger } {
  const clock = new ManualClock()
  const whole = new Times()
  return { clock, whole, ledger: new Ledger({ clock, whole }) }
}

describe('the books of a pool that somebody else runs', () => {
  it('begin with nothing', () => {
    const { ledger } = setUp()
    const { total, used, idle, creating, waiting } = ledger
    expect({ total, used, idle, creating, waiting }).toEqual({ total: 0, used: 0, idle: 0, creating: 0, waiting: 0 })
    expect(ledger.snapshot(IDENTITY)).toMatchObject({
      ...IDENTITY,
      total: 0,
      used: 0,
      waiting: 0,
      oldestWaiterMillis: 0,
    })
  })

  it('take the clock of the process where none is given', () => {
    expect(Math.abs(new Ledger().now() - performance.now())).toBeLessThan(10_000)
  })

  it('know what is idle from what is open and what is used', () => {
    const { ledger } = setUp()
    ledger.adopt(2)
    ledger.createStarted()
    expect(ledger.creating).toBe(1)
    ledger.created(5)
    ledger.lend()
    ledger.lend()
    const { total, used, idle, creating } = ledger
    expect({ total, used, idle, creating }).toEqual({ total: 3, used: 2, idle: 1, creating: 0 })
    ledger.destroyed('lost', true)
    ledger.destroyed('idle', false)
    expect({ total: ledger.total, used: ledger.used, idle: ledger.idle }).toEqual({ total: 1, used: 1, idle: 0 })
    const stats = ledger.snapshot(IDENTITY)
    expect(stats).toMatchObject({ created: 3, total: 1, used: 1, idle: 0, creating: 0, maintaining: 0, closing: 0 })
    expect(stats.destroyed).toMatchObject({ lost: 1, idle: 1 })
    expect(stats).toMatchObject({ leases: 1, zombies: 0 })
    expectIdentities(stats)
  })

  it('count several leases on one resource, and at least one on each that is used', () => {
    const { ledger } = setUp()
    ledger.adopt(1)
    ledger.lend()
    ledger.lease(1)
    ledger.lease(1)
    expect(ledger.snapshot(IDENTITY).leases).toBe(2)
    ledger.lease(-1)
    ledger.lease(-1)
    expect(ledger.snapshot(IDENTITY).leases).toBe(1)
  })

  it('tell who was served at once from who had to wait', async () => {
    const { ledger, clock, whole } = setUp()
    ledger.adopt(1)
    const atOnce = ledger.ask()
    expect(atOnce.atOnce).toBe(true)
    // Nobody is served at once who stands behind somebody.
    expect(ledger.ask().atOnce).toBe(false)
    await clock.advance(0.5)
    expect(ledger.serve(atOnce)).toBe(0.5)
    ledger.lend()
    const [waiting] = ledger.asks
    await clock.advance(20)
    expect(ledger.serve(waiting as typeof atOnce)).toBe(20.5)
    expect(ledger.counters).toMatchObject({ requested: 2, acquired: 2, acquiredAfterWait: 1 })
    const stats = ledger.snapshot(IDENTITY)
    expect(stats.wait).toMatchObject({ count: 2, max: 20.5 })
    expect(whole.wait.snapshot()).toMatchObject({ count: 1, max: 20.5 })
    expect(ledger.distributions().wait).toMatchObject({ count: 2, zeros: 1 })
    expectIdentities(stats)
  })

  it('count as a wait also what took a millisecond although something was free, or nothing was', async () => {
    const { ledger, clock } = setUp()
    const nothingFree = ledger.ask()
    expect(nothingFree.atOnce).toBe(false)
    ledger.serve(nothingFree)
    expect(ledger.counters.acquiredAfterWait).toBe(1)
    ledger.adopt(1)
    const slow = ledger.ask()
    await clock.advance(1)
    ledger.serve(slow)
    expect(ledger.counters.acquiredAfterWait).toBe(2)
  })

  it('settle each who asks once, whatever is said of it again', () => {
    const { ledger } = setUp()
    const [served, refused] = [ledger.ask(), ledger.ask()]
    expect(ledger.serve(served)).toBe(0)
    expect(ledger.serve(served)).toBeUndefined()
    expect(ledger.refuse(served, 'aborted')).toBe(false)
    expect(ledger.refuse(refused, 'timedOut')).toBe(true)
    expect(ledger.refuse(refused, 'timedOut')).toBe(false)
    expect(ledger.serve(refused)).toBeUndefined()
    expect(ledger.counters).toMatchObject({ requested: 2, acquired: 1, timedOut: 1, aborted: 0 })
    for (const how of ['aborted', 'refused', 'failed'] as const) ledger.refuse(ledger.ask(), how)
    expect(ledger.counters).toMatchObject({ requested: 5, timedOut: 1, aborted: 1, refused: 1, failed: 1 })
    expectIdentities(ledger.snapshot(IDENTITY))
  })

  it('show who waits, the first of them first, as many as are asked for', async () => {
    const { ledger, clock } = setUp()
    for (let index = 0; index < 3; index++) {
      ledger.ask()
      await clock.advance(10)
    }
    const waiter = (waitedMillis: number): object => ({
      label: undefined,
      waitedMillis,
      priority: 0,
      leftMillis: Infinity,
    })
    expect(ledger.waiters(100)).toEqual([waiter(30), waiter(20), waiter(10)])
    expect(ledger.waiters(2)).toEqual([waiter(30), waiter(20)])
    expect(ledger.snapshot(IDENTITY)).toMatchObject({ waiting: 3, oldestWaiterMillis: 30 })
  })

  it('take times that nobody knows for none, and others into the whole as well', () => {
    const { ledger, whole } = setUp()
    ledger.adopt(1)
    ledger.lend()
    ledger.giveBack(undefined)
    ledger.lend()
    ledger.giveBack(8)
    ledger.tookUse(4)
    ledger.created(undefined)
    ledger.created(3)
    expect(ledger.used).toBe(0)
    const { use, create } = ledger.snapshot(IDENTITY)
    expect(use).toMatchObject({ count: 2, max: 8 })
    expect(create).toMatchObject({ count: 1, max: 3 })
    expect(whole.use.snapshot()).toMatchObject({ count: 2, max: 8 })
    expect(whole.create.snapshot()).toMatchObject({ count: 1, max: 3 })
    expect(whole.distributions(5)).toMatchObject({ wait: { count: 5 }, use: { count: 2 }, create: { count: 1 } })
    const { wait, use: uses, create: creates } = ledger.distributions()
    expect([wait.count, uses.count, creates.count]).toEqual([0, 2, 1])
  })

  it('keep to themselves where there is no whole', () => {
    const alone = new Ledger({ clock: new ManualClock() })
    alone.serve(alone.ask())
    alone.tookUse(2)
    alone.created(2)
    const { wait, use, create } = alone.snapshot(IDENTITY)
    expect([wait.count, use.count, create.count]).toEqual([1, 1, 1])
  })

  it('count creates that nobody saw begin, and never fewer under way than none', () => {
    const { ledger } = setUp()
    ledger.created(1)
    ledger.createFailed()
    expect(ledger.creating).toBe(0)
    ledger.createStarted()
    ledger.createStarted()
    ledger.createFailed()
    expect(ledger.creating).toBe(1)
    expect(ledger.snapshot(IDENTITY)).toMatchObject({ created: 1, createErrors: 2, creating: 1 })
  })

  it('count leaks', () => {
    const { ledger } = setUp()
    ledger.leaked()
    expect(ledger.snapshot(IDENTITY).leaks).toBe(1)
  })
})
