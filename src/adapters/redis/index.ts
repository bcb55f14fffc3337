export { redisPool } from './redis-pool.ts'
export type { RedisLanes, RedisLaneStats, RedisPool } from './redis-pool.ts'
export { redisClusterPool } from './cluster-pool.ts'
export type {
  ClusterStartupNode,
  ClusterUseOptions,
  RedisClusterLaneStats,
  RedisClusterPool,
  RedisNodeStats,
} from './cluster-pool.ts'
export type { SharedLaneStats } from './laned-pool.ts'
export type { RedisFaceOptions } from './options.ts'
export { MaxRetriesPerRequestError } from './shared-lane.ts'
