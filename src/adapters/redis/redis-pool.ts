import { OptionError } from '../../core/errors.ts'
import type { AcquireOptions, Pool } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { DriverClient } from './driver.ts'
import { ExclusiveLane } from './exclusive-lane.ts'
import type { ExclusiveOptions, FaceBasics, FaceOwner } from './face-host.ts'
import { ioredisFace } from './ioredis-face.ts'
import { IoredisDialect, ioredisMaker, type IoredisClass } from './ioredis.ts'
import { LanedPool, type SharedLaneStats } from './laned-pool.ts'
import { nodeRedisFace } from './node-redis-face.ts'
import { NodeRedisDialect, type CreateClient } from './node-redis.ts'
import { resolveRedisOptions, type RedisFaceOptions } from './options.ts'

/** The engine's pools behind the three lanes. */
export interface RedisLanes {
  /** Connections that everybody uses at once. Idle to the engine; its waiting room is the offline queue. */
  readonly shared: Pool<DriverClient>
  /** Connections that are leased: blocking commands, `use`. */
  readonly exclusive: Pool<DriverClient>
  /** Connections that only listen. */
  readonly subscriber: Pool<DriverClient>
}

/** Statistics of each lane by itself. */
export interface RedisLaneStats {
  readonly shared: SharedLaneStats
  readonly exclusive: PoolStats
  readonly subscriber: PoolStats
}

/**
 * Connections to one Redis server, in three lanes.
 *
 *     pool.client.get      ──► shared      one connection for everybody, answers at once
 *     pool.client.blpop    ──► exclusive   leased for the command: nobody waits behind it
 *     pool.use(fn)         ──► exclusive   leased for the callback: WATCH, MULTI, SELECT
 *     pool.subscriber()    ──► subscriber  listens, and subscribes anew after a reconnect
 */
export class RedisPool<C> extends LanedPool<C> {
  readonly #dialect: IoredisDialect | NodeRedisDialect
  readonly #exclusive: ExclusiveLane
  readonly #make: (override: object) => RedisPool<C>

  /** @throws {OptionError} on a wrong value, or a near-miss of one of Millpond's names */
  constructor(
    driverName: 'ioredis' | 'node-redis',
    driver: unknown,
    given: Readonly<Record<string, unknown>>,
    isDuplicate = false,
  ) {
    const options = resolveRedisOptions(driverName, given)
    const dialect =
      driverName === 'ioredis'
        ? new IoredisDialect(ioredisMaker(driver as IoredisClass, options.client))
        : new NodeRedisDialect(driver as CreateClient, options.client)
    // A duplicate belongs to the pool that it was made of: it is not counted as one more.
    super(dialect, isDuplicate ? { ...options, target: undefined } : options)
    this.#dialect = dialect
    this.#exclusive = new ExclusiveLane(dialect, options.exclusive, this.errors, this.laneHost)
    this.#make = (override) => new RedisPool<C>(driverName, driver, { ...given, ...override }, true)
  }

  get lanes(): RedisLanes {
    return { shared: this.shared.pool, exclusive: this.#exclusive.pool, subscriber: this.subscribers }
  }

  /** The exclusive lane: what `max` and `min` are about. */
  get sizedPart(): Pool<DriverClient> {
    return this.#exclusive.pool
  }

  laneStats(): RedisLaneStats {
    return {
      shared: this.sharedStats(),
      exclusive: this.#exclusive.pool.stats(),
      subscriber: this.subscribers.stats(),
    }
  }

  /**
   * Runs the callback with a connection of its own, and gives the connection back as it was: a transaction left open is
   * discarded, keys are unwatched, the database is selected back, subscriptions end. Rejects with the callback's own
   * error, or as the engine's `acquire` does.
   */
  async use<R>(callback: (client: C) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
    return await this.#exclusive.use((client) => callback(client as C), options)
  }

  /** Changes the sizes of the exclusive lane while it runs: the one that `max` and `min` are about. */
  resize(sizes: { min?: number; max?: number }): void {
    this.#exclusive.pool.resize(sizes)
  }

  protected override exclusivePools(): readonly Pool<DriverClient>[] {
    return [this.#exclusive.pool]
  }

  protected override runExclusive<R>(
    owner: FaceOwner,
    run: (client: DriverClient) => R | PromiseLike<R>,
    options: ExclusiveOptions,
  ): Promise<R> {
    return this.#exclusive.run(owner, run, options)
  }

  protected override makeFace(basics: FaceBasics): DriverClient {
    const dialect = this.#dialect
    return dialect instanceof IoredisDialect
      ? ioredisFace({ ...basics, dialect, template: dialect.template, connections: () => this.connections })
      : nodeRedisFace({ ...basics, dialect })
  }

  protected override makeChild(override: object): RedisPool<C> {
    return this.#make(override)
  }
}

/** A class of ioredis, `Redis`. Its options are the type of its `options`. */
export type IoredisDriver<C> = new (...args: never[]) => C

/** `createClient` of node-redis, or a function of one's own that calls it. */
export type NodeRedisDriver<C, O> = (options?: O) => C

/** The options of a client, as its own `options` are typed. */
export type OptionsOf<C> = C extends { options: infer O } ? Partial<O> & { url?: string } : object

/**
 * Connections to Redis in lanes: `redisPool(Redis, { host, maxRetriesPerRequest: 3 })` with ioredis,
 * `redisPool(createClient, { url })` with node-redis. Options that are not Millpond's go to the driver. Nothing is
 * opened before the first command.
 *
 * @throws {OptionError} on a wrong value, a misspelt option, or what is neither driver
 */
export function redisPool<C extends object>(
  driver: IoredisDriver<C>,
  options?: OptionsOf<C> & RedisFaceOptions,
): RedisPool<C>
export function redisPool<C extends object, const O>(
  driver: NodeRedisDriver<C, O>,
  options?: O & RedisFaceOptions,
): RedisPool<C>
export function redisPool<C>(driver: unknown, options: object = {}): RedisPool<C> {
  return new RedisPool<C>(driverOf(driver), driver, options as Readonly<Record<string, unknown>>)
}

function driverOf(driver: unknown): 'ioredis' | 'node-redis' {
  if (typeof driver === 'function') {
    const { prototype } = driver as {
      readonly prototype?: { readonly sendCommand?: unknown; readonly nodes?: unknown }
    }
    if (prototype?.nodes !== undefined)
      throw new OptionError('redis', 'driver', 'A Cluster belongs to `redisClusterPool(Cluster, options)`')
    return prototype?.sendCommand === undefined ? 'node-redis' : 'ioredis'
  }
  throw new OptionError(
    'redis',
    'driver',
    `Expected the \`Redis\` class of ioredis or \`createClient\` of node-redis, got ${driver === null ? 'null' : typeof driver}`,
  )
}
