import { describe, expect, it } from 'vitest'
import { PoolError } from 'millpond'
import { describeSource, KINDS, poolConfig, type Kind, type PoolSettings } from 'millpond/config'

type Env = Record<string, string>

const KINDS_WITH_SERVERS: readonly Kind[] = ['postgres', 'mysql', 'mongodb', 'redis']

/** What a URL calls `max`, where its driver has a name for it there. */
const MAX_IN_URL: Readonly<Partial<Record<Kind, string>>> = {
  postgres: 'poolSize',
  mysql: 'connectionLimit',
  mongodb: 'maxPoolSize',
}

/** Everything that can say something about `max`, the strongest first. */
const SAYS_MAX: readonly { source: string; max: number; code?: PoolSettings; env?: Env; file?: object }[] = [
  { source: 'code', max: 11, code: { max: 11 } },
  { source: 'ORDERS_POOL_MAX', max: 12, env: { ORDERS_POOL_MAX: '12' } },
  { source: 'orders.json', max: 13, file: { max: 13 } },
  { source: 'preset redis', max: 10, file: { preset: 'redis' } },
  { source: 'profile production', max: 20, env: { MILLPOND_PROFILE: 'production' } },
  { source: 'profile development', max: 10 },
]

function configure(kind: Kind, code: PoolSettings, env: Env, file?: object) {
  return poolConfig({
    name: 'orders',
    code: { kind, ...code },
    env,
    ...(file && { file: { name: 'orders.json', settings: file } }),
  })
}

