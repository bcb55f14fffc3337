// Before anything that imports a driver.
import { driverSpans, forgetSpans, inSpan, stopTracing } from '../support/telemetry.ts'
import { createRequire } from 'node:module'
import type * as Grpc from '@grpc/grpc-js'
import type { Redis } from 'ioredis'
import type { MongoClient } from 'mongodb'
import type * as Mysql from 'mysql2'
import type { createClient } from 'redis'
import type * as Undici from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  RIG_PROTO,
  startGrpc,
  startHttp,
  startMariaDb,
  startMongoWire,
  startRedis,
  tryStart,
  type GrpcServer,
  type HttpServer,
  type MongoWireServer,
} from '@millpond/rig'
import { grpcPool } from 'millpond/grpc'
import { httpPool } from 'millpond/http'
import { observeMongo } from 'millpond/mongodb'
import { mysqlPool } from 'millpond/mysql'
import { observe } from 'millpond/observe'
import { redisPool } from 'millpond/redis'
import type { EchoClass } from '../support/grpc.ts'

const load = createRequire(import.meta.url)
const mysql = load('mysql2') as typeof Mysql
const { Redis: IoRedis } = load('ioredis') as { Redis: typeof Redis }
const nodeRedis = load('redis') as { createClient: typeof createClient }
const mongodb = load('mongodb') as { MongoClient: typeof MongoClient }
const undici = load('undici') as typeof Undici
const grpc = load('@grpc/grpc-js') as typeof Grpc

const mariadb = await tryStart('MariaDB', () => startMariaDb())
const redis = await tryStart('Redis', () => startRedis())

beforeEach(() => {
  forgetSpans()
})
afterAll(async () => {
  await Promise.all([mariadb?.stop(), redis?.stop()])
  await stopTracing()
})

const NAMES = ['one', 'two', 'three', 'four']

/** Several ask at a time, each below a span of their own, for what only one at a time can have. */
const ask = async (work: (name: string) => Promise<unknown>): Promise<void> => {
  await Promise.all(NAMES.map((name) => inSpan(name, () => work(name))))
}

/** One span for each that asked, and each below the span of whoever did. */
function expectOneEach(spans: ReturnType<typeof driverSpans>): void {
  expect(spans.map(({ below }) => below).sort()).toEqual([...NAMES].sort())
}

describe.skipIf(mariadb === undefined)('mysql2', () => {
  it.each([
    ['queries', (pool: Mysql.Pool, name: string) => pool.promise().query(`SELECT '${name}'`)],
    ['prepared statements', (pool: Mysql.Pool, name: string) => pool.promise().execute('SELECT ?', [name])],
    [
      'callbacks',
      (pool: Mysql.Pool, name: string) =>
        new Promise((resolve, reject) =>
          pool.query('SELECT ?', [name], (error, rows) => (error === null ? resolve(rows) : reject(error))),
        ),
    ],
  ])('has a span for each of the %s on our pool, in whose trace they were asked for', async (_, query) => {
    const pool = mysqlPool(mysql, { ...mariadb?.config, connectionLimit: 1 })
    await ask((name) => query(pool, name))
    // What the pool itself says to a new connection is nobody's.
    const own = driverSpans().filter(({ below }) => below === undefined)
    expect(own.map(({ attributes }) => attributes['db.query.text'])).toEqual([
      expect.stringContaining('session_track_state_change'),
    ])
    expectOneEach(driverSpans().filter(({ below }) => below !== undefined))
    await pool.close()
  })

  it('is observed without a second count', async () => {
    const pool = mysql.createPool({ ...mariadb?.config, connectionLimit: 1 })
    const view = observe(pool)
    await ask((name) => pool.promise().query(`SELECT '${name}'`))
    // Whoever had to wait is below the span of whoever was served first: so it is in mysql2's own pool, watched or not.
    expect(driverSpans()).toHaveLength(NAMES.length)
    expect(view.stats()).toMatchObject({ requested: 4, acquired: 4, created: 1 })
    await view.close()
  })
})

