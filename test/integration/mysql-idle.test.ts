import { afterAll, beforeAll, expect, it } from 'vitest'
import { sleep, waitFor, type MariaDbServer, type MariaDbView } from '@millpond/rig'
import { callbackPoolOn, describeMysql, poolOn, startServer } from '../support/mysql.ts'

describeMysql('idle connections of mysqlPool', () => {
  let server: MariaDbServer
  let view: MariaDbView
  let stop: () => Promise<void>

  beforeAll(async () => {
    ;({ server, view, stop } = await startServer())
  })
  afterAll(async () => {
    await stop()
  })

  it('are kept up to `maxIdle`, by the engine: the timer of the driver, which looks once a second, does not run', async () => {
    for (const pool of [
      poolOn(server, { connectionLimit: 4, maxIdle: 1 }),
      callbackPoolOn(server, { connectionLimit: 4, maxIdle: 1 }).promise(),
    ]) {
      const connections = await Promise.all(Array.from({ length: 4 }, () => pool.getConnection()))
      for (const connection of connections) connection.release()
      await waitFor(async () => (await view.count()) === 1, { what: 'three of four are closed' })
      // Beyond the first look of the driver's timer.
      await sleep(1_200)
      expect((await pool.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }])
      await pool.end()
    }
  })
})
