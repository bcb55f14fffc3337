import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import knexModule, { type Knex } from 'knex'
import { Kysely, PostgresDialect, sql, type PostgresDialectConfig } from 'kysely'
import Cursor from 'pg-cursor'
import { expect, it } from 'vitest'
import { knexPool, kyselyPool, sequelizePool } from 'millpond/pg'
import { sleep, waitFor } from '@millpond/rig'
import { consumerRig } from '../support/consumers.ts'
import { describePostgres, poolOn } from '../support/pg.ts'

/** Every library runs a transaction that inserts twice and fails: nothing may be left, and one backend has done it all. */
const rig = consumerRig()

describePostgres('Kysely', () => {
  interface Tables {
    items: { id: number; name: string }
  }

  async function rollBack(db: Kysely<Tables>): Promise<void> {
    const failing = db.transaction().execute(async (trx) => {
      for (const id of [1, 2]) {
        await trx.insertInto('items').values({ id, name: 'kysely' }).execute()
        const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(trx)
        rig.pids.add(rows[0]?.pid ?? 0)
      }
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    await rig.nothingIsLeft()
  }

  async function stream(db: Kysely<Tables>, upTo = Infinity): Promise<number> {
    const numbers = sql<{ n: number }>`(SELECT generate_series(1, 50) AS n)`.as('numbers')
    let count = 0
    for await (const _row of db.selectFrom(numbers).selectAll().stream(7)) if (++count >= upTo) break
    return count
  }

  const joins: [string, () => PostgresDialectConfig['pool']][] = [
    ['the pool itself', () => rig.pool],
    ['its face', () => kyselyPool(rig.pool)],
  ]

  it.each(joins)('rolls back on %s', async (_name, join) => {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: join() }) })
    await rollBack(db)
    await db.destroy()
    expect(rig.pool.ended).toBe(true)
  })

  it.each(joins)('streams on %s, to the end and broken off', async (_name, join) => {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: join(), cursor: Cursor }) })
    expect(await stream(db)).toBe(50)
    expect(await stream(db, 10)).toBe(10)
    expect(rig.pool.stats()).toMatchObject({ used: 0, total: 1 })
    await db.destroy()
  })

  it.each([
    [
      'once for every connection on its face',
      (): PostgresDialectConfig['pool'] => kyselyPool(rig.pool),
      () => rig.pool.stats().created,
    ],
    ['once for every lease on the pool itself', (): PostgresDialectConfig['pool'] => rig.pool, () => 20],
  ])('runs onCreateConnection %s', async (_name, join, times) => {
    let created = 0
    const onCreateConnection = (): Promise<void> => {
      created++
      return Promise.resolve()
    }
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: join(), onCreateConnection }) })
    await Promise.all(Array.from({ length: 20 }, () => sql`SELECT pg_sleep(0.005)`.execute(db)))
    expect(created).toBe(times())
    await db.destroy()
  })

  it('goes on over a new connection when one has died, on its face', async () => {
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: kyselyPool(rig.pool) }) })
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(db)
    await rig.view.terminate(rows[0]?.pid)
    await waitFor(() => rig.pool.stats().total === 0, { what: 'the dead connection is gone' })
    expect((await sql`SELECT 1`.execute(db)).rows).toHaveLength(1)
    await db.destroy()
  })
})

