import { afterAll, describe, it } from 'vitest'
import { waitFor, type RedisClusterServers } from '@millpond/rig'
import { viewContract } from 'millpond/testing'
import { CLUSTER_DRIVERS, tryRedisCluster, type ClusterPool } from '../support/redis-cluster.ts'

const SECRET = 'the-password-of-the-cluster'
const servers = await tryRedisCluster({ password: SECRET })
afterAll(async () => {
  await servers?.stop()
})

describe.skipIf(servers === undefined).each(CLUSTER_DRIVERS)('a cluster on $name', (driver) => {
  const up = servers as RedisClusterServers
  /** The same password, and nobody who listens. */
  const down = (): RedisClusterServers =>
    Object.defineProperty(Object.create(up) as RedisClusterServers, 'nodes', {
      value: [{ host: '127.0.0.1', port: 1 }],
    })

  viewContract<ClusterPool>(
    'redisClusterPool',
    { describe, it },
    {
      make: () => driver.pool(up, { max: 2 }),
      makeBroken: () => driver.pool(down(), { max: 2, acquireTimeoutMillis: 300 }),
      touch: async (pool) => {
        await pool.client.set('k', 'v')
        await pool.use((client) => client.get('k'), { key: 'k' })
      },
      exhaust: async (pool) => {
        let isOver = false
        let begun = 0
        const hold = async (): Promise<void> => {
          begun++
          await waitFor(() => isOver, { what: 'it may end' })
        }
        const held = [1, 2].map(() => pool.use(hold, { key: 'k' }))
        await waitFor(() => begun === 2, { what: 'both are held' })
        return async () => {
          isOver = true
          await Promise.all(held)
        }
      },
      secrets: [SECRET],
    },
  )
})
