import { inspect } from 'node:util'
import mysql2 from 'mysql2-low'
import mysql from 'mysql2-low/promise'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { mysqlPool, type MysqlPool, type MysqlPoolOptions } from 'millpond/mysql'
import { describeMysql, idOf, numbersTo, rowOf, startServer } from '../support/mysql.ts'

/** What hangs on the inside of the driver, with the lowest version that is supported. */
describeMysql('the lowest supported mysql2', () => {
  let rig: Awaited<ReturnType<typeof startServer>>
  let pool: MysqlPool<typeof mysql>

  beforeAll(async () => {
    rig = await startServer()
  })
  afterAll(async () => {
    await rig.stop()
  })
  afterEach(async () => {
    await pool.close()
    await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds no connection any more' })
  })

  const poolOn = (options: MysqlPoolOptions<typeof mysql> = {}): MysqlPool<typeof mysql> =>
    (pool = mysqlPool(mysql, { ...rig.server.config, connectionLimit: 1, ...options }))

  it('asks, executes, streams and ends in both faces', async () => {
    const callbacks = mysqlPool(mysql2, { ...rig.server.config, connectionLimit: 2 })
    pool = callbacks.promise() as MysqlPool<typeof mysql>
    expect(callbacks).toBeInstanceOf((mysql2.createPool({}) as object).constructor)
    expect((await pool.execute('SELECT ? AS a', ['x']))[0]).toEqual([{ a: 'x' }])
    let rows = 0
    for await (const _row of callbacks.query(numbersTo(1_000)).stream()) rows++
    expect(rows).toBe(1_000)
    await waitFor(() => callbacks.stats().used === 0, { what: 'the connection is back' })
    await new Promise<void>((resolve) => {
      callbacks.end(() => {
        resolve()
      })
    })
  })

  it('rolls back, and resets a session that has changed by logging in again', async () => {
    poolOn()
    await pool.query('CREATE TABLE IF NOT EXISTS kept (id int) ENGINE=InnoDB')
    const id = await idOf(pool)
    const connection = await pool.getConnection()
    await connection.beginTransaction()
    await connection.query('INSERT INTO kept VALUES (1)')
    connection.release()
    expect((await pool.query('SELECT * FROM kept'))[0]).toEqual([])
    for (let round = 0; round < 2; round++) {
      const other = await pool.getConnection()
      await other.query('USE information_schema')
      await other.query('SET @mine = 1')
      await other.execute('SELECT ?', [1])
      other.release()
      expect(await rowOf(pool, 'SELECT @mine AS mine, DATABASE() AS db')).toEqual({
        mine: null,
        db: rig.server.database,
      })
      expect((await pool.execute('SELECT ? AS a', [2]))[0]).toMatchObject([{ a: 2 }])
    }
    expect(await idOf(pool)).toBe(id)
    expect(inspect(await pool.getConnection(), { depth: 8 })).not.toContain(rig.server.password)
    await pool.close({ timeoutMillis: 0 })
  })

  it('refuses a stale release, and ends a query that timed out', async () => {
    poolOn()
    const connection = await pool.getConnection()
    connection.release()
    expect(() => {
      connection.release()
    }).toThrow('Connection was already released')
    await expect(pool.query({ sql: 'SELECT SLEEP(20)', timeout: 100 })).rejects.toMatchObject({
      code: 'PROTOCOL_SEQUENCE_TIMEOUT',
    })
    expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
    await waitFor(async () => (await rig.view.count()) === 1, { what: 'the server works for nobody' })
  })

  it('goes on after its connections were ended', async () => {
    poolOn()
    await pool.query('SELECT 1')
    await rig.view.terminate()
    await waitFor(() => pool.stats().idle === 0, { what: 'it has heard' })
    expect(await rowOf(pool, 'SELECT 1 AS one')).toEqual({ one: 1 })
    await expect(pool.query('SELECT nonsense')).rejects.toMatchObject({ errno: 1054 })
    expect(pool.stats().created).toBe(2)
  })
})
