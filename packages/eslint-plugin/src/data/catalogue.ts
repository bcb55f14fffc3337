import { isWithin } from './versions.ts'

/** What is wrong with an option: the driver drops it, refuses it, takes it for something else, or loses a bound by it. */
export type Fault = 'ignored' | 'refused' | 'warned' | 'misread' | 'unbounded'

/** One option that programs give to a driver, and that does not do what they want. */
export interface OptionFault {
  readonly driver: string
  readonly option: string
  readonly fault: Fault
  /** The versions of the driver of which this is true, such as `>=4.0.0 <7.0.0`; all, where it is left out. */
  readonly versions?: string
  /** The literal value of which this is true; any, where it is left out. */
  readonly value?: string | number | boolean | null
  /** The option beside which this one is no fault. */
  readonly unless?: string
  /** What really happens, as a sentence. */
  readonly why: string
  /** The option to use in its place; the value carries over unless `convert` says how it changes. */
  readonly instead?: string
  /** Seconds given where the right option takes milliseconds. */
  readonly convert?: 'seconds-to-millis'
  /** What to do where no other option does it. */
  readonly mend?: string
  /** Which creations this is about; all of the driver's where it is left out. */
  readonly makers?: readonly string[]
}

const faults = (
  driver: string,
  fault: Fault,
  entries: readonly Omit<OptionFault, 'driver' | 'fault'>[],
): OptionFault[] => entries.map((entry) => ({ driver, fault, ...entry }))

const NO_POOL_IN_REDIS = 'ioredis has one connection per client and no pool; the option is accepted and does nothing'
const NO_SUCH_ARGUMENT = 'grpc-js knows no such channel argument and says nothing; it comes from the C implementation'

/**
 * Options that are wrong, ignored or dangerous, each tested against the driver itself, so that a release that changes its
 * mind fails the test.
 */
