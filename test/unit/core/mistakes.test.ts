import { execFile } from 'node:child_process'
import { inspect } from 'node:util'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Pool, type PoolOptions } from 'millpond'
import { grpcPool } from 'millpond/grpc'
import { httpPool } from 'millpond/http'
import { mongoOptions, observeMongo } from 'millpond/mongodb'
import { mysqlPool } from 'millpond/mysql'
import { pgPool } from 'millpond/pg'
import { redisClusterPool, redisPool } from 'millpond/redis'
import * as grpc from '@grpc/grpc-js'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import mysql from 'mysql2'
import pg from 'pg'
import { createClient } from 'redis'
import * as undici from 'undici'
import { program } from '../../support/program.ts'

let warnings: (Error & { code?: string })[] = []
const listen = (warning: Error): void => {
  if (warning.name === 'MillpondWarning') warnings.push(warning)
}

beforeEach(() => {
  vi.stubEnv('MILLPOND_PROFILE', 'production')
  warnings = []
  process.on('warning', listen)
})
afterEach(() => {
  vi.unstubAllEnvs()
  process.off('warning', listen)
})

const ticks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function poolFor(target: string | undefined, options: PoolOptions<object> = {}): Pool<object> {
  return new Pool({ kind: 'thing', target, create: () => Promise.resolve({}), destroy: () => undefined }, options)
}

describe('a third pool for one target', () => {
  it('is warned of once, with the mend, and as an event', async () => {
    const events: unknown[] = []
    const hear = (event: unknown): void => void events.push(event)
    subscribe('millpond:mistake', hear)
    const pools = [1, 2, 3, 4].map((number) => poolFor('thing://a', { name: `p${number}` }))
    await ticks()
    unsubscribe('millpond:mistake', hear)
    expect(warnings.map(({ code, message }) => [code, message])).toEqual([
      [
        'MILLPOND_POOL_PER_REQUEST',
        expect.stringMatching(/^pool "p3": there are 3 open pools for thing:\/\/a in this process; .*definePool/),
      ],
    ])
    expect(events).toEqual([{ pool: 'p3', code: 'MILLPOND_POOL_PER_REQUEST', message: expect.any(String) as string }])
    await Promise.all(pools.map((pool) => pool.close()))
  })

  it('is fine where the ones before are closed, and elsewhere', async () => {
    for (let count = 0; count < 4; count++) await poolFor('thing://b').close()
    const others = [
      poolFor('thing://c'),
      poolFor('thing://d'),
      poolFor('thing://e'),
      poolFor(undefined),
      poolFor(undefined),
      poolFor(undefined),
    ]
    await ticks()
    expect(warnings).toEqual([])
    await Promise.all(others.map((pool) => pool.close()))
  })

  it('is seen on PostgreSQL, by its connection string without the password', async () => {
    const pools = [1, 2, 3].map(() =>
      pgPool(pg, { connectionString: 'postgres://app:hush@db.invalid/app?sslmode=disable' }),
    )
    await ticks()
    expect(warnings[0]?.message).toContain('3 open pools for postgres://app@db.invalid/app in this process')
    await Promise.all(pools.map((pool) => pool.end()))
  })

  it.each<[string, () => { close(): Promise<unknown> }, string]>([
    ['MySQL', () => mysqlPool(mysql, { uri: 'mysql://app:hush@my.invalid/app' }), 'mysql://app@my.invalid:3306/app'],
    [
      'MongoDB',
      () => observeMongo(new MongoClient('mongodb://app:hush@a.invalid,b.invalid/app'), { slowMillis: Infinity }),
      'mongodb://app@a.invalid:27017,b.invalid:27017/app',
    ],
    ['ioredis', () => redisPool(Redis, { url: 'redis://app:hush@io.invalid/2' } as object), 'redis://app@io.invalid/2'],
    [
      'node-redis',
      () => redisPool(createClient, { socket: { host: 'node.invalid' }, password: 'hush', database: 2 }),
      'redis://@node.invalid:6379/2',
    ],
    [
      'a cluster of Redis',
      () =>
        redisClusterPool(
          Redis.Cluster as never,
          {
            nodes: [
              { host: 'b.invalid', port: 1 },
              { host: 'a.invalid', port: 1 },
            ],
          } as never,
        ),
      'redis-cluster://a.invalid:1,b.invalid:1',
    ],
    [
      'HTTP',
      () => {
        const pool = httpPool(undici, { origin: 'http://api.invalid' })
        pool.connections()
        return pool
      },
      'http://api.invalid',
    ],
    [
      'gRPC',
      () => grpcPool(grpc.Client, 'dns:///users.invalid:1', grpc.credentials.createInsecure()),
      'dns:///users.invalid:1',
    ],
  ])('is seen of %s, without the password', async (_, make, target) => {
    const pools = [make(), make(), make()]
    await ticks()
    const [first] = warnings.filter(({ code }) => code === 'MILLPOND_POOL_PER_REQUEST')
    expect(first?.message).toContain(`3 open pools for ${target} in this process`)
    expect(inspect(warnings)).not.toContain('hush')
    await Promise.all(pools.map((pool) => pool.close()))
    // Closed ones count no more.
    warnings = []
    await make().close()
    expect(warnings).toEqual([])
  })

  it('is no duplicate of a Redis pool', async () => {
    const pool = redisPool(Redis, { host: 'duplicates.invalid', lazyConnect: true } as object)
    const duplicates = [1, 2, 3].map(() => (pool.client as Redis).duplicate({ db: 3 }))
    await ticks()
    expect(warnings).toEqual([])
    for (const duplicate of duplicates) duplicate.disconnect()
    await pool.close()
  })

  it('is no mistake in tests', async () => {
    vi.stubEnv('MILLPOND_PROFILE', 'test')
    const pools = [1, 2, 3].map(() => poolFor('thing://f'))
    await ticks()
    expect(warnings).toEqual([])
    await Promise.all(pools.map((pool) => pool.close()))
  })
})

