import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { waitFor, type RedisClusterServers, type RedisServer } from '@millpond/rig'
import { CLUSTER_DRIVERS, tryRedisCluster, type ClusterDriver, type ClusterPool } from '../support/redis-cluster.ts'
import type { TestOptions } from '../support/redis.ts'

const PASSWORD = 'cluster-password'
const found = await tryRedisCluster({ replicas: 1, password: PASSWORD })
const servers = found as RedisClusterServers
afterAll(async () => {
  await found?.stop()
})

const pools: ClusterPool[] = []
const closeAll = async (): Promise<void> => {
  for (const pool of pools.splice(0)) await pool.close({ timeoutMillis: 200, waiters: 'reject' })
}
afterEach(closeAll)

const make = (driver: ClusterDriver, options?: TestOptions): ClusterPool => {
  const pool = driver.pool(servers, options)
  pools.push(pool)
  return pool
}

const SLOT_OF_A = 15_495
const SLOT_OF_B = 3_300
const roleOf = async (server: RedisServer): Promise<string> => String(((await server.ask('ROLE')) as unknown[])[0])
const blocks = async (server: RedisServer): Promise<boolean> =>
  (await server.clients()).some(({ cmd }) => cmd === 'blpop')

describe.skipIf(found === undefined).each(CLUSTER_DRIVERS)('faults of one node, on $name', (driver) => {
  it('a node that stands still costs those who want it their time, and nobody else', async () => {
    const pool = make(driver, { max: 1, createTimeoutMillis: 500, validateTimeoutMillis: 300 })
    await pool.client.set('{a}k', 'a')
    await pool.client.set('{b}k', 'b')
    const still = await servers.ownerOf(SLOT_OF_A)
    expect(await servers.ownerOf(SLOT_OF_B)).not.toBe(still)
    still.pause()
    try {
      const late = pool.use((client) => client.get('{a}k'), { key: '{a}k', timeoutMillis: 200 })
      await expect(late).rejects.toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
      expect(await pool.client.get('{b}k')).toBe('b')
      expect(await pool.use((client) => client.get('{b}k'), { key: '{b}k' })).toBe('b')
    } finally {
      still.resume()
    }
    // Where it stood for so long that a replica has taken over, that one serves.
    await waitFor(async () => (await pool.use((client) => client.get('{a}k'), { key: '{a}k' })) === 'a', {
      what: 'the node serves again',
    })
    expect(await pool.client.get('{a}k')).toBe('a')
    await servers.waitUntilOk()
  }, 60_000)

  it('a node that takes no more clients leaves those that are there working', async () => {
    const pool = make(driver, { max: 4, acquireTimeoutMillis: 20_000 })
    const saturated: string[] = []
    pool.on('saturated', ({ pool: name }) => saturated.push(name))
    await pool.client.set('{a}k', 'v')
    const full = await servers.ownerOf(SLOT_OF_A)
    const address = `127.0.0.1:${full.port}`
    let asked: Promise<unknown>[] = []
    try {
      await pool.use(
        async () => {
          const info = String(await full.ask('INFO', 'clients'))
          const count = (field: string): number => Number(new RegExp(`${field}:(\\d+)`).exec(info)?.[1])
          // The connection that asks is one of them, and goes with its answer. The nodes' own count as well.
          const taken = count('connected_clients') - 1 + count('cluster_connections')
          await full.ask('CONFIG', 'SET', 'maxclients', String(taken))
          asked = Array.from({ length: 3 }, () => pool.use((client) => client.get('{a}k'), { key: '{a}k' }))
          await waitFor(() => saturated.length > 0, { what: 'it is told that the server is full' })
          expect(pool.nodeStats().find((node) => node.address === address)?.exclusive).toMatchObject({ used: 1 })
        },
        { key: '{a}k' },
      )
      expect(await Promise.all(asked)).toEqual(['v', 'v', 'v'])
      expect(await pool.client.get('{a}k')).toBe('v')
      const { exclusive } = pool.nodeStats().find((node) => node.address === address) ?? {}
      expect(exclusive).toMatchObject({ state: 'open', total: 1, used: 0 })
      expect(exclusive?.createErrors).toBeGreaterThan(0)
      expect(saturated[0]).toContain(address)
    } finally {
      await Promise.allSettled(asked)
      // There is room for who asks again once the pool has left.
      await closeAll()
      await waitFor(async () => (await full.ask('CONFIG', 'SET', 'maxclients', '1000')) === 'OK', {
        what: 'there is room',
      })
    }
  }, 60_000)

  it('a login that is refused is told at once, and shows no password', async () => {
    const wrong = { password: 'a-wrong-password' }
    const pool = make(driver, driver.isNodeRedis ? { defaults: wrong } : { redisOptions: wrong })
    const told = await pool.client.get('{a}k').catch((error: unknown) => error)
    expect(told).toMatchObject({ message: expect.stringMatching(/WRONGPASS/) as string })
    const leased = await pool.use((client) => client.get('{a}k'), { key: '{a}k' }).catch((error: unknown) => error)
    expect(leased).toMatchObject({ message: expect.stringMatching(/WRONGPASS/) as string })
    const health = await pool.health()
    expect(health.status).toBe('fail')
    const shown = inspect([told, leased, health, pool, pool.stats()], { depth: 12, showHidden: true })
    for (const secret of [wrong.password, PASSWORD]) expect(shown).not.toContain(secret)
  })

  it('a lease that is not given back is reported, with its node and who took it', async () => {
    const pool = make(driver, { leakThresholdMillis: 20 })
    const leaks: string[] = []
    pool.on('leak', ({ pool: name, label, stack }) =>
      leaks.push(`${name} ${label} ${stack?.includes('redis-cluster')}`),
    )
    await pool.use(() => waitFor(() => leaks.length > 0, { what: 'it is reported' }), { key: '{a}k', label: 'report' })
    // What blocks is held on purpose.
    await driver.block(pool.client, '{a}nothing', 0.1)
    const { port } = await servers.ownerOf(SLOT_OF_A)
    expect(leaks).toEqual([`redis:exclusive:127.0.0.1:${port} report true`])
    expect(pool.stats().leaks).toBe(1)
  })

  it('calls back in the async context of whoever asked', async () => {
    const pool = make(driver, { max: 1 })
    const store = new AsyncLocalStorage<number>()
    const seen: Record<string, (number | undefined)[]> = { use: [], callback: [], blocked: [] }
    const work = async (): Promise<void> => {
      await pool.use(() => seen['use']?.push(store.getStore()), { key: '{a}k' })
      if (driver.isNodeRedis) return
      await new Promise((resolve) => {
        void pool.client.get('{a}k', () => resolve(seen['callback']?.push(store.getStore())))
      })
      await new Promise((resolve) => {
        void pool.client.blpop('{a}nothing', 0.01, () => resolve(seen['blocked']?.push(store.getStore())))
      })
    }
    const callers = [1, 2, 3]
    await Promise.all(callers.map((n) => store.run(n, work)))
    for (const stores of Object.values(seen)) stores.sort()
    const heard = driver.isNodeRedis ? [] : callers
    expect(seen).toEqual({ use: callers, callback: heard, blocked: heard })
  })
})

