// Each entry of the catalogue, tried on the driver itself, in the latest version and the lowest that is supported: a release
// that changes its mind fails here.
import http from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createRequire } from 'node:module'
import * as grpc from '@grpc/grpc-js'
import { Redis } from 'ioredis'
import { Redis as RedisLow } from 'ioredis-low'
import knex from 'knex'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClientLow } from 'mongodb-low'
import mongoose from 'mongoose'
import mysql from 'mysql2'
import mysqlLow from 'mysql2-low'
import pg from 'pg'
import { createClient } from 'redis'
import { createClient as createClientLow } from 'redis-low'
import { Sequelize } from 'sequelize'
import { Pool as TarnPool } from 'tarn'
import * as undici from 'undici'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { faultOf, OPTION_FAULTS, type Fault, type OptionFault } from '../src/data/catalogue.ts'
import { isWithin } from '../src/data/versions.ts'

const require = createRequire(import.meta.url)
const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version
// These two come without types of their own, or with types that are no module under another name.
const mongooseLow = require('mongoose-low') as typeof mongoose
const pgLow = require('pg-lowest') as typeof pg

const entriesOf = (driver: string, fault: Fault): OptionFault[] =>
  OPTION_FAULTS.filter((each) => each.driver === driver && each.fault === fault && each.value === undefined)
const nameOf = ({ driver, option, versions = 'all' }: OptionFault): string => `${driver} ${option} ${versions}`
const tried = new Set<string>()
/** The options of one kind in a version, and a note that they have been tried. */
function trying(driver: string, fault: Fault, version?: string): string[] {
  const entries = entriesOf(driver, fault).filter(
    ({ versions }) => version === undefined || versions === undefined || isWithin(version, versions),
  )
  for (const entry of entries) tried.add(nameOf(entry))
  return entries.map(({ option }) => option)
}
/** The options of one kind that a version is not at fault with. */
const innocent = (driver: string, fault: Fault, version: string): string[] =>
  entriesOf(driver, fault)
    .filter(({ versions }) => versions !== undefined && !isWithin(version, versions))
    .map(({ option }) => option)

/** The same option with each copy of a driver. */
const withEach = <C>(copies: readonly C[], options: readonly string[]): [option: string, copy: C][] =>
  copies.flatMap((copy) => options.map((option): [string, C] => [option, copy]))

const delay = (millis: number): Promise<'nothing yet'> => new Promise((resolve) => setTimeout(() => { resolve('nothing yet') }, millis)) // prettier-ignore

/** A server that takes connections and says nothing. */
let silent: Server
let port: number
const sockets = new Set<Socket>()
beforeAll(async () => {
  silent = createServer((socket) => {
    sockets.add(socket)
    socket
      .resume()
      .on('error', () => undefined)
      .on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  port = (silent.address() as AddressInfo).port
})
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  silent.close()
})

describe('pg', () => {
  const DEADLINES = ['acquireTimeoutMillis', 'acquireTimeout', 'connectionTimeout', 'connectTimeout', 'connect_timeout']

  /** How an attempt to connect to a silent server goes, with an option that ought to end it. */
  async function attempt(options: object): Promise<string> {
    const pool = new pg.Pool({ host: '127.0.0.1', port, ...options })
    pool.on('error', () => undefined)
    const client = pool.connect().then(() => 'connected', () => 'gave up') // prettier-ignore
    const outcome = await Promise.race([client, delay(700)])
    for (const socket of sockets) socket.destroy()
    await client
    await pool.end()
    return outcome
  }

  it('has the deadline that is recommended', async () => {
    expect(await attempt({ connectionTimeoutMillis: 50 })).toBe('gave up')
  })

  it.each(trying('pg', 'ignored').filter((option) => DEADLINES.includes(option)))(
    'waits on in spite of %s',
    async (option) => {
      expect(await attempt({ [option]: option === 'connect_timeout' ? 0.05 : 50 })).toBe('nothing yet')
    },
  )

  it.each(
    withEach(
      [pg, pgLow],
      trying('pg', 'ignored').filter((option) => !DEADLINES.includes(option)),
    ),
  )('makes the pool that it makes without %s', (option, { Pool }) => {
    const effective = (options: object): unknown[] => {
      const { options: taken } = new Pool(options) as unknown as { options: Record<string, unknown> }
      return [
        'max',
        'min',
        'idleTimeoutMillis',
        'maxUses',
        'maxLifetimeSeconds',
        'connectionTimeoutMillis',
        'allowExitOnIdle',
      ].map((name) => taken[name])
    }
    const value = option === 'pool' ? { max: 3 } : 3
    expect(effective({ [option]: value })).toEqual(effective({}))
  })

  it('takes max: 0 for 10, and idleTimeoutMillis: 0 for never', async () => {
    expect((new pg.Pool({ max: 0 }) as unknown as { options: { max: number } }).options.max).toBe(10)
    class Client {
      readonly _queryable = true
      connect(done: () => void): void { done() }
      on(): this { return this }
      once(): this { return this }
      removeListener(): this { return this }
      end(done?: () => void): void { done?.() }
      getTransactionStatus(): string { return 'I' }
    } // prettier-ignore
    const idleAfter = async (idleTimeoutMillis: number): Promise<number> => {
      const pool = new pg.Pool({ idleTimeoutMillis, Client: Client as never })
      const client = await pool.connect()
      client.release()
      await vi.waitFor(() => { expect(pool.idleCount).toBe(idleTimeoutMillis === 0 ? 1 : 0) }, { timeout: 5_000 }) // prettier-ignore
      await delay(50)
      return pool.idleCount
    }
    expect([await idleAfter(0), await idleAfter(1)]).toEqual([1, 0])
    tried.add('pg max all').add('pg idleTimeoutMillis all')
  })
})

