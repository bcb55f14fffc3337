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
const deployment = process.env['MYSQL_URL']
if (deployment === undefined) console.warn('\n  ⚠ MYSQL_URL is not set: MySQL is tested on a MariaDB of the rig\n')

/** What tests need of a server that they do not disturb. */
export interface Server {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly config: MariaDbServer['config']
  readonly uri: string
}

export interface Rig<S extends Server = Server> {
  readonly server: S
  readonly view: MariaDbView
  readonly isMariaDb: boolean
  stop(): Promise<void>
}

/** `describe` for what runs on any server: skipped, loudly, where there is none. */
export const describeMysql = describe.skipIf(programs === undefined && deployment === undefined)
/** `describe` for what disturbs its server, which is therefore always one of the rig's own. */
export const describeOwnMysql = describe.skipIf(programs === undefined)

/** Whether others may use the same server meanwhile, so that its own counters tell nothing. */
export const isShared = deployment !== undefined

/** A server with a view on it, for the tests of one file: that of `MYSQL_URL`, or a MariaDB of the rig. */
export async function startServer({ password = 'rig-password' }: { password?: string } = {}): Promise<Rig> {
  return deployment === undefined ? await startOwnServer({ password }) : await enter(deployment, password)
}

export async function startOwnServer(options?: MariaDbOptions): Promise<Rig<MariaDbServer>> {
  const server = await startMariaDb(options)
  const view = new MariaDbView(server)
  return {
    server,
    view,
    isMariaDb: true,
    async stop() {
      await view.close()
      await server.stop()
    },
  }
}

let entered = 0

/** A database and a user of our own on somebody's server, gone afterwards. The URL is that of an administrator. */
async function enter(url: string, password: string): Promise<Rig> {
  const root = new URL(url)
  const [host, port] = [root.hostname, Number(root.port || 3306)]
  const name = `millpond_${process.pid}_${++entered}`
  const rootConfig = {
    host,
    port,
    user: decodeURIComponent(root.username),
    password: decodeURIComponent(root.password),
  }
  const server: Server = {
    host,
    port,
    user: name,
    password,
    database: name,
    config: { host, port, user: name, password, database: name },
    uri: `mysql://${name}:${encodeURIComponent(password)}@${host}:${port}/${name}`,
  }
  const view = new MariaDbView({ user: name, rootConfig })
  await view.query(`CREATE DATABASE ${name}`)
  await view.query(`CREATE USER ${name} IDENTIFIED BY '${password}'`)
  await view.query(`GRANT ALL ON ${name}.* TO ${name}`)
  const [{ version } = { version: '' }] = await view.query<{ version: string }>('SELECT VERSION() AS version')
  return {
    server,
    view,
    isMariaDb: version.includes('MariaDB'),
    async stop() {
      await view.query(`DROP DATABASE ${name}`)
      await view.query(`DROP USER ${name}`)
      await view.close()
    },
  }
}

const DIGITS = `(${Array.from({ length: 10 }, (_, d) => `SELECT ${d} AS d`).join(' UNION ALL ')})`

/** A query for the numbers from 1 to at most 100,000, in a column `seq`, which every server knows how to answer. */
export const numbersTo = (last: number): string =>
  `SELECT seq FROM (SELECT 1 + d0.d + 10 * d1.d + 100 * d2.d + 1000 * d3.d + 10000 * d4.d AS seq ` +
  `FROM ${[4, 3, 2, 1, 0].map((place) => `${DIGITS} AS d${place}`).join(' CROSS JOIN ')}) AS numbers WHERE seq <= ${last}`

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
