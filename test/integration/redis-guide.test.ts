import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Queue, QueueEvents, Worker, type ConnectionOptions } from 'bullmq'
import { Cluster, Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { startRedisCluster, tryStart, waitFor, type RedisClusterServers, type RedisServer } from '@millpond/rig'
import { PoolRegistry } from 'millpond'
import { redisClusterPool, redisPool } from 'millpond/redis'
import { expectSameProgram } from '../support/guide.ts'
import { ALL_DRIVERS, tryRedis, type NodeRedis } from '../support/redis.ts'

const found = await tryRedis()
const server = found as RedisServer
const foundCluster = await tryStart('Redis', () => startRedisCluster())
const servers = foundCluster as RedisClusterServers
afterAll(async () => {
  await Promise.all([found?.stop(), foundCluster?.stop()])
})
beforeEach(async () => {
  await found?.ask('FLUSHALL')
})

interface User {
  readonly id: number
  readonly name: string
}

/** A cache in front of a slow source, as programs have it: what is missing is asked for, kept for a while, and told. */
async function readThrough(redis: Redis | Cluster, id: number, source: (id: number) => User): Promise<User> {
  const key = `user:${id}`
  const cached = await redis.get(key)
  if (cached !== null) return JSON.parse(cached) as User
  const user = source(id)
  await redis.setex(key, 3_600, JSON.stringify(user))
  return user
}

describe.skipIf(found === undefined)('programs made for a driver, whose constructor’s line is changed', () => {
  const options = {
    maxRetriesPerRequest: 3,
    enableReadyCheck: true,
    enableOfflineQueue: true,
    connectTimeout: 10_000,
    keepAlive: 30_000,
    family: 4 as const,
  }

  const single = {
    'new Redis(options)': () => new Redis({ ...server.config, ...options }),
    'redisPool(Redis, options).client': () => redisPool(Redis, { ...server.config, ...options }).client,
  }
  it.each(Object.entries(single))('a cache with ioredis: %s', async (_name, connect) => {
    const redis = connect()
    const asked: number[] = []
    const source = (id: number): User => {
      asked.push(id)
      return { id, name: `user ${id}` }
    }
    const read = (): Promise<User> => readThrough(redis, 7, source)
    expect([await read(), await read(), await read()]).toEqual(
      Array.from({ length: 3 }, () => ({ id: 7, name: 'user 7' })),
    )
    expect(asked).toEqual([7])
    expect(await redis.ttl('user:7')).toBeGreaterThan(3_500)
    await redis.set('short', 'lived', 'PX', 1)
    await waitFor(async () => (await redis.get('short')) === null, { what: 'it expires' })
    expect(await redis.quit()).toBe('OK')
    expect(await server.clients()).toEqual([])
  })

  const clustered = {
    'new Redis.Cluster(nodes, options)': () =>
      new Cluster(servers.nodes, { scaleReads: 'slave', redisOptions: { ...options } }),
    'redisClusterPool(Cluster, { nodes, ...options }).client': () =>
      redisClusterPool(Cluster, { nodes: servers.nodes, scaleReads: 'slave', redisOptions: { ...options } }).client,
  }
  it.each(Object.entries(clustered))('a cache on a cluster: %s', async (_name, connect) => {
    const redis = connect()
    const users = await Promise.all(
      Array.from({ length: 20 }, (_, id) => readThrough(redis, id, () => ({ id, name: `user ${id}` }))),
    )
    expect(users.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, id) => id))
    expect(await readThrough(redis, 7, () => ({ id: 7, name: 'asked again' }))).toEqual({ id: 7, name: 'user 7' })
    await redis.del(...['user:7'])
    await redis.quit()
  })

  const node = {
    'createClient(options)': () => createClient({ url: server.url }),
    'redisPool(createClient, options).client': () => redisPool(createClient, { url: server.url }).client,
  }
  it.each(Object.entries(node))('a cache with node-redis: %s', async (_name, create) => {
    const redis = create()
    redis.on('error', () => undefined)
    await redis.connect()
    await redis.set('user:1', 'Ada', { expiration: { type: 'EX', value: 60 } })
    expect(await redis.get('user:1')).toBe('Ada')
    expect(await redis.ttl('user:1')).toBeGreaterThan(50)
    expect(await redis.multi().incr('visits').incr('visits').exec()).toEqual([1, 2])
    await redis.close()
    expect(await server.clients()).toEqual([])
  })

  it('ends alike on a signal', async () => {
    await expectSameProgram('redis', server.url, 'right')
    await waitFor(async () => (await server.clients()).length === 0, { what: 'the server has none left' })
  })

  it('a registry shows them, tells of their health, and ends them', async () => {
    const registry = new PoolRegistry()
    const cache = registry.register(redisPool(Redis, { ...server.config, poolName: 'cache' }), { required: true })
    registry.register(redisClusterPool(Cluster, { nodes: servers.nodes, poolName: 'sessions' }))
    await cache.client.set('k', 'v')
    expect((await registry.health()).status).toBe('pass')
    const stats = registry.stats()
    expect(JSON.stringify(stats)).toMatch(/"cache".*"sessions"/)
    await registry.close()
    expect(cache.state).toBe('closed')
    expect(await server.clients()).toEqual([])
  })
})

