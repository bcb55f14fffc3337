/** What one exported class or function of a driver makes, and what the rules need to know about it. */
export interface Maker {
  readonly driver: string
  readonly modules: readonly string[]
  /** Exported names; `''` is the module itself or its default export. `*` is any class of the module. */
  readonly names: readonly string[]
  readonly how: 'new' | 'call' | 'either'
  /** A pool lends connections, a client shares one or pools inside, a connection is a single one. */
  readonly role: 'pool' | 'client' | 'connection'
  /** Which argument holds the options; several when the call takes a URL first. */
  readonly options: readonly number[]
  /** The options object is a member of them: `{ pool: { max } }`. */
  readonly within?: string
  /** Methods that lend a connection which the caller must give back. */
  readonly lends?: readonly string[]
  /** Methods that end it. */
  readonly ends: readonly string[]
  readonly max?: { readonly key: string; readonly default: number; readonly zeroIsUnlimited?: true }
  readonly min?: string
  /** The option without which a caller waits for ever. `missing`: also when it is not given. */
  readonly deadline?: { readonly key: string; readonly missing: boolean; readonly suggest: number }
  /** What happens when an error event meets no listener. */
  readonly errorEvent?: 'crash' | 'log'
  /** Options that switch a deadline off when they are 0. */
  readonly zeroIsForever?: readonly string[]
}

const PG = { driver: 'pg', modules: ['pg', '@neondatabase/serverless'], options: [0], ends: ['end'] } as const
const MYSQL = { driver: 'mysql2', modules: ['mysql2', 'mysql2/promise', 'mysql'], options: [0], how: 'call' } as const
const MONGO = {
  driver: 'mongodb',
  role: 'client',
  max: { key: 'maxPoolSize', default: 100, zeroIsUnlimited: true },
  min: 'minPoolSize',
  deadline: { key: 'waitQueueTimeoutMS', missing: true, suggest: 5_000 },
  zeroIsForever: ['connectTimeoutMS', 'serverSelectionTimeoutMS'],
} as const
const UNDICI = {
  driver: 'undici',
  modules: ['undici'],
  how: 'new',
  ends: ['close', 'destroy'],
  zeroIsForever: ['headersTimeout', 'bodyTimeout', 'connectTimeout'],
} as const
const NODE_REDIS = {
  driver: 'redis',
  modules: ['redis', '@redis/client'],
  how: 'call',
  ends: ['close', 'destroy', 'quit', 'disconnect'],
  errorEvent: 'crash',
} as const
const MILLPOND = {
  driver: 'millpond',
  role: 'pool',
  how: 'call',
  lends: ['acquire', 'tryAcquire'],
  ends: ['close', 'end'],
  max: { key: 'max', default: 10 },
  min: 'min',
  deadline: { key: 'acquireTimeoutMillis', missing: false, suggest: 5_000 },
} as const

