import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as grpc from '@grpc/grpc-js'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import * as undici from 'undici'
import { parse as parseYaml } from 'yaml'
import { Pool, PoolError, PoolRegistry, type PoolOptions } from 'millpond'
import { loadPools, type AdapterOptions, type ConfigNotice, type Kind } from 'millpond/config'
import { grpcPool } from 'millpond/grpc'
import { httpPool, type HttpPool } from 'millpond/http'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { redisPool } from 'millpond/redis'
import { FakeFactory } from 'millpond/testing'
import { waitFor } from '@millpond/rig'

type Env = Record<string, string>

/** Pools that open nothing, of whatever kind. */
function makerOf(made: { kind: Kind; options: object }[] = []) {
  const make =
    <K extends Kind>(kind: K) =>
    (options: AdapterOptions<K>) => {
      made.push({ kind, options: { ...options } })
      const { max, min, idleTimeoutMillis } = options as PoolOptions
      const name = (options as { poolName?: string; name?: string }).poolName ?? (options as { name: string }).name
      return new Pool(new FakeFactory(), { name, max, min, idleTimeoutMillis, reclaimAbandoned: false })
    }
  return { postgres: make('postgres'), redis: make('redis'), mysql: make('mysql') }
}

/** Makes pools, and keeps them for a look. */
const keptBy =
  (pools: Pool<unknown>[]) =>
  (options: AdapterOptions<'redis'>): Pool<unknown> => {
    const pool = makerOf().redis(options)
    pools.push(pool)
    return pool
  }

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millpond-config-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

