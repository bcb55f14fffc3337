import { removeFolder, tempFolder } from './child.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { waitFor } from './wait.ts'

/** A master, a replica and three sentinels that watch them. */
export class RedisSentinelServers implements AsyncDisposable {
  /** What the sentinels call the master. */
  readonly name = 'mymaster'
  readonly servers: readonly [RedisServer, RedisServer]
  readonly sentinels: readonly RedisServer[]
  readonly #folder: string

  constructor(servers: readonly [RedisServer, RedisServer], sentinels: readonly RedisServer[], folder: string) {
    this.servers = servers
    this.sentinels = sentinels
    this.#folder = folder
  }

  get addresses(): { host: string; port: number }[] {
    return this.sentinels.map(({ host, port }) => ({ host, port }))
  }

  /** The master, as the sentinels see it now. */
  async master(): Promise<RedisServer> {
    const reply = (await this.sentinels[0]?.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)) as string[]
    const master = this.servers.find(({ port }) => String(port) === reply[1])
    if (master === undefined) throw new Error('the sentinels know no master')
    return master
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()))
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Starts a master, a replica and three sentinels. They end with this process. */
export async function startRedisSentinel(): Promise<RedisSentinelServers> {
  const folder = tempFolder('redis-sentinel')
  const started: RedisServer[] = []
  const start = async (...args: Parameters<typeof startRedis>): Promise<RedisServer> => {
    const server = await startRedis(...args)
    started.push(server)
    return server
  }
  try {
    const master = await start({}, folder)
    const replica = await start({ settings: { replicaof: `127.0.0.1 ${master.port}` } }, folder)
    const linked = async (): Promise<boolean> =>
      String(await replica.ask('INFO', 'replication')).includes('master_link_status:up')
    await waitFor(linked, { what: 'the replica follows', timeoutMillis: 20_000, everyMillis: 50 })
    const settings = {
      'sentinel monitor': `mymaster 127.0.0.1 ${master.port} 2`,
      'sentinel down-after-milliseconds': 'mymaster 500',
      'sentinel failover-timeout': 'mymaster 1000',
    }
    const sentinels = [
      await start({ sentinel: true, settings }, folder),
      await start({ sentinel: true, settings }, folder),
      await start({ sentinel: true, settings }, folder),
    ]
    for (const sentinel of sentinels) {
      await waitFor(async () => await seesAll(sentinel), {
        what: 'the sentinels know each other and the replica',
        timeoutMillis: 30_000,
        everyMillis: 50,
      })
    }
    return new RedisSentinelServers([master, replica], sentinels, folder)
  } catch (error) {
    await Promise.all(started.map((server) => server.kill()))
    removeFolder(folder)
    throw error
  }
}

async function seesAll(sentinel: RedisServer): Promise<boolean> {
  const text = String(await sentinel.ask('INFO', 'sentinel'))
  return text.includes('slaves=1') && text.includes('sentinels=3')
}
