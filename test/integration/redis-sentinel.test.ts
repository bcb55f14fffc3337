import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { Redis as LowRedis } from 'ioredis-low'
import { createClient } from 'redis'
import { createClient as lowCreateClient } from 'redis-low'
import { afterAll, describe, expect, it } from 'vitest'
import { startRedisSentinel, tryStart, waitFor, type RedisSentinelServers, type RedisServer } from '@millpond/rig'
import { redisPool } from 'millpond/redis'
import type { TestPool } from '../support/redis.ts'

const found = await tryStart('Redis', () => startRedisSentinel())
const servers = found as RedisSentinelServers
afterAll(async () => {
  await found?.stop()
})

type Addresses = RedisSentinelServers['addresses']

const ioredis =
  (Class: typeof Redis) =>
  (options: object = {}, sentinels: Addresses = servers.addresses): TestPool =>
    redisPool(Class, { sentinels, name: servers.name, poolName: 'cache', ...options })
const nodeRedis =
  (create: typeof createClient) =>
  ({ username, password, ...options }: Login = {}, sentinels: Addresses = servers.addresses): TestPool =>
    redisPool(create, {
      sentinelRootNodes: sentinels,
      name: servers.name,
      poolName: 'cache',
      ...(username === undefined ? {} : { username, password }),
      ...options,
    }) as unknown as TestPool

interface Login {
  readonly username?: string
  readonly password?: string
  readonly acquireTimeoutMillis?: number
}

const DRIVERS = [
  { name: 'ioredis', make: ioredis(Redis) },
  { name: 'node-redis', make: nodeRedis(createClient) },
  { name: 'ioredis 5.4', make: ioredis(LowRedis as unknown as typeof Redis) },
  { name: 'node-redis 5.0', make: nodeRedis(lowCreateClient as unknown as typeof createClient) },
]

/** Until a server follows the master, and is in step. */
async function follows(server: RedisServer): Promise<void> {
  const inStep = async (): Promise<boolean> => {
    const info = String(await server.ask('INFO', 'replication'))
    return info.includes('role:slave') && info.includes('master_link_status:up')
  }
  await waitFor(inStep, { what: 'the old master follows', timeoutMillis: 60_000, everyMillis: 50 })
}

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
    await master.start()
    await follows(master)
  }, 90_000)

  it('a master that stands still is left for the one that takes over', async () => {
    const master = await servers.master()
    const pools = DRIVERS.map(({ make }) => make())
    for (const pool of pools) expect(await pool.client.set('k', 'before')).toBe('OK')
    master.pause()
    try {
      await waitFor(async () => (await servers.master()) !== master, {
        what: 'another one is master',
        timeoutMillis: 60_000,
      })
      // Nobody's connection was cut: those who ask anew go to the new master.
      const answers = pools.map((pool) => pool.use((client) => client.set('k', 'after'), { timeoutMillis: 60_000 }))
      expect(await Promise.all(answers)).toEqual(['OK', 'OK', 'OK', 'OK'])
    } finally {
      master.resume()
    }
    const promoted = await servers.master()
    expect(promoted).not.toBe(master)
    await follows(master)
    // The old one is a replica now: the first write that it refuses has its connection left.
    for (const pool of pools) {
      await waitFor(async () => (await pool.client.set('k', 'again')) === 'OK', {
        what: 'the shared connection is at the new master',
        timeoutMillis: 20_000,
      })
      await pool.close()
    }
    expect(await promoted.ask('GET', 'k')).toBe('again')
  }, 120_000)

  it('a login that the master refuses is told at once, and shows no password', async () => {
    for (const server of servers.servers) await server.ask('ACL', 'SETUSER', 'app', 'on', '>right', '~*', '+@all')
    for (const { make } of DRIVERS) {
      const wrong = make({ username: 'app', password: 'a-wrong-password' })
      const error = await wrong.client.get('k').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ message: expect.stringMatching(/WRONGPASS/) as string })
      expect((await wrong.health()).status).toBe('fail')
      expect(inspect([error, wrong, wrong.stats()], { depth: 12, showHidden: true })).not.toContain('a-wrong-password')
      await wrong.close()
      const right = make({ username: 'app', password: 'right' })
      expect(await right.client.set('k', 'v')).toBe('OK')
      await right.close()
    }
  })

  it('sentinels of which none answers are told of, with the reason', async () => {
    for (const { make } of DRIVERS) {
      const pool = make({ acquireTimeoutMillis: 500 }, [{ host: '127.0.0.1', port: 1 }])
      const error = await pool.client.get('k').catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(Error)
      expect(inspect(error, { depth: 6 })).toMatch(/ECONNREFUSED|sentinel/i)
      expect((await pool.health()).status).toBe('fail')
      await pool.close()
    }
  })

  it('a name that the sentinels do not know is told at once', async () => {
    const pool = redisPool(createClient, { sentinelRootNodes: servers.addresses, name: 'nobody' })
    await expect(pool.client.get('k')).rejects.toThrow(/^No sentinel knows a master "nobody"/)
    await pool.close()
  })
})