describe('loadPools', () => {
  it('makes the pools of code, file and environment, registered under their names', async () => {
    const made: { kind: Kind; options: object }[] = []
    const env: Env = { REDIS_URL: 'redis://r/0', ORDERS_URL: 'postgres://o/d', REPORTS_POOL_MAX: '3' }
    const loaded = loadPools({
      make: makerOf(made),
      env,
      code: { orders: { kind: 'postgres', required: true } },
      file: { pools: { reports: { kind: 'postgres', url: 'postgres://r/d', idleTimeout: '45s' } } },
    })
    expect(made).toEqual([
      {
        kind: 'postgres',
        options: { name: 'orders', connectionString: 'postgres://o/d', max: 10, min: 2, idleTimeoutMillis: 60_000 },
      },
      {
        kind: 'postgres',
        options: { name: 'reports', connectionString: 'postgres://r/d', max: 3, min: 2, idleTimeoutMillis: 45_000 },
      },
      { kind: 'redis', options: { poolName: 'redis', url: 'redis://r/0', max: 10, min: 2, idleTimeoutMillis: 60_000 } },
    ])
    expect([...loaded.registry].map(({ name }) => name)).toEqual(['orders', 'reports', 'redis'])
    expect(loaded.pools.orders).toBe(loaded.get('orders'))
    expect(loaded.configs.get('orders')?.required).toBe(true)
    expect(() => loaded.get('report')).toThrow('did you mean "reports"?')
    await loaded.close()
    expect(loaded.pools.orders.state).toBe('closed')
  })

  it.each<[string, Env, string[]]>([
    ['a URL', { DATABASE_URL: 'mysql://h/d' }, ['mysql']],
    ['PG variables', { PGHOST: 'h' }, ['postgres']],
    ['DB variables and a port', { DB_HOST: 'h', DB_PORT: '3306' }, ['mysql']],
    ['DB variables and DB_CONNECTION', { DB_HOST: 'h', DB_CONNECTION: 'pgsql' }, ['postgres']],
    ['nothing', {}, []],
  ])('finds the servers of the environment by %s', async (_, env, names) => {
    const loaded = loadPools({ make: makerOf(), env })
    expect([...loaded.configs.keys()]).toEqual(names)
    await loaded.close()
  })

  it('registers with a registry that is there already', async () => {
    const registry = new PoolRegistry()
    const loaded = loadPools({ make: makerOf(), registry, env: {}, code: { a: { kind: 'redis', url: 'redis://h' } } })
    expect(registry.get('a')).toBe(loaded.pools.a)
    await registry.close()
  })

  it('says which maker is missing', () => {
    expect(() => loadPools({ make: makerOf(), env: {}, code: { a: { kind: 'grpc', url: 'dns:///x' } } })).toThrow(
      '`make` has no `grpc`',
    )
  })

  it('closes what it made when a maker fails', async () => {
    const pools: Pool<unknown>[] = []
    const make = {
      redis: keptBy(pools),
      postgres: (): Pool<unknown> => {
        throw new Error('no driver')
      },
    }
    const code = { a: { kind: 'redis', url: 'redis://h' }, b: { kind: 'postgres', url: 'postgres://h/d' } } as const
    expect(() => loadPools({ make, env: {}, code })).toThrow('no driver')
    await waitFor(() => pools[0]?.state === 'closed', { what: 'the first pool to be closed' })
  })

  it('closes what it made when a name is taken in the registry', async () => {
    const pools: Pool<unknown>[] = []
    const make = { redis: keptBy(pools) }
    const registry = new PoolRegistry()
    const taken = registry.register(new Pool(new FakeFactory(), { name: 'b' }))
    const code = { a: { kind: 'redis', url: 'redis://h' }, b: { kind: 'redis', url: 'redis://h' } } as const
    expect(() => loadPools({ make, env: {}, code, registry })).toThrow('Another pool is registered as "b"')
    await waitFor(() => pools.every(({ state }) => state === 'closed'), { what: 'both pools to be closed' })
    expect([pools.length, taken.state, [...registry]]).toEqual([2, 'open', [taken]])
    await registry.close()
  })

  it('reads YAML with the parser that is handed in, and says so where none is', async () => {
    const file = join(folder(), 'pools.yaml')
    writeFileSync(
      file,
      'pools:\n  cache:\n    kind: redis\n    url: redis://h\n    database: 2\n    acquireTimeout: 2s\n',
    )
    const loaded = loadPools({ make: makerOf(), env: {}, file, parse: parseYaml })
    expect(loaded.configs.get('cache')?.options).toMatchObject({ url: 'redis://h/2', acquireTimeoutMillis: 2_000 })
    await loaded.close()
    expect(() => loadPools({ make: makerOf(), env: {}, file })).toThrow('hand in `parse: YAML.parse`')
  })

  it.each<[string, string]>([
    ['{"pools": {"a": {"kind": "redis", "password": "hush}}', 'cannot be parsed'],
    ['{"pool": {}}', 'Unknown key `pool`; did you mean `pools`?'],
    ['{"pools": []}', 'Expected `pools` to be an object'],
    ['[]', 'is to be an object with the key `pools`'],
    ['{"pools": {"a": 3}}', 'Expected the pool to be an object of options'],
  ])('refuses the file %s', (text, message) => {
    const file = join(folder(), 'pools.json')
    writeFileSync(file, text)
    let error: unknown
    try {
      loadPools({ make: makerOf(), env: {}, file })
    } catch (thrown) {
      error = thrown
    }
    expect(PoolError.is(error, 'ERR_POOL_OPTION')).toBe(true)
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).not.toContain('hush')
  })

  it('refuses a file that is not there', () => {
    expect(() => loadPools({ make: makerOf(), env: {}, file: '/nowhere/pools.json' })).toThrow(
      'cannot be read (ENOENT)',
    )
  })

  it('warns of conflicts once, through the process where nobody listens', async () => {
    const warnings: Error[] = []
    const listener = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listener)
    onTestFinished(() => void process.off('warning', listener))
    const loaded = loadPools({
      make: makerOf(),
      env: { A_POOL_MAX: '3' },
      code: { a: { kind: 'redis', url: 'redis://h', max: 4 } },
    })
    await waitFor(() => warnings.length > 0, { what: 'the warning' })
    expect(warnings).toMatchObject([
      {
        name: 'MillpondWarning',
        code: 'MILLPOND_CONFIG_CONFLICT',
        message: 'pool "a": `max` 4 (code) wins over 3 (A_POOL_MAX); say it in one place',
      },
    ])
    await loaded.close()
  })
})

