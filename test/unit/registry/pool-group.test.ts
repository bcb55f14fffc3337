import { describe, expect, it } from 'vitest'
import { Pool, PoolError, PoolGroup, type ManagedPool } from 'millpond'
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

  it('is suspended and resumed as a whole, pools to come included', async () => {
    const { group, clock } = setUp()
    const [a] = [group.get('a')]
    group.suspend()
    group.suspend()
    const b = group.get('b')
    expect([group.state, a.state, b.state]).toEqual(['suspended', 'suspended', 'suspended'])
    expect(await group.health()).toMatchObject({ status: 'warn', message: 'Pool group is suspended' })
    const acquiring = b.acquire()
    await clock.settle()
    expect(group.stats().waiting).toBe(1)
    group.resume()
    ;(await acquiring).release()
    expect([group.state, a.state, b.state]).toEqual(['open', 'open', 'open'])
    await group.close()
    group.suspend()
    expect(group.state).toBe('closed')
  })

  it('says whose each resource is, and takes that one away', async () => {
    const { group } = setUp()
    const whole = new PoolGroup<string, PoolGroup<string, Pool<unknown>>>({ name: 'regions' }, () => group)
    whole.get('eu')
    const [a, b] = [await group.get('a').acquire({ label: 'a' }), await group.get('b').acquire({ label: 'b' })]
    expect(whole.leases().map(({ resourceId, label, part }) => [resourceId, label, part])).toEqual([
      [1, 'a', 'eu › a'],
      [1, 'b', 'eu › b'],
    ])
    expect(whole.resources().map(({ part }) => part)).toEqual(['eu › a', 'eu › b'])
    expect([group.takeAway(1), group.takeAway(1, 'c'), group.takeAway(2, 'b'), whole.takeAway(1, 'b')]).toEqual([false, false, false, false]) // prettier-ignore
    expect(whole.takeAway(1, 'eu › b')).toBe(true)
    expect([a.released, b.released]).toEqual([false, true])
    expect(group.takeAway(1, 'a')).toBe(true)
    expect(a.released).toBe(true)
    await whole.close()
  })

  it('has every resource replaced, of all pools or of none', async () => {
    const { group, clock } = setUp()
    for (const key of ['a', 'b']) await group.get(key).use(() => undefined)
    group.invalidate({ reason: 'failover' })
    await clock.settle()
    expect(group.stats()).toMatchObject({ idle: 0, destroyed: { stale: 2 } })
    const foreign = new Pool(new FakeFactory(), { name: 'foreign' })
    // A view on a pool that somebody else runs.
    const view: ManagedPool = {
      name: 'view',
      kind: 'thing',
      state: 'open',
      stats: () => foreign.stats(),
      health: () => foreign.health(),
      close: () => foreign.close(),
      on: () => undefined,
    }
    const mixed = new PoolGroup<string>({ name: 'mixed' }, (key) =>
      key === 'view' ? view : new Pool(new FakeFactory()),
    )
    mixed.get('ours')
    mixed.get('view')
    expect(codeOf(() => mixed.suspend())).toBe('ERR_POOL_OPTION')
    expect(codeOf(() => mixed.invalidate())).toBe('ERR_POOL_OPTION')
    expect([mixed.state, mixed.get('ours').state]).toEqual(['open', 'open'])
    await Promise.all([group.close(), mixed.close()])
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