describe.skipIf(found === undefined).each(CLUSTER_DRIVERS)('a failover on $name', (driver) => {
  it('is survived: plain commands, a blocked one, and whoever waits for a connection', async () => {
    const pool = driver.pool(servers, { max: 1 })
    pools.push(pool)
    const slot = SLOT_OF_A
    await pool.client.set('{a}k', 'v')
    await pool.use((client) => client.get('{a}k'), { key: '{a}k' })
    const old = await servers.ownerOf(slot)
    const blocked = driver.block(pool.client, '{a}jobs', 60).catch((error: unknown) => error)
    await waitFor(() => blocks(old), { what: 'BLPOP blocks' })
    const waits = pool.use((client) => client.get('{a}k'), { key: '{a}k', timeoutMillis: 60_000 })
    await old.kill()
    await waitFor(async () => (await servers.ownerOf(slot).catch(() => old)) !== old, {
      what: 'a replica has taken over',
      timeoutMillis: 30_000,
      everyMillis: 50,
    })
    await waitFor(async () => (await pool.client.set('{a}k', 'new').catch(() => undefined)) === 'OK', {
      what: 'writes are taken again',
      timeoutMillis: 30_000,
      everyMillis: 50,
    })
    expect(['v', 'new']).toContain(await waits)
    const now = await servers.ownerOf(slot)
    if (driver.isNodeRedis) {
      expect(await blocked).toBeInstanceOf(Error)
    } else {
      await waitFor(() => blocks(now), { what: 'it blocks on the new master', timeoutMillis: 20_000 })
      await now.ask('RPUSH', '{a}jobs', 'one')
      expect(await blocked).toEqual(['{a}jobs', 'one'])
    }
    await old.start()
    await servers.waitUntilOk()
    await waitFor(async () => (await roleOf(old)) === 'slave', {
      what: 'the old master follows',
      timeoutMillis: 20_000,
    })
    await waitFor(async () => String(await old.ask('INFO', 'replication')).includes('master_link_status:up'), {
      what: 'it is in step',
      timeoutMillis: 20_000,
    })
  }, 90_000)
})

describe.skipIf(found === undefined).each(CLUSTER_DRIVERS)('an outage of the whole cluster on $name', (driver) => {
  it('keeps commands in a bounded queue, and serves them when it is over', async () => {
    const pool = driver.pool(servers, { maxWaiting: 3, acquireTimeoutMillis: 60_000 })
    pools.push(pool)
    await pool.client.set('{a}k', 'v')
    await Promise.all(servers.all.map((server) => server.kill()))
    try {
      // ioredis finds out with the first command, which it keeps itself.
      const first = pool.client.get('{a}k').catch((error: unknown) => error)
      await waitFor(() => pool.state === 'paused', { what: 'the loss is noticed', timeoutMillis: 20_000 })
      expect(await pool.health()).toMatchObject({ status: 'fail' })
      const answers = Array.from({ length: 5 }, () =>
        pool.client.get('{a}k').then(
          () => 'served',
          (error: unknown) => (error as { code?: string }).code ?? String(error),
        ),
      )
      await waitFor(() => pool.laneStats().shared.waiting >= 3, { what: 'three wait' })
      await Promise.all(servers.all.map((server) => server.start()))
      await servers.waitUntilOk()
      const outcomes = await Promise.all(answers)
      expect(outcomes.filter((outcome) => outcome === 'ERR_POOL_OVERLOADED').length).toBeGreaterThanOrEqual(2)
      // A node that is up before the cluster is tells so; ioredis asks again, node-redis leaves that to its caller.
      const kept = outcomes.filter((outcome) => outcome !== 'ERR_POOL_OVERLOADED')
      expect(kept.length).toBeGreaterThanOrEqual(2)
      for (const outcome of kept) expect(outcome).toMatch(driver.isNodeRedis ? /^served$|CLUSTERDOWN/ : /^served$/)
      await waitFor(async () => (await pool.client.set('{a}k', 'after')) === 'OK', { what: 'commands are served' })
      await first
      expect(pool.state).toBe('open')
    } finally {
      await Promise.all(servers.all.map((server) => server.start()))
      await servers.waitUntilOk()
    }
  }, 90_000)
})
