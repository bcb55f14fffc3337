import 'reflect-metadata'
import { PrismaPg } from '@prisma/adapter-pg'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import knexModule from 'knex'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { Sequelize } from 'sequelize'
import { DataSource } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { knexPool, kyselyPool, pgBossDb, pgDriver, sequelizePool } from 'millpond/pg'
import { poolOn, startServer, type TestPool } from '../support/pg.ts'

interface Tables {
  items: { id: number; name: string }
}

/** Every library runs a transaction that inserts twice and fails: nothing may be left, and one backend has done it all. */
describe('a library on our pool', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: TestPool
  const pids = new Set<number>()
  const reason = new Error('roll back')

  beforeAll(async () => {
    rig = await startServer()
    const setup = poolOn(rig.server)
    await setup.query('CREATE TABLE items (id int PRIMARY KEY, name text)')
    await setup.end()
  })
  afterAll(async () => {
    await rig.stop()
  })
  beforeEach(() => {
    pids.clear()
    pool = poolOn(rig.server, { max: 4, name: 'consumer' })
  })
  afterEach(async () => {
    if (pool.ended) return
    expect(pool.stats().used).toBe(0)
    await pool.close({ timeoutMillis: 500 })
  })

  async function nothingIsLeft(): Promise<void> {
    const check = poolOn(rig.server)
    const { rows } = await check.query('SELECT * FROM items')
    await check.end()
    expect(rows).toEqual([])
    expect(pids.size).toBe(1)
  }

  it('Kysely rolls back, streams, and knows a connection again through its face', async () => {
    let connectionsSeen = 0
    const db = new Kysely<Tables>({
      dialect: new PostgresDialect({
        pool: kyselyPool(pool),
        cursor: Cursor,
        onCreateConnection: () => {
          connectionsSeen++
          return Promise.resolve()
        },
      }),
    })
    const failing = db.transaction().execute(async (trx) => {
      for (const id of [1, 2]) {
        await trx.insertInto('items').values({ id, name: 'kysely' }).execute()
        const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(trx)
        pids.add(rows[0]?.pid ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    for (let round = 0; round < 5; round++) await db.selectFrom('items').selectAll().execute()
    expect(connectionsSeen).toBe(1)
    const streamed: unknown[] = []
    const numbers = db.selectFrom(sql<{ n: number }>`(SELECT generate_series(1, 50) AS n)`.as('numbers')).selectAll()
    for await (const row of numbers.stream(10)) streamed.push(row)
    expect(streamed).toHaveLength(50)
    await db.destroy()
    expect(pool.ended).toBe(true)
  })

  it('Kysely runs on the pool itself, too', async () => {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    const failing = db.transaction().execute(async (trx) => {
      await trx.insertInto('items').values({ id: 1, name: 'kysely' }).execute()
      const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(trx)
      pids.add(rows[0]?.pid ?? 0)
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
  })

  it('Drizzle rolls back', async () => {
    const db = drizzle(pool)
    const failing = db.transaction(async (tx) => {
      for (const id of [1, 2]) {
        await tx.execute(drizzleSql`INSERT INTO items VALUES (${id}, 'drizzle')`)
        const { rows } = await tx.execute(drizzleSql`SELECT pg_backend_pid() AS pid`)
        pids.add((rows[0] as { pid: number }).pid)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
  })

  it.each([
    ['its face', (): unknown => knexPool(pool)],
    ['the pool itself', (): unknown => pool],
  ])('Knex rolls back and streams on %s', async (_name, connectionPool) => {
    await pool.end()
    pool = poolOn(rig.server, { max: 4, onStaleRelease: 'ignore' })
    const knex = knexModule({ client: 'pg', connectionPool: connectionPool() } as never)
    const failing = knex.transaction(async (trx) => {
      for (const id of [1, 2]) {
        await trx('items').insert({ id, name: 'knex' })
        const { rows } = await trx.raw<{ rows: { pid: number }[] }>('SELECT pg_backend_pid() AS pid')
        pids.add(rows[0]?.pid ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    let streamed = 0
    for await (const _row of knex.raw('SELECT generate_series(1, 100)').stream()) streamed++
    expect(streamed).toBe(100)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(pool.stats().used).toBe(0)
    await knex.destroy()
  })

  it('TypeORM rolls back on a pool that it makes from our driver', async () => {
    const source = new DataSource({
      type: 'postgres',
      driver: pgDriver(pg, { name: 'typeorm' }),
      host: rig.server.host,
      port: rig.server.port,
      username: rig.server.user,
      password: rig.server.password,
      database: rig.server.database,
      poolSize: 3,
    })
    await source.initialize()
    const failing = source.transaction(async (manager) => {
      for (const id of [1, 2]) {
        await manager.query(`INSERT INTO items VALUES (${id}, 'typeorm')`)
        const rows = await manager.query<{ pid: number }[]>('SELECT pg_backend_pid() AS pid')
        pids.add(rows[0]?.pid ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    const made = (source.driver as unknown as { master: TestPool }).master
    expect(made).toBeInstanceOf(pg.Pool)
    expect(made.stats()).toMatchObject({ name: 'typeorm', max: 3, used: 0 })
    await nothingIsLeft()
    await source.destroy()
    expect(made.ended).toBe(true)
  })

  it('Prisma’s adapter takes the pool as it is, and rolls back', async () => {
    const adapter = await new PrismaPg(pool).connect()
    const transaction = await adapter.startTransaction()
    const query = (text: string): { sql: string; args: never[]; argTypes: never[] } => ({
      sql: text,
      args: [],
      argTypes: [],
    })
    for (const id of [1, 2]) {
      await transaction.executeRaw(query(`INSERT INTO items VALUES (${id}, 'prisma')`))
      const { rows } = await transaction.queryRaw(query('SELECT pg_backend_pid()'))
      pids.add(Number(rows[0]?.[0]))
    }
    await transaction.executeRaw(query('ROLLBACK'))
    await transaction.rollback()
    await nothingIsLeft()
    expect(pool.stats().acquired).toBeGreaterThan(0)
    await adapter.dispose()
  })

  it('Sequelize rolls back on its face', async () => {
    const sequelize = new Sequelize(rig.server.connectionString, { logging: false })
    ;(sequelize as unknown as { connectionManager: { pool: unknown } }).connectionManager.pool = sequelizePool(pool)
    const failing = sequelize.transaction(async (transaction) => {
      for (const id of [1, 2]) {
        await sequelize.query(`INSERT INTO items VALUES (${id}, 'sequelize')`, { transaction })
        const [rows] = await sequelize.query('SELECT pg_backend_pid() AS pid', { transaction })
        pids.add((rows[0] as { pid: number }).pid)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    await sequelize.close()
  })

  it('pg-boss’ executeSql runs scripts of several statements', async () => {
    const { executeSql } = pgBossDb(pool)
    await executeSql("BEGIN; INSERT INTO items VALUES (1, 'boss'); ROLLBACK;")
    pids.add(1)
    await nothingIsLeft()
  })
})
