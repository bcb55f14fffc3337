import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { PoolError } from 'millpond'
import { describePostgres, pidOf, poolOn, startServer, type TestPool } from '../support/pg.ts'
import { watchUncaught } from '../support/uncaught.ts'

describePostgres('a pool on PostgreSQL', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool

  beforeAll(async () => {
    rig = await startServer()
    const setup = poolOn(rig.server)
    await setup.query('CREATE TABLE items (id int PRIMARY KEY, name text)')
    await setup.end()
  })
  afterAll(async () => {
    await rig.stop()
  })
  afterEach(async () => {
    if (!pool.ending) await pool.close({ timeoutMillis: 500 })
    expect(pool.stats().total).toBe(0)
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds no connection any more' })
  })

  describe('what a borrower leaves behind', () => {
    it('rolls back a transaction that was left open', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const client = await pool.connect()
      const pid = await pidOf(client)
      await client.query('BEGIN')
      await client.query("INSERT INTO items VALUES (1, 'left')")
      client.release()
      const { rows } = await pool.query('SELECT * FROM items')
      expect(rows).toEqual([])
      expect(await pidOf(pool)).toBe(pid)
    })

    it('rolls back a transaction that had failed, also when it is released before the server is ready again', async () => {
      pool = poolOn(rig.server, { max: 1 })
      for (let round = 0; round < 20; round++) {
        const client = await pool.connect()
        await client.query('BEGIN')
        await new Promise<void>((resolve) => {
          client.query('SELECT 1/0', () => {
            client.release()
            resolve()
          })
        })
        const { rows } = await pool.query('SELECT 1 AS one')
        expect(rows).toEqual([{ one: 1 }])
      }
      expect(pool.stats().created).toBe(1)
    })

    it('gives back settings, temporary tables and listening, and keeps the driver’s prepared statements', async () => {
      pool = poolOn(rig.server, {
        max: 1,
        onConnect: async (client: pg.PoolClient) => await client.query("SET application_name = 'base'"),
      })
      const client = await pool.connect()
      const pid = await pidOf(client)
      await client.query({ name: 'kept', text: 'SELECT $1::int AS kept', values: [1] })
      await client.query("SET work_mem = '7MB'; CREATE TEMP TABLE left_behind (id int); LISTEN channel")
      client.release()
      const { rows } = await pool.query(
        "SELECT current_setting('work_mem') AS memory, current_setting('application_name') AS name, to_regclass('left_behind') AS tmp, (SELECT count(*)::int FROM pg_listening_channels()) AS listens",
      )
      expect(rows).toEqual([{ memory: '4MB', name: 'base', tmp: null, listens: 0 }])
      const again = await pool.query({ name: 'kept', text: 'SELECT $1::int AS kept', values: [2] })
      expect(again.rows).toEqual([{ kept: 2 }])
      expect(await pidOf(pool)).toBe(pid)
    })

    it('makes no round trip for a borrower who left nothing', async () => {
      pool = poolOn(rig.server, { max: 1 })
      await pool.query('SELECT 1')
      const client = await pool.connect()
      await client.query('BEGIN')
      await client.query('SET LOCAL work_mem = 1000')
      await client.query('COMMIT')
      client.release()
      expect(pool.stats().idle).toBe(1)
    })

    it('ends a connection whose borrower prepared statements in SQL', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const client = await pool.connect()
      await client.query('PREPARE mine AS SELECT 1')
      client.release()
      await pool.query('PREPARE mine AS SELECT 2')
      expect(pool.stats().created).toBe(2)
    })

    it('ends a connection that is given back in the middle of a query, and the query on the server', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const client = await pool.connect()
      const running = client.query('SELECT pg_sleep(30)').catch((error: unknown) => error)
      await waitFor(async () => (await rig.view.backends()).some(({ query }) => query.includes('pg_sleep')), {
        what: 'the query runs',
      })
      client.release()
      await pool.query('SELECT 1')
      expect(await running).toBeInstanceOf(Error)
      await waitFor(
        async () =>
          !(await rig.view.backends()).some(({ query, state }) => query.includes('pg_sleep') && state === 'active'),
        {
          what: 'the server works for nobody',
        },
      )
    })
  })

  describe('errors', () => {
    it('keeps its connection through a hundred SQL errors', async () => {
      pool = poolOn(rig.server, { max: 2 })
      rig.view.markLogins()
      await pool.query("INSERT INTO items VALUES (7, 'seven')")
      for (let round = 0; round < 100; round++) {
        await expect(pool.query("INSERT INTO items VALUES (7, 'seven')")).rejects.toMatchObject({ code: '23505' })
      }
      const client = await pool.connect()
      const failure = await client.query('SELECT nonsense').catch((error: unknown) => error)
      client.release(failure as Error)
      await pool.query('DELETE FROM items')
      expect(pool.stats().created).toBe(1)
      expect(rig.view.logins()).toBe(1)
    })

    it('ends the connection for whatever else is given to release', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const first = await pidOf(pool)
      const client = await pool.connect()
      client.release(true)
      expect(await pidOf(pool)).not.toBe(first)
    })

    it('does not let a query that timed out reach the next borrower', async () => {
      pool = poolOn(rig.server, { max: 1, query_timeout: 100 })
      await expect(pool.query('SELECT pg_sleep(5)')).rejects.toThrow('Query read timeout')
      const { rows } = await pool.query('SELECT 2 AS two')
      expect(rows).toEqual([{ two: 2 }])
      await waitFor(async () => (await rig.view.count()) === 1, { what: 'the timed-out query is cancelled' })
    })

    it('rejects with the driver’s own error when nobody can connect', async () => {
      pool = poolOn({ config: { ...rig.server.config, port: 1 } })
      await expect(pool.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED', pool: { name: 'postgres' } })
    })

    it('rejects at once, with the driver’s own error, where asking again does not help', async () => {
      pool = poolOn(rig.server, { database: 'no_such_database', connectionTimeoutMillis: 5_000 })
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '3D000' })
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '3D000' })
      expect(pool.stats().createErrors).toBe(1)
    })

    it('names the phrase that users of pg search for, and what the pool knows, in a timeout', async () => {
      pool = poolOn(rig.server, { max: 1, connectionTimeoutMillis: 500 })
      const client = await pool.connect()
      const error = await pool.query('SELECT 1').catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        code: 'ERR_POOL_ACQUIRE_TIMEOUT',
        message: expect.stringMatching(/^timeout exceeded when trying to connect: .*total=1 used=1/) as string,
      })
      client.release()
    })
  })

  describe('stale releases', () => {
    it('throws for a second release, and leaves the present borrower alone', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const first = await pool.connect()
      first.release()
      const second = await pool.connect()
      expect(() => first.release()).toThrow(/already been released/)
      expect(pool.stats().used).toBe(1)
      let third = false
      const waiting = pool.connect().then((client) => {
        third = true
        client.release()
      })
      await second.query('SELECT 1')
      expect(third).toBe(false)
      second.release()
      await waiting
    })

    it('refuses queries of a borrower whose lease is over', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const client = await pool.connect()
      client.release()
      const error: unknown = await client.query('SELECT 1').catch((reason: unknown) => reason)
      expect(PoolError.is(error, 'ERR_POOL_LEASE_RELEASED')).toBe(true)
    })

    it('warns or keeps quiet where it is asked to', async () => {
      pool = poolOn(rig.server, { onStaleRelease: 'ignore' })
      const client = await pool.connect()
      client.release()
      client.release()
      expect(pool.stats().idle).toBe(1)
    })
  })

  describe('connections that the server ends', () => {
    it('raises no uncaught exception for idle and borrowed ones, and goes on', async () => {
      const uncaught = watchUncaught()
      pool = poolOn(rig.server, { max: 3 })
      const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
      clients[1]?.release()
      clients[2]?.release()
      expect(await rig.view.terminate()).toBe(3)
      await waitFor(() => pool.stats().idle === 0, { what: 'the idle ones are gone' })
      await expect(clients[0]?.query('SELECT 1')).rejects.toThrow()
      clients[0]?.release()
      const { rows } = await pool.query('SELECT 1 AS one')
      expect(rows).toEqual([{ one: 1 }])
      await sleep(50)
      uncaught.stop()
      expect(uncaught.errors).toEqual([])
    })

    it('replaces only the one of many that was ended', async () => {
      pool = poolOn(rig.server, { max: 10 })
      const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
      for (const client of clients) client.release()
      const [victim] = await rig.view.backends()
      await rig.view.terminate(victim?.pid ?? 0)
      await waitFor(() => pool.stats().idle === 9, { what: 'one is gone' })
      await pool.query('SELECT 1')
      const { total, generation } = pool.stats()
      expect({ total, generation }).toEqual({ total: 9, generation: 0 })
    })

    it('tells an error of an idle connection to those who listen, with the driver’s arguments', async () => {
      pool = poolOn(rig.server)
      await pool.query('SELECT 1')
      const heard = new Promise<[Error, unknown]>((resolve) => {
        pool.on('error', (error, client) => resolve([error, client]))
      })
      await rig.view.terminate()
      const [error, client] = await heard
      expect(error).toMatchObject({ code: '57P01' })
      expect(client).toBeInstanceOf(pg.Client)
    })
  })

  describe('ending', () => {
    it('serves those who wait already, refuses newcomers, and leaves nothing', async () => {
      pool = poolOn(rig.server, { max: 1 })
      const client = await pool.connect()
      const waiting = pool.query('SELECT 1 AS one')
      const ended = pool.end()
      await expect(pool.query('SELECT 1')).rejects.toThrow(/Cannot use a pool after calling end on the pool/)
      client.release()
      expect((await waiting).rows).toEqual([{ one: 1 }])
      await ended
      await expect(pool.end()).rejects.toThrow('Called end on pool more than once')
      expect(pool.ended).toBe(true)
    })

    it('settles everybody even when a borrower never gives back', async () => {
      pool = poolOn(rig.server, { max: 1 })
      await pool.connect()
      const waiting = pool.query('SELECT 1').catch((error: unknown) => error)
      const report = await pool.close({ timeoutMillis: 100 })
      expect(PoolError.is(await waiting, 'ERR_POOL_CLOSED')).toBe(true)
      expect(report).toMatchObject({ forced: 1, rejected: 1 })
    })
  })

  it('keeps every caller’s async context, in every face', async () => {
    pool = poolOn(rig.server, { max: 1 })
    const context = new AsyncLocalStorage<number>()
    const seen: string[] = []
    const note = (what: string, number: number): void => {
      seen.push(`${what}:${context.getStore() === number}`)
    }
    await Promise.all(
      [1, 2, 3, 4].map((number) =>
        context.run(number, async () => {
          await pool.query('SELECT 1')
          note('query', number)
          const client = await pool.connect()
          note('connect', number)
          await client.query('SELECT 1')
          client.release()
          await pool.use(async (used) => {
            note('use', number)
            await used.query('SELECT 1')
          })
          await new Promise<void>((resolve) => {
            pool.query('SELECT 1', () => {
              note('query callback', number)
              resolve()
            })
          })
          await new Promise<void>((resolve) => {
            pool.connect((_error, borrowed, done) => {
              note('connect callback', number)
              void borrowed?.query('SELECT 1').then(() => {
                done()
                resolve()
              })
            })
          })
        }),
      ),
    )
    expect(seen).toHaveLength(20)
    expect(seen.filter((line) => !line.endsWith('true'))).toEqual([])
  })

  it('shows no password, however it is looked at', async () => {
    const { inspect } = await import('node:util')
    pool = poolOn(rig.server, { password: 'very-secret-word' })
    const client = await pool.connect()
    const shown = [pool, client, pool.core, pool.options, pool.stats(), await pool.health()]
      .map((each) => inspect(each, { depth: 6 }))
      .join('\n')
    expect(shown).not.toContain('very-secret-word')
    client.release()
  })

  describe('transaction', () => {
    it('commits, and rolls back with the callback’s own error', async () => {
      pool = poolOn(rig.server)
      await pool.transaction(async (client) => await client.query("INSERT INTO items VALUES (20, 'twenty')"))
      const reason = new Error('changed my mind')
      const failing = pool.transaction(async (client) => {
        await client.query("INSERT INTO items VALUES (21, 'twenty-one')")
        throw reason
      })
      await expect(failing).rejects.toBe(reason)
      const { rows } = await pool.query('SELECT id FROM items WHERE id >= 20')
      expect(rows).toEqual([{ id: 20 }])
      await pool.query('DELETE FROM items')
    })

    it('keeps the original error when even the rollback fails', async () => {
      pool = poolOn(rig.server)
      const failing = pool.transaction(async (client) => {
        const pid = await pidOf(client)
        await rig.view.terminate(pid)
        await client.query('SELECT 1')
      })
      await expect(failing).rejects.toThrow(/terminat|connection error/)
    })

    it('tells when a failed statement was swallowed, instead of pretending to have committed', async () => {
      pool = poolOn(rig.server)
      const swallowed = pool.transaction(async (client) => {
        await client.query('SELECT 1/0').catch(() => undefined)
      })
      await expect(swallowed).rejects.toThrow(/was rolled back/)
    })

    it('runs again after a serialization failure', async () => {
      pool = poolOn(rig.server)
      await pool.query("INSERT INTO items VALUES (30, '0') ON CONFLICT DO NOTHING")
      const add = async (): Promise<void> => {
        await pool.transaction(
          async (client) => {
            const { rows } = await client.query<{ name: string }>('SELECT name FROM items WHERE id = 30')
            await sleep(20)
            await client.query('UPDATE items SET name = $1 WHERE id = 30', [String(Number(rows[0]?.name) + 1)])
          },
          { isolation: 'serializable', retries: 20 },
        )
      }
      await Promise.all([add(), add(), add(), add()])
      const { rows } = await pool.query('SELECT name FROM items WHERE id = 30')
      expect(rows).toEqual([{ name: '4' }])
      await pool.query('DELETE FROM items')
    })
  })
})