describe('a pool without any deadline', () => {
  const never = { acquireTimeoutMillis: Infinity, createTimeoutMillis: Infinity }

  it('is warned of once, with the options that bound it', async () => {
    const pools = [poolFor(undefined, { name: 'forever', ...never }), poolFor(undefined, { name: 'forever', ...never })]
    await ticks()
    expect(warnings.map(({ code }) => code)).toEqual(['MILLPOND_NO_DEADLINE'])
    expect(warnings[0]?.message).toContain('set `acquireTimeoutMillis` and `createTimeoutMillis`')
    await Promise.all(pools.map((pool) => pool.close()))
  })

  it('is seen of a MongoClient, whose callers wait for ever unless it is told', async () => {
    const of = (name: string, options: object): { close(): Promise<unknown> } =>
      observeMongo(new MongoClient('mongodb://nobody.invalid', options), { name, slowMillis: Infinity })
    const views = [of('open', {}), of('bounded', mongoOptions({})), of('short', { socketTimeoutMS: 5_000 })]
    await ticks()
    expect(warnings.filter(({ code }) => code === 'MILLPOND_NO_DEADLINE').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^pool "open": .*set `waitQueueTimeoutMS` \(`mongoOptions` does\) or `socketTimeoutMS`/),
    ])
    await Promise.all(views.map((view) => view.close()))
  })

  it('is none where one of them is bounded', async () => {
    const pools = [{ acquireTimeoutMillis: 9 }, { createTimeoutMillis: 9 }, { maxUseMillis: 9 }].map((bound, index) =>
      poolFor(undefined, { name: `bounded ${index}`, ...never, ...bound }),
    )
    await ticks()
    expect(warnings).toEqual([])
    await Promise.all(pools.map((pool) => pool.close()))
  })
})

it('leaves no listener on the process behind', async () => {
  const count = (): number => process.listenerCount('exit') + process.listenerCount('beforeExit')
  const before = count()
  const pools = [poolFor(undefined), poolFor(undefined)]
  expect(count()).toBe(before + 2)
  await Promise.all(pools.map((pool) => pool.close()))
  expect(count()).toBe(before)
})

describe('process.exit', () => {
  const run = async (how: string): Promise<{ stdout: string; stderr: string; code: number }> => {
    const file = await program('exiting-program')
    return await new Promise((resolve) => {
      execFile(
        process.execPath,
        [file, how],
        { env: { ...process.env, NODE_ENV: 'production', MILLPOND_PROFILE: '' } },
        (error, stdout, stderr) => {
          resolve({ stdout, stderr, code: typeof error?.code === 'number' ? error.code : 0 })
        },
      )
    })
  }

  it('with a lease out says so, and changes nothing about the exit', async () => {
    const { stdout, stderr, code } = await run('at work')
    expect(stdout.trim()).toBe('MILLPOND_EXIT_WITH_LEASES')
    expect(stderr).toMatch(
      /\[MILLPOND_EXIT_WITH_LEASES\] MillpondWarning: pool "orders": the process exits while 1 lease is out.*registry\.close/,
    )
    expect(code).toBe(3)
  })

  it.each(['released', 'closed', 'by itself', 'listening'])('is quiet where the lease is %s', async (how) => {
    const { stdout, stderr } = await run(how)
    expect([stdout, stderr]).toEqual(['', ''])
  })
})