describe.skipIf(found === undefined).each(['ioredis', 'node-redis'])('a script on %s', (driver) => {
  it('ends by itself once its client has said goodbye', async () => {
    const program = fileURLToPath(new URL('../support/redis-exit-program.ts', import.meta.url))
    const args = ['--import', 'tsx', program, driver, String(server.port)]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
    expect(stdout).toBe('v\n')
    expect(await server.clients()).toEqual([])
  }, 70_000)
})

describe.skipIf(found === undefined)('a process that ends', () => {
  it('still sends what it asked for in its last tick, and while it ended', async () => {
    const program = fileURLToPath(new URL('../support/redis-last-words-program.ts', import.meta.url))
    await promisify(execFile)(process.execPath, ['--import', 'tsx', program, String(server.port)], { timeout: 60_000 })
    await waitFor(async () => (await server.clients()).length === 0, { what: 'the process is gone for the server too' })
    expect(await server.ask('MGET', 'before the end', 'at the end')).toEqual(['sent', 'sent'])
  }, 70_000)
})

describe.skipIf(found === undefined).each(ALL_DRIVERS)('on $name', (driver) => {
  it('calls back in the async context of whoever asked, after a wait and without', async () => {
    const pool = driver.pool(server, { max: 1 })
    const store = new AsyncLocalStorage<number>()
    // After an `await` of its own, a function has its context back from the language; a callback has it from its caller.
    const seen = new Map<string, (number | undefined)[]>()
    const note = (what: string): void => {
      seen.set(what, [...(seen.get(what) ?? []), store.getStore()])
    }
    const called = (what: string, send: (callback: () => void) => unknown): Promise<void> =>
      new Promise((resolve) => {
        void send(() => {
          note(what)
          resolve()
        })
      })
    const work = async (n: number): Promise<void> => {
      await Promise.all([1, 2].map(() => pool.use(() => note('use'))))
      await pool.use(async (client) => {
        if (!driver.isNodeRedis) await called('callback in use', (callback) => client.get('k', callback))
      })
      if (driver.isNodeRedis) return
      const { client } = pool
      await called('callback', (callback) => client.get('k', callback))
      await called('callback of what blocks', (callback) => client.blpop(`list${n}`, 0.01, callback))
      await called('callback of a transaction', (callback) => client.multi().get('k').exec(callback))
    }
    const callers = [1, 2, 3]
    await Promise.all(callers.map((n) => store.run(n, work, n)))
    const whats = ['callback', 'callback in use', 'callback of a transaction', 'callback of what blocks', 'use']
    expect([...seen.keys()].sort()).toEqual(driver.isNodeRedis ? ['use'] : whats)
    for (const [what, stores] of seen) expect([what, [...new Set(stores)].sort()]).toEqual([what, callers])
    await pool.close()
  })

  it('tells messages in nobody else’s async context', async () => {
    const pool = driver.pool(server)
    const store = new AsyncLocalStorage<string>()
    const heard: (string | undefined)[] = []
    const listen = async (on: NodeRedis | Redis): Promise<void> => {
      if (driver.isNodeRedis) await (on as NodeRedis).subscribe('news', () => void heard.push(store.getStore()))
      else {
        on.on('message', () => heard.push(store.getStore()))
        await (on as Redis).subscribe('news')
      }
    }
    // Connections are opened while somebody else's request runs.
    await store.run('whoever opened it', async () => {
      await pool.client.get('k')
      await using _ = await pool.subscriber()
    })
    await store.run('whoever listens', async () => {
      await listen(pool.client)
      await listen(await pool.subscriber())
    })
    await store.run('whoever publishes', () => pool.client.publish('news', 'one'))
    await waitFor(() => heard.length === 2, { what: 'both hear it' })
    for (const context of heard) expect([undefined, 'whoever listens']).toContain(context)
    await pool.close()
  })

  it('slow commands are told by their name, never with a key or a value; what blocks is slow on purpose', async () => {
    const pool = driver.pool(server, { slowMillis: 1, poolName: 'cache', leakThresholdMillis: 20 })
    const told: string[] = []
    for (const event of ['longLease', 'leak'] as const)
      pool.on(event, ({ label }) => void told.push(`${event} ${label}`))
    pool.on('slow', (slow) => void told.push(JSON.stringify(slow)))
    const script = "local n = 0; for i = 1, 3e6 do n = n + 1 end; return redis.call('GET', KEYS[1])"
    const args = (driver.isNodeRedis ? [{ keys: ['secret-key'] }] : [1, 'secret-key']) as [number, string]
    for (let n = 0; n < 2; n++) await pool.client.eval(script, ...args)
    await driver.block(pool.client, 'nothing', 0.1)
    const slow = expect.stringMatching(/^{"pool":"cache:shared","operation":"eval",.*"failed":false}$/) as string
    // The first one waited for the connection, the second one did not.
    expect(told).toEqual([slow, slow])
    expect(told.join()).not.toMatch(/secret|GET/)
    await pool.close()
  })

  it('a lease that is not given back is reported, with who took it', async () => {
    const pool = driver.pool(server, { leakThresholdMillis: 20 })
    const leaks: string[] = []
    pool.on('leak', ({ label }) => void leaks.push(label ?? ''))
    await pool.use(
      async (client) => {
        await client.get('k')
        await waitFor(() => leaks.length > 0, { what: 'it is reported' })
      },
      { label: 'report' },
    )
    const blocked = driver.block(pool.client, 'nothing', 0.2)
    await blocked
    expect(leaks[0]).toBe('report')
    await pool.close()
  })

  it('duplicates that have ended are forgotten', async () => {
    const pool = driver.pool(server)
    await pool.client.get('k')
    for (let n = 0; n < 5; n++) {
      const duplicate = pool.client.duplicate()
      await duplicate.get('k')
      if (driver.isNodeRedis) await (duplicate as unknown as NodeRedis).close()
      else await duplicate.quit()
    }
    expect(await pool.client.get('k')).toBe(null)
    expect(await server.clients()).toHaveLength(1)
    await pool.close()
  })
})

