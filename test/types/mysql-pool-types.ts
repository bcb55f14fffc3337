/** Compiled, never run: what users of `mysqlPool` see of their own driver's types, with the lowest and the latest mysql2. */
import { MysqlDialect } from 'kysely'
import mysql2 from 'mysql2'
import mysql from 'mysql2/promise'
import { PoolRegistry, type CloseReport, type HealthCheck, type ManagedPool, type PoolStats } from 'millpond'
import { knexPool, mysqlDriver, mysqlPool, sequelizePool } from 'millpond/mysql'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ']): void => undefined

interface User extends mysql.RowDataPacket {
  id: number
  name: string
}

export const promises = mysqlPool(mysql, { host: 'localhost', connectionLimit: 20, min: 2, namedPlaceholders: true })
export const callbacks = mysqlPool(mysql2, 'mysql://localhost/app')

export function arePoolsAsTheyWere(): unknown[] {
  const asPromises: mysql.Pool = promises
  const asCallbacks: mysql2.Pool = callbacks
  const ofCallbacks: mysql.Pool = callbacks.promise()
  const managed: ManagedPool[] = [promises, callbacks]
  const registry = new PoolRegistry()
  return [asPromises, asCallbacks, ofCallbacks, ...managed, registry.register(promises), registry.register(callbacks)]
}

export async function typesRows(): Promise<void> {
  const [users, fields] = await promises.query<User[]>('SELECT * FROM users WHERE id = ?', [1])
  same<typeof users, User[]>()
  same<typeof fields, mysql.FieldPacket[]>()
  const [header] = await promises.execute<mysql.ResultSetHeader>('DELETE FROM users')
  same<typeof header.affectedRows, number>()
  callbacks.query<User[]>('SELECT 1', (error, rows) => {
    same<typeof error, mysql2.QueryError | null>()
    same<typeof rows, User[]>()
  })
  // @ts-expect-error: text comes first
  void promises.query(1)
}

export async function lendsTheDriversConnection(): Promise<void> {
  const connection = await promises.getConnection()
  const asDriver: mysql.PoolConnection = connection
  await connection.beginTransaction()
  await asDriver.rollback()
  connection.release()
  // @ts-expect-error: no such method
  connection.relaese()
  callbacks.getConnection((_error, borrowed) => {
    same<typeof borrowed, mysql2.PoolConnection>()
    borrowed.release()
  })
  const used = await promises.use(async (borrowed) => (await borrowed.query<User[]>('SELECT 1'))[0])
  same<typeof used, User[]>()
  // Also on the callback face what a callback of ours gets is awaited.
  const also = await callbacks.use(async (borrowed) => (await borrowed.query<User[]>('SELECT 1'))[0])
  same<typeof also, User[]>()
}

export async function runsTransactions(): Promise<void> {
  const users = await promises.transaction(
    async (connection) => {
      const asDriver: mysql.PoolConnection = connection
      return (await asDriver.query<User[]>('SELECT 1'))[0]
    },
    {
      isolation: 'read uncommitted',
      readOnly: true,
      retries: 3,
      label: 'checkout',
      signal: AbortSignal.timeout(1_000),
    },
  )
  same<typeof users, User[]>()
  // @ts-expect-error: not a level
  await promises.transaction(() => 1, { isolation: 'none' })
}

export async function watchesAndEnds(): Promise<void> {
  promises.on('acquire', (connection) => {
    same<typeof connection, mysql.PoolConnection>()
  })
  same<ReturnType<typeof promises.stats>, PoolStats>()
  same<Awaited<ReturnType<typeof promises.health>>, HealthCheck>()
  same<Awaited<ReturnType<typeof promises.close>>, CloseReport>()
  const ended: Promise<void> = promises.end()
  await ended
  callbacks.end(() => undefined)
}

export function checksOptions(): void {
  mysqlPool(mysql)
  mysqlPool(mysql, {
    uri: 'mysql://localhost',
    ssl: { rejectUnauthorized: false },
    password: ({ attempt }) => Promise.resolve(`token ${attempt}`),
    acquireTimeout: 5_000,
    idleTimeout: 10_000,
    maxIdle: 2,
    queueLimit: 0,
    waitForConnections: true,
    resetSession: 'always',
    onStaleRelease: 'warn',
    writable: true,
    leakThresholdMillis: 5_000,
    name: 'main',
  })
  mysqlPool(mysql, { connectionLimit: undefined, name: undefined })
  // @ts-expect-error: not a number
  mysqlPool(mysql, { connectionLimit: '20' })
  // @ts-expect-error: no such option
  mysqlPool(mysql, { conectionLimit: 20 })
  // @ts-expect-error: no such policy
  mysqlPool(mysql, { onStaleRelease: 'shout' })
  // @ts-expect-error: the driver comes first
  mysqlPool({ host: 'localhost' })
}

export function joinsLibraries(): unknown[] {
  const driver = mysqlDriver(mysql2, { name: 'orm', max: 5 })
  same<typeof driver, typeof mysql2>()
  const dialect = new MysqlDialect({ pool: callbacks })
  return [driver.createPool({}), dialect, knexPool(callbacks), knexPool(promises), sequelizePool(callbacks)]
}
