import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { startPostgres, waitFor, type PostgresServer } from '@millpond/rig'
import { loadPools, type ConfigNotice } from 'millpond/config'
import { pgPool } from 'millpond/pg'
import { describePostgres, postgresMajor } from '../support/pg.ts'

/** The one line of a program that knows the driver. */
const make = { postgres: (options: object) => pgPool(pg, options) }

describePostgres('pools of a configuration, on PostgreSQL', () => {
  let server: PostgresServer
  let url: string

  beforeAll(async () => {
    server = await startPostgres({ major: postgresMajor, auth: 'scram-sha-256', password: 'p@ss:w/rd?' })
    url = server.connectionString
  })
  afterAll(async () => {
    await server.stop()
  })

  it('connect by DATABASE_URL alone, under the name and with the limits that were said', async () => {
    const env = { DATABASE_URL: `${url}?application_name=from-url`, DB_POOL_STATEMENT_TIMEOUT: '7s', NODE_ENV: 'test' }
    await using loaded = loadPools({ make, env })
    const pool = loaded.get('postgres')
    const { rows } = await pool.query(
      "SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS limit",
    )
    expect(rows).toEqual([{ name: 'from-url', limit: '7s' }])
    expect(pool.stats()).toMatchObject({ name: 'postgres', max: 5, min: 1 })
  })

  it('connect by fields, and by a URL whose parts are overruled one by one, as pg alone would not', async () => {
    const { user, password, host, port, database } = server
    const fields = {
      ORDERS_HOST: host,
      ORDERS_PORT: String(port),
      ORDERS_USER: user,
      ORDERS_PASSWORD: password,
      ORDERS_DATABASE: database,
    }
    const code = {
      orders: { kind: 'postgres' },
      reports: {
        kind: 'postgres',
        url: url.replace(`:${port}/`, ':1/'),
        port,
        applicationName: 'reports',
        driver: { query_timeout: 5_000 },
      },
    } as const
    await using loaded = loadPools({ make, env: fields, code, onNotice: () => undefined })
    for (const pool of [loaded.pools.orders, loaded.pools.reports]) {
      const { rows } = await pool.query('SELECT current_database() AS name')
      expect(rows).toEqual([{ name: database }])
    }
  })

  it('take a password from a function that is asked for every connect', async () => {
    let asked = 0
    const code = {
      orders: {
        kind: 'postgres',
        url: url.replace(/:[^:@]*@/, '@'),
        driver: {
          password: () => {
            asked++
            return server.password
          },
        },
      },
    } as const
    await using loaded = loadPools({ make, env: {}, code })
    await loaded.pools.orders.query('SELECT 1')
    expect(asked).toBeGreaterThan(0)
  })

  it('are resized when the file changes, while every query goes on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millpond-config-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'pools.json')
    const write = (max: number): void =>
      writeFileSync(file, JSON.stringify({ pools: { orders: { kind: 'postgres', url, min: 0, max } } }))
    write(4)
    const notices: ConfigNotice[] = []
    await using loaded = loadPools({ make, env: {}, file, watch: true, onNotice: (notice) => notices.push(notice) })
    const pool = loaded.get('orders')
    const errors: unknown[] = []
    let done = 0
    let isOver = false
    const workers = Array.from({ length: 8 }, async () => {
      // The first error ends the work: failing at once again and again would leave the event loop no turn.
      while (!isOver && errors.length === 0) {
        await pool.query('SELECT pg_sleep(0.002)').then(
          () => done++,
          (error: unknown) => errors.push(error),
        )
      }
    })
    for (const max of [2, 6, 1, 4]) {
      const before = done
      write(max)
      await waitFor(
        () => pool.stats().max === max && pool.stats().total <= max && (done > before + 20 || errors.length > 0),
        {
          what: `a pool of ${max}`,
        },
      )
    }
    isOver = true
    await Promise.all(workers)
    expect([errors, notices]).toEqual([[], []])
  })
})
