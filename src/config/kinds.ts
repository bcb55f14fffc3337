/** The kinds of pools that can be configured, each by the name that its adapter's pools have. */
export const KINDS = ['postgres', 'mysql', 'mongodb', 'redis', 'http', 'grpc'] as const

export type Kind = (typeof KINDS)[number]

export function isKind(value: unknown): value is Kind {
  return (KINDS as readonly unknown[]).includes(value)
}

/** What is said about a connection, one by one or in a URL. */
export type Field = 'host' | 'port' | 'user' | 'password' | 'database'

/** What is said about a connection one by one. */
export type SingleField = Field | 'applicationName' | 'sslMode'

/** How the world names the addresses of a kind. */
export interface KindNames {
  /** Schemes of its URLs, the usual one first. */
  readonly schemes: readonly string[]
  /** An example, for messages. */
  readonly example: string
  /** Environment variables that hold a URL, whatever the pool is called; the first that is set counts. */
  readonly urls: readonly string[]
  /** Environment variables that hold one field, whatever the pool is called. */
  readonly fields: Readonly<Partial<Record<SingleField | 'createTimeoutMillis', readonly string[]>>>
  /** Beginnings of `<PREFIX>POOL_MAX` and its like, besides the pool's own. */
  readonly prefixes: readonly string[]
  /** Where it stands when nothing else is said, for a host that is given without a port. */
  readonly port: number | undefined
}

/** `DB_HOST` and its like mean whichever database the program uses. */
const DB = {
  host: ['DB_HOST'],
  port: ['DB_PORT'],
  user: ['DB_USER', 'DB_USERNAME'],
  password: ['DB_PASSWORD'],
  database: ['DB_NAME', 'DB_DATABASE'],
} as const

export const KIND_NAMES: Readonly<Record<Kind, KindNames>> = {
  postgres: {
    schemes: ['postgres', 'postgresql'],
    example: 'postgres://user:password@host:5432/database',
    urls: ['DATABASE_URL', 'POSTGRES_URL', 'PG_URL'],
    fields: {
      host: ['PGHOST', 'POSTGRES_HOST', ...DB.host],
      port: ['PGPORT', 'POSTGRES_PORT', ...DB.port],
      user: ['PGUSER', 'POSTGRES_USER', ...DB.user],
      password: ['PGPASSWORD', 'POSTGRES_PASSWORD', ...DB.password],
      database: ['PGDATABASE', 'POSTGRES_DB', 'POSTGRES_DATABASE', ...DB.database],
      applicationName: ['PGAPPNAME'],
      sslMode: ['PGSSLMODE'],
      createTimeoutMillis: ['PGCONNECT_TIMEOUT'],
    },
    prefixes: ['POSTGRES_', 'PG_', 'DATABASE_', 'DB_'],
    port: 5432,
  },
  mysql: {
    schemes: ['mysql', 'mariadb'],
    example: 'mysql://user:password@host:3306/database',
    urls: ['MYSQL_URL', 'MARIADB_URL', 'DATABASE_URL'],
    fields: {
      host: ['MYSQL_HOST', ...DB.host],
      port: ['MYSQL_PORT', 'MYSQL_TCP_PORT', ...DB.port],
      user: ['MYSQL_USER', ...DB.user],
      password: ['MYSQL_PASSWORD', 'MYSQL_PWD', ...DB.password],
      database: ['MYSQL_DATABASE', ...DB.database],
    },
    prefixes: ['MYSQL_', 'DATABASE_', 'DB_'],
    port: 3306,
  },
  mongodb: {
    schemes: ['mongodb', 'mongodb+srv'],
    example: 'mongodb://user:password@host:27017/database',
    urls: ['MONGODB_URI', 'MONGODB_URL', 'MONGO_URI', 'MONGO_URL', 'DATABASE_URL'],
    fields: {
      host: ['MONGODB_HOST', 'MONGO_HOST'],
      port: ['MONGODB_PORT', 'MONGO_PORT'],
      user: ['MONGODB_USER', 'MONGODB_USERNAME', 'MONGO_USER', 'MONGO_USERNAME'],
      password: ['MONGODB_PASSWORD', 'MONGO_PASSWORD'],
      database: ['MONGODB_DATABASE', 'MONGO_DATABASE', 'MONGODB_DB', 'MONGO_DB'],
    },
    prefixes: ['MONGODB_', 'MONGO_'],
    port: 27017,
  },
  redis: {
    schemes: ['redis', 'rediss', 'valkey', 'valkeys'],
    example: 'redis://user:password@host:6379/0',
    urls: ['REDIS_URL', 'REDIS_TLS_URL', 'VALKEY_URL', 'KV_URL'],
    fields: {
      host: ['REDIS_HOST', 'VALKEY_HOST'],
      port: ['REDIS_PORT', 'VALKEY_PORT'],
      user: ['REDIS_USERNAME', 'REDIS_USER'],
      password: ['REDIS_PASSWORD', 'VALKEY_PASSWORD'],
      database: ['REDIS_DB', 'REDIS_DATABASE'],
    },
    prefixes: ['REDIS_', 'VALKEY_'],
    port: 6379,
  },
  http: {
    schemes: ['http', 'https'],
    example: 'https://api.example.com',
    urls: ['API_BASE_URL', 'API_URL'],
    fields: {},
    prefixes: ['HTTP_', 'API_'],
    port: undefined,
  },
  grpc: {
    schemes: ['dns', 'ipv4', 'ipv6', 'unix', 'xds'],
    example: 'dns:///users:50051',
    urls: ['GRPC_SERVER_URL', 'GRPC_TARGET', 'GRPC_URL'],
    fields: {},
    prefixes: ['GRPC_'],
    port: undefined,
  },
}

/** Behind a pool's own prefix (`ORDERS_`), in the order in which they count. */
export const OWN_URL_SUFFIXES = ['URL', 'URI', 'DATABASE_URL', 'BASE_URL', 'TARGET'] as const

export const OWN_FIELD_SUFFIXES: Readonly<Record<SingleField, readonly string[]>> = {
  host: ['HOST', 'DB_HOST'],
  port: ['PORT', 'DB_PORT'],
  user: ['USER', 'USERNAME', 'DB_USER', 'DB_USERNAME'],
  password: ['PASSWORD', 'DB_PASSWORD'],
  database: ['DATABASE', 'DB', 'DB_NAME', 'DB_DATABASE'],
  applicationName: ['APPLICATION_NAME', 'APPNAME'],
  sslMode: ['SSLMODE'],
}

/** `order-events` is configured by `ORDER_EVENTS_…`. */
export function ownPrefix(pool: string): string {
  return `${pool
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase()}_`
}

/** The kind that a URL is of, by its scheme. */
export function kindOfUrl(url: string): Kind | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  return scheme === undefined ? undefined : KINDS.find((kind) => KIND_NAMES[kind].schemes.includes(scheme))
}
