import { Cluster, type Redis } from 'ioredis'
import { Cluster as LowCluster } from 'ioredis-low'
import { createCluster } from 'redis'
import { createCluster as lowCreateCluster } from 'redis-low'
import { startRedisCluster, tryStart, type RedisClusterOptions, type RedisClusterServers } from '@millpond/rig'
import { redisClusterPool, type RedisClusterPool } from 'millpond/redis'
import { ALL_DRIVERS, type TestDriver, type TestOptions } from './redis.ts'

export type NodeRedisCluster = ReturnType<typeof createCluster>
export type ClusterPool = RedisClusterPool<Cluster, Redis>

/** One driver, for tests of clusters that run on both. What both spell alike is called as ioredis has it. */
export interface ClusterDriver {
  readonly name: string
  readonly isNodeRedis: boolean
  /** Reads from replicas, with `replicas`. */
  pool(servers: RedisClusterServers, options?: TestOptions & { readonly replicas?: boolean }): ClusterPool
  block(client: unknown, key: string, seconds: number): Promise<unknown>
  /** The driver for one node. */
  readonly node: TestDriver
}

const ioredis = (name: string, Class: typeof Cluster): ClusterDriver => ({
  name,
  isNodeRedis: false,
  pool: ({ nodes, all }, { replicas, ...options } = {}) =>
    redisClusterPool(Class, {
      nodes,
      redisOptions: all[0]?.password === undefined ? {} : { password: all[0].password },
      ...(replicas === true ? { scaleReads: 'slave' as const } : {}),
      ...options,
    }),
  block: (client, key, seconds) => (client as Cluster).blpop(key, seconds),
  node: nodeDriver(name),
})

const nodeRedis = (name: string, create: typeof createCluster): ClusterDriver => ({
  name,
  isNodeRedis: true,
  pool: ({ nodes, all }, { replicas, ...options } = {}) =>
    redisClusterPool(create, {
      rootNodes: nodes.map(({ host, port }) => ({ socket: { host, port } })),
      defaults: all[0]?.password === undefined ? {} : { password: all[0].password },
      ...(replicas === true ? { useReplicas: true } : {}),
      ...options,
    }) as unknown as ClusterPool,
  block: (client, key, seconds) => (client as NodeRedisCluster).blPop(key, seconds),
  node: nodeDriver(name),
})

/** The latest versions of both drivers. */
export const CLUSTER_DRIVERS: readonly ClusterDriver[] = [
  ioredis('ioredis', Cluster),
  nodeRedis('node-redis', createCluster),
]

/** And the lowest that are supported. */
export const ALL_CLUSTER_DRIVERS: readonly ClusterDriver[] = [
  ...CLUSTER_DRIVERS,
  ioredis('ioredis 5.4', LowCluster as unknown as typeof Cluster),
  nodeRedis('node-redis 5.0', lowCreateCluster as unknown as typeof createCluster),
]

function nodeDriver(name: string): TestDriver {
  const driver = ALL_DRIVERS.find((each) => each.name === name)
  if (driver === undefined) throw new Error(`there is no ${name}`)
  return driver
}

/** A cluster for the tests of one file; `undefined`, loudly, where the machine has no Redis. */
export async function tryRedisCluster(options?: RedisClusterOptions): Promise<RedisClusterServers | undefined> {
  return await tryStart('Redis', () => startRedisCluster(options))
}
