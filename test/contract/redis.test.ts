import { waitFor, type RedisServer } from '@millpond/rig'
import { afterAll, describe, it } from 'vitest'
import { poolContract, viewContract } from 'millpond/testing'
import { ALL_DRIVERS, tryRedis } from '../support/redis.ts'
import type { DriverClient } from '../../src/adapters/redis/driver.ts'

const server = await tryRedis({ password: 'the-contract-password' })
afterAll(async () => {
  await server?.stop()
})

describe.skipIf(server === undefined).each(ALL_DRIVERS)('$name', (driver) => {
  const target = server as RedisServer
  poolContract<DriverClient>(
    'the exclusive lane',
    { describe, it },
    {
      make: () => driver.pool(target, { max: 2 }).lanes.exclusive,
      work: async (client) => {
        await driver.id(client)
      },
      kill: async (client) => {
        const id = String(await driver.id(client))
        await server?.ask('CLIENT', 'KILL', 'ID', id)
        await waitFor(() => !driver.isReady(client), { what: 'the client hears of its end' })
      },
    },
  )

  viewContract(
    'redisPool',
    { describe, it },
    {
      make: () => driver.pool(target, { max: 2 }),
      makeBroken: () =>
        driver.pool({ port: 1, password: 'the-contract-password' }, { max: 2, acquireTimeoutMillis: 300 }),
      touch: async (pool) => {
        await pool.client.set('k', 'v')
        await pool.use((leased) => driver.id(leased))
      },
      exhaust: async (pool) => {
        const { exclusive } = pool.lanes
        const leases = [await exclusive.acquire(), await exclusive.acquire()]
        return () => {
          for (const lease of leases) lease.release()
        }
      },
      secrets: ['the-contract-password'],
    },
  )
})