describe('precedence', () => {
  it.each(KINDS)('is the same for %s: every source wins over those below it', (kind) => {
    for (const [index, winner] of SAYS_MAX.entries()) {
      const rest = SAYS_MAX.slice(index)
      const code = Object.assign({}, ...rest.map((each) => each.code)) as PoolSettings
      const env = Object.assign({}, ...rest.map((each) => each.env)) as Env
      const file = Object.assign({}, ...rest.map((each) => each.file)) as object
      const { value, source } = configure(kind, code, env, file).setting('max')
      expect([value, describeSource(source)]).toEqual([winner.max, winner.source])
    }
  })

  it.each(Object.entries(MAX_IN_URL) as [Kind, string][])(
    'of a pool option of %s is the whole chain, with what URLs say of it',
    (kind, parameter) => {
      const says = (max: number): string => `${url(kind, 'h')}?${parameter}=${max}`
      const chain: readonly [source: string, max: number, { code?: PoolSettings; env?: Env; file?: object }][] = [
        ['code', 11, { code: { max: 11 } }],
        ['URL of code', 12, { code: { url: says(12) } }],
        ['ORDERS_POOL_MAX', 13, { env: { ORDERS_POOL_MAX: '13' } }],
        ['URL of ORDERS_URL', 14, { env: { ORDERS_URL: says(14) } }],
        ['URL of DATABASE_URL', 15, { env: { DATABASE_URL: says(15) } }],
        ['orders.json', 16, { file: { max: 16 } }],
        ['URL of orders.json', 17, { file: { url: says(17) } }],
        ['preset redis', 10, { file: { preset: 'redis' } }],
        ['profile production', 20, { env: { MILLPOND_PROFILE: 'production' } }],
        ['profile development', 10, {}],
      ]
      for (const [index, [winner, max]] of chain.entries()) {
        const rest = chain.slice(index).map(([, , given]) => given)
        const code = Object.assign({}, ...rest.map((each) => each.code)) as PoolSettings
        const env = Object.assign({}, ...rest.map((each) => each.env)) as Env
        const file = Object.assign({}, ...rest.map((each) => each.file)) as object
        const { value, source } = configure(kind, code, env, file).setting('max')
        expect([kind, value, describeSource(source)]).toEqual([kind, max, winner])
      }
    },
  )

  it('of the one pool option that has a field variable: it comes behind the URL variable, before the file', () => {
    const says = (millis: number): string => `mongodb://h/1?connectTimeoutMS=${millis}`
    const of = (kind: Kind, env: Env, file?: object): unknown => {
      const { value, source } = configure(kind, {}, env, file).setting('createTimeoutMillis')
      return [value, describeSource(source)]
    }
    expect(of('mongodb', { ORDERS_POOL_CONNECT_TIMEOUT: '1s', ORDERS_URL: says(2_000) }, { createTimeout: '3s' })).toEqual([1_000, 'ORDERS_POOL_CONNECT_TIMEOUT']) // prettier-ignore
    expect(of('mongodb', { ORDERS_URL: says(2_000) }, { createTimeout: '3s' })).toEqual([2_000, 'URL of ORDERS_URL'])
    expect(of('postgres', { ORDERS_POOL_CONNECT_TIMEOUT: '1s', PGCONNECT_TIMEOUT: '2' }, { createTimeout: '3s' })).toEqual([1_000, 'ORDERS_POOL_CONNECT_TIMEOUT']) // prettier-ignore
    expect(of('postgres', { PGCONNECT_TIMEOUT: '2' }, { createTimeout: '3s' })).toEqual([2_000, 'PGCONNECT_TIMEOUT'])
    expect(of('postgres', {}, { createTimeout: '3s' })).toEqual([3_000, 'orders.json'])
    expect(of('postgres', {})).toEqual([10_000, 'default'])
  })

  it.each(['http', 'grpc'] as const)('of the address is the same for %s, which has no fields', (kind) => {
    const from: readonly [PoolSettings, Env, object, string, string][] = [
      [{ url: url(kind, 'code') }, { ORDERS_URL: url(kind, 'own') }, { url: url(kind, 'file') }, 'code', 'code'],
      [{}, { ORDERS_URL: url(kind, 'own'), ...common(kind) }, { url: url(kind, 'file') }, 'own', 'ORDERS_URL'],
      [{}, common(kind), { url: url(kind, 'file') }, 'common', kind === 'http' ? 'API_URL' : 'GRPC_TARGET'],
      [{}, {}, { url: url(kind, 'file') }, 'file', 'orders.json'],
    ]
    for (const [code, env, file, host, name] of from) {
      const { value, source } = configure(kind, code, env, file).setting('url')
      expect([value, describeSource(source)]).toEqual([url(kind, host), name])
    }
  })
  const common = (kind: 'http' | 'grpc'): Env =>
    kind === 'http' ? { API_URL: url(kind, 'common') } : { GRPC_TARGET: url(kind, 'common') }

  const url = (kind: Kind, host: string): string =>
    ({ postgres: 'postgres', mysql: 'mysql', mongodb: 'mongodb', redis: 'redis', http: 'https', grpc: 'dns' })[kind] +
    `://${host}/1`

  it.each(KINDS_WITH_SERVERS)(
    'of the host is the same for %s: code, URL in code, URL variable, field variable, file',
    (kind) => {
      const from: readonly [PoolSettings, Env, object, string][] = [
        [
          { host: 'code', url: url(kind, 'code-url') },
          { ORDERS_URL: url(kind, 'env-url'), ORDERS_HOST: 'env' },
          { host: 'file' },
          'code',
        ],
        [
          { url: url(kind, 'code-url') },
          { ORDERS_URL: url(kind, 'env-url'), ORDERS_HOST: 'env' },
          { host: 'file' },
          'code-url',
        ],
        [{}, { ORDERS_URL: url(kind, 'env-url'), ORDERS_HOST: 'env' }, { host: 'file' }, 'env-url'],
        [{}, { ORDERS_HOST: 'env' }, { host: 'file', url: url(kind, 'file-url') }, 'env'],
        [{}, {}, { host: 'file', url: url(kind, 'file-url') }, 'file'],
        [{}, {}, { url: url(kind, 'file-url') }, 'file-url'],
      ]
      for (const [code, env, file, winner] of from) {
        const config = configure(kind, code, env, file)
        expect(config.setting('host').value).toBe(winner)
        // Whatever the driver prefers, it is told one host only.
        const told = JSON.stringify({ ...config.options })
        expect(told).toContain(winner)
        for (const other of ['code', 'code-url', 'env-url', 'env', 'file', 'file-url'])
          if (other !== winner) expect(told).not.toMatch(new RegExp(`["/]${other}["/]`))
      }
    },
  )

  it('lets the variables of the pool itself win over those that go by the kind', () => {
    const env = {
      DATABASE_URL: 'postgres://shared:secret@primary/app',
      REPORTS_HOST: 'replica',
      DB_POOL_MAX: '9',
      REPORTS_POOL_MAX: '4',
      REPORTS_POOL_MIN: '1',
    }
    const config = poolConfig({ name: 'reports', code: { kind: 'postgres' }, env })
    expect(config.options).toMatchObject({ connectionString: 'postgres://shared:secret@replica/app', max: 4 })
    expect(config.notices).toEqual([])
  })

  it('takes a preset before the profile, field by field, and makes room for a `max` that was chosen', () => {
    const env = { NODE_ENV: 'production', ORDERS_POOL_MAX: '3' }
    const config = poolConfig({ name: 'orders', code: { kind: 'postgres' }, env })
    expect(config.options).toMatchObject({ max: 3, min: 3, idleTimeoutMillis: 30_000 })
    expect(describeSource(config.setting('min').source)).toBe('profile production, lowered to `max`')
    const database = poolConfig({
      name: 'orders',
      code: { kind: 'postgres', preset: 'database' },
      env: { NODE_ENV: 'test' },
    })
    expect(database.options).toMatchObject({ max: 20, min: 2, idleTimeoutMillis: 600_000 })
  })

  it('refuses a `min` above `max` where both were chosen, and says by whom', () => {
    const configured = (): unknown =>
      poolConfig({ name: 'orders', code: { kind: 'redis', max: 3 }, env: { ORDERS_POOL_MIN: '5' } })
    expect(configured).toThrow('Expected `min` to be at most `max`, got 5 (ORDERS_POOL_MIN) and 3 (code)')
  })
})

