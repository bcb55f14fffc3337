import { POOL_OPTION_RULES } from '../core/options.ts'
import { DRIVER_OPTIONS } from './driver-options.ts'
import { OWN_FIELD_SUFFIXES, OWN_URL_SUFFIXES, type Kind, type SingleField } from './kinds.ts'
import type { OptionRow } from './option-row.ts'

const rules = POOL_OPTION_RULES
/** Pools that Millpond's own engine runs; MongoDB's driver pools by itself. */
const ENGINE = ['postgres', 'mysql', 'redis', 'http', 'grpc'] as const
const SERVERS = ['postgres', 'mysql', 'mongodb', 'redis'] as const

/**
 * Every option that a pool can be configured with, wherever it comes from. The types, the checks, the reading of files
 * and variables, the JSON Schema, the help text and the reference page are all made of this table.
 *
 * An option that ends in `Millis` has neither that ending nor bare numbers in files and variables: `idleTimeoutMillis` is
 * `idleTimeout: 30s` there, and `ORDERS_POOL_IDLE_TIMEOUT=30s`.
 */
export const OPTIONS = {
  url: {
    group: 'connection',
    rule: { type: 'string' },
    secret: true,
    as: { postgres: 'connectionString', mysql: 'uri', mongodb: 'uri', redis: 'url', http: 'origin', grpc: 'target' },
    drivers: {
      postgres: ['connectionString'],
      mysql: ['uri'],
      mongodb: ['uri'],
      http: ['origin', 'baseURL'],
      grpc: ['target'],
    },
    docs: 'Where the server is: a connection string, an origin, or a gRPC target.',
  },
  host: {
    group: 'connection',
    rule: { type: 'string' },
    kinds: SERVERS,
    docs: 'The name or address of the server, or the folder of its socket.',
  },
  port: {
    group: 'connection',
    rule: { type: 'integer', min: 1 },
    most: 65_535,
    kinds: SERVERS,
    docs: 'The port of the server.',
  },
  user: {
    group: 'connection',
    rule: { type: 'string' },
    kinds: SERVERS,
    drivers: { redis: ['username'], mongodb: ['username'] },
    docs: 'Who logs in.',
  },
  password: {
    group: 'connection',
    rule: { type: 'string' },
    secret: true,
    kinds: SERVERS,
    docs: 'With what. One that changes (a token) is a function, in code under `driver`.',
  },
  database: {
    group: 'connection',
    rule: { type: 'string' },
    kinds: SERVERS,
    drivers: { redis: ['db'], mongodb: ['dbName'] },
    docs: 'Which database of the server; Redis has numbers.',
  },
  applicationName: {
    group: 'connection',
    rule: { type: 'string' },
    kinds: ['postgres', 'mongodb'],
    as: { postgres: 'application_name', mongodb: 'appName' },
    drivers: { postgres: ['application_name'], mongodb: ['appName'] },
    docs: 'The name under which the server lists the connections.',
  },
  sslMode: {
    group: 'connection',
    rule: { type: 'one-of', values: ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'] },
    kinds: ['postgres'],
    as: { postgres: 'ssl' },
    drivers: { postgres: ['sslmode', 'ssl'] },
    docs: 'Whether the connection is encrypted, in the words of libpq as pg understands them; certificates are given in code under `driver`.',
  },

  max: {
    group: 'pool',
    rule: rules.max,
    fallback: 10,
    fallbacks: { mongodb: 100 },
    drivers: {
      postgres: ['poolSize'],
      mysql: ['connectionLimit'],
      mongodb: ['maxPoolSize'],
      http: ['connections', 'maxSockets'],
      grpc: ['maxChannels'],
    },
    docs: 'The most connections kept open.',
  },
  min: {
    group: 'pool',
    rule: rules.min,
    fallback: 0,
    drivers: { mongodb: ['minPoolSize'] },
    docs: 'The fewest connections kept open.',
  },
  minIdle: {
    group: 'pool',
    rule: rules.minIdle,
    kinds: ENGINE,
    fallback: 0,
    docs: 'The fewest connections kept idle, within `max`.',
  },
  maxIdle: {
    group: 'pool',
    rule: rules.maxIdle,
    kinds: ENGINE,
    fallback: Infinity,
    docs: 'The most connections kept idle; what is more closes on release.',
  },
  maxOverflow: {
    group: 'pool',
    rule: rules.maxOverflow,
    kinds: ENGINE,
    fallback: 0,
    docs: 'Connections above `max` while callers wait; closed on release.',
  },
  maxConnecting: {
    group: 'pool',
    rule: rules.maxConnecting,
    fallback: 8,
    fallbacks: { mongodb: 2 },
    docs: 'The most connects under way at once.',
  },
  maxWaiting: {
    group: 'pool',
    rule: rules.maxWaiting,
    kinds: ENGINE,
    fallback: 10_000,
    drivers: { mysql: ['queueLimit'] },
    docs: 'The most callers that wait; one more is refused.',
  },
  acquireTimeoutMillis: {
    group: 'pool',
    rule: rules.acquireTimeoutMillis,
    fallback: 5_000,
    fallbacks: { mysql: 30_000, mongodb: 30_000, postgres: 30_000, redis: 30_000, grpc: 30_000 },
    suffixes: ['MAX_WAIT_TIME', 'TIMEOUT'],
    drivers: { postgres: ['connectionTimeoutMillis'], mysql: ['acquireTimeout'], mongodb: ['waitQueueTimeoutMS'] },
    docs: 'How long a caller waits for a connection, all steps together; `0` takes only what is idle.',
  },
  createTimeoutMillis: {
    group: 'pool',
    rule: rules.createTimeoutMillis,
    fallback: 10_000,
    fallbacks: { mysql: 12_000, mongodb: 30_000 },
    suffixes: ['CONNECT_TIMEOUT'],
    drivers: {
      mysql: ['connectTimeout'],
      mongodb: ['connectTimeoutMS'],
      redis: ['connectTimeout'],
      http: ['connectTimeout'],
    },
    docs: 'How long one connect may take.',
  },
  validateTimeoutMillis: {
    group: 'pool',
    rule: rules.validateTimeoutMillis,
    kinds: ENGINE,
    fallback: 5_000,
    docs: 'How long one check of a connection may take.',
  },
  resetTimeoutMillis: {
    group: 'pool',
    rule: rules.resetTimeoutMillis,
    kinds: ENGINE,
    fallback: 5_000,
    docs: 'How long cleaning up after a borrower may take.',
  },
  destroyTimeoutMillis: {
    group: 'pool',
    rule: rules.destroyTimeoutMillis,
    kinds: ENGINE,
    fallback: 2_000,
    docs: 'How long an orderly goodbye may take.',
  },
  validateAfterIdleMillis: {
    group: 'pool',
    rule: rules.validateAfterIdleMillis,
    kinds: ENGINE,
    fallback: 500,
    fallbacks: { postgres: 30_000, mysql: 30_000, redis: 30_000, grpc: 30_000 },
    docs: 'Checks a connection on acquire after it was idle longer than this.',
  },
  keepAliveMillis: {
    group: 'pool',
    rule: rules.keepAliveMillis,
    kinds: ENGINE,
    fallback: 120_000,
    fallbacks: { redis: 30_000 },
    docs: 'Checks the connections that `min` and `minIdle` hold about this often.',
  },
  idleTimeoutMillis: {
    group: 'pool',
    // No zero: to the engine it closes on release, to drivers it never does.
    rule: { type: 'duration', infinity: true },
    fallback: 600_000,
    fallbacks: { mysql: 60_000, postgres: 10_000, redis: 300_000, grpc: 1_800_000 },
    drivers: { mongodb: ['maxIdleTimeMS'], http: ['keepAliveTimeout'] },
    docs: 'Closes what was idle this long, down to `min`; `off` never.',
  },
  maxLifetimeMillis: {
    group: 'pool',
    rule: rules.maxLifetimeMillis,
    kinds: ENGINE,
    fallback: 1_800_000,
    drivers: { postgres: ['maxLifetimeSeconds'], http: ['clientTtl'] },
    docs: 'Replaces a connection at an age of 75 to 100 % of this.',
  },
  maxUses: {
    group: 'pool',
    rule: rules.maxUses,
    kinds: ENGINE,
    fallback: Infinity,
    docs: 'Replaces a connection after this many leases.',
  },
  leakThresholdMillis: {
    group: 'pool',
    rule: rules.leakThresholdMillis,
    kinds: [...ENGINE, 'mongodb'],
    fallback: Infinity,
    docs: 'Reports a lease that is out longer than this.',
  },
  maxUseMillis: {
    group: 'pool',
    rule: rules.maxUseMillis,
    kinds: ENGINE,
    fallback: Infinity,
    docs: 'Takes a connection away when a lease is out longer than this.',
  },
  trackStacks: {
    group: 'pool',
    rule: rules.trackStacks,
    kinds: [...ENGINE, 'mongodb'],
    docs: 'Keeps the stack of every acquire, for reports. Default: when `leakThreshold` is set.',
  },
  reclaimAbandoned: {
    group: 'pool',
    rule: rules.reclaimAbandoned,
    kinds: ENGINE,
    docs: 'Destroys the connection of a lease that was garbage-collected. Default: not in production.',
  },
  growthHorizonMillis: {
    group: 'pool',
    rule: rules.growthHorizonMillis,
    words: ['auto'],
    kinds: ENGINE,
    fallback: 0,
    docs: 'Opens only what the present connections cannot serve within this time; `0` one for every caller who waits.',
  },
  order: {
    group: 'pool',
    rule: rules.order,
    kinds: ENGINE,
    fallback: 'lifo',
    docs: 'Which idle connection is handed out: the last one used, or the first.',
  },
  queue: {
    group: 'pool',
    rule: rules.queue,
    kinds: ENGINE,
    fallback: 'fifo',
    docs: 'How the queue is kept short under overload. `codel` is experimental.',
  },
  admission: {
    group: 'pool',
    rule: rules.admission,
    kinds: ENGINE,
    fallback: 'off',
    docs: '`deadline` refuses at once a caller who would not be served in time.',
  },
  nested: {
    group: 'pool',
    rule: rules.nested,
    kinds: ENGINE,
    docs: 'What happens when a callback that holds a connection waits for another one. Default: `allow` in production, else `warn`.',
  },
  failFastWhenDown: {
    group: 'pool',
    rule: rules.failFastWhenDown,
    kinds: ENGINE,
    fallback: false,
    fallbacks: { postgres: true, mysql: true, grpc: true },
    docs: 'Tells callers at once that the server cannot be reached, instead of letting them wait for it.',
  },
  label: { group: 'pool', rule: { type: 'string' }, kinds: ENGINE, docs: 'Names leases that name themselves not.' },

  slowMillis: {
    group: 'pool',
    rule: rules.slowMillis,
    fallback: 1_000,
    docs: 'Announces operations, waits and leases that take longer, for those who listen.',
  },

  ...DRIVER_OPTIONS,
} as const satisfies Readonly<Record<string, OptionRow>>

/** The name of an option in code. */
export type OptionName = keyof typeof OPTIONS

export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[]

/** The row of an option, as what every row is. */
export function rowOf(option: OptionName): OptionRow {
  return OPTIONS[option]
}

export function appliesTo(option: OptionName, kind: Kind): boolean {
  return rowOf(option).kinds?.includes(kind) ?? true
}

export function optionsOf(kind: Kind): OptionName[] {
  return OPTION_NAMES.filter((option) => appliesTo(option, kind))
}

/** What an option is called in files: durations carry their unit in the value, not in the name. */
export function fileKeyOf(option: OptionName): string {
  return option.replace(/Millis$/, '')
}

/** `idleTimeoutMillis` ends its variable with `IDLE_TIMEOUT`. */
function suffixOf(option: OptionName): string {
  return fileKeyOf(option)
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase()
}

/** The endings of its variables, behind the pool's prefix, the usual one first. */
export function variablesOf(option: OptionName): readonly string[] {
  if (option === 'url') return OWN_URL_SUFFIXES
  const { group, suffixes = [] } = rowOf(option)
  if (group === 'connection') return OWN_FIELD_SUFFIXES[option as SingleField]
  return [suffixOf(option), ...suffixes].map((suffix) => `POOL_${suffix}`)
}

export function fallbackOf(option: OptionName, kind: Kind): number | string | boolean | undefined {
  const { fallback, fallbacks } = rowOf(option)
  return fallbacks?.[kind] ?? fallback
}
