import { afterAll, describe, it } from 'vitest'
import { waitFor, type RedisClusterServers } from '@millpond/rig'
import type { Pool } from 'millpond'
import { poolContract, viewContract } from 'millpond/testing'
import type { DriverClient } from '../../src/adapters/redis/driver.ts'
import { ALL_CLUSTER_DRIVERS, tryRedisCluster, type ClusterPool } from '../support/redis-cluster.ts'

const SECRET = 'the-password-of-the-cluster'
const servers = await tryRedisCluster({ password: SECRET })
const closings: Promise<unknown>[] = []
afterAll(async () => {
  await Promise.all(closings)
  await servers?.stop()
})

const SLOT_OF_K = 7_629

/** What the pool shows its own classes alone. */
const lanesOf = (pool: ClusterPool): readonly Pool<DriverClient>[] =>
  (pool as unknown as { exclusivePools(): readonly Pool<DriverClient>[] }).exclusivePools()

describe.skipIf(servers === undefined).each(ALL_CLUSTER_DRIVERS)('a cluster on $name', (driver) => {
  const up = servers as RedisClusterServers
  /** The same password, and nobody who listens. */
  const down = (): RedisClusterServers =>
    Object.defineProperty(Object.create(up) as RedisClusterServers, 'nodes', {
      value: [{ host: '127.0.0.1', port: 1 }],
    })

  poolContract<DriverClient>(
    'the lane of one node',
    { describe, it },
    {
      make: async () => {
        const pool = driver.pool(up, { max: 2 })
        await pool.client.get('k')
        // The lane comes with the first who asks for a connection of it; for who does not wait, none is opened.
        await pool.use(() => 'never', { key: 'k', timeoutMillis: 0 }).catch(() => undefined)
        const [lane] = lanesOf(pool)
        if (lane === undefined) throw new Error('there is no lane')
        lane.on('closed', () => closings.push(pool.close()))
        return lane
      },
      work: async (client) => {
        await driver.node.id(client)
      },
      kill: async (client) => {
        const owner = await up.ownerOf(SLOT_OF_K)
        await owner.ask('CLIENT', 'KILL', 'ID', String(await driver.node.id(client)))
        await waitFor(() => !driver.node.isReady(client), { what: 'the client hears of its end' })
      },
    },
  )

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