describe('a conflict', () => {
  it('is told: who wins over whom, and with what', () => {
    const config = configure('postgres', { max: 5 }, { ORDERS_POOL_MAX: '7' })
    expect(config.notices.map(({ code, option, message }) => [code, option, message])).toEqual([
      ['MILLPOND_CONFIG_CONFLICT', 'max', '`max` 5 (code) wins over 7 (ORDERS_POOL_MAX); say it in one place'],
    ])
  })

  it('is told of a URL and a field that name different servers, without any password', () => {
    const env = { DATABASE_URL: 'postgres://app:one@db/app', PGHOST: 'localhost', PGPASSWORD: 'two' }
    const { notices } = poolConfig({ name: 'postgres', env })
    expect(notices.map(({ message }) => message)).toEqual([
      '`host` db (URL of DATABASE_URL) wins over localhost (PGHOST); say it in one place',
      '`password` (URL of DATABASE_URL) wins over another value (PGPASSWORD); say it in one place',
    ])
  })

  it('is none where both say the same', () => {
    expect(configure('postgres', { max: 5 }, { ORDERS_POOL_MAX: '5' }).notices).toEqual([])
  })

  it('is none where another pool is meant', () => {
    const config = configure('postgres', { url: 'postgres://a/b' }, { DATABASE_URL: 'postgres://c/d' })
    expect(config.notices).toEqual([])
  })
})

describe('the profile', () => {
  it('is the one asked for, else MILLPOND_PROFILE, else NODE_ENV, else development', () => {
    const profileOf = (env: Env, profile?: 'test') =>
      poolConfig({ name: 'redis', env, ...(profile && { profile }) }).profile
    expect(profileOf({ MILLPOND_PROFILE: 'production', NODE_ENV: 'development' }, 'test')).toBe('test')
    expect(profileOf({ MILLPOND_PROFILE: 'production', NODE_ENV: 'test' })).toBe('production')
    expect(profileOf({ NODE_ENV: 'test' })).toBe('test')
    expect(profileOf({})).toBe('development')
  })

  it('is development, with a notice, where the name is unknown', () => {
    const config = poolConfig({ name: 'redis', env: { NODE_ENV: 'staging' } })
    expect(config.profile).toBe('development')
    expect(config.notices[0]).toMatchObject({
      code: 'MILLPOND_CONFIG_PROFILE',
      message: expect.stringContaining("`NODE_ENV` is 'staging'") as string,
    })
  })

  it('has the numbers that the guide gives', () => {
    const sizes = (profile: 'production' | 'development' | 'test') =>
      poolConfig({ name: 'redis', env: {}, profile }).options
    expect(sizes('production')).toMatchObject({ max: 20, min: 5, idleTimeoutMillis: 30_000 })
    expect(sizes('development')).toMatchObject({ max: 10, min: 2, idleTimeoutMillis: 60_000 })
    expect(sizes('test')).toMatchObject({ max: 5, min: 1, idleTimeoutMillis: 5_000 })
  })
})

it('says everything that is wrong at once', () => {
  let error: unknown
  try {
    poolConfig({
      name: 'orders',
      code: { kind: 'postgres', mx: 3, port: 70_000 } as PoolSettings,
      env: { ORDERS_POOL_MAXX: '3', ORDERS_POOL_IDLE_TIMEOUT: '30' },
    })
  } catch (thrown) {
    error = thrown
  }
  expect(PoolError.is(error, 'ERR_POOL_OPTION')).toBe(true)
  expect((error as Error).message).toBe(`pool "orders": 4 mistakes
  - orders.mx: Unknown key \`mx\`; did you mean \`max\`? What only the driver knows goes under \`driver\`
  - orders.port: Expected \`port\` to be at most 65535, got 70000
  - Expected \`ORDERS_POOL_IDLE_TIMEOUT\` to be a duration such as '30s' or '500ms' or 'off', got '30'; say which unit: \`30s\` or \`30ms\`
  - Unknown variable \`ORDERS_POOL_MAXX\`; did you mean \`ORDERS_POOL_MAX\`?`)
})