export const OPTION_FAULTS: readonly OptionFault[] = [
  ...faults('pg', 'ignored', [
    { option: 'connectionLimit', why: 'pg has no such option (mysql2 has)', instead: 'max' },
    { option: 'maxConnections', why: 'pg has no such option', instead: 'max' },
    { option: 'poolMax', why: 'pg has no such option', instead: 'max' },
    { option: 'acquireTimeoutMillis', why: 'pg has no such option (tarn and Millpond have)', instead: 'connectionTimeoutMillis' },
    { option: 'acquireTimeout', why: 'pg has no such option', instead: 'connectionTimeoutMillis' },
    { option: 'connectionTimeout', why: 'pg has no such option', instead: 'connectionTimeoutMillis' },
    { option: 'connectTimeout', why: 'pg has no such option (mysql2 has)', instead: 'connectionTimeoutMillis' },
    { option: 'connect_timeout', why: 'only libpq reads it; pg does not', instead: 'connectionTimeoutMillis', convert: 'seconds-to-millis' },
    { option: 'idleTimeout', why: 'pg has no such option (mysql2 has)', instead: 'idleTimeoutMillis' },
    { option: 'maxLifetimeMillis', why: 'pg counts in seconds, under another name', mend: 'use `maxLifetimeSeconds`' },
    { option: 'waitForConnections', why: 'pg always queues; the option is mysql2’s', mend: 'remove it' },
    { option: 'queueLimit', why: 'the queue of pg has no limit; the option is mysql2’s', mend: 'remove it; `pgPool` of Millpond has `maxWaiting`' },
    { option: 'pool', why: 'pg takes the options of the pool beside those of the connection', mend: 'move its members up' },
  ].map((each) => ({ ...each, makers: ['Pool', ''] }) as Omit<OptionFault, 'driver' | 'fault'>)),
  ...faults('pg', 'misread', [
    { option: 'max', value: 0, why: 'pg reads 0 as "not given", which is 10', mend: 'give the number that you mean', makers: ['Pool', ''] },
    { option: 'idleTimeoutMillis', value: 0, why: '0 means that idle connections are never closed, not that they are closed at once', mend: 'use a small number such as 1 to close at once', makers: ['Pool', ''] },
  ]),
  ...faults('mysql2', 'warned', [
    { option: 'acquireTimeout', why: 'mysql2 has no deadline for waiting callers; it prints a warning and drops the option', mend: 'remove it; `mysqlPool` of Millpond has `acquireTimeoutMillis`' },
    { option: 'acquireTimeoutMillis', why: 'mysql2 has no deadline for waiting callers; it prints a warning and drops the option', mend: 'remove it; `mysqlPool` of Millpond has it' },
    { option: 'timeout', why: 'mysql2 takes a timeout per query only; it prints a warning and drops the option', mend: 'give it to `query({ sql, timeout })`' },
    { option: 'max', why: 'mysql2 has no such option (pg has)', instead: 'connectionLimit' },
    { option: 'min', why: 'mysql2 keeps no minimum; it prints a warning and drops the option', mend: 'use `maxIdle` to close what is idle' },
    { option: 'poolSize', why: 'mysql2 has no such option', instead: 'connectionLimit' },
    { option: 'maxConnections', why: 'mysql2 has no such option', instead: 'connectionLimit' },
    { option: 'idleTimeoutMillis', why: 'mysql2 has no such option (pg has)', instead: 'idleTimeout' },
    { option: 'connectionTimeoutMillis', why: 'mysql2 has no such option (pg has)', instead: 'connectTimeout' },
    { option: 'reconnect', why: 'mysql2 opens a new connection when it needs one; it prints a warning and drops the option', mend: 'remove it' },
  ]),
  ...faults('mysql2', 'unbounded', [
    { option: 'queueLimit', value: 0, why: '0 is no limit, and mysql2 has no deadline for who waits: callers pile up until memory ends', mend: 'give the number that you can bear, such as 1000', makers: ['createPool'] },
  ]),
  ...faults('mongodb', 'refused', [
    { option: 'maxConnecting', value: 0, why: 'the driver takes numbers from 1 only; it throws', mend: 'leave it out, which is 2, or give a number from 1' },
    { option: 'poolSize', versions: '>=4.0.0', why: 'removed in version 4 of the driver; it throws', instead: 'maxPoolSize' },
    { option: 'useNewUrlParser', versions: '>=7.0.0', why: 'it has had no effect since version 4, and throws since version 7', mend: 'remove it' },
    { option: 'useUnifiedTopology', versions: '>=7.0.0', why: 'it has had no effect since version 4, and throws since version 7', mend: 'remove it' },
    { option: 'keepAlive', versions: '>=6.0.0', why: 'TCP keepalive is always on; the option throws', mend: 'remove it' },
    { option: 'autoReconnect', versions: '>=4.0.0', why: 'the driver always reconnects; the option throws', mend: 'remove it' },
    { option: 'connectionTimeoutMS', versions: '>=4.0.0', why: 'it has another name; this one throws', instead: 'connectTimeoutMS' },
    { option: 'waitQueueMultiple', versions: '>=4.0.0', why: 'removed; it throws', mend: 'use `waitQueueTimeoutMS`' },
  ]),
  ...faults('mongodb', 'ignored', [
    { option: 'timeoutMS', why: 'the driver prints a deprecation and does not apply it', mend: 'use `waitQueueTimeoutMS`, `serverSelectionTimeoutMS` and `maxTimeMS`' },
    { option: 'useNewUrlParser', versions: '>=4.0.0 <7.0.0', why: 'it has had no effect since version 4, and throws from version 7 on', mend: 'remove it' },
    { option: 'useUnifiedTopology', versions: '>=4.0.0 <7.0.0', why: 'it has had no effect since version 4, and throws from version 7 on', mend: 'remove it' },
  ]),
  ...faults('mongoose', 'refused', [
    { option: 'poolSize', versions: '>=6.0.0', why: 'removed in version 6; `connect()` rejects', instead: 'maxPoolSize' },
    { option: 'useNewUrlParser', versions: '>=9.0.0', why: 'it has no effect, and `connect()` rejects', mend: 'remove it' },
    { option: 'useUnifiedTopology', versions: '>=9.0.0', why: 'it has no effect, and `connect()` rejects', mend: 'remove it' },
    { option: 'useCreateIndex', versions: '>=6.0.0', why: 'removed in version 6; `connect()` rejects', mend: 'remove it' },
    { option: 'useFindAndModify', versions: '>=6.0.0', why: 'removed in version 6; `connect()` rejects', mend: 'remove it' },
    { option: 'bufferMaxEntries', versions: '>=6.0.0', why: 'removed in version 6; `connect()` rejects', mend: 'use `bufferCommands: false`' },
  ]),
  ...faults('mongoose', 'ignored', [
    { option: 'useNewUrlParser', versions: '>=6.0.0 <9.0.0', why: 'it has no effect since version 6, and `connect()` rejects from version 9 on', mend: 'remove it' },
    { option: 'useUnifiedTopology', versions: '>=6.0.0 <9.0.0', why: 'it has no effect since version 6, and `connect()` rejects from version 9 on', mend: 'remove it' },
  ]),
  ...faults('ioredis', 'ignored', [
    { option: 'poolSize', why: NO_POOL_IN_REDIS, mend: 'remove it; `redisPool` of Millpond has lanes' },
    { option: 'max', why: NO_POOL_IN_REDIS, mend: 'remove it; `redisPool` of Millpond has lanes' },
    { option: 'min', why: NO_POOL_IN_REDIS, mend: 'remove it' },
    { option: 'maxConnections', why: NO_POOL_IN_REDIS, mend: 'remove it; `redisPool` of Millpond has lanes' },
    { option: 'retry_strategy', why: 'that is node_redis 3; ioredis calls it otherwise', instead: 'retryStrategy' },
    { option: 'connect_timeout', why: 'that is node_redis 3; ioredis calls it otherwise', instead: 'connectTimeout' },
    { option: 'socket', why: 'that is node-redis; ioredis takes `host` and `port` beside the other options', mend: 'move its members up' },
    { option: 'url', why: 'that is node-redis; ioredis takes the URL as its first argument, and connects to localhost without', mend: 'pass it as first argument' },
  ].map((each) => ({ ...each, makers: ['', 'Redis'] }))),
  ...faults('redis', 'ignored', [
    { option: 'host', versions: '>=4.0.0', why: 'node-redis takes it inside `socket`; here it is dropped, and the client connects to localhost', mend: 'move it to `socket: { host }`' },
    { option: 'port', versions: '>=4.0.0', why: 'node-redis takes it inside `socket`; here it is dropped, and the client connects to port 6379', mend: 'move it to `socket: { port }`' },
    { option: 'retry_strategy', versions: '>=4.0.0', why: 'that is version 3; it is dropped', mend: 'use `socket: { reconnectStrategy }`' },
    { option: 'connectTimeout', versions: '>=4.0.0', why: 'node-redis takes it inside `socket`; here it is dropped', mend: 'move it to `socket: { connectTimeout }`' },
    { option: 'isolationPoolOptions', versions: '>=5.0.0', why: 'that is version 4; it is dropped', mend: 'use `createClientPool`' },
  ].map((each) => ({ ...each, makers: ['createClient'] }))),
  ...faults('undici', 'refused', [
    { option: 'keepAlive', why: 'undici keeps connections alive always; it throws, at the first request at the latest', mend: 'use `keepAliveTimeout`' },
    { option: 'idleTimeout', why: 'it throws, at the first request at the latest', instead: 'keepAliveTimeout' },
    { option: 'maxKeepAliveTimeout', why: 'it throws, at the first request at the latest', instead: 'keepAliveMaxTimeout' },
    { option: 'socketTimeout', why: 'it throws, at the first request at the latest', mend: 'use `headersTimeout` and `bodyTimeout`' },
    { option: 'requestTimeout', why: 'it throws, at the first request at the latest', mend: 'use `headersTimeout` and `bodyTimeout`' },
  ].map((each) => ({ ...each, makers: ['Pool', 'Client', 'Agent'] }))),
  ...faults('undici', 'ignored', [
    { option: 'maxSockets', why: 'that is http.Agent; undici drops it, and opens connections without limit', instead: 'connections' },
    { option: 'poolSize', why: 'undici has no such option, and opens connections without limit', instead: 'connections' },
    { option: 'max', why: 'undici has no such option, and opens connections without limit', instead: 'connections' },
    { option: 'timeout', why: 'undici has no such option', mend: 'use `headersTimeout`, `bodyTimeout` and `connectTimeout`' },
  ].map((each) => ({ ...each, makers: ['Pool', 'Agent'] }))),
  ...faults('undici', 'unbounded', [
    { option: 'connections', value: 0, why: '0 is no limit: a burst opens as many connections as there are requests', mend: 'give the number that you mean', makers: ['Pool', 'BalancedPool', 'RoundRobinPool', 'Agent', 'ProxyAgent', 'EnvHttpProxyAgent'] },
  ]),
  ...faults('http-agent', 'ignored', [
    { option: 'keepAliveTimeout', why: 'that is an option of http.Server and of undici; an agent keeps a free socket until the server closes it or `timeout` passes', mend: 'use `timeout`, or agentkeepalive’s `freeSocketTimeout`' },
    { option: 'freeSocketTimeout', why: 'that is an option of agentkeepalive', mend: 'use agentkeepalive, or `timeout`' },
    { option: 'idleTimeout', why: 'an agent has no such option', mend: 'use `timeout`' },
    { option: 'maxsockets', why: 'options are spelled with care for case', instead: 'maxSockets' },
    { option: 'maxConnections', why: 'an agent has no such option', instead: 'maxSockets' },
  ]),
  ...faults('grpc', 'ignored', [
    { option: 'grpc.http2.min_time_between_pings_ms', why: NO_SUCH_ARGUMENT, mend: 'use `grpc.keepalive_time_ms`' },
    { option: 'grpc.http2.max_pings_without_data', why: NO_SUCH_ARGUMENT, mend: 'use `grpc.keepalive_permit_without_calls`' },
    { option: 'grpc.http2.min_ping_interval_without_data_ms', why: NO_SUCH_ARGUMENT, mend: 'use `grpc.keepalive_time_ms`' },
    { option: 'grpc.lb_policy_name', why: NO_SUCH_ARGUMENT, mend: 'use `grpc.service_config`' },
    { option: 'grpc.max_connection_pool', why: NO_SUCH_ARGUMENT, mend: 'use `grpcPool` of Millpond' },
    { option: 'grpc.min_reconnect_backoff_ms', why: NO_SUCH_ARGUMENT, instead: 'grpc.initial_reconnect_backoff_ms' },
    { option: 'grpc.so_reuseport', why: NO_SUCH_ARGUMENT, mend: 'remove it' },
  ]),
  ...faults('grpc', 'misread', [
    { option: 'grpc.keepalive_permit_without_calls', value: true, why: 'grpc-js compares it with 1; `true` leaves it off', mend: 'write 1' },
  ]),
  ...faults('grpc', 'unbounded', [
    { option: 'grpc.max_receive_message_length', value: -1, why: '-1 takes the bound of 4 MB away: one answer may fill the memory of this process', mend: 'give the size that your largest answer has, in bytes' },
    { option: 'grpc.max_send_message_length', value: -1, why: '-1 is no bound, as without the option: one request may be larger than any server takes', mend: 'give the size that the server takes, in bytes' },
  ]),
  ...faults('typeorm', 'ignored', [
    { option: 'max', why: 'TypeORM calls it otherwise', instead: 'poolSize' },
    { option: 'pool', why: 'that is Sequelize; TypeORM drops it', mend: 'use `poolSize`, and `extra` for what the driver has besides' },
  ]),
  ...faults('prisma', 'ignored', [
    { option: 'pool', why: 'the adapter takes the pool itself; from this object it makes another one, with the addresses of the environment', mend: 'write `new PrismaPg(pool)`', makers: ['PrismaPg'] },
  ]),
  ...faults('generic-pool', 'misread', [
    { option: 'evictionRunIntervalMillis', value: 0, why: '0 means that nobody ever looks for what is idle: `idleTimeoutMillis` does nothing', mend: 'use a number such as 10_000' },
  ]),
  ...faults('generic-pool', 'ignored', [
    { option: 'idleTimeoutMillis', unless: 'evictionRunIntervalMillis', why: 'without `evictionRunIntervalMillis` nobody ever looks for what is idle, and nothing is closed', mend: 'add `evictionRunIntervalMillis: 10_000`' },
  ]),
  ...faults('sequelize', 'ignored', [
    { option: 'idleTimeoutMillis', why: 'Sequelize calls it otherwise', instead: 'idle' },
    { option: 'acquireTimeoutMillis', why: 'Sequelize calls it otherwise', instead: 'acquire' },
    { option: 'connectionLimit', why: 'Sequelize calls it otherwise', instead: 'max' },
  ]),
  ...faults('knex', 'warned', [
    { option: 'evictionRunIntervalMillis', why: 'that is generic-pool; Knex warns and drops it', mend: 'use `reapIntervalMillis`' },
    { option: 'maxWaitingClients', why: 'that is generic-pool; Knex warns and drops it', mend: 'remove it' },
    { option: 'testOnBorrow', why: 'that is generic-pool; Knex warns and drops it', mend: 'remove it' },
  ]),
  ...faults('tarn', 'refused', [
    { option: 'acquireTimeout', why: 'tarn refuses unknown options', instead: 'acquireTimeoutMillis' },
    { option: 'idleTimeout', why: 'tarn refuses unknown options', instead: 'idleTimeoutMillis' },
  ]),
] // prettier-ignore

/** A version later than all: what is true of it is true of the latest. */
const LATEST = '99999.0.0'

/**
 * What is wrong with an option, as far as its value can be read.
 *
 * @param version - of the driver that is installed; the latest, where it is left out
 * @param beside - the other options that are given
 */
export function faultOf(
  driver: string,
  makers: readonly string[],
  option: string,
  value?: string | number | boolean | null,
  version = LATEST,
  beside: readonly string[] = [],
): OptionFault | undefined {
  return OPTION_FAULTS.find(
    (each) =>
      each.driver === driver &&
      each.option === option &&
      (each.versions === undefined || isWithin(version, each.versions)) &&
      (each.makers === undefined || each.makers.some((name) => makers.includes(name))) &&
      (each.value === undefined || each.value === value) &&
      !(each.unless !== undefined && beside.includes(each.unless)),
  )
}
