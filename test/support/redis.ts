import { Redis } from 'ioredis'
import { Redis as LowRedis } from 'ioredis-low'
import { createClient } from 'redis'
import { createClient as lowCreateClient } from 'redis-low'
import { startRedis, tryStart, type RedisOptions, type RedisServer } from '@millpond/rig'
import { redisPool, type RedisPool } from 'millpond/redis'

export type NodeRedis = ReturnType<typeof createClient>
export type Target = Pick<RedisServer, 'port' | 'password'>
export type TestPool = RedisPool<Redis>
export type NodeRedisPool = RedisPool<NodeRedis>
export type TestOptions = Readonly<Record<string, unknown>>

/** One driver, for tests that run on both. What both spell alike is called as ioredis has it. */
export interface TestDriver {
  readonly name: string
  readonly isNodeRedis: boolean
  pool(target: Target, options?: TestOptions): TestPool
  /** Blocks for that long on an empty list. */
  block(client: unknown, key: string, seconds: number): Promise<unknown>
  /** Any command, by its words. */
  raw(client: unknown, ...words: string[]): Promise<unknown>
  id(client: unknown): Promise<number>
  /** Whether its connection takes commands. */
  isReady(client: unknown): boolean
}

const ioredis = (name: string, Class: typeof Redis): TestDriver => ({
  name,
  isNodeRedis: false,
  pool: ({ port, password }, options = {}) =>
    redisPool(Class, { host: '127.0.0.1', port, ...(password === undefined ? {} : { password }), ...options }),
  block: (client, key, seconds) => (client as Redis).blpop(key, seconds),
  raw: (client, ...words) => (client as Redis).call(...(words as [string])),
  id: (client) => (client as Redis).client('ID'),
  isReady: (client) => (client as Redis).status === 'ready',
})

const nodeRedis = (name: string, create: typeof createClient): TestDriver => ({
  name,
  isNodeRedis: true,
  pool: ({ port, password }, { socket, ...options } = {}) =>
    redisPool(create, {
      socket: { host: '127.0.0.1', port, ...(socket as object | undefined) },
      ...(password === undefined ? {} : { password }),
      ...options,
    }) as unknown as TestPool,
  block: (client, key, seconds) => (client as NodeRedis).blPop(key, seconds),
  raw: (client, ...words) => (client as NodeRedis).sendCommand(words),
  id: (client) => (client as NodeRedis).clientId(),
  isReady: (client) => (client as NodeRedis).isReady,
})

/** The latest versions of both drivers. */
export const DRIVERS: readonly TestDriver[] = [ioredis('ioredis', Redis), nodeRedis('node-redis', createClient)]

/** And the lowest that are supported. */
export const ALL_DRIVERS: readonly TestDriver[] = [
  ...DRIVERS,
  ioredis('ioredis 5.4', LowRedis as unknown as typeof Redis),
  nodeRedis('node-redis 5.0', lowCreateClient as unknown as typeof createClient),
]

/** A server for the tests of one file; `undefined`, loudly, where the machine has none. */
export async function tryRedis(options?: RedisOptions): Promise<RedisServer | undefined> {
  return await tryStart('Redis', () => startRedis(options))
}
