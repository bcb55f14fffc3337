import 'reflect-metadata'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/mysql2'
import { int, mysqlTable, varchar } from 'drizzle-orm/mysql-core'
import knexModule, { type Knex } from 'knex'
import { Kysely, MysqlDialect, sql } from 'kysely'
import mysql2 from 'mysql2'
import { DataTypes, Sequelize, type Transaction } from 'sequelize'
import { DataSource } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { knexPool, mysqlDriver, sequelizePool } from 'millpond/mysql'
import { callbackPoolOn, describeMysql, numbersTo, poolOn, startServer, type CallbackPool } from '../support/mysql.ts'

/** Every library runs a transaction that inserts twice and fails: nothing may be left, and one connection has done it all. */
describeMysql('on a MySQL pool', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: CallbackPool
  const ids = new Set<number>()
  const reason = new Error('roll back')

  beforeAll(async () => {
    rig = await startServer()
    await using setup = poolOn(rig.server)
    await setup.query('CREATE TABLE items (id int PRIMARY KEY, name varchar(20)) ENGINE=InnoDB')
  })
  afterAll(async () => {
    await rig.stop()
  })
  beforeEach(() => {
    ids.clear()
    pool = callbackPoolOn(rig.server, { connectionLimit: 4, name: 'consumer' })
  })
  afterEach(async () => {
    expect(pool.stats().used).toBe(0)
    await pool.close({ timeoutMillis: 500 })
  })

  async function nothingIsLeft(): Promise<void> {
    await using check = poolOn(rig.server)
    expect((await check.query('SELECT * FROM items'))[0]).toEqual([])
    expect(ids.size).toBe(1)
  }

  it('Kysely rolls back, streams, and sets connections up', async () => {
    let setUp = 0
    const onCreateConnection = async (): Promise<void> => {
      setUp++
      await Promise.resolve()
    }
    const db = new Kysely<{ items: { id: number; name: string } }>({
      dialect: new MysqlDialect({ pool, onCreateConnection }),
    })
    const failing = db.transaction().execute(async (trx) => {
      for (const id of [1, 2]) {
        await trx.insertInto('items').values({ id, name: 'kysely' }).execute()
        const { rows } = await sql<{ id: number }>`SELECT CONNECTION_ID() AS id`.execute(trx)
        ids.add(rows[0]?.id ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    const numbers = sql<{ seq: number }>`(${sql.raw(numbersTo(50))})`.as('numbers')
    let count = 0
    for await (const _row of db.selectFrom(numbers).selectAll().stream()) count++
    expect(count).toBe(50)
    for await (const _row of db.selectFrom(numbers).selectAll().stream()) if (++count >= 60) break
    await waitFor(() => pool.stats().used === 0, { what: 'Kysely has given everything back' })
    // Once for every lease: what it sets is reset with the session.
    expect(setUp).toBe(pool.stats().acquired)
    await db.destroy()
    expect(pool.stats().state).toBe('closed')
  })

  it('Drizzle rolls back, in either face, and to a savepoint', async () => {
    const items = mysqlTable('items', { id: int().primaryKey(), name: varchar({ length: 20 }) })
    for (const client of [pool, pool.promise()]) {
      ids.clear()
      const db = drizzle(client as mysql2.Pool)
      const failing = db.transaction(async (tx) => {
        for (const id of [1, 2]) {
          await tx.insert(items).values({ id, name: 'drizzle' })
          const [rows] = await tx.execute(drizzleSql`SELECT CONNECTION_ID() AS id`)
          ids.add((rows as unknown as { id: number }[])[0]?.id ?? 0)
        }
        await tx
          .transaction(async (nested) => {
            await nested.insert(items).values({ id: 3, name: 'inner' })
            nested.rollback()
          })
          .catch(() => undefined)
        expect(await tx.select().from(items)).toHaveLength(2)
        throw reason
      })
      await expect(failing).rejects.toBe(reason)
      await nothingIsLeft()
      expect(await db.select().from(items)).toEqual([])
    }
  })

  it('Knex rolls back and streams on its face', async () => {
    const knex: Knex = knexModule({ client: 'mysql2', connectionPool: knexPool(pool) } as never)
    const failing = knex.transaction(async (trx) => {
      for (const id of [1, 2]) {
        await trx('items').insert({ id, name: 'knex' })
        const [rows] = await trx.raw<[{ id: number }[]]>('SELECT CONNECTION_ID() AS id')
        ids.add(rows?.[0]?.id ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    let streamed = 0
    for await (const _row of knex.raw(numbersTo(100)).stream()) streamed++
    expect(streamed).toBe(100)
    for await (const _row of knex.raw(numbersTo(100_000)).stream()) break
    await waitFor(() => pool.stats().used === 0, { what: 'Knex has given everything back' })
    await knex.destroy()
    // Knex leaves a pool that it did not make to its owner.
    expect(pool.stats().state).toBe('open')
  })

  it('TypeORM rolls back on a pool that it makes from our driver', async () => {
    const { host, port, user: username, password, database } = rig.server
    const source = new DataSource({
      type: 'mysql',
      driver: mysqlDriver(mysql2, { name: 'typeorm' }),
      host,
      port,
      username,
      password,
      database,
      poolSize: 3,
      acquireTimeout: 4_000,
    })
    await source.initialize()
    const made = (source.driver as unknown as { pool: CallbackPool }).pool
    const failing = source.transaction(async (manager) => {
      for (const id of [1, 2]) {
        await manager.query('INSERT INTO items VALUES (?, ?)', [id, 'typeorm'])
        const rows = await manager.query<{ id: number }[]>('SELECT CONNECTION_ID() AS id')
        ids.add(rows[0]?.id ?? 0)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    expect(made.stats()).toMatchObject({ name: 'typeorm', max: 3, used: 0 })
    await expect(source.query('SELECT nonsense')).rejects.toThrow('nonsense')
    await source.destroy()
    expect(made.stats().state).toBe('closed')
  })

  it('Sequelize rolls back on its face, with its own types', async () => {
    const sequelize = new Sequelize(rig.server.uri, { dialect: 'mysql', logging: false })
    interface Manager {
      pool: unknown
      readonly constructor: { _typecast(this: Manager, field: unknown, next: () => unknown): unknown }
    }
    const manager = (sequelize as unknown as { connectionManager: Manager }).connectionManager
    await pool.close()
    // What Sequelize does to connections that it opens by itself.
    pool = callbackPoolOn(rig.server, {
      connectionLimit: 4,
      flags: ['-FOUND_ROWS'],
      timezone: '+00:00',
      supportBigNumbers: true,
      bigNumberStrings: false,
      typeCast: (field: unknown, next: () => unknown) => manager.constructor._typecast.call(manager, field, next),
      onConnect: async (connection: { query(sql: string): Promise<unknown> }) =>
        await connection.query("SET time_zone = '+00:00'"),
    })
    manager.pool = sequelizePool(pool)
    const failing = sequelize.transaction(async (transaction: Transaction) => {
      for (const id of [1, 2]) {
        await sequelize.query(`INSERT INTO items VALUES (${id}, 'sequelize')`, { transaction })
        const [rows] = await sequelize.query('SELECT CONNECTION_ID() AS id', { transaction })
        ids.add((rows[0] as { id: number }).id)
      }
      throw reason
    })
    await expect(failing).rejects.toBe(reason)
    await nothingIsLeft()
    const Day = sequelize.define(
      'Day',
      { day: { type: DataTypes.DATEONLY, primaryKey: true }, at: DataTypes.DATE },
      { timestamps: false },
    )
    await Day.sync({ force: true })
    const at = new Date('2026-03-29T01:30:00Z')
    await Day.create({ day: '2026-03-29', at })
    expect((await Day.findByPk('2026-03-29'))?.get()).toMatchObject({ day: '2026-03-29', at })
    await Day.drop()
    expect(pool.stats().acquired).toBeGreaterThan(3)
    await sequelize.close()
    expect(pool.stats().state).toBe('closed')
  })
})