describe('mysql2', () => {
  it.each(withEach([mysql, mysqlLow], trying('mysql2', 'warned')))('warns of %s', (option, { createPool }) => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    ;(createPool as (options: mysql.PoolOptions) => unknown)({ [option]: 3 })
    expect(said.mock.calls.flat().join(' ')).toContain(
      `Ignoring invalid configuration option passed to Connection: ${option}.`,
    )
    said.mockRestore()
  })
})

describe('mongodb', () => {
  describe.each([
    { Client: MongoClient, version: versionOf('mongodb') },
    { Client: MongoClientLow as unknown as typeof MongoClient, version: versionOf('mongodb-low') },
  ])('$version', ({ Client, version }) => {
    const make = (option: string): MongoClient =>
      new Client('mongodb://127.0.0.1', { [option]: option.startsWith('use') ? true : 5 })

    it.each(trying('mongodb', 'refused', version))('refuses %s', (option) => {
      expect(() => make(option)).toThrow(/not supported/)
    })

    // The lowest version has no effect of what the latest refuses.
    const silent = trying('mongodb', 'ignored', version).filter((option) => option !== 'timeoutMS')
    it.each([...new Set([...innocent('mongodb', 'refused', version), ...silent])])(
      'takes %s, to no effect',
      (option) => {
        const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
        make(option)
        expect(said.mock.calls.flat().map(String).join(' ')).toContain(
          `${option} has no effect since Node.js Driver version 4.0.0`,
        )
        said.mockRestore()
      },
    )
  })

  it('does not apply timeoutMS', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const client = new MongoClient(`mongodb://127.0.0.1:${port}`, { timeoutMS: 50, serverSelectionTimeoutMS: 1_000 })
    expect(await Promise.race([client.connect().then(() => '', () => 'gave up'), delay(400)])).toBe('nothing yet') // prettier-ignore
    await client.close()
    vi.restoreAllMocks()
    tried.add('mongodb timeoutMS all')
  })

  describe.each([
    { copy: mongoose, version: versionOf('mongoose') },
    { copy: mongooseLow, version: versionOf('mongoose-low') },
  ])('Mongoose $version', ({ copy, version }) => {
    const attempt = async (option: string): Promise<string> => {
      const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
      const connection = copy.createConnection('mongodb://127.0.0.1:1', {
        [option]: option === 'useNewUrlParser' || option === 'useUnifiedTopology' ? true : 5,
        serverSelectionTimeoutMS: 100,
      })
      const message = await connection.asPromise().then(() => 'connected', (error: Error) => error.message) // prettier-ignore
      await connection.destroy()
      const warned = said.mock.calls.flat().map(String).join(' ')
      said.mockRestore()
      return `${message} ${warned}`
    }

    it.each(trying('mongoose', 'refused', version))('refuses %s', async (option) => {
      expect(await attempt(option)).toContain('not supported')
    })

    const silent = trying('mongoose', 'ignored', version)
    it.each([...new Set([...innocent('mongoose', 'refused', version), ...silent])])(
      'takes %s, to no effect',
      async (option) => {
        const outcome = await attempt(option)
        expect(outcome).toContain('ECONNREFUSED')
        expect(outcome).toContain(`${option} has no effect`)
      },
    )
  })
})

