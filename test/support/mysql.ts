import mysql2 from 'mysql2'
import mysql from 'mysql2/promise'
import { describe } from 'vitest'
import {
  checkMariaDb,
  MariaDbView,
  startMariaDb,
  tryStart,
  type MariaDbOptions,
  type MariaDbServer,
} from '@millpond/rig'
import { mysqlPool, type MysqlPool, type MysqlPoolOptions } from 'millpond/mysql'

/** The promise face and the callback face. */
export type TestPool = MysqlPool<typeof mysql>
export type CallbackPool = MysqlPool<typeof mysql2>

const programs = await tryStart('MariaDB', () => Promise.resolve(checkMariaDb()))

/** `describe` for what needs MariaDB: skipped, loudly, where that does not run. */
export const describeMysql = describe.skipIf(programs === undefined)

/** A server with a view on it, for the tests of one file. */
export async function startServer(
  options?: MariaDbOptions,
): Promise<{ server: MariaDbServer; view: MariaDbView; stop(): Promise<void> }> {
  const server = await startMariaDb(options)
  const view = new MariaDbView(server)
  return {
    server,
    view,
    async stop() {
      await view.close()
      await server.stop()
    },
  }
}

export function poolOn(
  target: { readonly config: mysql.ConnectionOptions },
  options: MysqlPoolOptions<typeof mysql> = {},
): TestPool {
  return mysqlPool(mysql, { ...target.config, ...options })
}

export function callbackPoolOn(
  target: { readonly config: mysql.ConnectionOptions },
  options: MysqlPoolOptions<typeof mysql2> = {},
): CallbackPool {
  return mysqlPool(mysql2, { ...target.config, ...options })
}

/** The one row, of whatever asks with promises. */
export async function rowOf<R = Record<string, unknown>>(
  asked: { query(sql: string, values?: unknown[]): Promise<[unknown, unknown]> },
  sql: string,
  values: unknown[] = [],
): Promise<R> {
  const [rows] = await asked.query(sql, values)
  return (rows as R[])[0] as R
}

export async function idOf(asked: { query(sql: string): Promise<[unknown, unknown]> }): Promise<number> {
  return (await rowOf<{ id: number }>(asked, 'SELECT CONNECTION_ID() AS id')).id
}
