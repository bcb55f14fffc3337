import { Redis } from 'ioredis'
import { Redis as LowRedis } from 'ioredis-low'
import { createClient } from 'redis'
import { createClient as lowCreateClient } from 'redis-low'
import { afterAll, describe, expect, it } from 'vitest'
import { startRedisSentinel, tryStart, waitFor, type RedisSentinelServers } from '@millpond/rig'
import { redisPool } from 'millpond/redis'
import type { TestPool } from '../support/redis.ts'

const found = await tryStart('Redis', () => startRedisSentinel())
const servers = found as RedisSentinelServers
afterAll(async () => {
  await found?.stop()
})

const ioredis = (Class: typeof Redis): TestPool =>
  redisPool(Class, { sentinels: servers.addresses, name: servers.name, poolName: 'cache' })
const nodeRedis = (create: typeof createClient): TestPool =>
  redisPool(create, {
    sentinelRootNodes: servers.addresses,
    name: servers.name,
    poolName: 'cache',
  }) as unknown as TestPool

const DRIVERS = [
  { name: 'ioredis', make: () => ioredis(Redis) },
  { name: 'node-redis', make: () => nodeRedis(createClient) },
  { name: 'ioredis 5.4', make: () => ioredis(LowRedis as unknown as typeof Redis) },
  { name: 'node-redis 5.0', make: () => nodeRedis(lowCreateClient as unknown as typeof createClient) },
]

describe.skipIf(found === undefined)('behind sentinels', () => {
  it('every driver finds the master, and the new one after a failover', async () => {
    const pools = DRIVERS.map(({ name, make }) => ({ name, pool: make() }))
    const master = await servers.master()
    for (const { name, pool } of pools) {
      expect(await pool.client.set(name, 'before')).toBe('OK')
      expect(await pool.use((client) => client.get(name))).toBe('before')
      expect(await master.ask('GET', name)).toBe('before')
      expect(pool.name).toBe('cache')
    }
    await master.kill()
    await waitFor(() => pools.every(({ pool }) => pool.lanes.exclusive.stats().total === 0), {
      what: 'the loss is noticed',
    })
    // Asked for while nobody is master: each is served once there is one.
    const asked = pools.map(({ name, pool }) =>
      pool.use((client) => client.set(name, 'after'), { timeoutMillis: 60_000 }),
    )
    expect(await Promise.all(asked)).toEqual(['OK', 'OK', 'OK', 'OK'])
    const promoted = await servers.master()
    expect(promoted).not.toBe(master)
    for (const { name, pool } of pools) {
      await waitFor(async () => (await pool.client.set(name, 'again')) === 'OK', {
        what: `${name} writes over its shared connection`,
        timeoutMillis: 20_000,
      })
      expect(await promoted.ask('GET', name)).toBe('again')
    }
    await Promise.all(pools.map(({ pool }) => pool.close()))
  }, 90_000)

  it('a name that the sentinels do not know is told at once', async () => {
    const pool = redisPool(createClient, { sentinelRootNodes: servers.addresses, name: 'nobody' })
    await expect(pool.client.get('k')).rejects.toThrow(/^No sentinel knows a master "nobody"/)
    await pool.close()
  })
})
