import { testRule } from './cases.ts'

testRule('no-client-per-request', {
  wrong: [
    { name: 'pg: a client in a route of Express', code: `const { Client } = require('pg')\napp.get('/users/:id', async (req, res) => { const client = new Client({}); await client.connect(); await client.end() })`, errors: [{ messageId: 'connection', data: { occasion: 'request', driver: 'pg' } }] },
    { name: 'pg: a pool in a route', code: `import pg from 'pg'\nrouter.post('/a', async (request, reply) => { const pool = new pg.Pool({}) })`, errors: ['pool'] },
    { name: 'mysql2 in a helper that a route calls', code: `import mysql from 'mysql2/promise'\nasync function find() { const c = await mysql.createConnection({}); return c.query('x') }\napp.get('/a', async (req, res) => { res.json(await find()) })`, errors: ['connection'] },
    { name: 'mongodb per invocation', code: `import { MongoClient } from 'mongodb'\nexport const handler = async (event) => { const client = new MongoClient(process.env.MONGODB_URI); await client.connect() }`, errors: [{ messageId: 'client', data: { occasion: 'invocation', driver: 'the MongoDB driver' } }] },
    { name: 'MongoClient.connect in exports.handler', code: `const { MongoClient } = require('mongodb')\nexports.handler = async () => { const client = await MongoClient.connect(process.env.U); return client.db() }`, errors: ['client'] },
    { name: 'ioredis in a Next.js route', code: `import Redis from 'ioredis'\nexport async function GET(request) { const redis = new Redis(process.env.REDIS_URL); return Response.json(await redis.get('a')) }`, errors: ['client'] },
    { name: 'node-redis in middleware', code: `import { createClient } from 'redis'\napp.use(async (req, res, next) => { const client = createClient(); await client.connect(); next() })`, errors: ['client'] },
    { name: 'undici', code: `import { Agent } from 'undici'\nexport default { async fetch(request) { const agent = new Agent(); return fetch('x', { dispatcher: agent }) } }`, errors: ['pool'] },
    { name: 'an http agent', code: `import http from 'node:http'\nhttp.createServer((req, res) => { const agent = new http.Agent({ keepAlive: true }); http.get('x', { agent }) })`, errors: ['pool'] },
    { name: 'grpc: a generated client', code: `import grpc from '@grpc/grpc-js'\napp.get('/a', (req, res) => { const client = new UserServiceClient('a:1', grpc.credentials.createInsecure()); client.getUser({}, () => res.end()) })`, errors: [{ messageId: 'client', data: { occasion: 'request', driver: 'grpc-js' } }] },
    { name: 'Prisma in a server action', code: `import { PrismaClient } from '@prisma/client'\nexport async function save(form) { 'use server'; const prisma = new PrismaClient(); await prisma.user.create({}) }`, errors: ['client'] },
    { name: 'Millpond', code: `import { pgPool } from 'millpond/pg'\nfastify.get('/a', async (request, reply) => { const pool = pgPool(pg, {}); return pool.query('x') })`, errors: ['pool'] },
    { name: 'a decorated method of NestJS', code: `import { Pool } from 'pg'\nclass Users { @Get() async find() { const pool = new Pool({}); return pool.query('x') } }`, errors: ['pool'] },
    { name: 'a job of a queue', code: `import { Worker } from 'bullmq'\nimport Redis from 'ioredis'\nnew Worker('mail', async (job) => { const redis = new Redis(); await redis.get('x') })`, errors: [{ messageId: 'client', data: { occasion: 'job', driver: 'ioredis' } }] },
  ],
  right: [
    { name: 'at the top', code: `import pg from 'pg'\nconst pool = new pg.Pool()\napp.get('/a', async (req, res) => { res.json(await pool.query('x')) })` },
    { name: 'kept in an outer variable', code: `import { MongoClient } from 'mongodb'\nlet client\nexport const handler = async () => { client ??= new MongoClient('x'); return client.db() }` },
    { name: 'kept after asking', code: `import { MongoClient } from 'mongodb'\nlet client\nexport const handler = async () => { if (!client) { client = new MongoClient('x') } }` },
    { name: 'kept on globalThis', code: `import pg from 'pg'\nexport async function GET() { const pool = globalThis.pool ?? new pg.Pool(); globalThis.pool = pool }` },
    { name: 'a pool per tenant, in a map', code: `import pg from 'pg'\nconst pools = new Map()\napp.get('/a', (req, res) => { let pool = pools.get(req.tenant); if (!pool) { pool = new pg.Pool(); pools.set(req.tenant, pool) } })` },
    { name: 'definePool', code: `import { pgPool } from 'millpond/pg'\nimport { definePool } from 'millpond'\nexport async function GET() { return definePool('orders', () => pgPool(pg, {})).query('x') }` },
    { name: 'a helper whose result is kept', code: `import pg from 'pg'\nlet pool\nfunction make() { return new pg.Pool() }\napp.get('/a', (req, res) => { pool ??= make() })` },
    { name: 'a test', code: `import pg from 'pg'\nit('works', async () => { const pool = new pg.Pool(); await pool.end() })` },
    { name: 'a main function', code: `import pg from 'pg'\nasync function main() { const client = new pg.Client(); await client.connect() }\nmain()` },
    { name: 'a pool that is no driver’s', code: `import { Pool } from 'somewhere'\napp.get('/a', (req, res) => { new Pool() })` },
  ],
}) // prettier-ignore