describe('reload', () => {
  function setUp(watch = false) {
    const file = join(folder(), 'pools.json')
    const write = (settings: object): void => {
      // As editors and deployments do it.
      writeFileSync(
        `${file}.new`,
        JSON.stringify({ pools: { a: { kind: 'redis', url: 'redis://h', max: 4, min: 0, ...settings } } }),
      )
      renameSync(`${file}.new`, file)
    }
    write({})
    const notices: ConfigNotice[] = []
    const loaded = loadPools({ make: makerOf(), env: {}, file, watch, onNotice: (notice) => notices.push(notice) })
    onTestFinished(async () => {
      await loaded.close()
    })
    return { loaded, pool: loaded.get('a'), write, notices }
  }

  it('resizes a running pool and drops no lease', async () => {
    const { loaded, pool, write } = setUp()
    const leases = await Promise.all([1, 2, 3, 4].map(() => pool.acquire()))
    write({ max: 2 })
    expect(loaded.reload().resized).toEqual([{ pool: 'a', min: 0, max: 2 }])
    expect(pool.stats()).toMatchObject({ max: 2, used: 4 })
    for (const lease of leases) {
      expect(lease.resource).toBeDefined()
      lease.release()
    }
    await waitFor(() => pool.stats().total === 2, { what: 'the surplus to be closed' })
    expect(loaded.configs.get('a')?.setting('max').value).toBe(2)
  })

  it('tells what holds from the next start on only', () => {
    const { loaded, write, notices } = setUp()
    write({ idleTimeout: '3s', password: 'hush' })
    expect(loaded.reload().resized).toEqual([])
    expect(notices.map(({ message }) => message)).toEqual([
      '`password` changed from not set to ***; it holds from the next start on',
      '`idleTimeout` changed from 1m to 3s; it holds from the next start on',
    ])
  })

  it('resizes the exclusive lane of a Redis pool', async () => {
    const env: Env = { REDIS_URL: 'redis://nobody.invalid', REDIS_POOL_MAX: '6' }
    const make = { redis: (options: object) => redisPool(Redis, options) }
    await using loaded = loadPools({ make, env })
    env['REDIS_POOL_MAX'] = '9'
    expect(loaded.reload().resized).toEqual([{ pool: 'redis', min: 2, max: 9 }])
    expect(loaded.get('redis').lanes.exclusive.stats().max).toBe(9)
  })

  it('resizes what pools HTTP and gRPC, origins to come included', async () => {
    const env: Env = { API_BASE_URL: 'http://nobody.invalid', API_POOL_MAX: '6', GRPC_TARGET: 'nobody.invalid:1' }
    const make = {
      http: (options: AdapterOptions<'http'>) => httpPool(undici, options),
      grpc: ({ target, ...options }: AdapterOptions<'grpc'>) =>
        grpcPool(grpc.Client, target, grpc.credentials.createInsecure(), options),
    }
    await using loaded = loadPools({ make, env })
    const api = loaded.get('http') as HttpPool
    const other = api.connections('http://other.invalid')
    env['API_POOL_MAX'] = '9'
    env['GRPC_POOL_MAX'] = '4'
    const { resized, unchanged, notices } = loaded.reload()
    expect(resized).toEqual([
      { pool: 'http', min: 2, max: 9 },
      { pool: 'grpc', min: 2, max: 4 },
    ])
    expect([unchanged, notices]).toEqual([[], []])
    expect([other, api.connections(), api.connections('http://new.invalid')].map((pool) => pool.stats().max)).toEqual([
      9, 9, 9,
    ])
    expect(loaded.get('grpc').stats().max).toBe(4)
  })

  it('says which pools stay as they are, and why', async () => {
    const env: Env = { MONGODB_URI: 'mongodb://nobody.invalid', MONGODB_POOL_MAX: '6', API_BASE_URL: 'http://nobody.invalid' } // prettier-ignore
    const make = {
      mongodb: ({ uri, name, ...options }: AdapterOptions<'mongodb'>) =>
        observeMongo(new MongoClient(uri, mongoOptions(options)), { name, slowMillis: Infinity }),
      http: (options: AdapterOptions<'http'>) => httpPool(undici, { ...options, maxTotal: 10 }),
    }
    const notices: ConfigNotice[] = []
    await using loaded = loadPools({ make, env, onNotice: (notice) => notices.push(notice) })
    env['MONGODB_POOL_MAX'] = '9'
    env['API_POOL_MAX'] = '11'
    const { resized, unchanged } = loaded.reload()
    expect(resized).toEqual([])
    expect(unchanged).toEqual([
      {
        pool: 'mongodb',
        reason: 'MongoDB’s driver takes the sizes of its pools when the client is made, and has no way to change them',
      },
      { pool: 'http', reason: expect.stringContaining('share `maxTotal` (10), got 11') as string },
    ])
    expect(notices.map(({ pool, option, message }) => [pool, option, message])).toEqual([
      ['mongodb', 'max', `\`max\` changed from 6 to 9; it holds from the next start on: ${unchanged[0]?.reason ?? ''}`],
      ['http', 'max', `\`max\` changed from 10 to 11; it holds from the next start on: ${unchanged[1]?.reason ?? ''}`],
    ])
    expect((loaded.get('http') as HttpPool).connections().stats().max).toBe(10)
  })

  it('changes nothing when the new configuration is wrong', () => {
    const { loaded, pool, write } = setUp()
    write({ max: 0 })
    expect(() => loaded.reload()).toThrow('Expected `max` to be an integer ≥ 1')
    expect(pool.stats().max).toBe(4)
    write({ max: 6 })
    expect(loaded.reload().resized).toEqual([{ pool: 'a', min: 0, max: 6 }])
  })

  it('happens by itself when the file changes, and survives a wrong one', async () => {
    const { pool, write, notices } = setUp(true)
    write({ max: 7 })
    await waitFor(() => pool.stats().max === 7, { what: 'the new size' })
    write({ max: 'many' })
    await waitFor(() => notices.length > 0, { what: 'the notice' })
    expect(notices[0]).toMatchObject({
      code: 'MILLPOND_CONFIG_RELOAD',
      message: expect.stringContaining('is not taken over') as string,
    })
    write({ max: 5 })
    await waitFor(() => pool.stats().max === 5, { what: 'the mended size' })
  })
})
