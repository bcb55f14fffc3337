import { afterAll, beforeAll, it } from 'vitest'
import { poolContract, viewContract } from 'millpond/testing'
import { waitFor } from '@millpond/rig'
import type { PooledConnection } from '../../src/adapters/mysql/pooled-connection.ts'
import { describeMysql, idOf, poolOn, startServer, type TestPool } from '../support/mysql.ts'

let rig: Awaited<ReturnType<typeof startServer>>
beforeAll(async () => {
  rig = await startServer({ password: 'the-contract-password' })
})
afterAll(async () => {
  await rig.stop()
})

poolContract<PooledConnection>(
  'mysqlPool',
  { describe: describeMysql, it },
  {
    make: () => poolOn(rig.server, { connectionLimit: 2 }).core,
    work: async (connection) => {
      await idOf(connection.promise() as never)
    },
    kill: async (connection) => {
      const id = connection.threadId ?? 0
      await rig.view.terminate(id)
      await waitFor(() => connection._closing === true || connection.stream.destroyed === true, {
        what: 'the connection hears of its end',
      })
    },
  },
)

viewContract<TestPool>(
  'mysqlPool',
  { describe: describeMysql, it },
  {
    make: () => poolOn(rig.server, { connectionLimit: 2 }),
    touch: async (pool) => {
      await pool.query('SELECT 1')
    },
    exhaust: async (pool) => {
      const held = await Promise.all([pool.getConnection(), pool.getConnection()])
      return () => {
        for (const connection of held) connection.release()
      }
    },
    makeBroken: () => poolOn({ config: { ...rig.server.config, port: 1 } }),
    secrets: ['the-contract-password'],
  },
)