const s = (messageId: string, data?: Record<string, unknown>) => ({ messageId, suggestions: 1, ...(data === undefined ? {} : { data }) }) // prettier-ignore

testRule('require-connection-timeout', {
  wrong: [
    { name: 'pg, with the option suggested', code: `import { Pool } from 'pg'\nconst pool = new Pool({ max: 20 })`, errors: [{ messageId: 'missing', suggestions: [{ messageId: 'add', output: `import { Pool } from 'pg'\nconst pool = new Pool({ max: 20, connectionTimeoutMillis: 5000 })` }] }] },
    { name: 'pg without options', code: `import pg from 'pg'\nconst pool = new pg.Pool()`, errors: ['missing'] },
    { name: 'pg with 0', code: `import pg from 'pg'\nconst pool = new pg.Pool({ connectionTimeoutMillis: 0 })`, errors: [{ messageId: 'off', suggestions: [{ messageId: 'set', output: `import pg from 'pg'\nconst pool = new pg.Pool({ connectionTimeoutMillis: 5000 })` }] }] },
    { name: 'pg with options in a constant', code: `import pg from 'pg'\nconst options = { max: 20 }\nconst pool = new pg.Pool(options)`, errors: [s('missing')] },
    { name: 'mysql2 with connectTimeout 0', code: `import mysql from 'mysql2'\nmysql.createPool({ connectTimeout: 0 })`, errors: [s('off')] },
    { name: 'mongodb', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(process.env.MONGODB_URI, { maxPoolSize: 20 })`, errors: [s('missing', { option: 'waitQueueTimeoutMS', driver: 'the MongoDB driver', suggest: 5_000 })] },
    { name: 'mongodb with a URL alone', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(process.env.MONGODB_URI)`, errors: ['missing'] },
    { name: 'mongoose', code: `import mongoose from 'mongoose'\nawait mongoose.connect('mongodb://a', {})`, errors: [s('missing')] },
    { name: 'undici switched off', code: `import { Agent } from 'undici'\nnew Agent({ headersTimeout: 0, bodyTimeout: 0 })`, errors: [s('off'), s('off')] },
    { name: 'generic-pool', code: `import { createPool } from 'generic-pool'\ncreatePool(factory, { max: 4 })`, errors: [s('missing')] },
    { name: 'Sequelize', code: `import { Sequelize } from 'sequelize'\nnew Sequelize(process.env.URL, { pool: { acquire: 0 } })`, errors: [s('off')] },
    { name: 'Millpond with Infinity', code: `import { Pool } from 'millpond'\nnew Pool(factory, { acquireTimeoutMillis: Infinity })`, errors: [s('off')] },
    { name: 'TypeScript, with satisfies', code: `import { Pool, type PoolConfig } from 'pg'\nnew Pool({ max: 5 } satisfies PoolConfig)`, errors: [s('missing')] },
    { name: 'ioredis with connectTimeout 0', code: `import Redis from 'ioredis'\nnew Redis({ connectTimeout: 0 })`, errors: [s('off')] },
    { name: 'a gRPC pool of Millpond with Infinity', code: `import { grpcPool } from 'millpond/grpc'\ngrpcPool(Users, 'users:50051', credentials, { acquireTimeoutMillis: Infinity })`, errors: [s('off')] },
  ],
  right: [
    { name: 'pg', code: `import pg from 'pg'\nnew pg.Pool({ connectionTimeoutMillis: 2_000 })` },
    { name: 'pg with what cannot be read', code: `import pg from 'pg'\nimport { options } from './options.js'\nnew pg.Pool(options)` },
    { name: 'pg with a spread', code: `import pg from 'pg'\nnew pg.Pool({ ...base, max: 5 })` },
    { name: 'mongodb', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { waitQueueTimeoutMS: 5_000 })` },
    { name: 'Millpond has a deadline of its own', code: `import { Pool } from 'millpond'\nnew Pool(factory)` },
    { name: 'mysql2 has none to set', code: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 5 })` },
    { name: 'ioredis', code: `import Redis from 'ioredis'\nnew Redis()` },
    { name: 'undici has deadlines of its own', code: `import { Pool } from 'undici'\nnew Pool(origin, { connections: 5 })` },
    { name: 'grpc has a deadline for each call', code: `import grpc from '@grpc/grpc-js'\nnew Users('users:50051', grpc.credentials.createInsecure(), { 'grpc.keepalive_time_ms': 30_000 })` },
    { name: 'some other Pool', code: `import { Pool } from './pool.js'\nnew Pool({})` },
  ],
}) // prettier-ignore

