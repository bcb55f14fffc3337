// Every variable that a pool is configured by, tried one by one.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describeSource, KIND_NAMES, poolConfig, PRESETS, type Kind, type OptionName } from 'millpond/config'

const folder = mkdtempSync(join(tmpdir(), 'millpond-variables-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What one variable alone says of a pool of this kind, and who is named as the source. */
function said(kind: Kind, variable: string, text: string, option: OptionName): [unknown, string] {
  const { value, source } = poolConfig({ name: 'shop', code: { kind }, env: { [variable]: text } }).setting(option)
  return [value, describeSource(source)]
}

const URLS: Readonly<Record<Kind, readonly [url: string, variables: readonly string[]]>> = {
  postgres: ['postgres://ada@db.example:5433/shop', ['DATABASE_URL', 'POSTGRES_URL', 'PG_URL']],
  mysql: ['mysql://ada@db.example:3307/shop', ['MYSQL_URL', 'MARIADB_URL', 'DATABASE_URL']],
  mongodb: ['mongodb://ada@db.example:27018/shop', ['MONGODB_URI', 'MONGODB_URL', 'MONGO_URI', 'MONGO_URL', 'DATABASE_URL']],
  redis: ['rediss://ada@db.example:6380/2', ['REDIS_URL', 'REDIS_TLS_URL', 'VALKEY_URL', 'KV_URL']],
  http: ['https://api.example/v1', ['API_BASE_URL', 'API_URL']],
  grpc: ['dns:///users:50051', ['GRPC_SERVER_URL', 'GRPC_TARGET', 'GRPC_URL']],
} // prettier-ignore

type Field = keyof (typeof KIND_NAMES)['postgres']['fields']
const FIELDS: Readonly<Partial<Record<Kind, Readonly<Partial<Record<Field, readonly string[]>>>>>> = {
  postgres: {
    host: ['PGHOST', 'POSTGRES_HOST', 'DB_HOST'],
    port: ['PGPORT', 'POSTGRES_PORT', 'DB_PORT'],
    user: ['PGUSER', 'POSTGRES_USER', 'DB_USER', 'DB_USERNAME'],
    password: ['PGPASSWORD', 'POSTGRES_PASSWORD', 'DB_PASSWORD'],
    database: ['PGDATABASE', 'POSTGRES_DB', 'POSTGRES_DATABASE', 'DB_NAME', 'DB_DATABASE'],
    applicationName: ['PGAPPNAME'],
    sslMode: ['PGSSLMODE'],
    createTimeoutMillis: ['PGCONNECT_TIMEOUT'],
  },
  mysql: {
    host: ['MYSQL_HOST', 'DB_HOST'],
    port: ['MYSQL_PORT', 'MYSQL_TCP_PORT', 'DB_PORT'],
    user: ['MYSQL_USER', 'DB_USER', 'DB_USERNAME'],
    password: ['MYSQL_PASSWORD', 'MYSQL_PWD', 'DB_PASSWORD'],
    database: ['MYSQL_DATABASE', 'DB_NAME', 'DB_DATABASE'],
  },
  mongodb: {
    host: ['MONGODB_HOST', 'MONGO_HOST'],
    port: ['MONGODB_PORT', 'MONGO_PORT'],
    user: ['MONGODB_USER', 'MONGODB_USERNAME', 'MONGO_USER', 'MONGO_USERNAME'],
    password: ['MONGODB_PASSWORD', 'MONGO_PASSWORD'],
    database: ['MONGODB_DATABASE', 'MONGO_DATABASE', 'MONGODB_DB', 'MONGO_DB'],
  },
  redis: {
    host: ['REDIS_HOST', 'VALKEY_HOST'],
    port: ['REDIS_PORT', 'VALKEY_PORT'],
    user: ['REDIS_USERNAME', 'REDIS_USER'],
    password: ['REDIS_PASSWORD', 'VALKEY_PASSWORD'],
    database: ['REDIS_DB', 'REDIS_DATABASE'],
  },
}

/** A text for each field, and the value that it means. */
const VALUES: Readonly<Record<Field, readonly [text: string, value: unknown]>> = {
  host: ['db.example', 'db.example'],
  port: ['7001', 7001],
  user: ['ada', 'ada'],
  password: ['hunter2', 'hunter2'],
  database: ['3', '3'],
  applicationName: ['web', 'web'],
  sslMode: ['require', 'require'],
  createTimeoutMillis: ['7', 7_000],
}

const PREFIXES: Readonly<Record<Kind, readonly string[]>> = {
  postgres: ['POSTGRES_', 'PG_', 'DATABASE_', 'DB_'],
  mysql: ['MYSQL_', 'DATABASE_', 'DB_'],
  mongodb: ['MONGODB_', 'MONGO_'],
  redis: ['REDIS_', 'VALKEY_'],
  http: ['HTTP_', 'API_'],
  grpc: ['GRPC_'],
}

const kinds = Object.keys(URLS) as Kind[]

describe('every variable', () => {
  it('is in these tables, and no other', () => {
    for (const kind of kinds) {
      const { urls, fields, prefixes } = KIND_NAMES[kind]
      expect([kind, urls, fields, prefixes]).toEqual([kind, URLS[kind][1], FIELDS[kind] ?? {}, PREFIXES[kind]])
    }
  })

  it.each(kinds.flatMap((kind) => URLS[kind][1].map((variable) => [kind, variable] as const)))(
    'of %s: %s, and the file that %s_FILE names',
    (kind, variable) => {
      const [url] = URLS[kind]
      expect(said(kind, variable, url, 'url')).toEqual([url, variable])
      const file = join(folder, `${kind}-${variable}`)
      writeFileSync(file, `${url}\n`)
      expect(said(kind, `${variable}_FILE`, file, 'url')).toEqual([url, `${variable}_FILE`])
    },
  )

  it.each(
    Object.entries(FIELDS).flatMap(([kind, fields]) =>
      Object.entries(fields).flatMap(([field, names]) =>
        names.map((name) => [kind as Kind, name, field as Field] as const),
      ),
    ),
  )('of %s: %s is the %s', (kind, variable, field) => {
    const [text, value] = VALUES[field]
    expect(said(kind, variable, text, field)).toEqual([value, variable])
    if (field !== 'password') return
    const file = join(folder, `${kind}-${variable}`)
    writeFileSync(file, text)
    expect(said(kind, `${variable}_FILE`, file, field)).toEqual([value, `${variable}_FILE`])
  })

  it.each(kinds.flatMap((kind) => ['SHOP_', ...PREFIXES[kind]].map((prefix) => [kind, prefix] as const)))(
    'of %s: %sPOOL_MAX',
    (kind, prefix) => {
      expect(said(kind, `${prefix}POOL_MAX`, '7', 'max')).toEqual([7, `${prefix}POOL_MAX`])
    },
  )

  it.each<[OptionName, readonly string[]]>([
    ['url', ['URL', 'URI', 'DATABASE_URL', 'BASE_URL', 'TARGET']],
    ['host', ['HOST', 'DB_HOST']],
    ['port', ['PORT', 'DB_PORT']],
    ['user', ['USER', 'USERNAME', 'DB_USER', 'DB_USERNAME']],
    ['password', ['PASSWORD', 'DB_PASSWORD']],
    ['database', ['DATABASE', 'DB', 'DB_NAME', 'DB_DATABASE']],
    ['applicationName', ['APPLICATION_NAME', 'APPNAME']],
    ['sslMode', ['SSLMODE']],
  ])('of the pool itself: its %s', (option, suffixes) => {
    const [text, value] = option === 'url' ? [URLS.postgres[0], URLS.postgres[0]] : VALUES[option as Field]
    for (const suffix of suffixes) expect(said('postgres', `SHOP_${suffix}`, text, option)).toEqual([value, `SHOP_${suffix}`]) // prettier-ignore
  })

  it.each([
    'PGOPTIONS', 'PGSERVICE', 'PGPASSFILE', 'PGSSLNEGOTIATION', 'POSTGRES_URL_NON_POOLING', 'DATABASE_URL_UNPOOLED',
    'POSTGRES_PRISMA_URL', 'DIRECT_URL', 'DATABASE_PUBLIC_URL',
  ])('that is left to others, as docs/decisions says: %s', (variable) => {
    const config = poolConfig({ name: 'shop', code: { kind: 'postgres' }, env: { [variable]: 'postgres://other/shop' } })
    expect(config.rows().filter(({ source }) => source.includes(variable))).toEqual([])
    // Who wants it says so.
    const asked = poolConfig({ name: 'shop', code: { kind: 'postgres', url: 'postgres://other/shop' }, env: {} })
    expect(asked.setting('host').value).toBe('other')
  }) // prettier-ignore
})

describe('the presets', () => {
  it.each([
    ['database', 'postgres', { max: 20, min: 2, idleTimeoutMillis: 600_000 }],
    ['database', 'mysql', { max: 20, min: 2, idleTimeoutMillis: 600_000 }],
    ['redis', 'redis', { max: 10, min: 2, idleTimeoutMillis: 300_000 }],
    ['http', 'http', { max: 50, min: 2, idleTimeoutMillis: 60_000 }],
    ['grpc', 'grpc', { max: 10, min: 2, idleTimeoutMillis: 60_000 }],
  ] as const)('%s, for %s, has the guide’s numbers', (preset, kind, sizes) => {
    const config = poolConfig({ name: 'shop', code: { kind, preset }, env: { NODE_ENV: 'production' } })
    for (const [option, value] of Object.entries(sizes)) {
      const { value: set, source } = config.setting(option as OptionName)
      expect([option, set, describeSource(source)]).toEqual([option, value, `preset ${preset}`])
    }
  })

  it('have the bounds that the guide gives', () => {
    expect(Object.fromEntries(Object.entries(PRESETS).map(([name, { usual }]) => [name, usual]))).toEqual({
      database: { max: [10, 100], min: [2, 5], idleTimeoutMillis: [600_000, 1_800_000] },
      redis: { max: [10, 50], min: [2, 5], idleTimeoutMillis: [300_000, 300_000] },
      http: { max: [10, 100], min: [2, 5], idleTimeoutMillis: [60_000, 60_000] },
      grpc: { max: [10, 50], min: [2, 5], idleTimeoutMillis: [60_000, 60_000] },
    })
  })
})
