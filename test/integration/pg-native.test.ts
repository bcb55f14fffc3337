import { createRequire } from 'node:module'
import type Pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { describePostgres, pidOf, startServer, type TestPool } from '../support/pg.ts'
import { watchUncaught } from '../support/uncaught.ts'
import { pgPool } from 'millpond/pg'

// Run by `npm run test:matrix`, which builds the native client first.
const { native } = createRequire(import.meta.url)('pg') as typeof Pg

describePostgres('a pool of native clients', () => {
  let started: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool
  let uncaught: ReturnType<typeof watchUncaught>
  beforeAll(async () => {
    started = await startServer()
    uncaught = watchUncaught()
  })
  afterAll(async () => {
    uncaught.stop()
    await started.stop()
    expect(uncaught.errors).toEqual([])
  })
  beforeEach(async () => {
    if (native === null) throw new Error('pg-native is not installed: run npm run test:matrix')
    pool = pgPool<typeof Pg>(native, { ...started.server.config, max: 2 })
    await pool.query('DROP TABLE IF EXISTS items')
    await pool.query('CREATE TABLE items (id int PRIMARY KEY)')
  })
  afterEach(async () => {
    await pool.end()
    // libpq says goodbye and does not wait for the server to end the backend.
    await waitFor(async () => (await started.view.count()) === 0, { what: 'every backend ends' })
  })

  it('answers queries, with promises and callbacks', async () => {
    expect((await pool.query('SELECT $1::int + 1 AS two', [1])).rows).toEqual([{ two: 2 }])
    const client = await pool.connect()
    const rows = await new Promise((resolve, reject) => {
      client.query('SELECT 3 AS three', (error, result) => (error ? reject(error) : resolve(result.rows)))
    })
    client.release()
    expect(rows).toEqual([{ three: 3 }])
  })

  it('keeps a connection whose statement failed', async () => {
    await expect(pool.query('SELECT nothing')).rejects.toThrow('does not exist')
    await expect(pool.query('SELECT nothing')).rejects.toThrow('does not exist')
    expect(pool.stats()).toMatchObject({ created: 1, used: 0 })
  })

  it('rolls back a transaction that fails, and one that is left open', async () => {
    const reason = new Error('roll back')
    await expect(
      pool.transaction(async (client) => {
        await client.query('INSERT INTO items VALUES (1)')
        throw reason
      }),
    ).rejects.toBe(reason)
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO items VALUES (2)')
    client.release()
    expect((await pool.query('SELECT * FROM items')).rows).toEqual([])
  })

  it('gives the next borrower none of the session', async () => {
    const client = await pool.connect()
    await client.query("SET application_name = 'mine'")
    client.release()
    const { rows } = await pool.query<{ application_name: string }>('SHOW application_name')
    expect(rows[0]?.application_name).not.toBe('mine')
  })

  it('ends a connection whose query timed out', async () => {
    const impatient = pgPool(native as typeof Pg, { ...started.server.config, max: 1, query_timeout: 100 })
    await expect(impatient.query('SELECT pg_sleep(30)')).rejects.toThrow('timeout')
    expect((await impatient.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await impatient.end()
  })

  it('replaces a connection that the server ended', async () => {
    const pid = await pidOf(pool)
    await started.view.terminate(pid)
    await waitFor(() => pool.stats().total === 0, { what: 'the pool notices' })
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})