describe('ioredis', () => {
  const copies = [Redis, RedisLow as unknown as typeof Redis]
  it.each(withEach(copies, trying('ioredis', 'ignored')))(
    'makes the client that it makes without %s',
    (option, Copy) => {
      const effective = (options: object): unknown => {
        const redis = new Copy({ lazyConnect: true, ...options })
        const { host, port: at, connectTimeout, retryStrategy } = redis.options
        redis.disconnect()
        return { host, at, connectTimeout, retryStrategy: String(retryStrategy) }
      }
      const value = option === 'socket' ? { host: 'elsewhere' } : option === 'url' ? 'redis://elsewhere' : 3
      expect(effective({ [option]: value })).toEqual(effective({}))
    },
  )

  it('opens one connection, whatever size it is given', async () => {
    const before = sockets.size
    const sizes = { poolSize: 5, max: 5, min: 5, maxConnections: 5 }
    const redis = new Redis({ host: '127.0.0.1', port, enableReadyCheck: false, retryStrategy: () => null, ...sizes })
    redis.on('error', () => undefined)
    const replies = Array.from({ length: 5 }, () => redis.get('a').catch(() => undefined))
    await vi.waitFor(() => { expect(sockets.size).toBeGreaterThan(before) }, { timeout: 5_000 }) // prettier-ignore
    await delay(50)
    expect(sockets.size).toBe(before + 1)
    redis.disconnect()
    await Promise.all(replies)
  })
})

describe('node-redis', () => {
  const copies = [createClient, createClientLow as unknown as typeof createClient]
  it.each(withEach(copies, trying('redis', 'ignored')))(
    'connects to where it connects without %s',
    (option, create) => {
      const effective = (options: object): unknown => {
        const { socket } = (create(options).options ?? {}) as { socket?: object }
        return socket
      }
      expect(effective({ [option]: option === 'host' ? 'elsewhere' : 3 })).toEqual(effective({}))
      expect(effective({ socket: { host: 'elsewhere' } })).toMatchObject({ host: 'elsewhere' })
    },
  )
})

describe('undici', () => {
  it.each(trying('undici', 'refused'))(
    'refuses %s: a client at once, a pool and an agent at the first request',
    async (option) => {
      const origin = `http://127.0.0.1:${port}`
      expect(() => new undici.Client(origin, { [option]: 1 })).toThrow(/unsupported/)
      for (const dispatcher of [new undici.Pool(origin, { [option]: 1 }), new undici.Agent({ [option]: 1 })]) {
        await expect(undici.request(origin, { dispatcher })).rejects.toThrow(/unsupported/)
        await dispatcher.destroy()
      }
    },
  )

  it.each(trying('undici', 'ignored'))(
    'opens as many connections as there are requests in spite of %s',
    async (option) => {
      const connectionsWith = async (options: object): Promise<number> => {
        const before = sockets.size
        const pool = new undici.Pool(`http://127.0.0.1:${port}`, { bodyTimeout: 0, ...options })
        const requests = Array.from({ length: 4 }, () =>
          pool.request({ path: '/', method: 'GET' }).catch(() => undefined),
        )
        await vi.waitFor(() => { expect(sockets.size).toBeGreaterThan(before) }, { timeout: 5_000 }) // prettier-ignore
        await vi.waitFor(() => { expect(sockets.size).toBe(before + ('connections' in options ? 1 : 4)) }, { timeout: 5_000 }) // prettier-ignore
        const count = sockets.size - before
        await pool.destroy()
        await Promise.all(requests)
        await vi.waitFor(() => { expect(sockets.size).toBe(before) }, { timeout: 5_000 }) // prettier-ignore
        return count
      }
      expect(await connectionsWith({ connections: 1 })).toBe(1)
      expect(await connectionsWith({ [option]: 1 })).toBe(4)
    },
  )
})

describe('http.Agent', () => {
  const SIZES = ['maxsockets', 'maxConnections']
  it.each(trying('http-agent', 'ignored').filter((option) => SIZES.includes(option)))(
    'has no bound in spite of %s',
    (option) => {
      expect(new http.Agent({ [option]: 1 }).maxSockets).toBe(Infinity)
    },
  )

  it.each(trying('http-agent', 'ignored').filter((option) => !SIZES.includes(option)))(
    'keeps a free socket in spite of %s',
    async (option) => {
      const server = http.createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end('a'))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const at = (server.address() as AddressInfo).port
      const freeAfter = async (options: object): Promise<number> => {
        const agent = new http.Agent({ keepAlive: true, ...options })
        await new Promise<void>((resolve, reject) => {
          http
            .get({ port: at, host: '127.0.0.1', agent }, (response) => response.resume().on('end', resolve))
            .on('error', reject)
        })
        const free = (): number => Object.values(agent.freeSockets).flat().length
        if ('timeout' in options)
          await vi.waitFor(() => { expect(free()).toBe(0) }, { timeout: 5_000 }) // prettier-ignore
        else await delay(150)
        const count = free()
        agent.destroy()
        return count
      }
      expect(await freeAfter({ timeout: 30 })).toBe(0)
      expect(await freeAfter({ [option]: 30 })).toBe(1)
      server.closeAllConnections()
      server.close()
    },
  )
})

