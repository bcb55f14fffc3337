import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { waitFor, type RedisClusterServers, type RedisServer } from '@millpond/rig'
import {
  ALL_CLUSTER_DRIVERS,
  CLUSTER_DRIVERS,
  tryRedisCluster,
  type ClusterPool,
  type NodeRedisCluster,
} from '../support/redis-cluster.ts'
import type { TestOptions } from '../support/redis.ts'
import { expectSteered } from '../support/steering.ts'

const found = await tryRedisCluster({ replicas: 1, password: 'cluster-password' })
const servers = found as RedisClusterServers
afterAll(async () => {
  await found?.stop()
})

const pools: ClusterPool[] = []
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close({ timeoutMillis: 200, waiters: 'reject' })
})
beforeEach(async () => {
  for (const server of found?.all ?? [])
    if (server.isRunning && (await roleOf(server)) === 'master') await server.ask('FLUSHALL')
})

const roleOf = async (server: RedisServer): Promise<string> => String(((await server.ask('ROLE')) as unknown[])[0])
const blocks = async (server: RedisServer): Promise<boolean> =>
  (await server.clients()).some(({ cmd }) => cmd === 'blpop')

describe.skipIf(found === undefined).each(ALL_CLUSTER_DRIVERS)('a cluster on $name', (driver) => {
  const make = (options?: TestOptions & { replicas?: boolean }): ClusterPool => {
    const pool = driver.pool(servers, options)
    pools.push(pool)
    return pool
  }

  it('is steered from the dashboard, every node and lane together', async () => {
    const pool = make({ max: 2 })
    const hold = (): Promise<unknown> => pool.use((client) => driver.block(client, '{a}nothing', 60), { key: '{a}' })
    await expectSteered({ pool, use: () => pool.client.get('k'), hold })
    pool.suspend()
    const late = pool.use((client) => client.get('{b}k'), { key: '{b}' })
    await waitFor(() => pool.stats().waiting === 1, { what: 'also a lane that is made later is suspended' })
    pool.resume()
    expect(await late).toBe(null)
  })

  it('opens nothing before the first command, and serves keys of every node', async () => {
    const { client } = make()
    for (const server of servers.masters) expect(await server.clients()).toEqual([])
    const keys = Array.from({ length: 60 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key) => client.set(key, key)))
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys)
  })

  it('does not let a GET wait behind a BLPOP on the same node', async () => {
    const pool = make()
    const { client } = pool
    let popped = false
    const blocked = driver.block(client, '{a}jobs', 30).then((answer) => {
      popped = true
      return answer
    })
    const owner = await servers.ownerOf(15_495) // the slot of `a`
    await waitFor(() => blocks(owner), { what: 'BLPOP blocks on the node of its key' })
    for (let n = 0; n < 10; n++) expect(await client.get('{a}k')).toBe(null)
    expect(popped).toBe(false)
    const busy = pool.nodeStats().filter(({ exclusive }) => exclusive?.used === 1)
    expect(busy.map(({ address }) => address)).toEqual([`127.0.0.1:${owner.port}`])
    await (driver.isNodeRedis
      ? (client as unknown as NodeRedisCluster).rPush('{a}jobs', 'one')
      : client.rpush('{a}jobs', 'one'))
    const answer = await blocked
    expect(driver.isNodeRedis ? Object.values(answer as object) : answer).toEqual(['{a}jobs', 'one'])
  })

  it('lends a connection to the node of a key, and gives it back as it was', async () => {
    const pool = make({ max: 1 })
    await pool.client.set('{a}n', '1')
    const raise = (): Promise<unknown> =>
      pool.use(
        async (client) => {
          await client.watch('{a}n')
          const now = Number(await client.get('{a}n'))
          return await client
            .multi()
            .set('{a}n', String(now + 1))
            .exec()
        },
        { key: '{a}n' },
      )
    await Promise.all([raise(), raise(), raise()])
    expect(await pool.client.get('{a}n')).toBe('4')
    await expect(pool.use(() => Promise.reject(new Error('mine')), { key: 'b' })).rejects.toThrow('mine')
    pool.resize({ max: 3 })
    expect(pool.nodeStats().flatMap(({ exclusive }) => exclusive?.max ?? [])).toEqual([3, 3])
    const { used, total } = pool
      .nodeStats()
      .map(({ exclusive }) => exclusive)
      .filter((each) => each !== undefined)
      .reduce((sum, each) => ({ used: sum.used + each.used, total: sum.total + each.total }), { used: 0, total: 0 })
    expect({ used, total }).toEqual({ used: 0, total: 2 })
  })

  it('runs transactions and batches on the node of their keys', async () => {
    const { client } = make()
    const answer = await client.multi().set('{a}k', '1').incr('{a}k').get('{a}k').exec()
    expect(driver.isNodeRedis ? answer : answer?.map(([, each]) => each)).toEqual(['OK', 2, '2'])
    if (driver.isNodeRedis) {
      const piped = await (client as unknown as NodeRedisCluster).multi().get('{a}k').exists('{a}k').execAsPipeline()
      expect(piped).toEqual(['2', 1])
    } else {
      expect(await client.pipeline().get('{a}k').exists('{a}k').exec()).toEqual([
        [null, '2'],
        [null, 1],
      ])
      await expect(client.pipeline().blpop('{a}jobs', 1).exec()).rejects.toThrow(/pool\.use/)
    }
  })

  it('refuses what acts on one connection, with where it belongs', async () => {
    const { client } = make()
    if (driver.isNodeRedis) {
      const cluster = client as unknown as NodeRedisCluster
      await expect(cluster.sendCommand('k', false, ['WATCH', 'k'])).rejects.toThrow(/WATCH acts on one connection/)
    } else {
      await expect(client.watch('k')).rejects.toThrow(/WATCH acts on one connection/)
    }
  })

  it('follows a slot that has moved, on the shared and on the leased connections', async () => {
    const pool = make()
    const slot = 3_300 // the slot of `b`
    await pool.client.set('{b}k', 'v')
    await pool.use((client) => client.get('{b}k'), { key: '{b}k' })
    const from = await servers.ownerOf(slot)
    const to = servers.masters.find((server) => server !== from)
    if (to === undefined) throw new Error('there is one master only')
    await servers.moveSlot(slot, to)
    try {
      const blocked = driver.block(pool.client, '{b}jobs', 30)
      await waitFor(() => blocks(to), { what: 'BLPOP blocks on the new node' })
      await to.ask('RPUSH', '{b}jobs', 'one')
      const answer = await blocked
      expect(driver.isNodeRedis ? Object.values(answer as object) : answer).toEqual(['{b}jobs', 'one'])
      expect(await pool.client.get('{b}k')).toBe('v')
      expect(await pool.use((client) => client.get('{b}k'), { key: '{b}k' })).toBe('v')
    } finally {
      await servers.moveSlot(slot, from)
    }
  })

  it('asks the node to which a slot is being moved', async () => {
    const pool = make()
    const slot = 3_300
    const from = await servers.ownerOf(slot)
    const to = servers.masters.find((server) => server !== from)
    if (to === undefined) throw new Error('there is one master only')
    const [fromId, toId] = [String(await from.ask('CLUSTER', 'MYID')), String(await to.ask('CLUSTER', 'MYID'))]
    await to.ask('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId)
    await from.ask('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId)
    try {
      await to.askAll([['ASKING'], ['RPUSH', '{b}jobs', 'one']])
      const answer = await driver.block(pool.client, '{b}jobs', 30)
      expect(driver.isNodeRedis ? Object.values(answer as object) : answer).toEqual(['{b}jobs', 'one'])
    } finally {
      for (const server of [to, from]) await server.ask('CLUSTER', 'SETSLOT', String(slot), 'STABLE')
    }
  })

  it('reads from replicas where it is told to', async () => {
    const pool = make({ replicas: true })
    await pool.client.set('{a}k', 'v')
    const reads = async (): Promise<number> => {
      const counts = await Promise.all(
        servers.replicas.map(async (server) => String(await server.ask('INFO', 'commandstats'))),
      )
      return counts.reduce((sum, text) => sum + Number(/cmdstat_get:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
    }
    const before = await reads()
    await waitFor(async () => (await pool.client.get('{a}k')) === 'v', { what: 'the replica has the value' })
    for (let n = 0; n < 20; n++) await pool.client.get('{a}k')
    expect((await reads()) - before).toBeGreaterThan(0)
    expect(pool.nodeStats().filter(({ role }) => role === 'replica')).toHaveLength(3)
  })

  it('has subscribers, behind the client and of one’s own', async () => {
    const pool = make()
    const heard: string[] = []
    const subscriber = await pool.subscriber()
    for (const listener of [pool.client, subscriber]) {
      if (driver.isNodeRedis) {
        await (listener as unknown as NodeRedisCluster).subscribe('news', (text: string) => void heard.push(text))
      } else {
        listener.on('message', (_channel: string, text: string) => heard.push(text))
        await listener.subscribe('news')
      }
    }
    await pool.client.publish('news', 'one')
    await waitFor(() => heard.length === 2, { what: 'both hear it' })
    expect(pool.laneStats().subscriber.used).toBe(2)
  })

  it('is healthy, shows no secret, and ends with nothing left', async () => {
    const pool = make()
    await pool.client.set('{a}k', 'v')
    await pool.use((client) => client.get('{a}k'), { key: '{a}k' })
    expect(await pool.health()).toMatchObject({ status: 'pass', kind: 'redis' })
    const report = await pool.close()
    expect(report).toMatchObject({ closed: 2, forced: 0 })
    await waitFor(
      async () => (await Promise.all(servers.all.map((server) => server.clients()))).every((each) => each.length === 0),
      { what: 'no server has a client left' },
    )
    await expect(pool.client.get('{a}k')).rejects.toThrow(/closed/)
    await expect(pool.use(() => 1, { key: 'a' })).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    await expect(driver.block(pool.client, 'a', 1)).rejects.toThrow(/closed/)
  })
})

describe.skipIf(found === undefined).each(CLUSTER_DRIVERS)('whoever waits on $name', (driver) => {
  it('waits no longer than told, whatever the time is spent on', async () => {
    const pool = driver.pool(servers, { max: 1 })
    pools.push(pool)
    await pool.use(
      async () => {
        const other = pool.use(() => 'never', { key: '{a}k', timeoutMillis: 50 })
        await expect(other).rejects.toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
        await expect(pool.use(() => 'never', { key: '{a}k', timeoutMillis: 0 })).rejects.toMatchObject({
          code: 'ERR_POOL_ACQUIRE_TIMEOUT',
        })
        await expect(pool.use(() => 'never', { key: '{a}k', timeoutMillis: -5 })).rejects.toMatchObject({
          code: 'ERR_POOL_OPTION',
        })
      },
      { key: '{a}k' },
    )
  })
})
