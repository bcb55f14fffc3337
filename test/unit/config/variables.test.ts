import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { describeSource, poolConfig, type Kind, type PoolSettings } from 'millpond/config'

type Env = Record<string, string>

const options = (name: string, env: Env, code: PoolSettings = {}): Record<string, unknown> => ({
  ...poolConfig({ name, env, code }).options,
})

describe('variables in use', () => {
  it.each<[Kind, Env, object]>([
    ['postgres', { DATABASE_URL: 'postgres://u:p@h:1/d' }, { connectionString: 'postgres://u:p@h:1/d' }],
    ['postgres', { POSTGRES_URL: 'postgresql://h/d' }, { connectionString: 'postgresql://h/d' }],
    [
      'postgres',
      { PGHOST: 'h', PGPORT: '5433', PGUSER: 'u', PGPASSWORD: 'p', PGDATABASE: 'd', PGAPPNAME: 'a' },
      { host: 'h', port: 5433, user: 'u', password: 'p', database: 'd', application_name: 'a' },
    ],
    [
      'postgres',
      { DB_HOST: 'h', DB_PORT: '5432', DB_USER: 'u', DB_PASSWORD: 'p', DB_NAME: 'd' },
      { host: 'h', port: 5432, user: 'u', password: 'p', database: 'd' },
    ],
    ['postgres', { PGHOST: 'h', PGSSLMODE: 'no-verify' }, { ssl: { rejectUnauthorized: false } }],
    ['postgres', { PGHOST: 'h', PGSSLMODE: 'disable' }, { ssl: false }],
    ['postgres', { PGHOST: 'h', PGCONNECT_TIMEOUT: '7' }, { createTimeoutMillis: 7_000 }],
    ['postgres', { PGHOST: 'h', PGCONNECT_TIMEOUT: '0' }, { createTimeoutMillis: Infinity }],
    ['mysql', { DATABASE_URL: 'mysql://u:p@h/d' }, { uri: 'mysql://u:p@h/d' }],
    [
      'mysql',
      { MYSQL_HOST: 'h', MYSQL_TCP_PORT: '3307', MYSQL_USER: 'u', MYSQL_PWD: 'p', MYSQL_DATABASE: 'd' },
      { host: 'h', port: 3307, user: 'u', password: 'p', database: 'd' },
    ],
    [
      'mongodb',
      { MONGODB_URI: 'mongodb+srv://u:p@cluster.example/d?retryWrites=true' },
      { uri: 'mongodb+srv://u:p@cluster.example/d?retryWrites=true' },
    ],
    [
      'mongodb',
      { MONGODB_URI: 'mongodb://a:1,b:2/d?maxPoolSize=30&replicaSet=rs' },
      { uri: 'mongodb://a:1,b:2/d?replicaSet=rs', max: 30 },
    ],
    ['redis', { REDIS_URL: 'rediss://:p%40ss@h:6380/2' }, { url: 'rediss://:p%40ss@h:6380/2' }],
    [
      'redis',
      { REDIS_HOST: 'h', REDIS_PORT: '6380', REDIS_PASSWORD: 'p/w', REDIS_DB: '3' },
      { url: 'redis://:p%2Fw@h:6380/3' },
    ],
    // What Kubernetes sets where a Service is called `redis` is no port.
    ['redis', { REDIS_URL: 'redis://h', REDIS_PORT: 'tcp://10.0.0.1:6379' }, { url: 'redis://h' }],
    // As mysql2 means it.
    ['mysql', { DATABASE_URL: 'mysql://h/d?queueLimit=0' }, { maxWaiting: Infinity }],
    ['redis', { VALKEY_URL: 'valkey://h' }, { url: 'redis://h' }],
    ['http', { API_BASE_URL: 'https://api.example.com' }, { origin: 'https://api.example.com' }],
    ['grpc', { GRPC_SERVER_URL: 'users:50051' }, { target: 'users:50051' }],
    ['grpc', { GRPC_TARGET: 'dns:///users:50051' }, { target: 'dns:///users:50051' }],
  ])('of %s: %o', (kind, env, expected) => {
    expect(options(kind, env)).toMatchObject(expected)
  })

  it('of a named pool begin with its name', () => {
    const env = {
      ORDER_EVENTS_URL: 'postgres://h/d',
      ORDER_EVENTS_POOL_MAX: '20',
      ORDER_EVENTS_POOL_IDLE_TIMEOUT: '10m',
      ORDER_EVENTS_POOL_MAX_LIFETIME: 'off',
      ORDER_EVENTS_POOL_TRACK_STACKS: 'yes',
      ORDER_EVENTS_POOL_PRESET: 'database',
      ORDER_EVENTS_POOL_STATEMENT_TIMEOUT: '45s',
    }
    expect(options('orderEvents', env)).toMatchObject({
      name: 'orderEvents',
      connectionString: 'postgres://h/d',
      max: 20,
      min: 2,
      idleTimeoutMillis: 600_000,
      maxLifetimeMillis: Infinity,
      trackStacks: true,
      statement_timeout: 45_000,
    })
  })

  it('go by the beginning that the pool has been given', () => {
    const env = { HEROKU_POSTGRESQL_RED_URL: 'postgres://h/d', HEROKU_POSTGRESQL_RED_POOL_MAX: '3' }
    expect(options('orders', env, { envPrefix: 'HEROKU_POSTGRESQL_RED_' })).toMatchObject({
      connectionString: 'postgres://h/d',
      max: 3,
    })
  })

  it('that are empty are not set', () => {
    expect(options('postgres', { PGHOST: '', DB_HOST: 'h', DB_POOL_MAX: '' })).toMatchObject({ host: 'h', max: 10 })
  })

  it('hold secrets in files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millpond-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'password'), ' with blanks \n')
    const config = poolConfig({ name: 'postgres', env: { PGHOST: 'h', PGPASSWORD_FILE: join(folder, 'password') } })
    expect(config.setting('password')).toEqual({
      value: ' with blanks ',
      source: { from: 'variable', name: 'PGPASSWORD_FILE' },
    })
    expect(() => poolConfig({ name: 'postgres', env: { DATABASE_URL_FILE: join(folder, 'none') } })).toThrow(
      /`DATABASE_URL_FILE` names .*none, which cannot be read \(ENOENT\)/,
    )
  })

  it('of another kind are not mistaken for this one’s', () => {
    expect(options('mysql', { DATABASE_URL: 'postgres://h/d', MYSQL_HOST: 'm' })).toMatchObject({ host: 'm' })
    expect(() =>
      poolConfig({ name: 'cache', code: { kind: 'redis' }, env: { CACHE_URL: 'postgres://u:hush@h/d' } }),
    ).toThrow(
      "Expected `CACHE_URL` to be a URL such as redis://user:password@host:6379/0, but its scheme is 'postgres'",
    )
  })

  it('that speak no Redis are told apart from those that do', () => {
    expect(() => poolConfig({ name: 'redis', env: { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io' } })).toThrow(
      'set `REDIS_URL`',
    )
  })
})

describe('a wrong value', () => {
  it.each<[Env, string]>([
    [{ REDIS_POOL_MAX: 'many' }, "Expected `REDIS_POOL_MAX` to be an integer ≥ 1 or 'unlimited', got 'many'"],
    [{ REDIS_POOL_MAX: '2.5' }, 'got'],
    [{ REDIS_POOL_MAX: '0' }, 'Expected `REDIS_POOL_MAX` to be an integer ≥ 1 or Infinity, got 0'],
    [{ REDIS_POOL_ACQUIRE_TIMEOUT: '30 parsecs' }, "to be a duration such as '30s'"],
    [{ REDIS_POOL_TRACK_STACKS: 'maybe' }, 'Expected `REDIS_POOL_TRACK_STACKS` to be true or false'],
    [{ REDIS_POOL_ORDER: 'filo' }, "one of 'lifo', 'fifo'"],
    [{ REDIS_PORT: '66000' }, 'Expected `REDIS_PORT` to be at most 65535'],
    [{ REDIS_POOL_PRESET: 'databse' }, "did you mean 'database'?"],
    [{ REDIS_POOL_IDEL_TIMEOUT: '3s' }, 'did you mean `REDIS_POOL_IDLE_TIMEOUT`?'],
  ])('%o is refused: %s', (env, message) => {
    expect(() => poolConfig({ name: 'redis', env })).toThrow(message)
  })

  it.each<[object, string]>([
    [{ kind: 'postgre' }, "did you mean 'postgres'?"],
    [{ kind: 'postgres', idleTimeout: 30 }, "say which: '30s' or '30ms'"],
    [{ kind: 'postgres', idleTimeoutMillis: 30 }, 'Unknown key `idleTimeoutMillis`: here it is `idleTimeout`'],
    [{ kind: 'mysql', connectionLimit: 5 }, 'Unknown key `connectionLimit`: here it is `max`'],
    [{ kind: 'mongodb', maxUses: 5 }, '`maxUses` means nothing to mongodb'],
    [
      { kind: 'postgres', prepareThreshold: 5 },
      'did you mean `leakThreshold`? What only the driver knows goes under `driver`',
    ],
    [{ kind: 'postgres', driver: 'fast' }, 'Expected `driver` to be an object'],
    [{ kind: 'postgres', required: 'yes' }, 'Expected `required` to be a boolean'],
    [{}, 'Say of which `kind` the pool is'],
  ])('in a file, %o is refused: %s', (settings, message) => {
    expect(() => poolConfig({ name: 'orders', env: {}, file: { name: 'f.json', settings } })).toThrow(message)
  })

  it('does not choose among values of a URL that says one thing twice', () => {
    const complaint = (url: string): unknown => {
      try {
        return poolConfig({ name: 'mysql', env: { DATABASE_URL: url } }).options
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(complaint('mysql://h/d?ssl=a&charset=x&ssl=b')).toContain(
      '`ssl` stands several times in the URL of `DATABASE_URL`, with different values',
    )
    expect(complaint('mysql://h/d?connectionLimit=5&connectionLimit=6')).toContain('`connectionLimit` stands several')
    expect(complaint('mysql://h/d?ssl=a&ssl=a')).toMatchObject({ uri: 'mysql://h/d?ssl=a&ssl=a' })
    // A list of MongoDB's is one.
    const uri = 'mongodb://a/d?readPreferenceTags=dc%3Any&readPreferenceTags='
    expect(options('mongodb', { MONGODB_URI: uri })).toMatchObject({ uri })
    expect(() => options('mongodb', { MONGODB_URI: 'mongodb://a/?maxPoolSize=3&maxPoolSize=4' })).toThrow(
      '`maxPoolSize`',
    )
  })

  it.each<[unknown, string]>([
    [8675309, 'got a number'],
    [true, 'got a boolean'],
    [['hush8675309'], 'got an array'],
    ['', 'got an empty one'],
  ])('of a secret that is no text only the type is told: %j', (password, message) => {
    let text = ''
    try {
      poolConfig({ name: 'postgres', env: {}, code: { kind: 'postgres', host: 'h', password: password as string } })
    } catch (error) {
      text = inspect(error)
    }
    expect(text).toContain(`Expected \`password\` to be a string that is not empty, ${message}`)
    expect(text).not.toContain('8675309')
  })

  it.each([
    'postgres://u:hush/hush@h/d',
    'postgres://u:hu#sh@h/d',
    'postgres://u:hu sh@h/d',
    'postgres://u:%hush@h/d',
    'u:hush@h',
    'postgres://u:hush@h:999999/d',
  ])('in a URL is told without its password: %s', (url) => {
    let message = ''
    try {
      poolConfig({ name: 'postgres', env: { DATABASE_URL: url } })
    } catch (error) {
      message = inspect(error)
    }
    expect(message).toContain('Expected `DATABASE_URL` to be a URL such as postgres://user:password@host:5432/database')
    expect(message).not.toMatch(/hu ?#?sh/)
  })
})

describe('what is shown', () => {
  const env = {
    DATABASE_URL: 'postgres://app:hush@db/app?application_name=web&sslpassword=hush',
    CACHE_HOST: 'c',
    CACHE_PASSWORD: 'hush',
  }
  const database = poolConfig({ name: 'postgres', env })
  const cache = poolConfig({ name: 'cache', code: { kind: 'redis' }, env })

  it('has a source for every value, and no secret', () => {
    const rows = database.rows()
    const row = (option: string) => rows.find((each) => each.option === option)
    expect(row('url')).toEqual({
      option: 'url',
      value: 'postgres://app:***@db/app?application_name=web&sslpassword=***',
      source: 'DATABASE_URL',
    })
    expect(row('password')).toEqual({ option: 'password', value: '***', source: 'URL of DATABASE_URL' })
    expect(row('applicationName')).toEqual({ option: 'applicationName', value: 'web', source: 'URL of DATABASE_URL' })
    expect(row('idleTimeoutMillis')).toEqual({
      option: 'idleTimeoutMillis',
      value: '1m',
      source: 'profile development',
    })
    expect(row('maxUses')).toEqual({ option: 'maxUses', value: 'unlimited', source: 'default' })
    expect(rows.every(({ source }) => source !== '')).toBe(true)
  })

  it.each([
    ['inspect of a configuration', () => inspect([database, cache], { depth: 9, showHidden: true })],
    ['JSON of a configuration', () => JSON.stringify([database, cache])],
    ['inspect of the options', () => inspect([database.options, cache.options], { depth: 9 })],
    ['JSON of the options', () => JSON.stringify([database.options, cache.options])],
    ['the rows', () => inspect([database.rows(), cache.rows()], { depth: 9 })],
  ])('has no secret: %s', (_, show) => {
    expect(show()).not.toContain('hush')
    expect(show()).toContain('***')
  })

  it('is not what the adapter gets', () => {
    expect({ ...cache.options }).toMatchObject({ url: 'redis://:hush@c' })
  })
})

describe('the URL that a driver gets', () => {
  const url = 'postgres://app:hush@db:5432/app?application_name=web&sslmode=require&x=1'

  it('says everything as it was decided, once', () => {
    const config = poolConfig({
      name: 'postgres',
      env: { DATABASE_URL: url },
      code: { database: 'other', applicationName: 'job', sslMode: 'disable', user: 'a b' },
    })
    expect({ ...config.options }).toMatchObject({
      connectionString: 'postgres://a%20b:hush@db:5432/other?x=1&sslmode=disable',
      application_name: 'job',
    })
    expect(describeSource(config.setting('host').source)).toBe('URL of DATABASE_URL')
  })

  it('gives way to fields where the password is a function, which pg would overwrite', () => {
    const password = () => Promise.resolve('token')
    const config = poolConfig({ name: 'postgres', env: { DATABASE_URL: url }, code: { driver: { password } } })
    expect({ ...config.options }).toMatchObject({
      host: 'db',
      port: 5432,
      user: 'app',
      database: 'app',
      password,
      ssl: true,
      x: '1',
    })
    expect({ ...config.options }).not.toHaveProperty('connectionString')
  })

  it('keeps sockets and lists of servers', () => {
    expect(options('postgres', { DATABASE_URL: 'postgres:///app?host=/var/run/postgresql' })).toMatchObject({
      connectionString: 'postgres:///app?host=%2Fvar%2Frun%2Fpostgresql',
    })
    expect(options('mongodb', { MONGODB_URI: 'mongodb://a:1,b:2' }, { user: 'u', password: 'p:/?' })).toMatchObject({
      uri: 'mongodb://u:p%3A%2F%3F@a:1,b:2',
    })
  })
})
