import 'reflect-metadata'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { DataTypes, Sequelize, type Options, type Transaction } from 'sequelize'
import { DataSource } from 'typeorm'
import { expect, it } from 'vitest'
import { pgDriver, sequelizePool } from 'millpond/pg'
import { waitFor } from '@millpond/rig'
import { consumerRig } from '../support/consumers.ts'
import { describePostgres, poolOn, type TestPool } from '../support/pg.ts'

/** Every library runs a transaction that inserts twice and fails: nothing may be left, and one backend has done it all. */
const rig = consumerRig()

describePostgres('TypeORM', () => {
  async function connected(defaults = {}): Promise<{ source: DataSource; made: TestPool }> {
    const source = new DataSource({
      type: 'postgres',
      driver: pgDriver(pg, { name: 'typeorm', ...defaults }),
      host: rig.server.host,
      port: rig.server.port,
      username: rig.server.user,
      password: rig.server.password,
      database: rig.server.database,
      poolSize: 3,
    })
    await source.initialize()
    return { source, made: (source.driver as unknown as { master: TestPool }).master }
  }

  it('rolls back on a pool that it makes from our driver', async () => {
    const { source, made } = await connected()
    const failing = source.transaction(async (manager) => {
      for (const id of [1, 2]) {
        await manager.query('INSERT INTO items VALUES ($1, $2)', [id, 'typeorm'])
        const rows = await manager.query<{ pid: number }[]>('SELECT pg_backend_pid() AS pid')
        rig.pids.add(rows[0]?.pid ?? 0)
      }
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    expect(made).toBeInstanceOf(pg.Pool)
    expect(made.stats()).toMatchObject({ name: 'typeorm', max: 3, used: 0 })
    await rig.nothingIsLeft()
    await source.destroy()
    expect(made.ended).toBe(true)
  })

  it('keeps a connection after a statement that failed', async () => {
    const { source, made } = await connected()
    const created = made.stats().created
    await expect(source.query('SELECT 1/0')).rejects.toThrow('division by zero')
    await source.query('SELECT 1')
    expect(made.stats()).toMatchObject({ created, used: 0 })
    await source.destroy()
  })

  it('goes on over a new connection when the server has ended all of them', async () => {
    const { source, made } = await connected()
    await source.query('SELECT 1')
    await rig.view.terminate()
    await waitFor(() => made.stats().total === 0, { what: 'the dead connections are gone' })
    expect(await source.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    await source.destroy()
  })

  it('is not offered the native client, for which it would leave our pool', () => {
    const driver = pgDriver(pg)
    expect(driver.native).toBeUndefined()
    expect(driver.Client).toBe(pg.Client)
    expect(driver.types).toBe(pg.types)
  })
})

describePostgres('Prisma’s adapter', () => {
  const raw = (sql: string): { sql: string; args: never[]; argTypes: never[] } => ({ sql, args: [], argTypes: [] })

  it('takes the pool as it is, and rolls back', async () => {
    const adapter = await new PrismaPg(rig.pool).connect()
    expect(adapter.underlyingDriver()).toBe(rig.pool)
    const transaction = await adapter.startTransaction()
    for (const id of [1, 2]) {
      expect(await transaction.executeRaw(raw(`INSERT INTO items VALUES (${id}, 'prisma')`))).toBe(1)
      const { rows } = await transaction.queryRaw(raw('SELECT pg_backend_pid()'))
      rig.pids.add(Number(rows[0]?.[0]))
    }
    // As Prisma's engine does: the statement first, then the word that gives the connection back.
    await transaction.executeRaw(raw('ROLLBACK'))
    await transaction.rollback()
    await rig.nothingIsLeft()
    const { rows } = await adapter.queryRaw(raw('SELECT count(*)::int FROM items'))
    expect(rows).toEqual([[0]])
    await adapter.dispose()
    // A pool that was handed in is its owner's, unless `disposeExternalPool` says otherwise.
    expect(rig.pool.ended).toBe(false)
  })

  it('rolls back what Prisma has left open', async () => {
    const adapter = await new PrismaPg(rig.pool, { disposeExternalPool: true }).connect()
    const transaction = await adapter.startTransaction('SERIALIZABLE')
    await transaction.executeRaw(raw("INSERT INTO items VALUES (1, 'prisma')"))
    const { rows } = await transaction.queryRaw(raw('SELECT pg_backend_pid()'))
    rig.pids.add(Number(rows[0]?.[0]))
    await transaction.rollback()
    await rig.nothingIsLeft()
    await adapter.dispose()
    expect(rig.pool.ended).toBe(true)
  })

  it('finds its error kinds in the driver’s own errors', async () => {
    const adapter = await new PrismaPg(rig.pool).connect()
    await adapter.executeRaw(raw("INSERT INTO items VALUES (7, 'prisma')"))
    await expect(adapter.executeRaw(raw("INSERT INTO items VALUES (7, 'prisma')"))).rejects.toMatchObject({
      cause: { kind: 'UniqueConstraintViolation' },
    })
    await adapter.executeRaw(raw('DELETE FROM items'))
    expect(rig.pool.stats().created).toBe(1)
  })
})

describePostgres('Sequelize', () => {
  type Manager = { pool: unknown; getTypeParser(...args: unknown[]): (text: string) => unknown }

  async function connected(options: Options = {}): Promise<Sequelize> {
    const sequelize = new Sequelize(rig.server.connectionString, { logging: false, ...options })
    const manager = (sequelize as unknown as { connectionManager: Manager }).connectionManager
    await rig.pool.end()
    rig.pool = poolOn(rig.server, {
      max: 4,
      // What Sequelize does to connections that it opens by itself.
      types: { getTypeParser: (...args: unknown[]) => manager.getTypeParser(...args) },
      onConnect: async (client: pg.Client) => await client.query("SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE"),
    })
    manager.pool = sequelizePool(rig.pool)
    return sequelize
  }

  it('rolls back on its face', async () => {
    const sequelize = await connected()
    const failing = sequelize.transaction(async (transaction: Transaction) => {
      for (const id of [1, 2]) {
        await sequelize.query(`INSERT INTO items VALUES (${id}, 'sequelize')`, { transaction })
        const [rows] = await sequelize.query('SELECT pg_backend_pid() AS pid', { transaction })
        rig.pids.add((rows[0] as { pid: number }).pid)
      }
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    await rig.nothingIsLeft()
    expect(rig.pool.stats().acquired).toBeGreaterThan(0)
    await sequelize.close()
    expect(rig.pool.ended).toBe(true)
  })

  it('reads its models with its own types', async () => {
    const sequelize = await connected()
    const Day = sequelize.define(
      'Day',
      {
        day: { type: DataTypes.DATEONLY, primaryKey: true },
        moods: DataTypes.ARRAY(DataTypes.INTEGER),
        hours: DataTypes.RANGE(DataTypes.INTEGER),
        at: DataTypes.DATE,
      },
      { timestamps: false },
    )
    await Day.sync({ force: true })
    const at = new Date('2026-03-29T01:30:00Z')
    await Day.create({ day: '2026-03-29', moods: [1, 2], hours: [9, 17], at })
    const found = await Day.findByPk('2026-03-29')
    expect(found?.get()).toMatchObject({ day: '2026-03-29', moods: [1, 2], at })
    expect(found?.get('hours')).toMatchObject([{ value: 9 }, { value: 17 }])
    const [[zone]] = await sequelize.query("SELECT current_setting('TimeZone') AS zone")
    expect(zone).toEqual({ zone: '<+00>-00' })
    await Day.drop()
    await sequelize.close()
  })
})
