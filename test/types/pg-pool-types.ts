/** Compiled, never run: what users of `pgPool` see of their own driver's types, with the lowest and the latest @types/pg. */
import { PostgresDialect } from 'kysely'
import pg from 'pg'
import { PoolError, type AcquireReport, type CloseReport, type HealthCheck, type PoolStats } from 'millpond'
import { knexPool, kyselyPool, pgBossDb, pgDriver, pgPool, sequelizePool } from 'millpond/pg'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ']): void => undefined

interface User {
  id: number
  name: string
}

export const pool = pgPool(pg, { connectionString: 'postgres://localhost', max: 20, min: 2, application_name: 'api' })

export function isThePoolThatItWas(): pg.Pool {
  const asDriver: pg.Pool = pool
  const use = (given: pg.Pool): number => given.totalCount + given.idleCount + given.waitingCount
  use(pool)
  return asDriver
}

export async function typesRows(): Promise<void> {
  const whole = await pool.query<User>('SELECT * FROM users WHERE id = $1', [1])
  same<typeof whole, pg.QueryResult<User>>()
  same<typeof whole.rows, User[]>()
  const named = await pool.query<User>({ name: 'by-id', text: 'SELECT 1', values: [1] })
  same<typeof named.rows, User[]>()
  const arrays = await pool.query<[number, string]>({ text: 'SELECT 1', rowMode: 'array' })
  same<typeof arrays.rows, [number, string][]>()
  pool.query<User>('SELECT 1', (_error, result) => {
    same<typeof result, pg.QueryResult<User>>()
  })
  // @ts-expect-error: not a column of the row
  void whole.rows[0]?.nme
  // @ts-expect-error: text comes first
  void pool.query(1)
}

export async function lendsTheDriversClient(): Promise<void> {
  const client = await pool.connect()
  const asDriver: pg.PoolClient = client
  const { rows } = await client.query<User>('SELECT 1')
  same<typeof rows, User[]>()
  client.on('notification', (message) => {
    same<typeof message, pg.Notification>()
  })
  client.release()
  asDriver.release(true)
  client.release(new Error('broken'))
  // @ts-expect-error: no such method
  client.relaese()

  pool.connect((error, borrowed, release) => {
    if (error as Error | undefined) release(error)
    else borrowed?.release()
  })
  same<Awaited<ReturnType<typeof pool.use<number>>>, number>()
  const used = await pool.use(async (borrowed) => (await borrowed.query<User>('SELECT 1')).rows)
  same<typeof used, User[]>()
}

export async function runsTransactions(): Promise<void> {
  const users = await pool.transaction(
    async (client) => {
      const driverClient: pg.PoolClient = client
      const { rows } = await driverClient.query<User>('SELECT 1')
      return rows
    },
    { isolation: 'serializable', readOnly: true, retries: 3, label: 'checkout', signal: AbortSignal.timeout(1_000) },
  )
  same<typeof users, User[]>()
  const plain = await pool.transaction(() => 'nothing to wait for')
  same<typeof plain, string>()
  // @ts-expect-error: not a level
  await pool.transaction(() => 1, { isolation: 'none' })
  // @ts-expect-error: not a number
  await pool.transaction(() => 1, { retries: 'often' })
}

export async function watchesAndEnds(): Promise<void> {
  pool.on('error', (error, client) => {
    same<typeof error, Error>()
    same<typeof client, pg.PoolClient>()
  })
  pool.on('connect', (client) => void client.query('SELECT 1'))
  same<ReturnType<typeof pool.stats>, PoolStats>()
  same<Awaited<ReturnType<typeof pool.health>>, HealthCheck>()
  same<Awaited<ReturnType<typeof pool.close>>, CloseReport>()
  pool.core.on('acquired', ({ pool: name }) => {
    same<typeof name, string>()
  })
  try {
    await pool.query('SELECT 1')
  } catch (error) {
    if (PoolError.is(error, 'ERR_POOL_ACQUIRE_TIMEOUT')) {
      same<typeof error, PoolError>()
      void (error as PoolError & { report: AcquireReport }).report
    }
  }
  const ended: Promise<void> = pool.end()
  await ended
  pool.end(() => undefined)
}

export function checksOptions(): void {
  pgPool(pg)
  pgPool(pg, {
    host: 'localhost',
    port: 5432,
    ssl: { rejectUnauthorized: false },
    password: () => Promise.resolve('secret'),
    statement_timeout: 1_000,
    connectionTimeoutMillis: 0,
    idleTimeoutMillis: 10_000,
    maxLifetimeSeconds: 60,
    allowExitOnIdle: true,
    compat: 'strict',
    onStaleRelease: 'warn',
    resetSession: 'always',
    hosts: ['a', 'b:5433'],
    targetSessionAttrs: 'read-write',
    leakThresholdMillis: 5_000,
    name: 'main',
  })
  pgPool(pg, { max: undefined, connectionString: undefined, name: undefined })
  // @ts-expect-error: not a number
  pgPool(pg, { max: '20' })
  // @ts-expect-error: a string
  pgPool(pg, { connectionString: 5 })
  // @ts-expect-error: no such option
  pgPool(pg, { maks: 20 })
  // @ts-expect-error: no such policy
  pgPool(pg, { onStaleRelease: 'shout' })
  // @ts-expect-error: not a word of libpq
  pgPool(pg, { targetSessionAttrs: 'any-old' })
  // @ts-expect-error: a list of hosts
  pgPool(pg, { hosts: 'a,b' })
  // @ts-expect-error: 'auto', 'always' or 'never'
  pgPool(pg, { resetSession: true })
  // @ts-expect-error: the driver comes first
  pgPool({ connectionString: 'postgres://localhost' })
}

/** A driver whose pool and client know more than pg's own. */
class CountingPool extends pg.Pool {
  counted = 0
}
export function keepsWhatTheDriverAdds(): number {
  const counting = pgPool({ Pool: CountingPool, Client: pg.Client })
  same<typeof counting.counted, number>()
  return counting.counted
}

export function joinsLibraries(): unknown[] {
  const driver = pgDriver(pg, { name: 'orm', max: 5 })
  same<typeof driver, typeof pg>()
  // @ts-expect-error: not a number
  pgDriver(pg, { max: 'many' })
  const boss = pgBossDb(pool)
  const dialects = [new PostgresDialect({ pool }), new PostgresDialect({ pool: kyselyPool(pool) })]
  return [new driver.Pool(), ...dialects, knexPool(pool), sequelizePool(pool), boss.executeSql('SELECT 1', [])]
}
