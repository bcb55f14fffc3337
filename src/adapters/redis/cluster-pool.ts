import { OptionError } from '../../core/errors.ts'
import type { HealthCheck, HealthOptions } from '../../core/managed-pool.ts'
import { resolveOptions } from '../../core/options.ts'
import type { AcquireOptions, Pool } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { ClusterNode } from './cluster-dialect.ts'
import type { DriverClient } from './driver.ts'
import type { ExclusiveOptions, FaceBasics, FaceOwner } from './face-host.ts'
import { ioredisFace } from './ioredis-face.ts'
import { IoredisClusterDialect, type IoredisCluster, type IoredisClusterClass } from './ioredis-cluster.ts'
import { LanedPool, type SharedLaneStats } from './laned-pool.ts'
import { NodeLanes } from './node-lanes.ts'
import { nodeRedisFace } from './node-redis-face.ts'
import { NodeRedisClusterDialect, type CreateCluster, type NodeRedisCluster } from './node-redis-cluster.ts'
import { resolveRedisOptions, type RedisFaceOptions } from './options.ts'
import type { IoredisDriver, OptionsOf } from './redis-pool.ts'

/** How to lease a connection in a cluster. */
export interface ClusterUseOptions extends AcquireOptions {
  /** A key that the callback works with: it gets a connection to the node that serves it. Without it, to any master. */
  key?: string | Buffer | undefined
}

/** One node of a cluster: its shared connection, and the connections to it that are leased. */
export interface RedisNodeStats extends ClusterNode {
  /** The lane of leased connections; `undefined` where none was needed yet. */
  readonly exclusive: PoolStats | undefined
}

/** Statistics of each lane by itself. */
export interface RedisClusterLaneStats {
  /** Its resource is the driver's cluster client, which has a connection to every node. */
  readonly shared: SharedLaneStats
  readonly nodes: readonly RedisNodeStats[]
  readonly subscriber: PoolStats
}

/**
 * Connections to a Redis Cluster, in lanes.
 *
 *     pool.client.get           ──► shared      the driver's cluster client: MOVED, ASK, replica reads are its own
 *     pool.client.blpop         ──► exclusive   leased, on the node that serves the key
 *     pool.use(fn, { key })     ──► exclusive   leased for the callback
 *     pool.subscriber()         ──► subscriber  a cluster client that only listens
 */
export class RedisClusterPool<C, N> extends LanedPool<C> {
  readonly #dialect: IoredisClusterDialect | NodeRedisClusterDialect
  readonly #nodes: NodeLanes
  readonly #make: (override: object) => RedisClusterPool<C, N>

