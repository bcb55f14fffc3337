// Compiled as users' programs are, never run: what comes out of `redisPool` has the types of the driver that went in.
import { Cluster, Redis } from 'ioredis'
import { Cluster as LowCluster, Redis as LowRedis } from 'ioredis-low'
import { createClient, createCluster } from 'redis'
import { createClient as lowCreateClient, createCluster as lowCreateCluster } from 'redis-low'
import { redisClusterPool, redisPool } from 'millpond/redis'

const ioredis = redisPool(Redis, {
  host: 'h',
  maxRetriesPerRequest: 3,
  keepAlive: 30_000,
  family: 4,
  max: 5,
  shared: 2,
})
export const text: Promise<string | null> = ioredis.client.get('k')
export const popped: Promise<[string, string] | null> = ioredis.client.blpop('k', 1)
export const used: Promise<number> = ioredis.use((client: Redis) => client.incr('n'), { label: 'count' })
export const lowText: Promise<string | null> = redisPool(LowRedis, { host: 'h', url: 'redis://h' }).client.get('k')

const redis = redisPool(createClient, { url: 'redis://h', max: 5, acquireTimeoutMillis: 100 })
export const fields: Promise<Record<string, string>> = redis.client.hGetAll('k')
export const got: Promise<string | null> = redis.client.get('k')
export const typed = redis.use(async (client) => await client.watch('k'))
const resp2 = redisPool(createClient, { RESP: 2 })
export const value2: Promise<string | null> = resp2.client.get('k')
export const own: Promise<string | null> = redisPool((options?: Parameters<typeof createClient>[0]) =>
  createClient({ ...options, database: 1 }),
).client.get('k')
export const lowGot: Promise<string | null> = redisPool(lowCreateClient, { url: 'redis://h', min: 1 }).client.get('k')
export const module: Promise<unknown> = redis.client.json.get('k')

// @ts-expect-error a wrong type of the driver's own option
redisPool(Redis, { host: 5 })
// @ts-expect-error a wrong type of ours
redisPool(createClient, { max: 'five' })
// @ts-expect-error the driver has no such command
void ioredis.client.frobnicate()

const nodes = [{ host: 'h', port: 6_379 }]
const cluster = redisClusterPool(Cluster, {
  nodes,
  scaleReads: 'slave',
  redisOptions: { maxRetriesPerRequest: 3, keepAlive: 30_000 },
  max: 5,
})
export const clusterText: Promise<string | null> = cluster.client.get('k')
export const clusterHash: Promise<Record<string, string>> = cluster.client.hgetall('k')
export const clusterUsed: Promise<number> = cluster.use((client) => client.incr('n'), { key: 'n' })
export const masters: Redis[] = cluster.client.nodes('master')
const lowCluster = redisClusterPool(LowCluster, { nodes: ['redis://h'], scaleReads: 'all' })
export const lowClusterText: Promise<string | null> = lowCluster.client.get('k')
export const lowClusterUsed: Promise<string> = lowCluster.use((client) => client.watch('k'))

const redisCluster = redisClusterPool(createCluster, { rootNodes: [{ url: 'redis://h' }], useReplicas: true, max: 5 })
export const redisClusterText: Promise<string | null> = redisCluster.client.get('k')
export const redisClusterUsed: Promise<string | null> = redisCluster.use((client) => client.get('k'), { key: 'k' })
const lowRedisCluster = redisClusterPool(lowCreateCluster, { rootNodes: [{ url: 'redis://h' }] })
export const lowRedisClusterText: Promise<string | null> = lowRedisCluster.client.get('k')
export const sentinel: Promise<string | null> = redisPool(createClient, {
  sentinelRootNodes: [{ host: 'h', port: 26_379 }],
  name: 'mymaster',
}).client.get('k')

// @ts-expect-error a cluster needs to know where to begin
redisClusterPool(Cluster, { scaleReads: 'slave' })
// @ts-expect-error a wrong value of the driver's own option
redisClusterPool(Cluster, { nodes, scaleReads: 'replica' })
