import { SERVER_TIMEOUT_MILLIS, type Target } from './target.ts'
import type { ServerFacts } from './facts.ts'

/** What both drivers can do: send a command as words. */
export interface Redis {
  call(...words: string[]): Promise<unknown>
  end(): void
}

/** Asks a Redis server, on one connection of its own, with ioredis or node-redis. */
export async function askRedis(
  driver: { readonly name: string; readonly module: unknown },
  { url }: Target,
): Promise<ServerFacts> {
  const startedAt = performance.now()
  const redis = await connectRedis(driver, url)
  const connectMillis = performance.now() - startedAt
  try {
    const pingedAt = performance.now()
    await redis.call('PING')
    const pingMillis = performance.now() - pingedAt
    const info = String(await redis.call('INFO'))
    const of = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
    const idleSeconds = await redis.call('CONFIG', 'GET', 'timeout').then(
      (reply) => Number((Array.isArray(reply) ? reply[1] : (reply as { timeout?: string }).timeout) ?? 0),
      // Managed servers forbid CONFIG.
      () => 0,
    )
    return {
      version: `Redis ${/^redis_version:(\S+)/m.exec(info)?.[1] ?? ''}`,
      connectMillis,
      pingMillis,
      limit: of('maxclients') || Infinity,
      limitNote: `maxclients ${of('maxclients')}`,
      used: of('connected_clients'),
      idleLimitMillis: idleSeconds > 0 ? idleSeconds * 1_000 : Infinity,
      idleLimitName: 'timeout',
      tls: url.startsWith('rediss:'),
    }
  } finally {
    redis.end()
  }
}

/** One connection, with ioredis or node-redis. */
export async function connectRedis(
  { name, module }: { readonly name: string; readonly module: unknown },
  url: string,
): Promise<Redis> {
  return name === 'ioredis' ? await withIoredis(module, url) : await withNodeRedis(module, url)
}

async function withIoredis(module: unknown, url: string): Promise<Redis> {
  const { Redis } = module as {
    Redis: new (
      url: string,
      options: object,
    ) => {
      connect(): Promise<void>
      call(...words: string[]): Promise<unknown>
      disconnect(): void
      on(event: 'error', listener: (error: Error) => void): void
    }
  }
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: SERVER_TIMEOUT_MILLIS,
    commandTimeout: SERVER_TIMEOUT_MILLIS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  let last: Error | undefined
  client.on('error', (error) => {
    last = error
  })
  await client.connect().catch((error: unknown) => {
    throw last ?? error
  })
  return { call: (...words) => client.call(...words), end: () => { client.disconnect() } } // prettier-ignore
}

async function withNodeRedis(module: unknown, url: string): Promise<Redis> {
  const { createClient } = module as {
    createClient(
      this: void,
      options: object,
    ): {
      connect(): Promise<unknown>
      sendCommand(words: string[]): Promise<unknown>
      destroy(): void
      on(event: 'error', listener: () => void): void
    }
  }
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: SERVER_TIMEOUT_MILLIS, reconnectStrategy: false },
  })
  client.on('error', () => undefined)
  await client.connect()
  return { call: (...words) => client.sendCommand(words), end: () => { client.destroy() } } // prettier-ignore
}