testRule('no-oversized-pool', {
  wrong: [
    { name: 'pg: 1000 and 500', code: `import pg from 'pg'\nnew pg.Pool({ max: 1000, min: 500 })`, errors: ['tooLarge', 'minCloseToMax'] },
    { name: 'mysql2', code: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 300 })`, errors: ['tooLarge'] },
    { name: 'mysql2 without a limit', code: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 0 })`, errors: ['unlimited'] },
    { name: 'mongodb without a limit', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { maxPoolSize: 0 })`, errors: ['unlimited'] },
    { name: 'computed', code: `import pg from 'pg'\nconst MAX = 10 * 50\nnew pg.Pool({ max: MAX })`, errors: [{ messageId: 'tooLarge', data: { option: 'max', value: 500, bound: 100 } }] },
    { name: 'a bound of one’s own', code: `import pg from 'pg'\nnew pg.Pool({ max: 30 })`, options: [{ max: 20 }], errors: ['tooLarge'] },
    { name: 'Knex', code: `import knex from 'knex'\nknex({ client: 'pg', pool: { min: 20, max: 20 } })`, errors: ['minCloseToMax'] },
    { name: 'Millpond', code: `import { pgPool } from 'millpond/pg'\npgPool(pg, { max: 5_000 })`, errors: ['tooLarge'] },
    { name: 'sockets per origin', code: `import { Agent } from 'undici'\nnew Agent({ connections: 10_000 })`, errors: ['tooLarge'] },
  ],
  right: [
    { name: 'the guide’s', code: `import pg from 'pg'\nnew pg.Pool({ max: 20, min: 2 })` },
    { name: 'small and fixed', code: `import pg from 'pg'\nnew pg.Pool({ max: 4, min: 4 })` },
    { name: 'from the environment', code: `import pg from 'pg'\nnew pg.Pool({ max: Number(process.env.MAX) })` },
    { name: 'sockets', code: `import http from 'http'\nnew http.Agent({ maxSockets: 256 })` },
    { name: 'a number elsewhere', code: `import pg from 'pg'\nnew pg.Pool({ statement_timeout: 60_000 })` },
  ],
}) // prettier-ignore

testRule('no-ignored-options', {
  wrong: [
    { name: 'pg, renamed by suggestion', code: `import pg from 'pg'\nnew pg.Pool({ connectionLimit: 5 })`, errors: [{ messageId: 'ignored', suggestions: [{ messageId: 'rename', output: `import pg from 'pg'\nnew pg.Pool({ max: 5 })` }] }] },
    { name: 'pg, seconds become milliseconds', code: `import pg from 'pg'\nnew pg.Pool({ connect_timeout: 5 })`, errors: [{ messageId: 'ignored', suggestions: [{ messageId: 'rename', output: `import pg from 'pg'\nnew pg.Pool({ connectionTimeoutMillis: 5000 })` }] }] },
    { name: 'pg: 0 that means 10', code: `import pg from 'pg'\nnew pg.Pool({ max: 0 })`, errors: ['misread'] },
    { name: 'mysql2: acquireTimeout, removed by suggestion', code: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 5, acquireTimeout: 10000 })`, errors: [{ messageId: 'warned', suggestions: [{ messageId: 'remove', output: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 5 })` }] }] },
    { name: 'mongodb: what throws is mended', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { poolSize: 5, useNewUrlParser: true })`, output: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { maxPoolSize: 5, useNewUrlParser: true })`, errors: ['refused', { messageId: 'refused', suggestions: [{ messageId: 'remove', output: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { poolSize: 5 })` }] }] },
    { name: 'mongoose', code: `import mongoose from 'mongoose'\nmongoose.connect(u, { useCreateIndex: true })`, errors: [{ messageId: 'refused', suggestions: 1 }] },
    { name: 'ioredis has no pool', code: `const Redis = require('ioredis')\nnew Redis({ host: 'a', max: 10 })`, errors: [{ messageId: 'ignored', suggestions: 1 }] },
    { name: 'node-redis connects to localhost', code: `import { createClient } from 'redis'\ncreateClient({ host: 'redis.internal' })`, errors: [{ messageId: 'ignored', suggestions: 1 }] },
    { name: 'undici throws', code: `import { Pool } from 'undici'\nnew Pool(origin, { maxKeepAliveTimeout: 5 })`, output: `import { Pool } from 'undici'\nnew Pool(origin, { keepAliveMaxTimeout: 5 })`, errors: ['refused'] },
    { name: 'http.Agent', code: `const http = require('http')\nnew http.Agent({ keepAlive: true, keepAliveTimeout: 30000 })`, errors: [{ messageId: 'ignored', suggestions: 1 }] },
    { name: 'grpc', code: `import grpc from '@grpc/grpc-js'\nnew Users('a', grpc.credentials.createInsecure(), { 'grpc.http2.max_pings_without_data': 0 })`, errors: [{ messageId: 'ignored', suggestions: 1 }] },
    { name: 'Knex and Sequelize, inside of pool', code: `import { Sequelize } from 'sequelize'\nnew Sequelize(u, { pool: { acquireTimeoutMillis: 5 } })`, errors: [{ messageId: 'ignored', suggestions: [{ messageId: 'rename', output: `import { Sequelize } from 'sequelize'\nnew Sequelize(u, { pool: { acquire: 5 } })` }] }] },
    { name: 'TypeORM, renamed', code: `import { DataSource } from 'typeorm'\nnew DataSource({ type: 'postgres', max: 5 })`, errors: [{ messageId: 'ignored', suggestions: [{ messageId: 'rename', output: `import { DataSource } from 'typeorm'\nnew DataSource({ type: 'postgres', poolSize: 5 })` }] }] },
    { name: 'Prisma’s adapter, which takes the pool itself', code: `import { PrismaPg } from '@prisma/adapter-pg'\nnew PrismaPg({ pool })`, errors: [{ messageId: 'ignored', suggestions: 1 }] },
    { name: 'generic-pool: nobody looks for what is idle', code: `import { createPool } from 'generic-pool'\ncreatePool(factory, { max: 4, acquireTimeoutMillis: 5, idleTimeoutMillis: 5 })`, errors: ['ignored'] },
    { name: 'generic-pool: nor by 0', code: `import { createPool } from 'generic-pool'\ncreatePool(factory, { max: 4, idleTimeoutMillis: 5, evictionRunIntervalMillis: 0 })`, errors: ['misread'] },
    { name: 'mongodb: maxConnecting 0 throws', code: `import { MongoClient } from 'mongodb'\nnew MongoClient(u, { maxConnecting: 0 })`, errors: [{ messageId: 'refused', suggestions: 1 }] },
    { name: 'mysql2: a queue without end', code: `import mysql from 'mysql2'\nmysql.createPool({ queueLimit: 0 })`, options: [{ unbounded: true }], errors: ['unbounded'] },
    { name: 'undici: connections without end', code: `import { Agent } from 'undici'\nnew Agent({ connections: 0 })`, options: [{ unbounded: true }], errors: ['unbounded'] },
    { name: 'grpc: messages without end, as guides have it', code: `import grpc from '@grpc/grpc-js'\nnew Users('a', grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })`, options: [{ unbounded: true }], errors: ['unbounded', 'unbounded'] },
    { name: 'a shorthand', code: `import pg from 'pg'\nconst connectionLimit = 5\nnew pg.Pool({ connectionLimit })`, errors: [{ messageId: 'ignored', suggestions: [{ messageId: 'rename', output: `import pg from 'pg'\nconst connectionLimit = 5\nnew pg.Pool({ max: connectionLimit })` }] }] },
  ],
  right: [
    { name: 'pg', code: `import pg from 'pg'\nnew pg.Pool({ max: 5, connectionTimeoutMillis: 5, idleTimeoutMillis: 1 })` },
    { name: 'a single client of pg is no pool', code: `import pg from 'pg'\nnew pg.Client({ connectionTimeoutMillis: 5 })` },
    { name: 'mysql2', code: `import mysql from 'mysql2'\nmysql.createPool({ connectionLimit: 5, idleTimeout: 5 })` },
    { name: 'ioredis', code: `import Redis from 'ioredis'\nnew Redis({ host: 'a', maxRetriesPerRequest: null })` },
    { name: 'node-redis', code: `import { createClient } from 'redis'\ncreateClient({ socket: { host: 'a' } })` },
    { name: 'some other Agent', code: `import { Agent } from './agent.js'\nnew Agent({ keepAliveTimeout: 5 })` },
    { name: 'what takes a bound away, unless asked for', code: `import mysql from 'mysql2'\nmysql.createPool({ queueLimit: 0 })` },
    { name: 'generic-pool with somebody who looks', code: `import { createPool } from 'generic-pool'\ncreatePool(factory, { max: 4, idleTimeoutMillis: 5, evictionRunIntervalMillis: 5 })` },
    { name: 'generic-pool with who knows what', code: `import { createPool } from 'generic-pool'\ncreatePool(factory, { ...more, idleTimeoutMillis: 5 })` },
    { name: 'the pool itself', code: `import { PrismaPg } from '@prisma/adapter-pg'\nnew PrismaPg(pool)` },
    { name: 'Millpond has this option', code: `import { mysqlPool } from 'millpond/mysql'\nmysqlPool(mysql, { acquireTimeoutMillis: 5 })` },
  ],
}) // prettier-ignore