describe('grpc-js', () => {
  const copies = ['@grpc/grpc-js', 'grpc-js-low']
  it.each(withEach(copies, trying('grpc', 'ignored')))('has never heard of %s', async (option, copy) => {
    const { recognizedOptions } = (await import(`${copy}/build/src/channel-options.js`)) as {
      recognizedOptions: Record<string, true>
    }
    expect(recognizedOptions).toHaveProperty(['grpc.keepalive_time_ms'])
    expect(Object.keys(recognizedOptions)).not.toContain(option)
    // And says nothing.
    new grpc.Client('127.0.0.1:1', grpc.credentials.createInsecure(), { [option]: 1 }).close()
  })

  it('takes grpc.keepalive_permit_without_calls: true for no', async () => {
    const { Http2SubchannelConnector } = (await import('@grpc/grpc-js/build/src/transport.js')) as Record<
      string,
      unknown
    >
    expect(Http2SubchannelConnector).toBeDefined()
    const { readFileSync } = await import('node:fs')
    const source = readFileSync(
      new URL('../../../node_modules/@grpc/grpc-js/build/src/transport.js', import.meta.url),
      'utf8',
    )
    expect(source).toMatch(/options\['grpc\.keepalive_permit_without_calls'\] === 1/)
    tried.add('grpc grpc.keepalive_permit_without_calls all')
  })
})

describe('what is built on drivers', () => {
  it.each(trying('sequelize', 'ignored'))('Sequelize makes the pool that it makes without %s', (option) => {
    const effective = (pool: object): unknown => {
      const { connectionManager } = new Sequelize('postgres://a@127.0.0.1/a', {
        pool,
        dialectModule: pg,
        logging: false,
      }) as unknown as {
        connectionManager: { config: { pool: Record<string, unknown> } }
      }
      const { max, min, idle, acquire } = connectionManager.config.pool
      return { max, min, idle, acquire }
    }
    expect(effective({ [option]: 3 })).toEqual(effective({}))
  })

  it.each(trying('knex', 'warned'))('Knex warns of %s', async (option) => {
    const said: string[] = []
    const make = (): unknown =>
      knex({
        client: 'pg',
        connection: 'postgres://a@127.0.0.1/a',
        pool: { [option]: 3 },
        log: { warn: (text: string) => void said.push(text) },
      })
    try {
      await (make() as { destroy(): Promise<void> }).destroy()
    } catch {
      // tarn may refuse what Knex has warned of.
    }
    expect(said.join(' ')).toContain(`Pool config option "${option}" is no longer supported`)
  })

  it.each(trying('tarn', 'refused'))('tarn refuses %s', (option) => {
    const factory = { create: () => ({}), destroy: () => undefined, min: 0, max: 1 }
    expect(() => new TarnPool({ ...factory, [option]: 3 })).toThrow(/unsupported option/)
  })
})

describe('the catalogue', () => {
  it('has no entry that was not tried', () => {
    expect(OPTION_FAULTS.map(nameOf).filter((entry) => !tried.has(entry))).toEqual([])
  })

  it('knows the version that is installed, and takes the latest where it is not told', () => {
    const of = (option: string, version?: string): Fault | undefined =>
      faultOf('mongodb', [], option, undefined, version)?.fault
    expect(of('useNewUrlParser')).toBe('refused')
    expect(of('useNewUrlParser', '7.0.0')).toBe('refused')
    expect(of('useNewUrlParser', '6.12.0')).toBe('ignored')
    expect(of('useNewUrlParser', '3.7.4')).toBeUndefined()
    expect(of('poolSize', '3.7.4')).toBeUndefined()
    expect(of('poolSize', '4.0.0-beta.1')).toBe('refused')
  })

  it('has ranges that can be read', () => {
    expect([isWithin('6.12.3', '>=6.12.0 <7.0.0'), isWithin('7.0.0', '<7.0.0'), isWithin('10.0.0', '>=9.1.0')]).toEqual(
      [true, false, true],
    )
    expect(() => isWithin('1.0.0', '^1.0.0')).toThrow('got ^1.0.0')
  })

  it('recommends only options that it does not warn of', () => {
    for (const { driver, instead } of OPTION_FAULTS) {
      if (instead === undefined) continue
      expect(
        OPTION_FAULTS.find((each) => each.driver === driver && each.option === instead && each.value === undefined),
      ).toBeUndefined()
    }
  })
})
