// Each entry of the catalogue about Redis, tried on the driver itself, in the latest version and the lowest that is supported.
import { Socket } from 'node:net'
import { Redis } from 'ioredis'
import { Redis as RedisLow } from 'ioredis-low'
import { createClient } from 'redis'
import { createClient as createClientLow } from 'redis-low'
import { describe, expect, it, vi } from 'vitest'
import { delay, itLeavesNothingUntried, itTries, silentServer } from './tries.ts'

const silent = silentServer()

/** The timeouts that sockets are given meanwhile. */
async function socketTimeouts(run: () => Promise<unknown>): Promise<number[]> {
  const given = vi.spyOn(Socket.prototype, 'setTimeout')
  await run()
  const timeouts = given.mock.calls.map(([millis]) => millis)
  given.mockRestore()
  return timeouts
}

/** How many connections the silent server has got by then. */
async function connectionsBy(run: () => Promise<() => unknown>): Promise<number> {
  const before = silent.sockets.size
  const end = await run()
  await delay(80)
  const count = silent.sockets.size - before
  await end()
  silent.hangUp()
  await vi.waitFor(() => { expect(silent.sockets.size).toBe(0) }, { timeout: 5_000 }) // prettier-ignore
  return count
}

describe.each([
  { name: 'ioredis', Copy: Redis },
  { name: 'ioredis, the lowest', Copy: RedisLow as unknown as typeof Redis },
])('$name', ({ Copy }) => {
  const connect = (options: object) => (): Promise<() => unknown> => {
    const redis = new Copy({ enableReadyCheck: false, retryStrategy: () => null, ...options })
    redis.on('error', () => undefined)
    const replies = Array.from({ length: 5 }, () => redis.get('a').catch(() => undefined))
    return Promise.resolve(async () => {
      redis.disconnect()
      await Promise.all(replies)
    })
  }

  const SIZES = ['poolSize', 'max', 'min', 'maxConnections']
  itTries('opens one connection in spite of %s', { driver: 'ioredis', options: SIZES }, async (option) => {
    expect(await connectionsBy(connect({ host: '127.0.0.1', port: silent.port(), [option]: 5 }))).toBe(1)
  })

  itTries('does not look for its server in %s', { driver: 'ioredis', options: ['socket', 'url'] }, async (option) => {
    const port = silent.port()
    const value = option === 'socket' ? { host: '127.0.0.1', port } : `redis://127.0.0.1:${port}`
    // To nowhere, unless the option says otherwise; beside it, so that no Redis of this machine is found.
    expect(await connectionsBy(connect({ port: 1, [option]: value }))).toBe(0)
    expect(new Copy({ lazyConnect: true, [option]: value }).options).toMatchObject({ host: 'localhost', port: 6379 })
  })

  itTries('never calls %s', { driver: 'ioredis', options: ['retry_strategy'] }, async (option) => {
    const attempt = async (options: object): Promise<void> => {
      const redis = new Copy({ port: 1, ...options })
      redis.on('error', () => undefined)
      await vi.waitFor(() => { expect(redis.status).toMatch(/reconnecting|end/) }, { timeout: 5_000 }) // prettier-ignore
      redis.disconnect()
    }
    const [wrong, right] = [vi.fn(() => null), vi.fn(() => null)]
    await attempt({ [option]: wrong })
    await attempt({ retryStrategy: right })
    expect([wrong.mock.calls.length, right.mock.calls.length]).toEqual([0, 1])
  })

  itTries('gives its socket no timeout by %s', { driver: 'ioredis', options: ['connect_timeout'] }, async (option) => {
    const timeouts = (options: object): Promise<number[]> =>
      socketTimeouts(() => connectionsBy(connect({ host: '127.0.0.1', port: silent.port(), ...options })))
    expect(await timeouts({ connectTimeout: 12_345 })).toContain(12_345)
    expect(await timeouts({ [option]: 12_345 })).not.toContain(12_345)
  }) // prettier-ignore
})

describe.each([
  { name: 'node-redis', create: createClient },
  { name: 'node-redis, the lowest', create: createClientLow as unknown as typeof createClient },
])('$name', ({ create }) => {
  const connect = (options: object) => (): Promise<() => unknown> => {
    const client = create(options)
    client.on('error', () => undefined)
    const connecting = client.connect().catch(() => undefined)
    return Promise.resolve(async () => {
      if (client.isOpen) client.destroy()
      silent.hangUp()
      await connecting
    })
  }
  const here = (): object => ({ host: '127.0.0.1', port: silent.port(), reconnectStrategy: false })

  it('connects to where `socket` says', async () => {
    expect(await connectionsBy(connect({ socket: here() }))).toBe(1)
  })

  itTries('does not look for its server in %s', { driver: 'redis', options: ['host', 'port'] }, async (option) => {
    // What is left out of `socket` is in the option.
    const { [option]: given, ...rest } = here() as Record<string, unknown>
    const misplaced = { socket: option === 'port' ? { ...rest, port: 1 } : { ...rest, host: '127.0.0.2', port: 1 } }
    expect(await connectionsBy(connect({ ...misplaced, [option]: given, port: silent.port() }))).toBe(0)
    const { socket } = (create({ [option]: option === 'host' ? 'elsewhere' : 3 }).options ?? {}) as { socket?: object }
    expect(socket ?? {}).not.toHaveProperty(option, option === 'host' ? 'elsewhere' : 3)
  })

  itTries('never calls %s', { driver: 'redis', options: ['retry_strategy'] }, async (option) => {
    const [wrong, right] = [vi.fn(() => false as const), vi.fn(() => false as const)]
    await create({ socket: { port: 1, reconnectStrategy: right }, [option]: wrong }).on('error', () => undefined).connect().catch(() => undefined) // prettier-ignore
    expect([wrong.mock.calls.length, right.mock.calls.length]).toEqual([0, 1])
  })

  itTries('gives its socket no timeout by %s', { driver: 'redis', options: ['connectTimeout'] }, async (option) => {
    const timeouts = (inside: object, outside: object): Promise<number[]> =>
      socketTimeouts(() => connectionsBy(connect({ socket: { ...here(), ...inside }, ...outside })))
    expect(await timeouts({ connectTimeout: 12_345 }, {})).toContain(12_345)
    expect(await timeouts({}, { [option]: 12_345 })).not.toContain(12_345)
  })

  itTries(
    'has no pool that %s would be for',
    { driver: 'redis', options: ['isolationPoolOptions'] },
    async (option) => {
      const options = { socket: here(), [option]: { min: 3, max: 3 } }
      expect(await connectionsBy(connect(options))).toBe(1)
      expect(create(options)).not.toHaveProperty('executeIsolated')
    },
  )
})

itLeavesNothingUntried('redis.test.ts')