/** Everything that the rules recognise, first match wins. */
export const MAKERS: readonly Maker[] = [
  {
    ...PG,
    names: ['Pool', 'native.Pool'],
    how: 'new',
    role: 'pool',
    lends: ['connect'],
    max: { key: 'max', default: 10 },
    min: 'min',
    deadline: { key: 'connectionTimeoutMillis', missing: true, suggest: 5_000 },
    errorEvent: 'crash',
  },
  { ...PG, names: ['Client', 'native.Client'], how: 'new', role: 'connection', errorEvent: 'crash' },
  {
    ...PG,
    modules: ['pg-pool'],
    names: [''],
    how: 'new',
    role: 'pool',
    lends: ['connect'],
    max: { key: 'max', default: 10 },
    min: 'min',
    deadline: { key: 'connectionTimeoutMillis', missing: true, suggest: 5_000 },
    errorEvent: 'crash',
  },
  {
    ...MYSQL,
    names: ['createPool'],
    role: 'pool',
    lends: ['getConnection'],
    ends: ['end'],
    max: { key: 'connectionLimit', default: 10, zeroIsUnlimited: true },
    zeroIsForever: ['connectTimeout'],
  },
  { ...MYSQL, names: ['createPoolCluster'], role: 'pool', lends: ['getConnection'], ends: ['end'] },
  {
    ...MYSQL,
    names: ['createConnection'],
    role: 'connection',
    ends: ['end', 'destroy'],
    zeroIsForever: ['connectTimeout'],
  },
  {
    driver: 'mariadb',
    modules: ['mariadb'],
    names: ['createPool'],
    how: 'call',
    role: 'pool',
    options: [0],
    lends: ['getConnection'],
    ends: ['end'],
    max: { key: 'connectionLimit', default: 10 },
    zeroIsForever: ['acquireTimeout', 'connectTimeout'],
  },
  {
    driver: 'mariadb',
    modules: ['mariadb'],
    names: ['createConnection'],
    how: 'call',
    role: 'connection',
    options: [0],
    ends: ['end', 'destroy'],
  },
  { ...MONGO, modules: ['mongodb'], names: ['MongoClient'], how: 'new', options: [1], ends: ['close'] },
  { ...MONGO, modules: ['mongodb'], names: ['MongoClient.connect'], how: 'call', options: [1], ends: ['close'] },
  {
    ...MONGO,
    driver: 'mongoose',
    modules: ['mongoose'],
    names: ['connect', 'createConnection'],
    how: 'call',
    options: [1],
    ends: ['disconnect', 'close'],
  },
  {
    driver: 'ioredis',
    modules: ['ioredis'],
    names: ['', 'Redis'],
    how: 'new',
    role: 'client',
    options: [0, 1, 2],
    ends: ['quit', 'disconnect'],
    errorEvent: 'log',
    zeroIsForever: ['connectTimeout'],
  },
  {
    driver: 'ioredis',
    modules: ['ioredis'],
    names: ['Cluster', 'Redis.Cluster'],
    how: 'new',
    role: 'client',
    options: [1],
    ends: ['quit', 'disconnect'],
    errorEvent: 'log',
  },
  { ...NODE_REDIS, names: ['createClient'], role: 'client', options: [0] },
  { ...NODE_REDIS, names: ['createCluster', 'createSentinel'], role: 'client', options: [0] },
  {
    ...NODE_REDIS,
    names: ['createClientPool'],
    role: 'pool',
    options: [1],
    max: { key: 'maximum', default: 100 },
    min: 'minimum',
    zeroIsForever: ['acquireTimeout'],
  },
  { ...UNDICI, names: ['Pool', 'BalancedPool', 'RoundRobinPool'], role: 'pool', options: [1], max: { key: 'connections', default: Infinity, zeroIsUnlimited: true } },
  { ...UNDICI, names: ['Agent', 'ProxyAgent', 'EnvHttpProxyAgent'], role: 'pool', options: [0], max: { key: 'connections', default: Infinity, zeroIsUnlimited: true } },
  { ...UNDICI, names: ['Client', 'H2CClient'], role: 'client', options: [1] },
  {
    driver: 'http-agent',
    modules: ['http', 'https'],
    names: ['Agent'],
    how: 'new',
    role: 'pool',
    options: [0],
    ends: ['destroy'],
    max: { key: 'maxSockets', default: Infinity },
  },
  {
    driver: 'agentkeepalive',
    modules: ['agentkeepalive'],
    names: ['', 'HttpAgent', 'HttpsAgent'],
    how: 'new',
    role: 'pool',
    options: [0],
    ends: ['destroy'],
    max: { key: 'maxSockets', default: Infinity },
  },
  { driver: 'grpc', modules: ['@grpc/grpc-js'], names: ['Client'], how: 'new', role: 'client', options: [2], ends: ['close'] },
  {
    driver: 'prisma',
    modules: ['@prisma/client'],
    names: ['PrismaClient'],
    how: 'new',
    role: 'client',
    options: [0],
    ends: ['$disconnect'],
  },
  {
    driver: 'prisma',
    modules: ['@prisma/adapter-pg'],
    names: ['PrismaPg'],
    how: 'new',
    role: 'client',
    options: [0],
    ends: [],
  },
  {
    driver: 'knex',
    modules: ['knex'],
    names: ['', 'knex'],
    how: 'either',
    role: 'client',
    options: [0],
    within: 'pool',
    ends: ['destroy'],
    max: { key: 'max', default: 10 },
    min: 'min',
  },
  {
    driver: 'sequelize',
    modules: ['sequelize', 'sequelize-typescript'],
    names: ['', 'Sequelize'],
    how: 'new',
    role: 'client',
    options: [0, 1, 2, 3],
    within: 'pool',
    ends: ['close'],
    max: { key: 'max', default: 5 },
    min: 'min',
    zeroIsForever: ['acquire'],
  },
  {
    driver: 'typeorm',
    modules: ['typeorm'],
    names: ['DataSource'],
    how: 'new',
    role: 'client',
    options: [0],
    ends: ['destroy'],
    max: { key: 'poolSize', default: 10 },
  },
  {
    driver: 'generic-pool',
    modules: ['generic-pool'],
    names: ['createPool'],
    how: 'call',
    role: 'pool',
    options: [1],
    lends: ['acquire'],
    ends: ['drain', 'clear'],
    max: { key: 'max', default: 1 },
    min: 'min',
    deadline: { key: 'acquireTimeoutMillis', missing: true, suggest: 5_000 },
  },
  {
    driver: 'tarn',
    modules: ['tarn'],
    names: ['Pool'],
    how: 'new',
    role: 'pool',
    options: [0],
    lends: ['acquire'],
    ends: ['destroy'],
    max: { key: 'max', default: 10 },
    min: 'min',
  },
  { ...MILLPOND, modules: ['millpond'], names: ['Pool'], how: 'new', options: [1] },
  {
    ...MILLPOND,
    modules: ['millpond/pg'],
    names: ['pgPool'],
    options: [1],
    lends: ['connect', 'acquire', 'tryAcquire'],
    deadline: { key: 'connectionTimeoutMillis', missing: false, suggest: 5_000 },
  },
  {
    ...MILLPOND,
    modules: ['millpond/mysql'],
    names: ['mysqlPool'],
    options: [1],
    lends: ['getConnection', 'acquire', 'tryAcquire'],
    max: { key: 'connectionLimit', default: 10 },
  },
  { ...MILLPOND, modules: ['millpond/redis'], names: ['redisPool', 'redisClusterPool'], options: [1] },
  { ...MILLPOND, modules: ['millpond/http'], names: ['httpPool'], options: [1] },
  { ...MILLPOND, modules: ['millpond/grpc'], names: ['grpcPool'], options: [3] },
] // prettier-ignore

/** How the makers of one driver are named in messages. */
export const DRIVER_NAMES: Readonly<Record<string, string>> = {
  pg: 'pg',
  mysql2: 'mysql2',
  mariadb: 'mariadb',
  mongodb: 'the MongoDB driver',
  mongoose: 'Mongoose',
  ioredis: 'ioredis',
  redis: 'node-redis',
  undici: 'undici',
  'http-agent': "Node's http.Agent",
  agentkeepalive: 'agentkeepalive',
  grpc: 'grpc-js',
  prisma: 'Prisma',
  knex: 'Knex',
  sequelize: 'Sequelize',
  typeorm: 'TypeORM',
  'generic-pool': 'generic-pool',
  tarn: 'tarn',
  millpond: 'Millpond',
}
