// Compiled as users' programs are, never run: what comes out of `redisPool` has the types of the driver that went in.
import { Cluster, Redis } from 'ioredis'
import { Redis as LowRedis } from 'ioredis-low'
import { createClient, createCluster } from 'redis'
import { createClient as lowCreateClient } from 'redis-low'
import { redisPool } from 'millpond/redis'

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

export const later = [Cluster, createCluster]
