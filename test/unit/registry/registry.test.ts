import { describe, expect, it } from 'vitest'
import { Pool, PoolError, PoolRegistry, type ManagedPool } from 'millpond'
import { FakeFactory, ManualClock } from 'millpond/testing'

function makePool(name: string, clock = new ManualClock()): Pool<unknown> {
  return new Pool(new FakeFactory(), { name, clock })
}

describe('a registry', () => {
  it('gives a pool back as what it is, and finds it by name', () => {
    const registry = new PoolRegistry()
    const pool = registry.register(makePool('a'))
    expect(pool).toBeInstanceOf(Pool)
    expect(registry.get('a')).toBe(pool)
    expect([...registry]).toEqual([pool])
    expect(registry.register(pool)).toBe(pool)
  })

  it('refuses a second pool of the same name', () => {
    const registry = new PoolRegistry()
    registry.register(makePool('a'))
    let error: unknown
    try {
      registry.register(makePool('a'))
    } catch (thrown) {
      error = thrown
    }
    expect(PoolError.is(error, 'ERR_POOL_NAME_TAKEN')).toBe(true)
  })

  it('forgets a pool that was closed by itself', async () => {
    const registry = new PoolRegistry()
    await registry.register(makePool('a')).close()
    expect(registry.size).toBe(0)
    registry.register(makePool('a'))
  })

  it('shows the statistics of all', async () => {
    const registry = new PoolRegistry()
    const pool = registry.register(makePool('a'))
    registry.register(makePool('b'))
    await pool.use(() => undefined)
    expect(registry.stats().map(({ name, created }) => [name, created])).toEqual([
      ['a', 1],
      ['b', 0],
    ])
  })

  it('fails for a required pool, and warns for any other', async () => {
    const registry = new PoolRegistry()
    registry.register(makePool('fine'), { required: true })
    expect((await registry.health()).status).toBe('pass')
    const optional: ManagedPool = registry.register(makePool('optional'))
    optional.health = () => Promise.reject(new Error('broken check'))
    expect(await registry.health()).toMatchObject({ status: 'warn', message: 'optional: The check itself failed' })
    const required: ManagedPool = registry.register(makePool('required'), { required: true })
    required.health = () => Promise.reject(new Error('broken check'))
    expect((await registry.health()).status).toBe('fail')
  })

  it('closes users before what they depend on, and the rest together', async () => {
    const registry = new PoolRegistry()
    const order: string[] = []
    const slow = (name: string, pool: Pool<unknown>): Pool<unknown> => {
      const close = pool.close.bind(pool)
      pool.close = async (options) => {
        order.push(`${name} begins`)
        await new Promise((resolve) => setImmediate(resolve))
        const report = await close(options)
        order.push(`${name} ends`)
        return report
      }
      return pool
    }
    const database = registry.register(slow('database', makePool('database')))
    registry.register(slow('cache', makePool('cache')))
    registry.register(slow('jobs', makePool('jobs')), { dependsOn: [database] })
    const reports = await registry.close()
    expect(reports.map(({ pool }) => pool)).toEqual(['jobs', 'cache', 'database'])
    expect(order.indexOf('jobs ends')).toBeLessThan(order.indexOf('database begins'))
    expect(order.indexOf('cache begins')).toBeLessThan(order.indexOf('jobs ends'))
    expect(await registry.close()).toBe(reports)
    expect((await registry.health()).status).toBe('fail')
  })

  it('refuses to depend on a pool that it does not know', () => {
    const registry = new PoolRegistry()
    expect(() => registry.register(makePool('a'), { dependsOn: [makePool('b')] })).toThrow(
      'must be registered before it',
    )
  })
})
