import { Logger, makeWorkerUtils, run, runOnce, type LogFunctionFactory } from 'graphile-worker'
import PgBoss from 'pg-boss'
import { expect, it } from 'vitest'
import { pgBossDb } from 'millpond/pg'
import { waitFor } from '@millpond/rig'
import { consumerRig } from '../support/consumers.ts'
import { describePostgres, pidOf } from '../support/pg.ts'

const rig = consumerRig()

describePostgres('pg-boss', () => {
  it('runs scripts of several statements', async () => {
    const { executeSql } = pgBossDb(rig.pool)
    await executeSql("BEGIN; INSERT INTO items VALUES (1, 'boss'); ROLLBACK;")
    const { rows } = await rig.pool.query('SELECT * FROM items')
    expect(rows).toEqual([])
  })

  it('installs itself, and keeps a job of a transaction that rolls back to itself', async () => {
    const boss = new PgBoss({ db: pgBossDb(rig.pool), supervise: false, schedule: false })
    await boss.start()
    await boss.createQueue('mail')
    const failing = rig.pool.transaction(async (client) => {
      for (const to of ['ada', 'bob']) {
        const id = await boss.send('mail', { to }, { db: pgBossDb(client) })
        expect(id).toEqual(expect.any(String))
        rig.pids.add(await pidOf(client))
      }
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    await rig.nothingIsLeft()
    expect(await boss.fetch('mail')).toEqual([])

    const id = await boss.send('mail', { to: 'eve' })
    const [job] = await boss.fetch<{ to: string }>('mail')
    expect(job).toMatchObject({ id, data: { to: 'eve' } })
    await boss.complete('mail', job?.id ?? '')
    await boss.stop({ graceful: false, wait: true })
    expect(rig.pool.ended).toBe(false)
  })
})

describePostgres('graphile-worker', () => {
  const lines: string[] = []
  const logFactory: LogFunctionFactory = () => (level, message) => {
    const name: string = level
    if (name !== 'debug' && name !== 'info') lines.push(`${level}: ${message}`)
  }
  const logger = new Logger(logFactory)

  it('rolls back a transaction that a failing task leaves open, and leaves no listener on the pool', async () => {
    const utils = await makeWorkerUtils({ pgPool: rig.pool, logger })
    await utils.migrate()
    await utils.addJob('fails', {}, { maxAttempts: 1 })
    lines.length = 0
    await runOnce({
      pgPool: rig.pool,
      logger,
      concurrency: 2,
      taskList: {
        fails: async (_payload, { withPgClient }) => {
          await withPgClient(async (client) => {
            await client.query('BEGIN')
            for (const id of [1, 2]) {
              await client.query("INSERT INTO items VALUES ($1, 'worker')", [id])
              rig.pids.add(await pidOf(client))
            }
            throw rig.reason
          })
        },
      },
    })
    await rig.nothingIsLeft()
    expect(lines).toEqual([expect.stringContaining('roll back')])
    await utils.release()
    expect(rig.pool.listenerCount('error')).toBe(0)
    expect(rig.pool.listenerCount('connect')).toBe(0)
  })

  it('is told of new jobs over a connection that listens, and gives it back', async () => {
    const done: unknown[] = []
    const runner = await run({
      pgPool: rig.pool,
      logger,
      noHandleSignals: true,
      pollInterval: 600_000,
      taskList: { works: (payload) => void done.push(payload) },
    })
    await waitFor(async () => (await rig.view.backends()).some(({ query }) => query.includes('LISTEN')), {
      what: 'the worker listens',
    })
    await waitFor(() => rig.pool.stats().used === 1, { what: 'only the listener is lent' })
    await runner.addJob('works', { n: 1 })
    await waitFor(() => done.length === 1, { what: 'the job was done' })
    await runner.stop()
    await waitFor(() => rig.pool.stats().used === 0, { what: 'the worker has given everything back' })
  })
})
