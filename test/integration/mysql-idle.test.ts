import { afterAll, beforeAll, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { callbackPoolOn, describeMysql, poolOn, startServer, type Rig } from '../support/mysql.ts'

describeMysql('idle connections of mysqlPool', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startServer()
  })
  afterAll(async () => {
    await rig.stop()
  })

  it('are kept up to `maxIdle`, by the engine: the timer of the driver, which looks once a second, does not run', async () => {
    const pools = [
      poolOn(rig.server, { connectionLimit: 4, maxIdle: 1 }),
      callbackPoolOn(rig.server, { connectionLimit: 4, maxIdle: 1 }).promise(),
    ]
    for (const pool of pools) {
      const connections = await Promise.all(Array.from({ length: 4 }, () => pool.getConnection()))
      for (const connection of connections) connection.release()
    }
    await waitFor(async () => (await rig.view.count()) === 2, { what: 'three of each four are closed' })
    // Beyond the first look of the driver's timer.
    await sleep(1_200)
    for (const pool of pools) {
      expect((await pool.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }])
      await pool.end()
    }
  })
})