  /** @throws {OptionError} on a wrong value, or a near-miss of one of Millpond's names */
  constructor(
    driverName: 'ioredis' | 'node-redis',
    driver: unknown,
    given: Readonly<Record<string, unknown>>,
    isDuplicate = false,
  ) {
    const options = resolveRedisOptions(driverName, given)
    checkNodes(options.name, driverName, given)
    const dialect =
      driverName === 'ioredis'
        ? new IoredisClusterDialect(driver as IoredisClusterClass, options.client)
        : new NodeRedisClusterDialect(driver as CreateCluster, options.client)
    // A duplicate belongs to the pool that it was made of: it is not counted as one more.
    const target = isDuplicate ? undefined : options.target
    super(dialect, { ...options, target, shared: { ...options.shared, max: 1, min: 1 } })
    this.#dialect = dialect
    const { laneHost } = this
    this.#nodes = new NodeLanes(dialect, options.name, options.exclusive, this.errors, {
      opened: (client) => laneHost.opened?.(client),
      gone: (client) => laneHost.gone?.(client),
      failed: (error) => laneHost.failed?.(error),
      readOnly: () => this.#refresh(),
      get isClosing() {
        return laneHost.isClosing
      },
      cluster: ({ signal, timeoutMillis }) => this.#cluster({ signal, timeoutMillis }),
      made: (pool) => this.hear(pool),
      left: (pool) => this.bury(pool),
    })
    this.#make = (override) => new RedisClusterPool<C, N>(driverName, driver, { ...given, ...override }, true)
  }

  async #cluster(options: AcquireOptions): Promise<DriverClient> {
    if (this.laneHost.isClosing) throw this.errors.closed()
    try {
      return this.shared.pick() ?? (await this.shared.queued((client) => client, options))
    } catch (error) {
      throw this.errors.of(error)
    }
  }

  /** A node that takes no writes was a master: the driver's map is out of date. */
  #refresh(): void {
    const cluster = this.#live
    if (cluster !== undefined) void this.#dialect.refresh(cluster).catch(() => undefined)
  }

  get #live(): DriverClient | undefined {
    return this.shared.live[0]
  }

  /**
   * Runs the callback with a connection to one node, that of `key`, and gives the connection back as it was: a
   * transaction left open is discarded, keys are unwatched, subscriptions end. Rejects with the callback's own error, or
   * as the engine's `acquire` does.
   */
  async use<R>(callback: (client: N) => R | PromiseLike<R>, { key, ...options }: ClusterUseOptions = {}): Promise<R> {
    return await this.#nodes.use((client) => callback(client as N), key, options)
  }

  /** Changes the sizes of the exclusive lanes while they run: `max` and `min` are those of each node. */
  resize(sizes: { min?: number; max?: number }): void {
    this.#nodes.resize(sizes)
  }

  /** The options of the lane of each node. */
  override get options(): Pool<DriverClient>['options'] {
    return resolveOptions(this.kind, this.#nodes.options)
  }

  /** Every node that the driver knows, with its connections. Empty before the first command. */
  nodeStats(): RedisNodeStats[] {
    const cluster = this.#live
    if (cluster === undefined) return []
    return this.#dialect.nodes(cluster).map((node) => ({
      ...node,
      exclusive: this.#nodes.poolOf(node.address)?.stats(),
    }))
  }

  laneStats(): RedisClusterLaneStats {
    return { shared: this.sharedStats(), nodes: this.nodeStats(), subscriber: this.subscribers.stats() }
  }

  /** As that of any pool, and warns of nodes without a connection. Never throws. */
  override async health(options: HealthOptions = {}): Promise<HealthCheck> {
    const check = await super.health(options)
    if (check.status !== 'pass') return check
    const masters = this.nodeStats().filter(({ role }) => role === 'master')
    const lost = masters.filter(({ exclusive }) => exclusive?.state === 'paused').length
    if (lost === 0) return check
    return { ...check, status: 'warn', message: `${lost} of ${masters.length} masters cannot be reached` }
  }

  protected override exclusivePools(): readonly Pool<DriverClient>[] {
    // Asked for by the base class, before the lanes are there.
    return this.#nodes.pools
  }

  protected override pastStats(): readonly PoolStats[] {
    return this.#nodes.past
  }

  protected override runExclusive<R>(
    owner: FaceOwner,
    run: (client: DriverClient) => R | PromiseLike<R>,
    options: ExclusiveOptions,
  ): Promise<R> {
    return this.#nodes.run(owner, run, options)
  }

  protected override makeFace(basics: FaceBasics): DriverClient {
    const dialect = this.#dialect
    return dialect instanceof IoredisClusterDialect
      ? ioredisFace({
          ...basics,
          dialect,
          template: dialect.template,
          cluster: () => this.#live as IoredisCluster | undefined,
          connections: () => this.connections,
        })
      : nodeRedisFace({ ...basics, dialect, cluster: () => this.#live as NodeRedisCluster | undefined })
  }

  protected override makeChild(override: object): RedisClusterPool<C, N> {
    return this.#make(override)
  }
}

/** @throws {OptionError} where nothing says where the cluster is */
function checkNodes(pool: string, driver: string, given: Readonly<Record<string, unknown>>): void {
  const option = driver === 'ioredis' ? 'nodes' : 'rootNodes'
  const nodes = given[option]
  if (!Array.isArray(nodes) || nodes.length === 0)
    throw new OptionError(
      pool,
      option,
      `Expected \`${option}\` to be a list of at least one node, as in [{ host: 'redis-1', port: 6379 }]`,
    )
}

/** A client of one node, as the driver's cluster client gives it. */
type NodeOf<C> = C extends { nodes(...args: never[]): (infer N)[] }
  ? N
  : C extends { nodeClient(...args: never[]): infer N }
    ? Awaited<N>
    : never

/** Where ioredis begins: what its `Cluster` takes as the first argument. */
export type ClusterStartupNode =
  string | number | { readonly host?: string | undefined; readonly port?: number | undefined }

/**
 * Connections to a Redis Cluster in lanes: `redisClusterPool(Cluster, { nodes: [{ host, port }], scaleReads: 'slave' })`
 * with ioredis, `redisClusterPool(createCluster, { rootNodes: [{ url }] })` with node-redis. Options that are not
 * Millpond's go to the driver. Nothing is opened before the first command.
 *
 * @throws {OptionError} on a wrong value, a misspelt option, no node, or what is neither driver
 */
export function redisClusterPool<D extends IoredisDriver<object>>(
  driver: D,
  options: OptionsOf<InstanceType<D>> & RedisFaceOptions & { readonly nodes: readonly ClusterStartupNode[] },
): RedisClusterPool<InstanceType<D>, NodeOf<InstanceType<D>>>
export function redisClusterPool<C extends object, O>(
  driver: (options: O) => C,
  options: O & RedisFaceOptions,
): RedisClusterPool<C, NodeOf<C>>
export function redisClusterPool<C>(driver: unknown, options: object): RedisClusterPool<C, NodeOf<C>> {
  return new RedisClusterPool<C, NodeOf<C>>(driverOf(driver), driver, options as Readonly<Record<string, unknown>>)
}

function driverOf(driver: unknown): 'ioredis' | 'node-redis' {
  const prototype = typeof driver === 'function' ? (driver.prototype as object | undefined) : undefined
  if (prototype !== undefined && 'nodes' in prototype) return 'ioredis'
  if (typeof driver === 'function' && (prototype === undefined || !('sendCommand' in prototype))) return 'node-redis'
  throw new OptionError(
    'redis',
    'driver',
    typeof driver === 'function'
      ? 'A `Redis` belongs to `redisPool(Redis, options)`; here it is `Cluster`'
      : `Expected the \`Cluster\` class of ioredis or \`createCluster\` of node-redis, got ${driver === null ? 'null' : typeof driver}`,
  )
}
