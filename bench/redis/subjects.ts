import { Redis } from 'ioredis'
import { createClient, createClientPool } from 'redis'
import { redisPool } from 'millpond/redis'

/** What one benchmark asks of a client. */
export interface Subject {
  get(key: string): Promise<unknown>
  /** Waits on an empty list for so many seconds. */
  block(key: string, seconds: number): Promise<unknown>
  close(): Promise<unknown>
}

export type MakeSubject = (port: number) => Promise<Subject>

const HOST = '127.0.0.1'

async function ioredisAlone(port: number): Promise<Subject> {
  const redis = new Redis({ host: HOST, port, lazyConnect: true })
  await redis.connect()
  return {
    get: (key) => redis.get(key),
    block: (key, seconds) => redis.blpop(key, seconds),
    close: () => redis.quit(),
  }
}

async function ioredisPooled(port: number): Promise<Subject> {
  const pool = redisPool(Redis, { host: HOST, port })
  await pool.ready()
  const { client } = pool
  return {
    get: (key) => client.get(key),
    block: (key, seconds) => client.blpop(key, seconds),
    close: () => pool.close(),
  }
}

async function nodeRedisAlone(port: number): Promise<Subject> {
  const client = await createClient({ socket: { host: HOST, port } }).connect()
  return {
    get: (key) => client.get(key),
    block: (key, seconds) => client.blPop(key, seconds),
    close: () => client.close(),
  }
}

const nodeRedisPooled =
  (shared: number): MakeSubject =>
  async (port) => {
    const pool = redisPool(createClient, { socket: { host: HOST, port }, shared })
    await pool.ready()
    const { client } = pool
    return {
      get: (key) => client.get(key),
      block: (key, seconds) => client.blPop(key, seconds),
      close: () => pool.close(),
    }
  }

async function nodeRedisOwnPool(port: number): Promise<Subject> {
  const pool = createClientPool({ socket: { host: HOST, port } }, { minimum: 10, maximum: 10, acquireTimeout: 60_000 })
  await pool.connect()
  return {
    get: (key) => pool.get(key),
    block: (key, seconds) => pool.blPop(key, seconds),
    close: () => pool.close(),
  }
}

/** Each driver, or its own pool, beside Millpond on the same driver with the same number of connections. */
export const PAIRS: Readonly<Record<string, { readonly alone: MakeSubject; readonly pooled: MakeSubject }>> = {
  'ioredis, one connection': { alone: ioredisAlone, pooled: ioredisPooled },
  'node-redis, one connection': { alone: nodeRedisAlone, pooled: nodeRedisPooled(1) },
  'node-redis’ own pool, ten connections': { alone: nodeRedisOwnPool, pooled: nodeRedisPooled(10) },
}
