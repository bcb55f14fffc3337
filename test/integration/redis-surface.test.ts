import { inspect } from 'node:util'
import { Command, Redis } from 'ioredis'
import { createClient, defineScript, RESP_TYPES } from 'redis'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startRedis, waitFor, type RedisServer } from '@millpond/rig'
import { redisPool, type RedisPool } from 'millpond/redis'
import { tryRedis, type NodeRedis } from '../support/redis.ts'

const found = await tryRedis()
const server = found as RedisServer
afterAll(async () => {
  await found?.stop()
})
beforeEach(async () => {
  await found?.ask('FLUSHALL')
})

const pools: RedisPool<object>[] = []
const ioredis = (options: object = {}): RedisPool<Redis> => {
  const pool = redisPool(Redis, { ...server.config, ...options })
  pools.push(pool)
  return pool
}
const nodeRedis = (options: object = {}): RedisPool<NodeRedis> => {
  const pool = redisPool(createClient as typeof createClient<object & Record<never, never>>, {
    url: server.url,
    ...options,
  }) as unknown as RedisPool<NodeRedis>
  pools.push(pool)
  return pool
}
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close({ timeoutMillis: 200, waiters: 'reject' })
})

describe.skipIf(found === undefined)('the surface of ioredis', () => {
  it('answers callbacks, before and after the connection is there', async () => {
    const { client } = ioredis()
    const ask = async (call: (done: (error: unknown, result?: unknown) => void) => unknown): Promise<unknown> =>
      await new Promise((resolve, reject) => {
        void call((error, result) => (error === null ? resolve(result) : reject(error)))
      })
    expect(await ask((done) => client.set('k', 'v', done))).toBe('OK')
    expect(await ask((done) => client.get('k', done))).toBe('v')
    await expect(ask((done) => client.incr('k', done))).rejects.toThrow(/not an integer/)
    await client.rpush('jobs', 'one')
    expect(await ask((done) => client.blpop('jobs', 1, done))).toEqual(['jobs', 'one'])
  })

  it('pipelines, also before the connection is there, with an error for each command', async () => {
    const { client } = ioredis()
    const answers = await client.pipeline().set('k', 'v').incr('k').get('k').exec()
    expect(answers?.map(([error, answer]) => error?.message ?? answer)).toEqual([
      'OK',
      expect.stringMatching(/not an integer/),
      'v',
    ])
    expect(
      await client
        .pipeline([
          ['get', 'k'],
          ['strlen', 'k'],
        ])
        .exec(),
    ).toEqual([
      [null, 'v'],
      [null, 1],
    ])
    const viaCallback = await new Promise((resolve) => {
      void client
        .pipeline()
        .get('k')
        .exec((_error, each) => resolve(each))
    })
    expect(viaCallback).toEqual([[null, 'v']])
  })

  it('runs a transaction within a pipeline, and one given as a list', async () => {
    const pool = ioredis()
    // ioredis runs it, though its types do not know it.
    const pipeline = pool.client.pipeline() as unknown as Omit<Redis, 'exec'> & { exec(): Promise<unknown[]> }

    pipeline.multi()
    void pipeline.set('k', '1')
    void pipeline.incr('k')
    void pipeline.exec()
    void pipeline.get('k')
    const nested = await pipeline.exec()
    expect(nested.at(-1)).toEqual([null, '2'])
    expect(
      await pool.client
        .multi([
          ['set', 'k', '5'],
          ['get', 'k'],
        ])
        .exec(),
    ).toEqual([
      [null, 'OK'],
      [null, '5'],
    ])
    expect(pool.laneStats().exclusive.created).toBe(0)
    await expect(pool.client.multi({ pipeline: false })).rejects.toThrow(/pool\.use/)
  })

  it('sends a pipeline that blocks over a connection of its own', async () => {
    const pool = ioredis()
    const blocked = pool.client.pipeline().blpop('jobs', 30).get('k').exec()
    await waitFor(
      async () => (await server.clients()).some(({ cmd }) => cmd.includes('blpop') || cmd.includes('get')),
      { what: 'it blocks' },
    )
    expect(await pool.client.get('k')).toBe(null)
    await pool.client.rpush('jobs', 'one')
    expect((await blocked)?.[0]).toEqual([null, ['jobs', 'one']])
  })

  it('scans in streams', async () => {
    const { client } = ioredis()
    await client.mset(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`k${n}`, String(n)])))
    const keys = new Set<string>()
    for await (const page of client.scanStream({ match: 'k*', count: 50 }))
      for (const key of page as string[]) keys.add(key)
    expect(keys.size).toBe(200)
    await client.sadd('set', ...Array.from({ length: 300 }, (_, n) => n))
    let members = 0
    for await (const page of client.sscanStream('set')) members += (page as string[]).length
    expect(members).toBe(300)
  })

  it('has commands of one’s own on every connection, in pipelines too', async () => {
    const pool = ioredis({ scripts: { twice: { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) * 2" } } })
    const client = pool.client as Redis & Record<'twice' | 'thrice', (key: string) => Promise<number>>
    await client.set('n', '4')
    client.defineCommand('thrice', { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) * 3" })
    expect([await client.twice('n'), await client.thrice('n')]).toEqual([8, 12])
    const pipeline = client.pipeline() as unknown as { thrice(key: string): { exec(): Promise<unknown> } }
    expect(await pipeline.thrice('n').exec()).toEqual([[null, 12]])
    expect(await pool.use((own) => (own as typeof client).thrice('n'))).toBe(12)
  })

  it('has buffers, `call`, and commands as objects', async () => {
    const { client } = ioredis()
    await client.set('k', 'v')
    expect(await client.getBuffer('k')).toEqual(Buffer.from('v'))
    expect(await client.call('STRLEN', 'k')).toBe(1)
    const command = new Command('get', ['k'], { replyEncoding: 'utf8' })
    expect(await client.sendCommand(command)).toBe('v')
    await client.rpush('jobs', 'one')
    expect(await client.blpopBuffer('jobs', 1)).toEqual([Buffer.from('jobs'), Buffer.from('one')])
  })

  it('prefixes keys once, and pipelines by itself where told', async () => {
    const { client } = ioredis({ keyPrefix: 'app:', enableAutoPipelining: true })
    await client.set('k', 'v')
    await Promise.all([client.get('k'), client.incr('n'), client.incr('n')])
    expect(await server.ask('GET', 'app:k')).toBe('v')
    expect(await server.ask('GET', 'app:n')).toBe('2')
    await client.rpush('jobs', 'one')
    expect(await client.blpop('jobs', 1)).toEqual(['app:jobs', 'one'])
  })

  it('tells its status, and events of the connection', async () => {
    const pool = ioredis()
    const heard: string[] = []
    for (const event of ['connect', 'ready', 'close', 'reconnecting', 'end'])
      pool.client.on(event, () => heard.push(event))
    expect(pool.client.status).toBe('wait')
    await pool.client.connect()
    expect(pool.client.status).toBe('ready')
    await server.endClients()
    await waitFor(() => heard.filter((event) => event === 'ready').length === 2, { what: 'it is ready again' })
    await pool.client.quit()
    await waitFor(() => heard.includes('end'), { what: 'the end is told' })
    expect(heard).toEqual(['connect', 'ready', 'close', 'reconnecting', 'connect', 'ready', 'close', 'end'])
    expect(pool.client.status).toBe('end')
  })

  it('duplicates: its own events and end, the same connections; other options, a pool of their own', async () => {
    const pool = ioredis()
    const duplicate = pool.client.duplicate()
    await duplicate.set('k', 'v')
    await pool.client.get('k')
    expect(await server.clients()).toHaveLength(1)
    const blocked = duplicate.blpop('jobs', 30).catch((error: unknown) => error)
    await waitFor(async () => (await server.clients()).some(({ cmd }) => cmd === 'blpop'), { what: 'it blocks' })
    duplicate.disconnect()
    expect(await blocked).toMatchObject({ message: expect.stringMatching(/Connection is closed/) as string })
    await expect(duplicate.get('k')).rejects.toThrow(/Connection is closed/)
    expect(await pool.client.get('k')).toBe('v')
    const other = pool.client.duplicate({ db: 3 })
    expect(await other.get('k')).toBe(null)
    await pool.close()
    await expect(other.get('k')).rejects.toThrow(/Connection is closed/)
  })

  it('takes a URL and a database', async () => {
    const pool = redisPool(Redis, { url: `${server.url}/5` })
    await pool.client.set('k', 'five')
    expect(
      await server.askAll([
        ['SELECT', '5'],
        ['GET', 'k'],
      ]),
    ).toBe('five')
    await expect(pool.client.select(5)).resolves.toBe('OK')
    await pool.use((client) => client.select(0))
    expect(await pool.use((client) => client.get('k'))).toBe('five')
    await pool.close()
  })
})

describe.skipIf(found === undefined)('a server with TLS and users', () => {
  it('is served to a user that may, and refused with the server’s words and no secret to one that may not', async () => {
    await using own = await startRedis({
      tls: true,
      users: ['user app on >app-secret ~app:* +@all'],
      password: 'unused-secret',
    })
    const tls = { ca: own.certificate }
    const pools = [
      redisPool(Redis, { host: own.host, port: own.port, username: 'app', password: 'app-secret', tls }),
      redisPool(createClient, {
        username: 'app',
        password: 'app-secret',
        socket: { host: own.host, port: own.port, tls: true as const, ...tls },
      }) as unknown as RedisPool<Redis>,
    ]
    for (const pool of pools) {
      expect(await pool.client.set('app:k', 'v')).toBe('OK')
      expect(await pool.use((client) => client.get('app:k'))).toBe('v')
      // What a user may not do costs nobody a connection.
      await expect(pool.client.get('other:k')).rejects.toThrow(/^NOPERM/)
      await expect(pool.use((client) => client.get('other:k'))).rejects.toThrow(/^NOPERM/)
      expect(pool.stats()).toMatchObject({ created: 2, total: 2 })
      expect(inspect(pool, { depth: 8, showHidden: true }) + JSON.stringify(pool)).not.toContain('app-secret')
      await pool.close()
    }
    const untrusting = [
      redisPool(Redis, { host: own.host, port: own.port, username: 'app', password: 'app-secret', tls: {} }),
      redisPool(createClient, {
        username: 'app',
        password: 'app-secret',
        socket: { host: own.host, port: own.port, tls: true as const },
      }) as unknown as RedisPool<Redis>,
    ]
    for (const pool of untrusting) {
      const error: unknown = await pool.client.get('app:k').catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
      expect(inspect(error, { depth: 8, showHidden: true })).not.toContain('app-secret')
      await pool.close()
    }
  })
})

describe.skipIf(found === undefined)('the surface of node-redis', () => {
  it('runs batches: transactions, pipelines, in the order of the commands', async () => {
    const { client } = nodeRedis()
    expect(await client.multi().set('k', '1').incr('k').exec()).toEqual(['OK', 2])
    expect(await client.multi().get('k').exists('k').execAsPipeline()).toEqual(['2', 1])
    await expect(client.multi().incr('k').hGet('k', 'f').exec()).rejects.toThrow()
  })

  it('has views with options of their own', async () => {
    const { client } = nodeRedis()
    await client.set('k', 'v')
    const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
    expect(await buffers.get('k')).toEqual(Buffer.from('v'))
    expect(await client.get('k')).toBe('v')
    expect(await buffers.multi().get('k').execAsPipeline()).toEqual([Buffer.from('v')])
    const controller = new AbortController()
    controller.abort()
    await expect(client.withAbortSignal(controller.signal).get('k')).rejects.toThrow()
  })

  it('scans page by page', async () => {
    const { client } = nodeRedis()
    await client.mSet(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`k${n}`, String(n)])))
    const keys = new Set<string>()
    for await (const page of client.scanIterator({ MATCH: 'k*' })) for (const key of page) keys.add(key)
    expect(keys.size).toBe(200)
  })

  it('has scripts of one’s own', async () => {
    const twice = defineScript({
      NUMBER_OF_KEYS: 1,
      SCRIPT: "return redis.call('GET', KEYS[1]) * 2",
      parseCommand: (parser, key: string) => parser.pushKey(key),
      transformReply: (reply: unknown) => reply as number,
    })
    const pool = redisPool(() => createClient({ url: server.url, scripts: { twice } }))
    await pool.client.set('n', '4')
    expect(await pool.client.twice('n')).toBe(8)
    expect(await pool.use((client) => client.twice('n'))).toBe(8)
    await pool.close()
  })

  it('connects, tells that it is ready, and closes', async () => {
    const pool = nodeRedis()
    const heard: string[] = []
    for (const event of ['connect', 'ready', 'reconnecting', 'end']) pool.client.on(event, () => heard.push(event))
    expect([pool.client.isOpen, pool.client.isReady]).toEqual([false, false])
    expect(await pool.client.connect()).toBe(pool.client)
    expect([pool.client.isOpen, pool.client.isReady]).toEqual([true, true])
    await server.endClients()
    await waitFor(() => heard.filter((event) => event === 'ready').length === 2, { what: 'it is ready again' })
    await pool.client.close()
    expect(pool.client.isOpen).toBe(false)
    await waitFor(() => heard.includes('end'), { what: 'the end is told' })
    expect(heard).toEqual(['connect', 'ready', 'reconnecting', 'connect', 'ready', 'end'])
  })

  it('names what it cannot do', () => {
    const { client } = nodeRedis()
    expect(() => client.legacy()).toThrow(/needs a client of its own/)
  })
})

describe('options', () => {
  it('are refused where they are wrong, misspelt, or of the other function', () => {
    expect(() => redisPool(Redis, { max: 0 })).toThrow(/Expected `max` to be an integer ≥ 1, got 0/)
    expect(() => redisPool(Redis, { acquireTimeoutMilis: 5 } as object)).toThrow(/did you mean `acquireTimeoutMillis`/)
    expect(() => redisPool(Redis, { maxLeasesPerResource: 5 } as object)).toThrow(/set by the pool/)
    expect(() => redisPool('redis' as never)).toThrow(/`Redis` class of ioredis or `createClient` of node-redis/)
    expect(() => redisPool(Redis, { someNewOption: 5 } as object)).not.toThrow()
  })
})
