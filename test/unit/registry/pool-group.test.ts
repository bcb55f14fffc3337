import { describe, expect, it } from 'vitest'
import { Pool, PoolError, PoolGroup } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'

function setUp(options: object = {}): { clock: ManualClock; group: PoolGroup<string, Pool<unknown>>; made: string[] } {
  const clock = new ManualClock()
  const made: string[] = []
  const group = new PoolGroup<string, Pool<unknown>>({ name: 'tenants', clock, ...options }, (key) => {
    made.push(key)
    return new Pool(new FakeFactory(), { name: key, max: 4, clock })
  })
  return { clock, group, made }
}

const codeOf = (fn: () => unknown): string | undefined => {
  try {
    fn()
    return undefined
  } catch (error) {
    return PoolError.is(error) ? error.code : String(error)
  }
}

describe('a group of pools', () => {
  it('makes one pool per key', async () => {
    const { group, made } = setUp()
    expect(group.get('a')).toBe(group.get('a'))
    group.get('b')
    expect(made).toEqual(['a', 'b'])
    await group.close()
  })

  it('lets the pool that was asked for longest ago make room', async () => {
    const { group, made } = setUp({ maxPools: 2 })
    const a = group.get('a')
    group.get('b')
    group.get('a')
    group.get('c')
    expect([...group.keys()]).toEqual(['a', 'c'])
    expect(group.get('a')).toBe(a)
    group.get('b')
    expect(made).toEqual(['a', 'b', 'c', 'b'])
    await group.close()
  })

  it('keeps to the bound on the sum of sizes, and never evicts a pool in use', async () => {
    const { group } = setUp({ maxTotal: 8 })
    const leases = [await group.get('a').acquire(), await group.get('b').acquire()]
    expect(codeOf(() => group.get('c'))).toBe('ERR_POOL_OVERLOADED')
    expect([...group.keys()]).toEqual(['a', 'b'])
    leases[0]?.release()
    group.get('c')
    expect([...group.keys()]).toEqual(['b', 'c'])
    leases[1]?.release()
    await group.close()
  })

  it('closes pools that nobody asks for', async () => {
    const { group, clock } = setUp({ idlePoolMillis: 1_000 })
    const lease = await group.get('used').acquire()
    group.get('unused')
    await clock.advance(1_500)
    expect([...group.keys()]).toEqual(['used'])
    lease.release()
    await group.close()
  })

  it('counts as one pool, also what pools counted that are closed by now', async () => {
    const { group, clock } = setUp({ maxPools: 1 })
    const closed: string[] = []
    group.on('closed', ({ pool }) => closed.push(pool))
    await group.get('a').use(() => undefined)
    await group.get('b').use(() => undefined)
    await clock.settle()
    const { created, acquired, total, destroyed } = group.stats()
    expect({ created, acquired, total, closed: destroyed.close }).toEqual({
      created: 2,
      acquired: 2,
      total: 1,
      closed: 1,
    })
    expect((await group.health()).status).toBe('pass')
    await group.close()
    expect(closed).toEqual(['a', 'b', 'tenants'])
    expect(group.stats().total).toBe(0)
    expect(codeOf(() => group.get('a'))).toBe('ERR_POOL_CLOSED')
  })
})