describe.skipIf(redis === undefined)('Redis', () => {
  const port = redis?.port ?? 0
  const ofCommand = (name: string): ReturnType<typeof driverSpans> =>
    driverSpans().filter((span) => span.name.toLowerCase().split(/[- ]/).at(-1) === name)

  it('has a span for every command on ioredis, on the shared and the leased connections', async () => {
    const pool = redisPool(IoRedis, { host: '127.0.0.1', port, max: 1 })
    await ask((name) => pool.client.get(name))
    expectOneEach(ofCommand('get'))
    await ask((name) => pool.use((client) => client.incr(name)))
    expectOneEach(ofCommand('incr'))
    await pool.close()
  })

  it('has a span for every command on node-redis', async () => {
    const pool = redisPool(nodeRedis.createClient, { socket: { host: '127.0.0.1', port }, max: 1 })
    await ask((name) => pool.client.get(name))
    expectOneEach(ofCommand('get'))
    await ask((name) => pool.use((client) => client.incr(name)))
    expectOneEach(ofCommand('incr'))
    await pool.close()
  })
})

describe('MongoDB', () => {
  let server: MongoWireServer
  beforeAll(async () => {
    server = await startMongoWire({})
  })
  afterAll(async () => {
    await server.stop()
  })

  it('has a span for every command of a client that is observed, and no count twice', async () => {
    const client = new mongodb.MongoClient(server.uri(), { maxPoolSize: 1 })
    const view = observeMongo(client)
    await client.connect()
    const before = view.stats().acquired
    await ask((name) => client.db('app').collection('things').findOne({ name }))
    expectOneEach(driverSpans().filter(({ name }) => name.includes('find')))
    expect(view.stats().acquired - before).toBe(4)
    await view.close()
  })
})

describe('HTTP', () => {
  let server: HttpServer
  beforeAll(async () => {
    server = await startHttp()
  })
  afterAll(async () => {
    await server.stop()
  })

  it('has a span for every request of a pool, also for those that have waited', async () => {
    const pool = httpPool(undici, { origin: server.origin, max: 1 })
    await ask(async (name) => await (await pool.request(`/slow?millis=5&${name}`)).body.text())
    expectOneEach(driverSpans())
    forgetSpans()
    await ask(async (name) => await (await pool.fetch(`/echo?${name}`)).text())
    expectOneEach(driverSpans())
    await pool.close()
  })

  it('has the spans of a dispatcher that is observed as it had them before, and no count twice', async () => {
    const agent = new undici.Agent({ connections: 4 })
    const view = observe(agent)
    await ask(async () => await (await undici.request(`${server.origin}/echo`, { dispatcher: agent })).body.text())
    expectOneEach(driverSpans())
    expect(view.stats()).toMatchObject({ requested: 4, acquired: 4 })
    await view.close()
  })
})

describe('gRPC', () => {
  let server: GrpcServer
  beforeAll(async () => {
    server = await startGrpc()
  })
  afterAll(async () => {
    await server.stop()
  })

  it('has a span for every call, below that of whoever asked', async () => {
    const { loadSync } = load('@grpc/proto-loader') as {
      loadSync(file: string, options: object): Parameters<typeof Grpc.loadPackageDefinition>[0]
    }
    const loaded = grpc.loadPackageDefinition(loadSync(RIG_PROTO, { defaults: true }))
    const { Echo } = (loaded as unknown as { millpond: { rig: { Echo: EchoClass } } }).millpond.rig
    const target = `127.0.0.1:${server.port}`
    const pool = grpcPool(Echo, target, grpc.credentials.createInsecure(), { maxChannels: 2 })
    await ask((text) => pool.promises.unary({ text }))
    expectOneEach(driverSpans())
    forgetSpans()
    await ask(
      (text) =>
        new Promise((resolve, reject) => {
          pool.client.unary({ text }, (error, reply) => (error === null ? resolve(reply) : reject(error)))
        }),
    )
    expectOneEach(driverSpans())
    await pool.close()
  })
})
