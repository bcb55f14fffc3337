import { once } from 'node:events'
import { Readable } from 'node:stream'
import { tracingChannel } from 'node:diagnostics_channel'
import mysql2 from 'mysql2'
import mysql from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { mysqlDriver, mysqlPool } from 'millpond/mysql'
import {
  callbackPoolOn,
  describeMysql,
  idOf,
  isShared,
  numbersTo,
  poolOn,
  rowOf,
  startServer,
  type CallbackPool,
  type TestPool,
} from '../support/mysql.ts'
import { expectSteered } from '../support/steering.ts'

describeMysql('the surface of mysql2’s pools', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  const open: { close(): Promise<unknown> }[] = []

  beforeAll(async () => {
    rig = await startServer()
    await using setup = poolOn(rig.server)
    await setup.query('CREATE TABLE loaded (id int PRIMARY KEY, text varchar(20))')
  })
  afterAll(async () => {
    await rig.stop()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((pool) => pool.close()))
  })

  const promises = (options?: Parameters<typeof poolOn>[1]): TestPool => {
    const pool = poolOn(rig.server, options)
    open.push(pool)
    return pool
  }
  const callbacks = (options?: Parameters<typeof callbackPoolOn>[1]): CallbackPool => {
    const pool = callbackPoolOn(rig.server, options)
    open.push(pool)
    return pool
  }

  it('is steered from the dashboard', async () => {
    const pool = promises({ connectionLimit: 2 })
    await expectSteered({ pool, use: () => pool.query('SELECT 1'), hold: () => pool.query('SELECT SLEEP(60)') })
  })

  it('is that of the module that was handed in, with real subclasses of its own classes', async () => {
    const promise = promises()
    const callback = callbacks()
    expect(callback).toBeInstanceOf((mysql2.createPool({}) as object).constructor)
    expect(promise.pool).toBeInstanceOf((mysql2.createPool({}) as object).constructor)
    expect(promise).toBeInstanceOf((mysql.createPool({}) as object).constructor)
    expect(callback.promise()).toBeInstanceOf((mysql.createPool({}) as object).constructor)
    const connection = await promise.getConnection()
    expect(connection.constructor.name).toBe('PromisePoolConnection')
    expect(connection.connection).toBeInstanceOf((mysql2 as unknown as { Connection: new () => object }).Connection)
    expect(connection.threadId).toBe(await idOf(connection))
    connection.release()
  })

  it('takes a URL, with pool options in it', async () => {
    const pool = mysqlPool(mysql, `${rig.server.uri}?connectionLimit=3&queueLimit=7&acquireTimeout=1500`)
    open.push(pool)
    expect(await rowOf(pool, 'SELECT DATABASE() AS name')).toEqual({ name: rig.server.database })
    expect(pool.stats().max).toBe(3)
    expect((pool.pool as unknown as { config: object }).config).toMatchObject({ connectionLimit: 3, queueLimit: 7 })
  })

  it('has no acquire and release missing from its events, hand-offs included', async () => {
    const pool = promises({ connectionLimit: 1 })
    const heard: string[] = []
    for (const event of ['connection', 'acquire', 'release', 'enqueue'])
      pool.on(event as 'acquire', (connection) => heard.push(`${event} ${connection?.threadId !== undefined}`))
    const direct: string[] = []
    pool.pool.on('acquire', () => direct.push('acquire'))
    await Promise.all([1, 2, 3, 4].map(() => pool.query('SELECT 1')))
    const count = (event: string): number => heard.filter((each) => each.startsWith(event)).length
    expect(count('connection')).toBe(1)
    expect(count('acquire')).toBe(4)
    expect(count('release')).toBe(4)
    expect(count('enqueue')).toBe(3)
    expect(heard.filter((each) => each.startsWith('enqueue'))).toEqual(Array(3).fill('enqueue false'))
    expect(heard.indexOf('connection true')).toBeLessThan(heard.indexOf('acquire true'))
    expect(direct).toHaveLength(4)
  })

  it('strands nobody when a listener throws', async () => {
    const pool = promises({ connectionLimit: 1 })
    const warned = once(process, 'warning')
    pool.on('acquire', () => {
      throw new Error('listener')
    })
    expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
    expect(String(await warned)).toContain("a listener of 'acquire' threw")
    expect(pool.stats().used).toBe(0)
  })

  it('escapes and formats', () => {
    for (const pool of [promises(), callbacks()]) {
      expect(pool.escape("it's")).toBe("'it\\'s'")
      expect(pool.escapeId('a`b')).toBe('`a``b`')
      expect(pool.format('SELECT ?, ??', [1, 'id'])).toBe('SELECT 1, `id`')
    }
  })

  it('resolves named placeholders, in query and execute, of the pool and of a connection', async () => {
    const pool = promises({ namedPlaceholders: true })
    const connection = await pool.getConnection()
    for (const asked of [pool, connection]) {
      expect((await asked.query('SELECT :a + :b AS sum', { a: 1, b: 2 }))[0]).toEqual([{ sum: 3 }])
      expect((await asked.execute('SELECT :a AS text', { a: 'x' }))[0]).toEqual([{ text: 'x' }])
    }
    connection.release()
  })

  it('runs several statements at once, and stays in step with their replies', async () => {
    const pool = promises({ multipleStatements: true, connectionLimit: 1 })
    const [results] = await pool.query('SELECT 1 AS one; SET @mine = 2; SELECT @mine AS mine')
    expect(results).toMatchObject([[{ one: 1 }], { affectedRows: 0 }, [{ mine: 2 }]])
    expect(await rowOf(pool, 'SELECT @mine AS mine')).toEqual({ mine: null })
    await expect(pool.query('SELECT 1; SELECT nonsense; SELECT 3')).rejects.toMatchObject({ errno: 1054 })
    expect(await rowOf(pool, 'SELECT 4 AS four')).toEqual({ four: 4 })
    expect(pool.stats().created).toBe(1)
  })

  it('streams rows of the pool, to the end and broken off, and gives the connection back', async () => {
    const pool = callbacks({ connectionLimit: 1 })
    const numbers = numbersTo(20_000)
    let count = 0
    for await (const _row of pool.query(numbers).stream({ highWaterMark: 5 })) count++
    expect(count).toBe(20_000)
    for await (const _row of pool.query(numbers).stream({ highWaterMark: 5 })) if (--count < 19_990) break
    await waitFor(() => pool.stats().used === 0, { what: 'the connection is back' })
    await expect(
      (async () => {
        for await (const _row of pool.query('SELECT nonsense').stream());
      })(),
    ).rejects.toMatchObject({ errno: 1054 })
    await waitFor(() => pool.stats().used === 0, { what: 'the connection is back' })
    expect(pool.stats().created).toBe(1)
  })

  it('loads local data', async () => {
    const pool = promises({ connectionLimit: 1 })
    const load = {
      sql: "LOAD DATA LOCAL INFILE 'lines' INTO TABLE loaded FIELDS TERMINATED BY ','",
      infileStreamFactory: () => Readable.from([Buffer.from('1,one\n2,two\n')]),
    }
    const [result] = await pool.query(load as never)
    expect(result).toMatchObject({ affectedRows: 2 })
    const connection = await pool.getConnection()
    await connection.beginTransaction()
    await connection.query('DELETE FROM loaded')
    await connection.query(load as never)
    connection.release()
    expect((await pool.query('SELECT text FROM loaded ORDER BY id'))[0]).toEqual([{ text: 'one' }, { text: 'two' }])
    expect(pool.stats().created).toBe(1)
  })

  it('calls back, with the driver’s arguments', async () => {
    const pool = callbacks({ connectionLimit: 1 })
    const [error, rows, fields] = await new Promise<unknown[]>((resolve) => {
      pool.query('SELECT ? AS a', [1], (...args) => {
        resolve(args)
      })
    })
    expect([error, rows]).toEqual([null, [{ a: 1 }]])
    expect(fields).toMatchObject([{ name: 'a' }])
    const executed = await new Promise<unknown[]>((resolve) => {
      pool.execute('SELECT 2 AS b', (...args) => {
        resolve(args)
      })
    })
    expect(executed.slice(0, 2)).toEqual([null, [{ b: 2 }]])
    const failed = await new Promise<unknown[]>((resolve) => {
      pool.query('SELECT nonsense', (...args) => {
        resolve(args)
      })
    })
    expect(failed[0]).toMatchObject({ errno: 1054, sql: 'SELECT nonsense' })
    // A callback that asks again at once, inside the one of an error, finds the connection free.
    const again = await new Promise((resolve) => {
      pool.query('SELECT nonsense', () => {
        pool.query('SELECT 5 AS five', (_error, found) => {
          resolve(found)
        })
      })
    })
    expect(again).toEqual([{ five: 5 }])
    expect(pool.stats().created).toBe(1)
    await expect(
      new Promise((_resolve, reject) => pool.execute('SELECT ?', [undefined as never], reject)),
    ).rejects.toThrow('undefined')
    expect(pool.stats().used).toBe(0)
    const ended = await new Promise((resolve) => {
      pool.end((...args) => {
        resolve(args)
      })
    })
    expect(ended).toEqual([])
  })

  it('gives a connection back by either name, in either face', async () => {
    const pool = promises({ connectionLimit: 1 })
    pool.releaseConnection(await pool.getConnection())
    const connection = await pool.getConnection()
    await connection.end()
    expect(pool.stats()).toMatchObject({ used: 0, idle: 1 })
    const other = callbacks({ connectionLimit: 1 })
    await new Promise<void>((resolve) => {
      other.getConnection((_error, borrowed) => {
        other.releaseConnection(borrowed)
        resolve()
      })
    })
    expect(other.stats()).toMatchObject({ used: 0, idle: 1 })
    const last = await other.promise().getConnection()
    last.destroy()
    await waitFor(() => other.stats().total === 0, { what: 'the connection is gone' })
  })

  it.skipIf(isShared)('keeps no more statements prepared than it is told, and forgets them with a reset', async () => {
    const pool = promises({ connectionLimit: 1, maxPreparedStatements: 10 })
    for (let number = 0; number < 40; number++) await pool.execute(`SELECT ${number} + ?`, [1])
    await waitFor(async () => (await rig.view.status('Prepared_stmt_count')) <= 10, { what: 'ten are left' })
    const connection = await pool.getConnection()
    await connection.query('SET @mine = 1')
    connection.release()
    expect((await pool.execute('SELECT 39 + ? AS found', [1]))[0]).toMatchObject([{ found: 40 }])
    expect(pool.stats().created).toBe(1)
    const shared = promises({ connectionLimit: 20 })
    expect((shared.pool as unknown as { config: { connectionConfig: object } }).config.connectionConfig).toMatchObject({
      maxPreparedStatements: 800,
    })
  })

  it('keeps no more idle than `maxIdle`, and nothing longer than `idleTimeout`', async () => {
    const few = promises({ connectionLimit: 4, maxIdle: 1 })
    const short = promises({ connectionLimit: 4, idleTimeout: 200 })
    for (const pool of [few, short]) {
      const held = await Promise.all([1, 2, 3, 4].map(() => pool.getConnection()))
      for (const connection of held) connection.release()
      expect(pool.stats().idle).toBe(4)
    }
    await waitFor(() => few.stats().idle === 1, { what: 'one is kept' })
    await waitFor(() => short.stats().idle === 0, { what: 'none is kept' })
    const { _allConnections: all } = few.pool as unknown as { _allConnections: { length: number } }
    await waitFor(() => all.length === 1, { what: 'the others have said goodbye' })
  })

  it('asks a function for the password, once for connects under way together', async () => {
    const asked: number[] = []
    const password = async ({ attempt }: { attempt: number }): Promise<string> => {
      asked.push(attempt)
      await sleep(1)
      return asked.length === 1 ? 'stale token' : rig.server.password
    }
    const pool = promises({ connectionLimit: 3, password, failFastWhenDown: true })
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ errno: 1045 })
    await waitFor(async () => (await pool.query('SELECT 1').catch(() => false)) !== false, {
      what: 'the fresh one works',
    })
    await Promise.all([1, 2, 3].map(() => pool.query('SELECT SLEEP(0.05)')))
    expect(asked.slice(0, 2)).toEqual([1, 2])
    expect(asked.length).toBeLessThanOrEqual(5)
  })

  it('announces slow statements, by their shape and never their values', async () => {
    const pool = promises({ slowMillis: 40 })
    const slow: { operation: string; failed: boolean; label?: string | undefined }[] = []
    pool.core.on('slow', (event) => slow.push(event))
    await pool.query('SELECT SLEEP(?)', [0.05])
    await pool.execute('SELECT SLEEP(?)', [0.06])
    await pool.query('SELECT 1')
    await pool.use(async (connection) => await connection.query("SELECT SLEEP(0.07), 'my secret'"), { label: 'report' })
    await waitFor(() => slow.length === 3, { what: 'three are told' })
    expect(slow.map(({ operation }) => operation)).toEqual(
      expect.arrayContaining([expect.stringContaining('SLEEP(?)')]),
    )
    expect(slow[2]).toMatchObject({ label: 'report', failed: false })
    expect(JSON.stringify(slow)).not.toContain('my secret')
  })

  it('lets tracers see waits and statements on the driver’s own channels', async () => {
    const seen: string[] = []
    const subscribe = (name: string): (() => void) => {
      const channel = tracingChannel(name)
      const handlers = {
        asyncEnd: (context: object) => seen.push(`${name} ${(context as { serverPort: number }).serverPort}`),
      }
      channel.subscribe(handlers as never)
      return () => channel.unsubscribe(handlers as never)
    }
    const stops = ['mysql2:pool:connect', 'mysql2:query', 'mysql2:execute'].map(subscribe)
    const pool = promises()
    await pool.query('SELECT 1')
    await pool.execute('SELECT 1')
    for (const stop of stops) stop()
    const { port } = rig.server
    for (const name of ['mysql2:pool:connect', 'mysql2:query', 'mysql2:execute'])
      expect(seen).toContain(`${name} ${port}`)
  })

  it('comes from a driver module whose createPool is ours', async () => {
    const driver = mysqlDriver(mysql, { name: 'from a driver' })
    const pool = driver.createPool({ ...rig.server.config, connectionLimit: undefined as never }) as TestPool
    open.push(pool)
    expect(pool.name).toBe('from a driver')
    expect(driver.createConnection).toBe(mysql.createConnection)
    expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
  })

  it('lets the process end by itself once it is closed', async () => {
    const { spawn } = await import('node:child_process')
    const { fileURLToPath } = await import('node:url')
    const script = fileURLToPath(new URL('../support/mysql-exit-program.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script], {
      env: { ...process.env, DATABASE_URL: rig.server.uri },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
  })
})

