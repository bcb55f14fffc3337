import { AsyncLocalStorage } from 'node:async_hooks'
import { inspect } from 'node:util'
import type mysql from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { PoolError } from 'millpond'
import {
  callbackPoolOn,
  describeMysql,
  idOf,
  isShared,
  poolOn,
  rowOf,
  startServer,
  type CallbackPool,
  type TestPool,
} from '../support/mysql.ts'
import { watchUncaught } from '../support/uncaught.ts'

describeMysql('a pool on MariaDB', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool

  beforeAll(async () => {
    rig = await startServer()
    await using setup = poolOn(rig.server)
    await setup.query('CREATE TABLE items (id int PRIMARY KEY, name text) ENGINE=InnoDB')
  })
  afterAll(async () => {
    await rig.stop()
  })
  afterEach(async () => {
    await pool.close({ timeoutMillis: 500 })
    expect(pool.stats().total).toBe(0)
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds no connection any more' })
  })

  const isRunning = async (part: string): Promise<boolean> =>
    (await rig.view.threads()).some(({ statement }) => statement?.includes(part) === true)

  describe('what a borrower leaves behind', () => {
    it('rolls back a transaction that was left open, on the same connection', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      const id = await idOf(connection)
      await connection.beginTransaction()
      await connection.query("INSERT INTO items VALUES (1, 'left')")
      connection.release()
      expect((await pool.query('SELECT * FROM items'))[0]).toEqual([])
      expect(await idOf(pool)).toBe(id)
    })

    it('sees a transaction that only a SELECT, or a prepared statement, has told of last', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      for (const last of ['query', 'execute'] as const) {
        const connection = await pool.getConnection()
        await connection.query('START TRANSACTION')
        await connection.query("INSERT INTO items VALUES (2, 'left')")
        await connection[last as 'query']('SELECT * FROM items WHERE id = ?', [2])
        connection.release()
        expect((await pool.query('SELECT * FROM items'))[0]).toEqual([])
      }
      expect(pool.stats().created).toBe(1)
    })

    it('keeps a connection that is released inside the callback of an error, and rolls back', async () => {
      const callbacks = callbackPoolOn(rig.server, { connectionLimit: 1 })
      pool = callbacks.promise() as TestPool
      for (const how of ['query', 'execute'] as const) {
        await new Promise<void>((resolve, reject) => {
          callbacks.getConnection((failure, connection) => {
            if (failure) {
              reject(failure)
              return
            }
            connection.beginTransaction(() => {
              connection.query("INSERT INTO items VALUES (3, 'left')", () => {
                connection[how as 'query']('SELECT nonsense', (error) => {
                  expect(error).toMatchObject({ errno: 1054 })
                  connection.release()
                  resolve()
                })
              })
            })
          })
        })
        expect((await pool.query('SELECT * FROM items'))[0]).toEqual([])
      }
      expect(pool.stats().created).toBe(1)
    })

    const traces: [string, string, string, unknown][] = [
      ['a variable', 'SET @mine = 5', 'SELECT @mine AS found', null],
      ['a setting', "SET SESSION sql_mode = 'ANSI'", "SELECT @@sql_mode LIKE '%ANSI%' AS found", 0],
      ['a time zone', "SET time_zone = '+07:00'", 'SELECT @@session.time_zone AS found', 'SYSTEM'],
      ['autocommit', 'SET autocommit = 0', 'SELECT @@autocommit AS found', 1],
      [
        'an isolation level',
        'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
        'SELECT @@tx_isolation AS found',
        'REPEATABLE-READ',
      ],
      ['the default database', 'USE information_schema', 'SELECT DATABASE() AS found', 'app'],
      ['an advisory lock', "SELECT GET_LOCK('mine', 1)", "SELECT IS_USED_LOCK('mine') AS found", null],
      ['a character set', 'SET NAMES latin1', 'SELECT @@character_set_client AS found', 'utf8mb4'],
    ]
    it.each(traces)('takes back %s, on the same connection', async (_what, leave, look, expected) => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      const id = await idOf(connection)
      await connection.query(leave)
      connection.release()
      const { database } = rig.server
      const asked = rig.isMariaDb ? look : look.replace('@@tx_isolation', '@@transaction_isolation')
      expect(await rowOf(pool, asked)).toEqual({ found: expected === 'app' ? database : expected })
      expect(await idOf(pool)).toBe(id)
      // What is reset is seen again: the trackers are on.
      const again = await pool.getConnection()
      await again.query('SET @mine = 6')
      again.release()
      expect(await rowOf(pool, 'SELECT @mine AS found')).toEqual({ found: null })
    })

    it('takes back temporary tables, table locks and statements prepared in SQL', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      for (const leave of [
        'CREATE TEMPORARY TABLE mine (id int)',
        'LOCK TABLES items READ',
        "PREPARE mine FROM 'SELECT 1'",
      ]) {
        const connection = await pool.getConnection()
        await connection.query(leave)
        connection.release()
        await expect(pool.query('SELECT * FROM mine')).rejects.toMatchObject({ errno: 1146 })
        await pool.query("INSERT INTO items VALUES (9, 'unlocked')")
        await pool.query('DELETE FROM items')
        await expect(pool.query('EXECUTE mine')).rejects.toMatchObject({ errno: 1243 })
      }
      expect(pool.stats().created).toBe(1)
    })

    it.skipIf(isShared)('makes no round trip for a borrower who left nothing', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      await pool.query('SELECT 1')
      const before = await rig.view.status('Questions')
      for (let round = 0; round < 10; round++) {
        const connection = await pool.getConnection()
        await connection.beginTransaction()
        await connection.execute('SELECT ? + 1', [round])
        await connection.commit()
        connection.release()
      }
      const asked = (await rig.view.status('Questions')) - before
      // BEGIN, EXECUTE, COMMIT ten times, one PREPARE; and the counter's own question.
      expect(asked).toBeLessThanOrEqual(32)
      expect(pool.stats().idle).toBe(1)
    })

    it('replaces a session rather than to undo what a listener of connection has set up', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      pool.on('connection', (connection: unknown) => {
        ;(connection as { query(sql: string): void }).query("SET time_zone = '+03:00'")
      })
      expect(await rowOf(pool, 'SELECT @@session.time_zone AS zone')).toEqual({ zone: '+03:00' })
      const connection = await pool.getConnection()
      await connection.query('SET @mine = 1')
      connection.release()
      expect(await rowOf(pool, 'SELECT @@session.time_zone AS zone, @mine AS mine')).toEqual({
        zone: '+03:00',
        mine: null,
      })
      expect(pool.stats().created).toBe(2)
    })

    it('runs onConnect once for every connection, and again after a reset', async () => {
      let runs = 0
      pool = poolOn(rig.server, {
        connectionLimit: 1,
        onConnect: async (connection: mysql.PoolConnection) => {
          runs++
          await connection.query("SET time_zone = '+03:00'")
        },
      })
      for (let round = 0; round < 3; round++) await pool.query('SELECT 1')
      expect(runs).toBe(1)
      const connection = await pool.getConnection()
      await connection.query("SET time_zone = '+04:00'")
      connection.release()
      expect(await rowOf(pool, 'SELECT @@session.time_zone AS zone')).toEqual({ zone: '+03:00' })
      expect({ runs, created: pool.stats().created }).toEqual({ runs: 2, created: 1 })
    })

    it('resets every time, or never, where it is told to', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1, resetOnRelease: true })
      // Which no tracker reports.
      await pool.query('SELECT @mine := 1')
      expect(await rowOf(pool, 'SELECT @mine AS mine')).toEqual({ mine: null })
      expect(pool.stats().created).toBe(1)
      await pool.close()
      pool = poolOn(rig.server, { connectionLimit: 1, resetSession: 'never' })
      await pool.query('SET @mine = 1')
      expect(await rowOf(pool, 'SELECT @mine AS mine')).toEqual({ mine: 1 })
    })

    it('ends a connection whose user was changed', async () => {
      const { user, database: db } = rig.server
      const other = `${user}_other`
      await rig.view.query(`CREATE USER ${other} IDENTIFIED BY 'else'`)
      await rig.view.query(`GRANT SELECT ON ${db}.* TO ${other}`)
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      const id = await idOf(connection)
      await connection.changeUser({ user: other, password: 'else' })
      expect(await rowOf(connection, "SELECT SUBSTRING_INDEX(USER(), '@', 1) AS user")).toEqual({ user: other })
      expect(inspect(connection, { depth: 8, showHidden: true })).not.toContain('else')
      connection.release()
      expect(await rowOf(pool, 'SELECT CURRENT_USER() AS user, DATABASE() AS db')).toEqual({ user: `${user}@%`, db })
      expect(await idOf(pool)).not.toBe(id)
      await rig.view.query(`DROP USER ${other}`)
    })

    it('ends a connection that is given back in the middle of a query, and the query on the server', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      const running = connection.query('SELECT SLEEP(30)').catch((error: unknown) => error)
      await waitFor(() => isRunning('SLEEP(30)'), { what: 'the query runs' })
      connection.release()
      expect((await pool.query('SELECT 1'))[0]).toHaveLength(1)
      expect(await running).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' })
      await waitFor(async () => !(await isRunning('SLEEP(30)')), { what: 'the server works for nobody' })
    })
  })

  describe('errors', () => {
    it('keeps its connection through a hundred SQL errors', async () => {
      pool = poolOn(rig.server, { connectionLimit: 2 })
      if (!isShared) await rig.view.markLogins()
      await pool.query("INSERT INTO items VALUES (7, 'seven')")
      for (let round = 0; round < 50; round++) {
        for (const how of ['query', 'execute'] as const)
          await expect(pool[how as 'query']("INSERT INTO items VALUES (7, 'seven')")).rejects.toMatchObject({
            code: 'ER_DUP_ENTRY',
          })
      }
      await pool.query('DELETE FROM items')
      expect(pool.stats().created).toBe(1)
      if (!isShared) expect(await rig.view.logins()).toBe(1)
    })

    it('does not let a query that timed out reach the next borrower, or go on on the server', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      for (const how of ['query', 'execute'] as const) {
        const slow = { sql: `SELECT SLEEP(20), '${how}'`, timeout: 150 }
        await expect(pool[how as 'query'](slow)).rejects.toMatchObject({ code: 'PROTOCOL_SEQUENCE_TIMEOUT' })
        expect(await rowOf(pool, 'SELECT 2 AS two')).toEqual({ two: 2 })
        await waitFor(async () => !(await isRunning('SLEEP(20)')), { what: 'the timed-out query has ended' })
      }
    })

    it('rejects with the driver’s own error when nobody can connect', async () => {
      pool = poolOn({ config: { ...rig.server.config, port: 1 } })
      await expect(pool.getConnection()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED', pool: { name: 'mysql' } })
    })

    it.each([
      ['a database that is not there', { database: 'no_such_database' }, [1044, 1049]],
      ['a wrong password', { password: 'wrong' }, [1045]],
    ])('rejects at once, with the driver’s own error, for %s', async (_what, config, errnos) => {
      pool = poolOn({ config: { ...rig.server.config, ...config } })
      for (let round = 0; round < 2; round++) {
        const error = (await pool.query('SELECT 1').catch((reason: unknown) => reason)) as { errno: number }
        expect(errnos).toContain(error.errno)
      }
      expect(pool.stats().createErrors).toBe(1)
    })

    it('begins with the phrases that users of mysql2 search for, and says what the pool knows', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1, queueLimit: 1, acquireTimeout: 500 })
      const connection = await pool.getConnection()
      const waiting = pool.query('SELECT 1').catch((reason: unknown) => reason)
      const words = (text: string): unknown => expect.stringMatching(text) as unknown
      await expect(pool.query('SELECT 1')).rejects.toMatchObject({
        code: 'ERR_POOL_OVERLOADED',
        message: words('^Queue limit reached. '),
      })
      expect(await waiting).toMatchObject({
        code: 'ERR_POOL_ACQUIRE_TIMEOUT',
        message: words('^Timeout acquiring a connection: .*total=1 used=1'),
      })
      const ended = pool.end()
      await expect(pool.getConnection()).rejects.toMatchObject({
        code: 'ERR_POOL_CLOSED',
        message: words('^Pool is closed. '),
      })
      connection.release()
      await ended
    })

    it('waits for nobody where it is told not to, but opens what it may', async () => {
      pool = poolOn(rig.server, { connectionLimit: 2, waitForConnections: false })
      const held = await Promise.all([pool.getConnection(), pool.getConnection()])
      const error: unknown = await pool.query('SELECT 1').catch((reason: unknown) => reason)
      expect(PoolError.is(error, 'ERR_POOL_OVERLOADED')).toBe(true)
      expect((error as Error).message).toMatch(/^No connections available\. .*all 2 are in use/)
      await expect(pool.use(() => 1)).rejects.toThrow('No connections available.')
      for (const connection of held) connection.release()
      await pool.query('SELECT 1')
    })
  })

  describe('stale releases', () => {
    it('throws for a second release, and leaves the present borrower alone', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const first = await pool.getConnection()
      first.release()
      const second = await pool.getConnection()
      expect(() => {
        first.release()
      }).toThrow(/^Connection was already released/)
      first.destroy()
      await first.end()
      expect(pool.stats()).toMatchObject({ used: 1, idle: 0, waiting: 0 })
      await second.query('SELECT 1')
      second.release()
    })

    it('refuses whatever a borrower asks whose lease is over', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      connection.release()
      for (const ask of [
        () => connection.query('SELECT 1'),
        () => connection.execute('SELECT 1'),
        () => connection.beginTransaction(),
        () => connection.commit(),
        () => connection.rollback(),
        () => connection.ping(),
        () => connection.prepare('SELECT 1'),
        () => connection.changeUser({}),
      ]) {
        const error: unknown = await ask().catch((reason: unknown) => reason)
        expect(PoolError.is(error, 'ERR_POOL_LEASE_RELEASED')).toBe(true)
      }
    })

    it('keeps quiet where it is asked to, and at the end of a block', async () => {
      pool = poolOn(rig.server)
      {
        await using connection = await pool.getConnection()
        connection.release()
      }
      {
        await using connection = await pool.getConnection()
        await connection.query('SELECT 1')
      }
      expect(pool.stats()).toMatchObject({ idle: 1, used: 0 })
      await pool.close()
      pool = poolOn(rig.server, { onStaleRelease: 'ignore' })
      const connection = await pool.getConnection()
      connection.release()
      connection.release()
      expect(pool.stats()).toMatchObject({ idle: 1, used: 0 })
    })
  })

  describe('connections that the server ends', () => {
    it('raises no uncaught exception for idle and borrowed ones, and goes on', async () => {
      const uncaught = watchUncaught()
      pool = poolOn(rig.server, { connectionLimit: 3 })
      const connections = await Promise.all([1, 2, 3].map(() => pool.getConnection()))
      connections[1]?.release()
      connections[2]?.release()
      expect(await rig.view.terminate()).toBe(3)
      await waitFor(() => pool.stats().idle === 0, { what: 'the idle ones are gone' })
      await expect(connections[0]?.query('SELECT 1')).rejects.toThrow()
      connections[0]?.release()
      expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
      uncaught.stop()
      expect(uncaught.errors).toEqual([])
    })

    it('replaces only the one of many that was ended', async () => {
      pool = poolOn(rig.server, { connectionLimit: 6 })
      const connections = await Promise.all(Array.from({ length: 6 }, () => pool.getConnection()))
      for (const connection of connections) connection.release()
      await rig.view.terminate(connections[0]?.threadId)
      await waitFor(() => pool.stats().idle === 5, { what: 'one is gone' })
      await pool.query('SELECT 1')
      const { total, generation } = pool.stats()
      expect({ total, generation }).toEqual({ total: 5, generation: 0 })
    })

    it('tells whoever reads a stream', async () => {
      const callbacks = callbackPoolOn(rig.server, { connectionLimit: 1 })
      pool = callbacks.promise() as TestPool
      const stream = callbacks.query('SELECT SLEEP(20)').stream()
      const failed = new Promise((resolve) => stream.once('error', resolve))
      await waitFor(() => isRunning('SLEEP(20)'), { what: 'the query runs' })
      await rig.view.terminate()
      expect(await failed).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' })
      await waitFor(() => pool.stats().used === 0, { what: 'the lease is over' })
    })
  })

  describe('ending', () => {
    it('serves those who wait already, and leaves nothing', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const connection = await pool.getConnection()
      const waiting = rowOf(pool, 'SELECT 1 AS one')
      const ended = pool.end()
      connection.release()
      expect(await waiting).toEqual({ one: 1 })
      await ended
      await pool.end()
      expect(pool.stats()).toMatchObject({ state: 'closed', total: 0 })
    })

    it('settles everybody even when a borrower never gives back', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      await pool.getConnection()
      const waiting = pool.query('SELECT 1').catch((error: unknown) => error)
      const report = await pool.close({ timeoutMillis: 100 })
      expect(PoolError.is(await waiting, 'ERR_POOL_CLOSED')).toBe(true)
      expect(report).toMatchObject({ forced: 1, rejected: 1 })
    })

    it.skipIf(isShared)('says goodbye: the server counts no aborted client', async () => {
      pool = poolOn(rig.server, { connectionLimit: 2 })
      await Promise.all([pool.query('SELECT SLEEP(0.02)'), pool.query('SELECT SLEEP(0.02)')])
      const before = await rig.view.status('Aborted_clients')
      await pool.end()
      await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server sees them go' })
      expect(await rig.view.status('Aborted_clients')).toBe(before)
    })
  })

  it('keeps the async context of who awaits the promise module, and of who waits for a connection', async () => {
    pool = poolOn(rig.server, { connectionLimit: 1 })
    const context = new AsyncLocalStorage<number>()
    const seen: string[] = []
    const work = async (number: number): Promise<void> => {
      const note = (what: string): void => void seen.push(`${what}:${context.getStore() === number}`)
      await pool.query('SELECT 1')
      note('query')
      await pool.execute('SELECT 1')
      note('execute')
      await pool.query('SELEC').catch(() => note('error'))
      const connection = await pool.getConnection()
      note('getConnection')
      await connection.beginTransaction()
      await connection.execute('SELECT 1')
      note('borrowed')
      await connection.commit()
      connection.release()
      await pool.transaction(async (inside) => {
        await inside.query('SELECT 1')
        note('transaction')
      })
      note('committed')
      for await (const _row of pool.pool.query('SELECT 1 UNION SELECT 2').stream()) note('row')
    }
    await Promise.all([1, 2, 3, 4].map((number) => context.run(number, () => work(number))))
    expect(seen.filter((each) => each.endsWith('false'))).toEqual([])
    expect(seen).toHaveLength(4 * 9)
  })

  it('keeps every caller’s async context: promises, callbacks, events and streams', async () => {
    const callbacks: CallbackPool = callbackPoolOn(rig.server, { connectionLimit: 1 })
    pool = callbacks.promise() as TestPool
    const context = new AsyncLocalStorage<number>()
    const seen: string[] = []
    await Promise.all(
      [1, 2, 3, 4].map((number) =>
        context.run(number, async () => {
          const note = (what: string): void => {
            seen.push(`${what}:${context.getStore() === number}`)
          }
          await pool.query('SELECT 1')
          note('query')
          await pool.execute('SELECT 1')
          note('execute')
          const connection = await pool.getConnection()
          note('getConnection')
          await connection.query('SELECT 1')
          connection.release()
          await pool.use(async (used) => {
            note('use')
            await used.query('SELECT 1')
          })
          await new Promise<void>((resolve) => {
            callbacks.query('SELECT 1', () => {
              note('query callback')
              resolve()
            })
          })
          await new Promise<void>((resolve) => {
            callbacks.execute('SELECT 1', () => {
              note('execute callback')
              resolve()
            })
          })
          await new Promise<void>((resolve) => {
            callbacks.getConnection((_error, borrowed) => {
              note('getConnection callback')
              borrowed.query('SELECT 1', () => {
                note('borrowed callback')
                borrowed.beginTransaction(() => {
                  note('begin callback')
                  borrowed.release()
                  resolve()
                })
              })
            })
          })
          await new Promise<void>((resolve) => {
            callbacks
              .query('SELECT 1')
              .on('result', () => {
                note('result event')
              })
              .on('end', () => {
                note('end event')
                resolve()
              })
          })
          for await (const _row of callbacks.query('SELECT 1 UNION SELECT 2').stream()) note('stream row')
          await new Promise<void>((resolve) => {
            callbacks
              .query('SELECT 1')
              .stream()
              .on('data', () => {
                note('stream data')
              })
              .on('end', () => {
                note('stream end')
                resolve()
              })
          })
        }),
      ),
    )
    expect(seen).toHaveLength(4 * 15)
    expect(seen.filter((line) => !line.endsWith('true'))).toEqual([])
  })

  it('shows no password, however it is looked at', async () => {
    const shy = `${rig.server.user}_shy`
    await rig.view.query(`CREATE USER ${shy} IDENTIFIED BY 'very-secret-word'`)
    const callbacks = callbackPoolOn({
      config: { uri: `mysql://${shy}:very-secret-word@${rig.server.host}:${rig.server.port}` },
    })
    pool = callbacks.promise() as TestPool
    const connection = await pool.getConnection()
    const stream = callbacks.query('SELECT 1')
    await new Promise((resolve) => stream.once('end', resolve))
    const looked = [pool, callbacks, connection, pool.core, callbacks.config, connection.config, stream, pool.stats()]
    const shown = looked.map((each) => inspect(each, { depth: 8 })).join('\n')
    expect(shown).not.toContain('very-secret-word')
    const written = JSON.stringify([callbacks.config, connection.config], (key, value: unknown) =>
      key === 'pool' ? undefined : value,
    )
    expect(written).not.toContain('very-secret-word')
    connection.release()
    await rig.view.query(`DROP USER ${shy}`)
    expect(() => poolOn({ config: { uri: 'not a url with very-secret-word' } })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('very-secret-word') as string }) as Error,
    )
  })

  describe('transaction', () => {
    it('commits, and rolls back with the callback’s own error', async () => {
      pool = poolOn(rig.server)
      await pool.transaction(async (connection) => await connection.query("INSERT INTO items VALUES (20, 'twenty')"))
      const reason = new Error('changed my mind')
      const failing = pool.transaction(async (connection) => {
        await connection.query("INSERT INTO items VALUES (21, 'twenty-one')")
        throw reason
      })
      await expect(failing).rejects.toBe(reason)
      expect((await pool.query('SELECT id FROM items'))[0]).toEqual([{ id: 20 }])
      await pool.query('DELETE FROM items')
    })

    it('has the isolation level and the access that it asks for, for itself alone', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const failing = pool.transaction(
        async (connection) => await connection.query("INSERT INTO items VALUES (22, 'never')"),
        { readOnly: true, isolation: 'serializable' },
      )
      await expect(failing).rejects.toMatchObject({ errno: 1792 })
      await pool.transaction(async (connection) => await connection.query("INSERT INTO items VALUES (22, 'here')"))
      await pool.query('DELETE FROM items')
      expect(pool.stats().created).toBe(1)
    })

    it('keeps the original error when even the rollback fails', async () => {
      pool = poolOn(rig.server)
      const failing = pool.transaction(async (connection) => {
        await rig.view.terminate(connection.threadId)
        await connection.query('SELECT 1')
      })
      await expect(failing).rejects.toThrow(/Connection lost|closed state|ECONNRESET|EPIPE|ended by the other party/)
    })

    /** Two transactions lock two rows in opposite order; `second` is what the victim does. */
    async function collide(retries: number, swallow: boolean): Promise<PromiseSettledResult<number>[]> {
      await pool.query("REPLACE INTO items VALUES (30, 'a'), (31, 'b')")
      let arrived = 0
      let meet: () => void = () => undefined
      const both = new Promise<void>((resolve) => {
        meet = resolve
      })
      const one = async (first: number, second: number): Promise<number> =>
        await pool.transaction(
          async (connection) => {
            await connection.query("UPDATE items SET name = CONCAT(name, 'x') WHERE id = ?", [first])
            if (++arrived === 2) meet()
            await both
            const update = connection.query("UPDATE items SET name = CONCAT(name, 'x') WHERE id = ?", [second])
            await (swallow ? update.catch(() => undefined) : update)
            return first
          },
          { retries },
        )
      const settled = await Promise.allSettled([one(30, 31), one(31, 30)])
      return settled
    }

    it('runs again after a deadlock', async () => {
      pool = poolOn(rig.server)
      expect((await collide(0, false)).map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      expect(await collide(3, false)).toEqual([
        { status: 'fulfilled', value: 30 },
        { status: 'fulfilled', value: 31 },
      ])
      expect((await pool.query('SELECT name FROM items ORDER BY id'))[0]).toEqual([{ name: 'axx' }, { name: 'bxx' }])
      await pool.query('DELETE FROM items')
    })

    it('tells when a deadlock was swallowed, instead of pretending to have committed', async () => {
      pool = poolOn(rig.server)
      const settled = await collide(0, true)
      const reasons = settled.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
      expect(reasons).toEqual([expect.stringMatching(/TransactionRolledBackError: The transaction was rolled back/)])
      await pool.query('DELETE FROM items')
    })

    it('runs again after a lock wait that took too long', async () => {
      pool = poolOn(rig.server)
      await pool.query("INSERT INTO items VALUES (40, 'held')")
      const holder = await pool.getConnection()
      await holder.beginTransaction()
      await holder.query("UPDATE items SET name = 'mine' WHERE id = 40")
      let runs = 0
      const done = pool.transaction(
        async (connection) => {
          if (++runs === 2) {
            await holder.rollback()
            holder.release()
          }
          await connection.query('SET SESSION innodb_lock_wait_timeout = 1')
          await connection.query("UPDATE items SET name = 'theirs' WHERE id = 40")
        },
        { retries: 1 },
      )
      await done
      expect(runs).toBe(2)
      expect((await pool.query('SELECT name FROM items'))[0]).toEqual([{ name: 'theirs' }])
      await pool.query('DELETE FROM items')
    })

    it('says nothing more on a connection that its callback has given back', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      let next: Awaited<ReturnType<typeof pool.getConnection>> | undefined
      const failing = pool.transaction(async (connection) => {
        connection.release()
        next = await pool.getConnection()
        await next.beginTransaction()
        await next.query("INSERT INTO items VALUES (50, 'theirs')")
      })
      await expect(failing).rejects.toMatchObject({ code: 'ERR_POOL_LEASE_RELEASED' })
      await next?.rollback()
      expect((await next?.query('SELECT * FROM items'))?.[0]).toEqual([])
      next?.release()
    })

    it('waits no longer than it is told, and not at all once its signal is aborted', async () => {
      pool = poolOn(rig.server, { connectionLimit: 1 })
      const held = await pool.getConnection()
      await expect(pool.transaction(() => 1, { timeoutMillis: 30, label: 'checkout' })).rejects.toMatchObject({
        code: 'ERR_POOL_ACQUIRE_TIMEOUT',
      })
      const reason = new Error('gone')
      await expect(pool.use(() => 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      held.release()
    })
  })
})
