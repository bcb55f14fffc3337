import { spawn } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { startPostgres, type PostgresServer } from '@millpond/rig'
import { pgPool } from 'millpond/pg'
import { describePostgres, postgresMajor } from '../support/pg.ts'
import { program } from '../support/program.ts'

/** Everyday programs made for `pg`: only the constructor's line is another. */
describePostgres('a program made for pg', () => {
  let server: PostgresServer
  let pool: pg.Pool

  beforeAll(async () => {
    server = await startPostgres({ major: postgresMajor })
    await using setup = pgPool(pg, server.config)
    await setup.query(`CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE NOT NULL);
      CREATE TABLE orders (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, total numeric NOT NULL CHECK (total >= 0));`)
  })
  afterAll(async () => {
    await server.stop()
  })
  beforeEach(async () => {
    pool = pgPool(pg, {
      host: server.host,
      port: server.port,
      database: server.database,
      user: server.user,
      password: server.password,
      max: 20,
      min: 2,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: 2_000,
      maxUses: 7_500,
    })
    await pool.query('TRUNCATE users, orders RESTART IDENTITY')
    return async () => {
      if (!pool.ending) await pool.end()
    }
  })

  async function createUserWithOrder(user: { name: string; email: string }, order: { total: number }): Promise<number> {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const inserted = await client.query<{ id: number }>(
        'INSERT INTO users (name, email) VALUES ($1, $2) RETURNING id',
        [user.name, user.email],
      )
      const id = inserted.rows[0]?.id as number
      await client.query('INSERT INTO orders (user_id, total) VALUES ($1, $2)', [id, order.total])
      await client.query('COMMIT')
      return id
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  }

  it('asks with a borrowed client and gives it back', async () => {
    await createUserWithOrder({ name: 'Ada', email: 'ada@example.org' }, { total: 10 })
    const client = await pool.connect()
    try {
      const { rows } = await client.query<{ name: string }>('SELECT * FROM users WHERE id = $1', [1])
      expect(rows[0]?.name).toBe('Ada')
    } finally {
      client.release()
    }
    expect(pool.idleCount).toBe(pool.totalCount)
  })

  it('asks the pool itself', async () => {
    await createUserWithOrder({ name: 'Ada', email: 'ada@example.org' }, { total: 10 })
    const { rows } = await pool.query<{ total: string }>('SELECT total FROM orders WHERE user_id = $1', [1])
    expect(rows).toEqual([{ total: '10' }])
  })

  it('rolls back a transaction that fails half-way', async () => {
    await expect(createUserWithOrder({ name: 'Bob', email: 'bob@example.org' }, { total: -1 })).rejects.toMatchObject({
      code: '23514',
    })
    const { rows } = await pool.query('SELECT * FROM users')
    expect(rows).toEqual([])
  })

  it('prints its statistics', async () => {
    const held = await pool.connect()
    expect({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }).toMatchObject({ waiting: 0 })
    expect(pool.totalCount - pool.idleCount).toBe(1)
    held.release()
  })

  it('works with callbacks', async () => {
    const rows = await new Promise<unknown[]>((resolve, reject) => {
      pool.connect((error, client, done) => {
        if (error !== undefined || client === undefined) {
          reject(error ?? new Error('no client'))
          return
        }
        client.query('SELECT 1 AS one', (failure, result) => {
          done()
          if (failure) reject(failure)
          else resolve(result.rows)
        })
      })
    })
    expect(rows).toEqual([{ one: 1 }])
    const [result] = await new Promise<[pg.QueryResult]>((resolve) => {
      pool.query('SELECT $1::int AS two', [2], (_error, answer) => resolve([answer]))
    })
    expect(result.rows).toEqual([{ two: 2 }])
    await new Promise<void>((resolve) => {
      pool.end(() => resolve())
    })
  })

  it('tells its events with the driver’s names and arguments', async () => {
    const heard: string[] = []
    await pool.end()
    pool = pgPool(pg, server.config)
    for (const event of ['connect', 'acquire', 'remove'] as const) {
      pool.on(event, (client) => heard.push(`${event} ${client instanceof pg.Client}`))
    }
    pool.on('release', (error, client) => heard.push(`release ${error} ${client instanceof pg.Client}`))
    const client = await pool.connect()
    client.release()
    await pool.end()
    expect(heard).toEqual(['connect true', 'acquire true', 'release undefined true', 'remove true'])
  })

  it('gives a client back at the end of a block', async () => {
    await using extended = pgPool(pg, server.config)
    {
      const client = (await extended.connect()) as pg.PoolClient & Disposable
      using _ = client
      await client.query('SELECT 1')
      expect(extended.stats().used).toBe(1)
    }
    expect(extended.stats().used).toBe(0)
  })

  it('ends on SIGINT', async () => {
    const child = spawn(process.execPath, [await program('sigint-program')], {
      env: { ...process.env, DATABASE_URL: server.connectionString },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
  })
})