testRule('no-duplicate-options', {
  wrong: [
    { name: 'redisOptions twice', code: `import Redis from 'ioredis'\nnew Redis.Cluster(nodes, { redisOptions: { connectTimeout: 1 }, scaleReads: 'slave', redisOptions: {} })`, errors: [{ messageId: 'duplicate', line: 2 }] },
    { name: 'pg', code: `import pg from 'pg'\nnew pg.Pool({ max: 1, 'max': 2 })`, errors: ['duplicate'] },
  ],
  right: [
    { name: 'once', code: `import Redis from 'ioredis'\nnew Redis.Cluster(nodes, { redisOptions: {} })` },
    { name: 'some other object', code: `f({ a: 1, a: 2 })` },
  ],
}) // prettier-ignore

testRule('require-error-listener', {
  wrong: [
    { name: 'pg, with the listener suggested', code: `import pg from 'pg'\nexport const pool = new pg.Pool({})`, errors: [{ messageId: 'crash', suggestions: [{ messageId: 'add', output: `import pg from 'pg'\nexport const pool = new pg.Pool({})\npool.on('error', (error) => console.error(error))` }] }] },
    { name: 'node-redis', code: `import { createClient } from 'redis'\nconst client = createClient()\nawait client.connect()`, errors: [s('crash')] },
    { name: 'ioredis', code: `import Redis from 'ioredis'\nconst redis = new Redis()`, errors: [s('log')] },
    { name: 'a field', code: `import pg from 'pg'\nclass Db { constructor() { this.pool = new pg.Pool() } }`, errors: ['crash'] },
    { name: 'another pool is listened to', code: `import pg from 'pg'\nconst a = new pg.Pool()\nconst b = new pg.Pool()\na.on('error', f)`, errors: [s('crash')] },
  ],
  right: [
    { name: 'pg', code: `import pg from 'pg'\nconst pool = new pg.Pool()\npool.on('error', f)` },
    { name: 'chained', code: `import { createClient } from 'redis'\nconst client = createClient().on('error', f)` },
    { name: 'a field', code: `import pg from 'pg'\nclass Db { pool = new pg.Pool()\nconstructor() { this.pool.on('error', f) } }` },
    { name: 'handed to a function of the project', code: `import pg from 'pg'\nimport { watch } from './watch.js'\nconst pool = new pg.Pool()\nwatch(pool)` },
    { name: 'returned', code: `import pg from 'pg'\nexport const make = () => new pg.Pool()` },
    { name: 'Millpond needs none', code: `import { pgPool } from 'millpond/pg'\nconst pool = pgPool(pg, {})` },
    { name: 'mysql2 needs none', code: `import mysql from 'mysql2'\nconst pool = mysql.createPool({})` },
    { name: 'mongodb needs none: its operations reject', code: `import { MongoClient } from 'mongodb'\nconst client = new MongoClient(u)` },
    { name: 'undici needs none: its requests reject', code: `import { Pool } from 'undici'\nconst pool = new Pool(origin)` },
    { name: 'grpc needs none: its calls fail', code: `import grpc from '@grpc/grpc-js'\nconst users = new Users('users:50051', grpc.credentials.createInsecure())` },
  ],
}) // prettier-ignore
