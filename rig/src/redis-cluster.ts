import { removeFolder, tempFolder } from './child.ts'
import { startRedis, type RedisOptions, type RedisServer } from './redis.ts'
import { freePort, waitFor } from './wait.ts'

const SLOTS = 16_384

/** A Redis Cluster of real servers on 127.0.0.1: masters, and a replica each where asked for. */
export class RedisClusterServers implements AsyncDisposable {
  readonly masters: readonly RedisServer[]
  /** `replicas[i]` follows `masters[i]`, to begin with. */
  readonly replicas: readonly RedisServer[]
  readonly #folder: string

  constructor(masters: readonly RedisServer[], replicas: readonly RedisServer[], folder: string) {
    this.masters = masters
    this.replicas = replicas
    this.#folder = folder
  }

  get all(): readonly RedisServer[] {
    return [...this.masters, ...this.replicas]
  }

  /** Where drivers begin. */
  get nodes(): { host: string; port: number }[] {
    return this.all.map(({ host, port }) => ({ host, port }))
  }

  /** The node that serves a slot now, as any running node sees it. */
  async ownerOf(slot: number): Promise<RedisServer> {
    for (const server of this.all) {
      if (!server.isRunning) continue
      const ranges = (await server.ask('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
      const range = ranges.find(([first, last]) => slot >= first && slot <= last)
      const owner = this.all.find(({ port }) => port === range?.[2][1])
      if (owner !== undefined) return owner
    }
    throw new Error(`nobody serves slot ${slot}`)
  }

  /** Moves one slot, empty or not, from its owner to another master. */
  async moveSlot(slot: number, target: RedisServer): Promise<void> {
    const source = await this.ownerOf(slot)
    const [targetId, sourceId] = [
      String(await target.ask('CLUSTER', 'MYID')),
      String(await source.ask('CLUSTER', 'MYID')),
    ]
    await target.ask('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', sourceId)
    await source.ask('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', targetId)
    const auth = source.password === undefined ? [] : ['AUTH', source.password]
    for (;;) {
      const keys = (await source.ask('CLUSTER', 'GETKEYSINSLOT', String(slot), '100')) as string[]
      if (keys.length === 0) break
      await source.ask('MIGRATE', target.host, String(target.port), '', '0', '5000', ...auth, 'KEYS', ...keys)
    }
    for (const server of [target, source, ...this.masters])
      await server.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId)
  }

  async waitUntilOk(): Promise<void> {
    for (const server of this.all) {
      if (!server.isRunning) continue
      await waitFor(async () => String(await server.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'), {
        what: 'the cluster is ok',
        timeoutMillis: 30_000,
        everyMillis: 50,
      })
    }
  }

  /** Until every node tells of every replica. */
  async waitUntilKnown(): Promise<void> {
    if (this.replicas.length === 0) return
    for (const server of this.all) {
      const known = async (): Promise<boolean> =>
        ((await server.ask('CLUSTER', 'SLOTS')) as unknown[][]).every((range) => range.length > 3)
      await waitFor(known, { what: 'the replicas are known', timeoutMillis: 30_000, everyMillis: 50 })
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((server) => server.stop()))
    removeFolder(this.#folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export interface RedisClusterOptions extends Omit<RedisOptions, 'sentinel'> {
  /** @defaultValue 3 */
  readonly masters?: number
  /** For each master. @defaultValue 0 */
  readonly replicas?: 0 | 1
}

async function startNode(folder: string, options: RedisOptions): Promise<RedisServer> {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-config-file': 'nodes.conf',
    'cluster-node-timeout': 2_000,
    // The default, 10,000 above the client's port, may be above what ports there are.
    'cluster-port': await freePort(),
    ...options.settings,
  }
  return await startRedis({ ...options, settings }, folder)
}

async function join(masters: readonly RedisServer[], replicas: readonly RedisServer[]): Promise<void> {
  const share = Math.ceil(SLOTS / masters.length)
  const busPorts = new Map<RedisServer, string>()
  for (const server of [...masters, ...replicas])
    busPorts.set(server, String(((await server.ask('CONFIG', 'GET', 'cluster-port')) as string[])[1]))
  for (const [index, master] of masters.entries()) {
    await master.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    const last = Math.min((index + 1) * share, SLOTS) - 1
    await master.ask('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last))
  }
  const [first, ...others] = [...masters, ...replicas]
  for (const server of others)
    await first?.ask('CLUSTER', 'MEET', server.host, String(server.port), busPorts.get(server) ?? '')
  for (const [index, replica] of replicas.entries()) {
    const master = masters[index % masters.length]
    if (master === undefined) continue
    const id = String(await master.ask('CLUSTER', 'MYID'))
    const known = async (): Promise<boolean> => (await replica.ask('CLUSTER', 'REPLICATE', id)) === 'OK'
    await waitFor(known, { what: 'the replica knows its master', everyMillis: 50 })
    const linked = async (): Promise<boolean> =>
      String(await replica.ask('INFO', 'replication')).includes('master_link_status:up')
    await waitFor(linked, { what: 'the replica follows', timeoutMillis: 20_000, everyMillis: 50 })
  }
}

/** Starts a cluster that ends with this process. It takes about two seconds: masters wait that long by themselves. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisClusterServers> {
  const { masters: count = 3, replicas: each = 0, ...rest } = options
  const folder = tempFolder('redis-cluster')
  const nodes: RedisServer[] = []
  try {
    for (let index = 0; index < count * (1 + each); index++) nodes.push(await startNode(folder, rest))
    const cluster = new RedisClusterServers(nodes.slice(0, count), nodes.slice(count), folder)
    await join(cluster.masters, cluster.replicas)
    await cluster.waitUntilOk()
    await cluster.waitUntilKnown()
    return cluster
  } catch (error) {
    await Promise.all(nodes.map((node) => node.kill()))
    removeFolder(folder)
    throw error
  }
}
