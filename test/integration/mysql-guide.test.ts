import mysql from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { MariaDbServer } from '@millpond/rig'
import { mysqlPool } from 'millpond/mysql'
import { describeMysql, startServer } from '../support/mysql.ts'

/** Everyday programs made for `mysql2/promise`: only the constructor's line is another. */
describeMysql('a program made for mysql2', () => {
  let server: MariaDbServer
  let stop: () => Promise<void>
  let pool: mysql.Pool

  beforeAll(async () => {
    ;({ server, stop } = await startServer())
    await using setup = mysqlPool(mysql, { ...server.config, multipleStatements: true })
    await setup.query(`
      CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY, name varchar(50) NOT NULL, email varchar(50) UNIQUE NOT NULL);
      CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, user_id int NOT NULL, total decimal(10, 2) NOT NULL CHECK (total >= 0),
        FOREIGN KEY (user_id) REFERENCES users (id));`)
  })
  afterAll(async () => {
    await stop()
  })
  beforeEach(async () => {
    pool = mysqlPool(mysql, {
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      database: server.database,
      connectionLimit: 20,
      waitForConnections: true,
      queueLimit: 0,
      connectTimeout: 2_000,
      acquireTimeout: 10_000,
      enableKeepAlive: true,
      keepAliveInitialDelay: 0,
    })
    await pool.query('DELETE FROM orders')
    await pool.query('DELETE FROM users')
    return async () => {
      await pool.end()
    }
  })

  async function createUserWithOrder(user: { name: string; email: string }, order: { total: number }): Promise<number> {
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
    await expect(createUserWithOrder({ name: 'Bob', email: 'bob@example.org' }, { total: -1 })).rejects.toMatchObject({
      sqlState: '23000',
    })
    expect((await pool.query('SELECT * FROM users'))[0]).toEqual([])
  })

  it('asks many times at once, and everybody is served', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, number) => pool.execute<mysql.RowDataPacket[]>('SELECT ? AS number', [number])),
    )
    expect(answers.map(([rows]) => Number(rows[0]?.['number']))).toEqual(Array.from({ length: 100 }, (_, n) => n))
  })

  it('keeps the half of a transfer from being committed by a stranger, as createPool does not', async () => {
    const file = '../../examples/before-after/mysql2.mjs'
    const { before, after, commitWhatSomebodyLeftOpen } = (await import(file)) as {
      before(config: object): mysql.Pool
      after(config: object): mysql.Pool
      commitWhatSomebodyLeftOpen(pool: mysql.Pool): Promise<{ halves: number }>
    }
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
