// What the doctor says of URLs and variables, tried on pg itself, the latest and the lowest that is supported: a release that begins to
// read one of them fails here.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createRequire } from 'node:module'
import pg from 'pg'
import { certificateOf, startPostgres, tryStart } from '@millpond/rig'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { LARAVEL_KEYS } from '../src/doctor/config-files.ts'
import { FOREIGN_PARAMETERS, FOREIGN_VARIABLES } from '../src/doctor/environment.ts'

const pgLow = createRequire(import.meta.url)('pg-lowest') as typeof pg
const server = await tryStart('PostgreSQL', () => startPostgres({ tls: true }))

/** Somebody who takes connections and says nothing. */
const sockets = new Set<Socket>()
const silent = createServer((socket) => {
  sockets.add(socket.on('error', () => undefined).resume())
})
beforeAll(() => new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve)))
afterEach(() => vi.unstubAllEnvs())
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  silent.close()
  await server?.stop()
})

const SIZES = ['max', 'pool_max', 'poolSize', 'connection_limit']
const DEADLINES = ['pool_timeout', 'connect_timeout']
const STATEMENTS = ['pgbouncer']

describe.skipIf(server === undefined).each([
  { name: 'pg', module: pg },
  { name: 'pg, the lowest', module: pgLow },
])('$name', ({ module }) => {
  const url = (server?.connectionString ?? '').replace('localhost', '127.0.0.1')
  const poolOf = (connectionString: string, options: object = {}): pg.Pool => {
    const pool = new module.Pool({ connectionString, ...options })
    pool.on('error', () => undefined)
    return pool
  }

  it.each(SIZES)('lends two at a time in spite of ?%s=1', async (parameter) => {
    const pool = poolOf(`${url}?${parameter}=1`)
    const clients = await Promise.all([pool.connect(), pool.connect()])
    expect(clients).toHaveLength(2)
    for (const client of clients) client.release()
    await pool.end()
  })

  it.each(STATEMENTS)('names its statements in spite of ?%s=true', async (parameter) => {
    const client = new module.Client(`${url}?${parameter}=true`)
    await client.connect()
    await client.query({ name: 'mine', text: 'SELECT 1' })
    const { rows } = await client.query("SELECT name FROM pg_prepared_statements WHERE name = 'mine'")
    expect(rows).toEqual([{ name: 'mine' }])
    await client.end()
  })

  it(`waits on in spite of ${[...DEADLINES, ...Object.keys(FOREIGN_VARIABLES)].join(', ')}`, async () => {
    for (const variable of Object.keys(FOREIGN_VARIABLES)) vi.stubEnv(variable, '1')
    const at = `postgres://ada@127.0.0.1:${(silent.address() as AddressInfo).port}/shop`
    const attempts: Record<string, string> = {}
    const pools = [...DEADLINES.map((name) => `?${name}=1`), '', 'control'].map((query) => {
      const pool = query === 'control' ? poolOf(at, { connectionTimeoutMillis: 1_000 }) : poolOf(`${at}${query}`)
      const trying = pool.connect().then(() => 'connected', () => 'gave up') // prettier-ignore
      void trying.then((outcome) => (attempts[query] ??= outcome))
      return { pool, trying, query }
    })
    // Who has a second of patience has lost it by then, as the last one shows.
    await pools.at(-1)?.trying
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(attempts).toEqual({ control: 'gave up' })
    for (const socket of sockets) socket.destroy()
    await Promise.all(pools.map(async ({ pool, trying }) => { await trying; await pool.end() })) // prettier-ignore
  })

  it('drops an `ssl` object, with its certificate, for `sslmode` in the URL', async () => {
    if (server === undefined) return
    const ssl = { ca: certificateOf(server), checkServerIdentity: () => undefined }
    const attempt = async (connectionString: string): Promise<string> => {
      const client = new module.Client({ connectionString, ssl })
      client.on('error', () => undefined)
      try {
        await client.connect()
        await client.end()
        return 'trusted'
      } catch (error) {
        return (error as Error).message
      }
    }
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    expect(await attempt(url)).toBe('trusted')
    expect(await attempt(`${url}?sslmode=require`)).toMatch(/self.signed certificate/)
    said.mockRestore()
  })
})

it('leaves none of the parameters and variables that the doctor knows untried', () => {
  expect(Object.keys(FOREIGN_PARAMETERS).sort()).toEqual([...SIZES, ...DEADLINES, ...STATEMENTS].sort())
})

it('knows the keys of tutorials, and none that Laravel reads', () => {
  const line = (key: string): string => `            '${key}' => env('DB_X', 1),`
  for (const key of [
    'pool',
    'pool_max',
    'pool_min',
    'pool_size',
    'min_connections',
    'max_connections',
    'connection_limit',
    'idle_timeout',
    'wait_timeout',
    'acquire_timeout',
  ])
    // prettier-ignore
    expect(LARAVEL_KEYS.exec(line(key))?.[1]).toBe(key)
  // config/database.php of Laravel 12, all kinds of connections.
  for (const key of [
    'driver',
    'url',
    'database',
    'prefix',
    'prefix_indexes',
    'foreign_key_constraints',
    'busy_timeout',
    'journal_mode',
    'synchronous',
    'host',
    'port',
    'username',
    'password',
    'unix_socket',
    'charset',
    'collation',
    'strict',
    'engine',
    'options',
    'search_path',
    'sslmode',
    'encrypt',
    'trust_server_certificate',
    'read',
    'write',
    'sticky',
  ])
    // prettier-ignore
    expect(LARAVEL_KEYS.exec(line(key))).toBeNull()
})
