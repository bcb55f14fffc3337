import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import Cursor from 'pg-cursor'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import QueryStream from 'pg-query-stream'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import type { SlowOperation } from 'millpond'
import { pgDriver, pgPool } from 'millpond/pg'
import { expectSteered } from '../support/steering.ts'
import { describePostgres, pidOf, poolOn, startServer, type TestPool } from '../support/pg.ts'

describePostgres('a borrowed client', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool
  beforeAll(async () => {
    rig = await startServer()
  })
  afterAll(async () => {
    await rig.stop()
  })
  afterEach(async () => {
    await pool.close({ timeoutMillis: 500 })
  })

  it('is the driver’s client to whoever looks at it', async () => {
    pool = poolOn(rig.server)
    expect(pool).toBeInstanceOf(pg.Pool)
    expect(pool.constructor.name).toContain('Pool')
    const client = await pool.connect()
    expect(client).toBeInstanceOf(pg.Client)
    expect(client.constructor).toBe(pg.Client)
    expect((client as unknown as { processID: number }).processID).toBe(await pidOf(client))
    expect('host' in client && 'query' in client).toBe(true)
    expect(client.escapeIdentifier('a"b')).toBe('"a""b"')
    expect(client.on('notice', () => undefined)).toBe(client)
    client.release()
  })

  it('is steered from the dashboard', async () => {
    pool = poolOn(rig.server, { max: 2 })
    const hold = (): Promise<unknown> => pool.query('SELECT pg_sleep(60)')
    await expectSteered({ pool, use: () => pool.query('SELECT 1'), hold })
  })

  it('takes marks of libraries through to the connection, and wrappers of its methods for itself alone', async () => {
    pool = poolOn(rig.server, { max: 1 })
    const first = await pool.connect()
    const marked = first as unknown as Record<string, unknown>
    marked['__mark'] = 'here'
    const texts: unknown[] = []
    const query = first.query.bind(first) as (...args: unknown[]) => unknown
    first.query = ((...args: unknown[]) => {
      texts.push(args[0])
      return query(...args)
    }) as never
    await first.query('SELECT 1')
    first.release()
    const second = await pool.connect()
    await second.query('SELECT 2')
    expect(texts).toEqual(['SELECT 1'])
    expect((second as unknown as Record<string, unknown>)['__mark']).toBe('here')
    second.release()
  })

  it('gives a failed query the stack of whoever asked for it', async () => {
    pool = poolOn(rig.server, { max: 1 })
    const asking = async (): Promise<unknown> => await pool.query('SELEC 1')
    const errors = await Promise.all([asking(), asking()].map((asked) => asked.catch((error: unknown) => error)))
    for (const error of errors) {
      expect(error).toMatchObject({ code: '42601' })
      expect((error as Error).stack).toContain('pg-surface.test.ts')
    }
  })

  it('leaves the configuration of a query as it is, however often it is used', async () => {
    pool = poolOn(rig.server, { max: 2 })
    const query = { text: 'SELECT $1::int AS n', values: [1] }
    const results = await Promise.all([1, 2, 3].map(() => pool.query<{ n: number }>(query)))
    expect(results.map(({ rows }) => rows[0]?.n)).toEqual([1, 1, 1])
    expect(Object.keys(query)).toEqual(['text', 'values'])
    await pool.use(async (client) => {
      expect((await client.query<{ n: number }>(query)).rows).toEqual([{ n: 1 }])
    })
  })

  it('runs cursors, and is ended when one is left open', async () => {
    pool = poolOn(rig.server, { max: 1 })
    const client = await pool.connect()
    const cursor = client.query(new Cursor<{ n: number }>('SELECT n FROM generate_series(1, 10) AS n'))
    expect(await cursor.read(3)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    await cursor.close()
    client.release()
    const again = await pool.connect()
    expect(pool.stats().created).toBe(1)
    await again.query(new Cursor('SELECT generate_series(1, 10)')).read(1)
    again.release()
    await pool.query('SELECT 1')
    expect(pool.stats().created).toBe(2)
  })

  it('streams rows', async () => {
    pool = poolOn(rig.server, { max: 1 })
    const client = await pool.connect()
    const numbers: number[] = []
    for await (const row of client.query(new QueryStream('SELECT n FROM generate_series(1, 250) AS n'))) {
      numbers.push((row as { n: number }).n)
    }
    client.release()
    expect(numbers).toHaveLength(250)
    expect(pool.stats().idle).toBe(1)
  })

  it('copies in and out', async () => {
    pool = poolOn(rig.server, { max: 1 })
    await pool.use(async (client) => {
      await client.query('CREATE TABLE copied (id int, name text)')
      await pipeline(Readable.from(['1\tone\n', '2\ttwo\n']), client.query(copyFrom('COPY copied FROM STDIN')))
      const chunks: Buffer[] = []
      for await (const chunk of client.query(copyTo('COPY copied TO STDOUT'))) chunks.push(chunk as Buffer)
      expect(Buffer.concat(chunks).toString()).toBe('1\tone\n2\ttwo\n')
      await client.query('DROP TABLE copied')
    })
    expect(pool.stats().total).toBe(1)
  })

  it('hears notifications', async () => {
    pool = poolOn(rig.server, { max: 2 })
    const listener = await pool.connect()
    await listener.query('LISTEN news')
    const heard = once(listener, 'notification')
    await pool.query("SELECT pg_notify('news', 'hello')")
    const [message] = (await heard) as [{ payload: string }]
    expect(message.payload).toBe('hello')
    listener.release()
  })

  it('is no leak while it listens', async () => {
    pool = poolOn(rig.server, { leakThresholdMillis: 400 })
    const leaks: unknown[] = []
    pool.core.on('leak', (leak) => leaks.push(leak.label))
    const [listener, other] = [await pool.connect(), await pool.connect()]
    await listener.query('LISTEN news')
    await waitFor(() => leaks.length > 0, { what: 'the leak is reported' })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(leaks).toHaveLength(1)
    listener.release()
    other.release()
  })

  it('is one stable object per connection with compat strict', async () => {
    pool = poolOn(rig.server, { max: 1, compat: 'strict' })
    const first = await pool.connect()
    first.release()
    const second = await pool.connect()
    expect(second).toBe(first)
    const failure = (await second.query('SELECT nonsense').catch((error: unknown) => error)) as Error
    second.release(failure)
    await pool.query('SELECT 1')
    expect(pool.stats().created).toBe(2)
  })

  it('announces slow queries by their fingerprint, with the wait and the label', async () => {
    pool = poolOn(rig.server, { max: 1, slowMillis: 500 })
    const slow: SlowOperation[] = []
    pool.core.on('slow', (operation) => slow.push(operation))
    await pool.use((client) => client.query("SELECT pg_sleep(0.51), 'secret'"), { label: 'report' })
    await pool.query('SELECT 1')
    const failing = pool.use((client) => client.query('SELECT pg_sleep(0.51); SELECT 1 / 0'))
    const queued = pool.query({ name: 'waits', text: 'SELECT 2 AS waited' })
    await expect(failing).rejects.toThrow('division by zero')
    await queued
    await new Promise<void>((resolve, reject) => {
      pool.connect((error, client, release) => {
        client?.query('SELECT pg_sleep(0.51) AS "With callback"', () => {
          release()
          resolve()
        })
        if (error) reject(error)
      })
    })
    expect(slow).toMatchObject([
      { operation: 'SELECT pg_sleep(?), ?', label: 'report', waitMillis: 0, failed: false },
      { operation: 'SELECT pg_sleep(?); SELECT ? / ?', label: undefined, failed: true },
      { operation: 'SELECT ? AS waited', failed: false },
      { operation: 'SELECT pg_sleep(?) AS "With callback"', failed: false },
    ])
    expect(slow[0]?.useMillis).toBeGreaterThanOrEqual(500)
    expect(slow[2]?.waitMillis).toBeGreaterThanOrEqual(490)
    expect(slow[2]?.useMillis).toBeLessThan(slow[2]?.waitMillis ?? 0)
  })

  it('is told its password by a function, once for connects under way together, and again after it was wrong', async () => {
    const server = await startServer({ auth: 'scram-sha-256', password: 'right' })
    const asked: unknown[] = []
    pool = pgPool(pg, {
      ...server.server.config,
      max: 3,
      password: ((_parameters: unknown, context: { attempt: number }) => {
        asked.push(context.attempt)
        return Promise.resolve(asked.length === 1 ? 'wrong' : 'right')
      }) as never,
    })
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '28P01' })
    await new Promise((resolve) => setTimeout(resolve, 250))
    await Promise.all([1, 2, 3].map(() => pool.query('SELECT pg_sleep(0.05)')))
    expect(asked[0]).toBe(1)
    expect(asked[1]).toBe(2)
    expect(asked.length).toBeLessThanOrEqual(4)
    await pool.close()
    await server.stop()
  })

  it('comes from a driver module whose Pool is ours', async () => {
    const driver = pgDriver(pg, { name: 'from a driver' })
    pool = new driver.Pool({ ...rig.server.config, max: undefined }) as TestPool
    expect(pool).toBeInstanceOf(pg.Pool)
    expect(pool.name).toBe('from a driver')
    expect(driver.Client).toBe(pg.Client)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

describePostgres('options of a PostgreSQL pool', () => {
  const make = (options: object) => () => pgPool(pg, options as never)

  it('refuse wrong numbers, misspelt names, and two names for one thing', () => {
    expect(make({ max: 'abc' })).toThrow("Expected `max` to be an integer ≥ 0, got 'abc' (string)")
    expect(make({ idleTimoutMillis: 5 })).toThrow('did you mean `idleTimeoutMillis`?')
    expect(make({ connectionTimeoutMillis: 1, acquireTimeoutMillis: 2 })).toThrow('two names for one thing')
    expect(make({ min: 5, max: 2 })).toThrow('at most `max`')
    expect(make({ hosts: [] })).toThrow('`hosts`')
  })

  it('keep the driver’s meaning and its defaults where they are bounded', async () => {
    const pool = pgPool(pg, { max: 0, connectionTimeoutMillis: 0, idleTimeoutMillis: 0, application_name: 'foreign' })
    expect(pool.options.max).toBe(10)
    expect(pool.stats().max).toBe(10)
    await pool.end()
  })
})
