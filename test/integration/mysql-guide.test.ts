import mysql from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { mysqlPool } from 'millpond/mysql'
import { expectSameProgram } from '../support/guide.ts'
import { describeMysql, startServer, type Rig, type Server } from '../support/mysql.ts'

/** The one line that is another. */
const CONSTRUCTORS: readonly (readonly [string, (options: mysql.PoolOptions) => mysql.Pool])[] = [
  ['mysql.createPool(options)', (options) => mysql.createPool(options)],
  ['mysqlPool(mysql, options)', (options) => mysqlPool(mysql, options)],
]

/** Everyday programs made for `mysql2/promise`, on the driver's pool and on ours. */
describeMysql('a program made for mysql2', () => {
  let rig: Rig
  let server: Server

  beforeAll(async () => {
    rig = await startServer()
    ;({ server } = rig)
    await using setup = mysqlPool(mysql, { ...server.config, multipleStatements: true })
    await setup.query(`
      CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY, name varchar(50) NOT NULL, email varchar(50) UNIQUE NOT NULL);
      CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, user_id int NOT NULL, total decimal(10, 2) NOT NULL CHECK (total >= 0),
        FOREIGN KEY (user_id) REFERENCES users (id));`)
  })
  afterAll(async () => {
    await rig.stop()
  })

  describe.each(CONSTRUCTORS)('with %s', (_, createPool) => {
    let pool: mysql.Pool
    beforeEach(async () => {
      pool = createPool({
        host: server.host,
        port: server.port,
        user: server.user,
        password: server.password,
        database: server.database,
        connectionLimit: 20,
        waitForConnections: true,
        queueLimit: 0,
        connectTimeout: 2_000,
        enableKeepAlive: true,
        keepAliveInitialDelay: 0,
        // The driver does not know it, and says so; ours keeps it.
        ...({ acquireTimeout: 10_000 } as object),
      })
      await pool.query('DELETE FROM orders')
      await pool.query('DELETE FROM users')
      return async () => {
        await pool.end()
      }
    })

    async function createUserWithOrder(
      user: { name: string; email: string },
      order: { total: number },
    ): Promise<number> {
      const connection = await pool.getConnection()
      try {
        await connection.beginTransaction()
        const [inserted] = await connection.execute<mysql.ResultSetHeader>(
          'INSERT INTO users (name, email) VALUES (?, ?)',
          [user.name, user.email],
        )
        await connection.execute('INSERT INTO orders (user_id, total) VALUES (?, ?)', [inserted.insertId, order.total])
        await connection.commit()
        return inserted.insertId
      } catch (error) {
        await connection.rollback()
        throw error
      } finally {
        connection.release()
      }
    }

    it('asks the pool itself', async () => {
      const id = await createUserWithOrder({ name: 'Ada', email: 'ada@example.org' }, { total: 10 })
      const [users] = await pool.execute<mysql.RowDataPacket[]>('SELECT name FROM users WHERE id = ?', [id])
      expect(users).toEqual([{ name: 'Ada' }])
      const [orders] = await pool.query('SELECT total FROM orders WHERE user_id = ?', [id])
      expect(orders).toEqual([{ total: '10.00' }])
    })

    it('rolls back a transaction that fails half-way', async () => {
      await expect(createUserWithOrder({ name: 'Bob', email: 'bob@example.org' }, { total: -1 })).rejects.toMatchObject(
        {
          sqlState: '23000',
        },
      )
      expect((await pool.query('SELECT * FROM users'))[0]).toEqual([])
    })

    it('asks many times at once, and everybody is served', async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, number) => pool.execute<mysql.RowDataPacket[]>('SELECT ? AS number', [number])),
      )
      expect(answers.map(([rows]) => Number(rows[0]?.['number']))).toEqual(Array.from({ length: 100 }, (_, n) => n))
    })

    it('ends, and the server has none left', async () => {
      const own = createPool({ ...server.config, connectionLimit: 5 })
      await Promise.all(Array.from({ length: 30 }, () => own.query('SELECT 1')))
      await own.end()
      await waitFor(async () => (await rig.view.count()) === 1, {
        what: 'the server has those of the other pool alone',
      })
      await expect(own.query('SELECT 1')).rejects.toThrow(/Pool is closed/)
    })
  })

  it('which sets `acquireTimeout`, that mysql2 ignores, waits no longer than that', async () => {
    const options = { ...server.config, connectionLimit: 1, acquireTimeout: 50 }
    await using pool = mysqlPool(mysql, options)
    const connection = await pool.getConnection()
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' })
    connection.release()
  })

  it('ends alike on a signal', async () => {
    await expectSameProgram('mysql', server.uri, [{ answer: 'right' }])
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server has none left' })
  })

  it('keeps the half of a transfer from being committed by a stranger, as createPool does not', async () => {
    const file = '../../examples/before-after/mysql2.mjs'
    const { before, after, commitWhatSomebodyLeftOpen } = (await import(file)) as {
      before(config: object): mysql.Pool
      after(config: object): mysql.Pool
      commitWhatSomebodyLeftOpen(pool: mysql.Pool): Promise<{ halves: number }>
    }
    await using pool = mysqlPool(mysql, server.config)
    await pool.query('CREATE TABLE transfers (amount int NOT NULL) ENGINE = InnoDB')
    const outcomes: unknown[] = []
    for (const make of [before, after]) {
      const made = make(server.config)
      outcomes.push(await commitWhatSomebodyLeftOpen(made))
      await made.query('DELETE FROM transfers')
      await made.end()
    }
    expect(outcomes).toEqual([{ halves: 1 }, { halves: 0 }])
  })
})