describe('options of a MySQL pool', () => {
  const make = (options: object | string) => () => mysqlPool(mysql, options as never)

  it('refuse wrong numbers, misspelt names, and two names for one thing', () => {
    expect(make({ connectionLimit: 'many' })).toThrow(
      "Expected `connectionLimit` to be an integer ≥ 0 or Infinity, got 'many' (string)",
    )
    expect(make({ acquireTimout: 5 })).toThrow('did you mean `acquireTimeout`?')
    expect(make({ conectionLimit: 5 })).toThrow('did you mean `connectionLimit`?')
    expect(make({ min: 5, connectionLimit: 2 })).toThrow('at most `max`')
    expect(make({ hooks: {} })).toThrow('use `onConnect`')
    for (const [driver, ours] of [
      ['connectionLimit', 'max'],
      ['queueLimit', 'maxWaiting'],
      ['idleTimeout', 'idleTimeoutMillis'],
      ['acquireTimeout', 'acquireTimeoutMillis'],
      ['connectTimeout', 'createTimeoutMillis'],
    ] as const)
      expect(make({ [driver]: 1, [ours]: 1 })).toThrow('two names for one thing')
  })

  it('keep the driver’s meaning, and its defaults where they are bounded', async () => {
    const config = (pool: object): object => (pool as { pool: { config: object } }).pool.config
    await using plain = mysqlPool(mysql)
    expect(plain.stats().max).toBe(10)
    expect(config(plain)).toMatchObject({
      connectionLimit: 10,
      maxIdle: 10,
      idleTimeout: 60_000,
      waitForConnections: true,
      connectionConfig: {
        connectTimeout: 10_000,
        enableKeepAlive: true,
        keepAliveInitialDelay: 30_000,
        maxPreparedStatements: 1_600,
      },
    })
    await using unlimited = mysqlPool(mysql, {
      connectionLimit: 0,
      queueLimit: 0,
      acquireTimeout: 0,
      connectTimeout: 0,
    })
    expect(unlimited.stats().max).toBe(Infinity)
    expect(config(unlimited)).toMatchObject({
      connectionLimit: 0,
      queueLimit: 0,
      connectionConfig: { connectTimeout: 0 },
    })
  })

  it('are kept from the driver, which would warn of them', async () => {
    const complaints: unknown[] = []
    const { error } = console
    console.error = (...args: unknown[]) => complaints.push(args)
    try {
      await using _pool = mysqlPool(mysql, {
        acquireTimeout: 5,
        min: 0,
        leakThresholdMillis: 5_000,
        resetSession: 'auto',
        name: 'x',
      })
    } finally {
      console.error = error
    }
    expect(complaints).toEqual([])
  })
})