describePostgres('Drizzle', () => {
  const items = pgTable('items', { id: integer().primaryKey(), name: text() })

  it('rolls back', async () => {
    const db = drizzle(rig.pool)
    const failing = db.transaction(async (tx) => {
      for (const id of [1, 2]) {
        await tx.insert(items).values({ id, name: 'drizzle' })
        const { rows } = await tx.execute<{ pid: number }>(drizzleSql`SELECT pg_backend_pid() AS pid`)
        rig.pids.add(rows[0]?.pid ?? 0)
      }
      expect(await tx.select().from(items)).toHaveLength(2)
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    await rig.nothingIsLeft()
    expect(await db.select().from(items)).toEqual([])
  })

  it('rolls back to a savepoint and keeps the rest', async () => {
    const db = drizzle(rig.pool)
    await db.transaction(async (tx) => {
      const inner = tx.transaction(async (nested) => {
        await nested.insert(items).values({ id: 1, name: 'inner' })
        nested.rollback()
      })
      await expect(inner).rejects.toThrow()
      expect(await tx.select().from(items)).toEqual([])
    })
  })
})

describePostgres('Knex', () => {
  const knexOn = (connectionPool: unknown): Knex => knexModule({ client: 'pg', connectionPool } as never)

  async function rollBack(knex: Knex): Promise<void> {
    const failing = knex.transaction(async (trx) => {
      for (const id of [1, 2]) {
        await trx('items').insert({ id, name: 'knex' })
        const { rows } = await trx.raw<{ rows: { pid: number }[] }>('SELECT pg_backend_pid() AS pid')
        rig.pids.add(rows[0]?.pid ?? 0)
      }
      throw rig.reason
    })
    await expect(failing).rejects.toBe(rig.reason)
    await rig.nothingIsLeft()
  }

  /** Reads one stream to its end and breaks one off. */
  async function stream(knex: Knex): Promise<void> {
    let streamed = 0
    for await (const _row of knex.raw('SELECT generate_series(1, 100)').stream()) streamed++
    expect(streamed).toBe(100)
    for await (const _row of knex.raw('SELECT generate_series(1, 100000)').stream()) break
    await waitFor(() => rig.pool.stats().used === 0, { what: 'Knex has given everything back' })
    // Its second releases come a moment later.
    await sleep(20)
    expect(rig.pool.stats().used).toBe(0)
  }

  it('rolls back and streams on its face', async () => {
    const knex = knexOn(knexPool(rig.pool))
    await rollBack(knex)
    await stream(knex)
    await knex.destroy()
    // Knex leaves a pool that it did not make to its owner.
    expect(rig.pool.ended).toBe(false)
  })

  it('rolls back and streams on the pool itself that warns of second releases', async () => {
    await rig.pool.end()
    rig.pool = poolOn(rig.server, { max: 4, onStaleRelease: 'warn' })
    const warnings: string[] = []
    const note = ({ name, message }: Error): void => {
      if (name === 'MillpondWarning') warnings.push(message)
    }
    process.on('warning', note)
    const knex = knexOn(rig.pool)
    await rollBack(knex)
    await stream(knex)
    await knex.destroy()
    process.off('warning', note)
    expect(warnings[0]).toMatch(/a lease was released: it was released before/)
  })

  it('gives nothing away that somebody else has borrowed, when its streams release twice', async () => {
    await rig.pool.end()
    rig.pool = poolOn(rig.server, { max: 1 })
    const face = knexPool(rig.pool)
    const answers: boolean[] = []
    const knex = knexOn({
      ...face,
      release: (client: never) => {
        answers.push(face.release(client))
        return answers.at(-1)
      },
    })
    // The transaction waits for the stream's connection, and has it when the second release comes.
    const streaming = knex.raw('SELECT generate_series(1, 3)').stream()
    const transaction = knex.transaction(async (trx) => {
      const { rows } = await trx.raw<{ rows: object[] }>('SELECT pg_sleep(0.05)')
      expect(rig.pool.stats().used).toBe(1)
      return rows
    })
    for await (const _row of streaming);
    expect(await transaction).toHaveLength(1)
    expect(answers).toEqual([true, false, true])
    await knex.destroy()
  })

  it('destroys a connection that Knex has given up', async () => {
    const face = knexPool(rig.pool)
    const client = await face.acquire().promise
    Object.assign(client, { __knex__disposed: new Error('timed out') })
    expect(face.release(client)).toBe(true)
    await waitFor(() => rig.pool.stats().total === 0, { what: 'the connection is gone' })
  })

  it('answers the face’s release with false after the pool has taken the connection away', async () => {
    const face = knexPool(rig.pool)
    const client = await face.acquire().promise
    await rig.pool.close({ timeoutMillis: 0 })
    expect(face.release(client)).toBe(false)
  })
})

describePostgres('a face', () => {
  it.each([
    ['Knex', () => knexPool(rig.pool)],
    ['Sequelize', () => sequelizePool(rig.pool)],
  ])('for %s lets the process exit only while nothing is lent', async (_name, make) => {
    await rig.pool.end()
    rig.pool = poolOn(rig.server, { max: 1, allowExitOnIdle: true })
    await rig.pool.query('SELECT 1')
    const face = make()
    const acquired = face.acquire()
    const client = await ('promise' in acquired ? acquired.promise : acquired)
    const { _handle: socket } = client.connection?.stream as unknown as { _handle: { hasRef(): boolean } }
    expect(socket.hasRef()).toBe(true)
    face.release(client)
    expect(socket.hasRef()).toBe(false)
  })

  it('rejects in the words that users of pg search for', async () => {
    await rig.pool.end()
    rig.pool = poolOn(rig.server, { max: 1, connectionTimeoutMillis: 30 })
    const client = await rig.pool.connect()
    const words = /^timeout exceeded when trying to connect/
    await expect(knexPool(rig.pool).acquire().promise).rejects.toThrow(words)
    await expect(sequelizePool(rig.pool).acquire()).rejects.toThrow(words)
    await expect(kyselyPool(rig.pool).connect()).rejects.toThrow(words)
    client.release()
  })
})