describe.skipIf(found === undefined)('BullMQ', () => {
  const drivers = {
    ioredis: () => redisPool(Redis, { ...server.config, maxRetriesPerRequest: null }),
    'node-redis': () => redisPool(createClient, { url: server.url }),
  }
  it.each(Object.entries(drivers))('works on the lanes of %s: jobs, retries, delays, events', async (_name, make) => {
    const pool = make()
    const connection = pool.client as unknown as ConnectionOptions
    const queue = new Queue('mails', { connection })
    const events = new QueueEvents('mails', { connection })
    const completed: string[] = []
    events.on('completed', ({ jobId }) => void completed.push(jobId))
    await events.waitUntilReady()
    let failures = 0
    const worker = new Worker(
      'mails',
      async (job) => {
        if (job.name === 'flaky' && failures++ === 0) throw new Error('not this time')
        // The worker blocks on its own connection: nobody waits behind it.
        return await pool.client.incr(`sent:${job.name}`)
      },
      { connection, concurrency: 3 },
    )
    await worker.waitUntilReady()
    await queue.addBulk(Array.from({ length: 10 }, (_, n) => ({ name: 'plain', data: { n } })))
    await queue.add('flaky', {}, { attempts: 2 })
    await queue.add('later', {}, { delay: 50 })
    await waitFor(() => completed.length === 12, { what: 'all are done and told', timeoutMillis: 30_000 })
    expect(await pool.client.get('sent:plain')).toBe('10')
    expect(failures).toBe(2)
    expect(await queue.getJobCounts('completed', 'failed', 'waiting')).toEqual({ completed: 12, failed: 0, waiting: 0 })
    await waitFor(async () => pool.stats().total === (await server.clients()).length, {
      what: 'the connections of worker and listener are counted with the pool that they were made of',
    })
    await Promise.all([worker.close(), events.close(), queue.close()])
    const report = await pool.close()
    expect(report.forced).toBe(0)
    await waitFor(async () => (await server.clients()).length === 0, { what: 'nothing is left' })
  })
})
