import { afterAll, beforeAll, it } from 'vitest'
import type { DriverClient } from '../../src/adapters/pg/driver.ts'
import { poolContract, viewContract } from 'millpond/testing'
import { describePostgres, pidOf, poolOn, startServer } from '../support/pg.ts'

let rig: Awaited<ReturnType<typeof startServer>>
beforeAll(async () => {
  rig = await startServer({ auth: 'scram-sha-256', password: 'the-contract-password' })
})
afterAll(async () => {
  await rig.stop()
})

poolContract<DriverClient>(
  'pgPool',
  { describe: describePostgres, it },
  {
    make: () => poolOn(rig.server, { max: 2 }).core,
    work: async (client) => {
      await pidOf(client as never)
    },
    kill: async (client) => {
      await rig.view.terminate(client.processID ?? 0)
      // The server's word is on its way; an idle socket hears it by itself.
      await new Promise((resolve) => setTimeout(resolve, 50))
    },
  },
)

viewContract(
  'pgPool',
  { describe: describePostgres, it },
  {
    make: () => poolOn(rig.server, { max: 2 }),
    makeBroken: () => poolOn({ config: { ...rig.server.config, port: 1 } }, { max: 2 }),
    touch: async (pool) => {
      await pool.query('SELECT 1')
    },
    exhaust: async (pool) => {
      const clients = [await pool.connect(), await pool.connect()]
      return () => {
        for (const client of clients) client.release()
      }
    },
    secrets: ['the-contract-password'],
  },
)
