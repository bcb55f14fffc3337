import { Redis } from 'ioredis'
import { createClient, createClientPool } from 'redis'
import { redisPool } from '../../dist/adapters/redis/index.js'

const HOST = '127.0.0.1'
const CALLERS = [1, 100]

/**
 * @typedef {object} Client
 * @property {() => Promise<unknown>} work a GET
 * @property {(seconds: number) => Promise<unknown>} block waits on an empty list
 * @property {() => Promise<unknown>} close
 */

/** The commands of a client whose methods have these names. */
const client = (commands, block, close) => ({
  work: () => commands.get('k'),
  block: (seconds) => commands[block]('nothing', seconds),
  close,
})

async function ioredis({ port }) {
  const redis = new Redis({ host: HOST, port, lazyConnect: true })
  await redis.connect()
  return client(redis, 'blpop', () => redis.quit())
}

async function onIoredis({ port }) {
  const pool = redisPool(Redis, { host: HOST, port })
  await pool.ready()
  return client(pool.client, 'blpop', () => pool.close())
}

async function nodeRedis({ port }) {
  const redis = await createClient({ socket: { host: HOST, port } }).connect()
  return client(redis, 'blPop', () => redis.close())
}

const onNodeRedis =
  (shared) =>
  async ({ port }) => {
    const pool = redisPool(createClient, { socket: { host: HOST, port }, shared })
    await pool.ready()
    return client(pool.client, 'blPop', () => pool.close())
  }

async function nodeRedisPool({ port }) {
  const pool = createClientPool({ socket: { host: HOST, port } }, { minimum: 10, maximum: 10, acquireTimeout: 60_000 })
  await pool.connect()
  return client(pool, 'blPop', () => pool.close())
}

const pair = (theirs, ours) => ({ ours, theirs, callers: CALLERS, operations: 4_000 })

/**
 * Each driver, or its own pool, beside Millpond on the same driver with the same number of connections.
 *
 * @type {Readonly<Record<string, import('../lib/pairs.mjs').Pair>>}
 */
export const PAIRS = {
  'ioredis, one connection': pair(ioredis, onIoredis),
  'node-redis, one connection': pair(nodeRedis, onNodeRedis(1)),
  'node-redis’ own pool, ten connections': pair(nodeRedisPool, onNodeRedis(10)),
}
