import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import { OptionError } from '../../core/errors.ts'
import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, HealthOptions, ManagedPool } from '../../core/managed-pool.ts'
import { claim, engineOf, Pool, type AcquireOptions, type ReadyOptions } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import { STATUS, type GrpcClient, type GrpcClientClass } from './driver.ts'
import { GrpcFactory } from './factory.ts'
import type { GrpcChannel } from './grpc-channel.ts'
import { askHealth, type HealthAnswer } from './health.ts'
import { resolveGrpcOptions, type GrpcFaceOptions, type ResolvedGrpcOptions } from './options.ts'
import { PooledChannel, type ChannelHost } from './pooled-channel.ts'
import { promisesOf, type Promises } from './promises.ts'

/** Millpond's options, the channel arguments of the driver, and the options of the user's own client class. */
export type GrpcPoolOptions<K extends GrpcClientClass = GrpcClientClass> = GrpcFaceOptions & {
  /** Channel arguments: https://github.com/grpc/grpc-node/tree/master/packages/grpc-js#supported-channel-options */
  [argument: `grpc.${string}` | `grpc-node.${string}`]: unknown
} & ClientOptions<ConstructorParameters<K>[2]>

type ClientOptions<O> = {
  [N in 'interceptors' | 'interceptor_providers' | 'callInvocationTransformer' | 'channelFactoryOverride']?:
    (NonNullable<O> extends Partial<Record<N, infer V>> ? V : unknown) | undefined
}

/** Events after which the state of the pool, seen as one channel, may be another. */
const CHANGES: readonly PoolEventName[] = [
  'created',
  'createFailed',
  'createStarted',
  'destroyed',
  'paused',
  'resumed',
  'closed',
]

/** A pool of channels behind one client. */
export class GrpcPool<C extends GrpcClient> implements ManagedPool, AsyncDisposable {
  /**
   * A client of your own class: its methods, callbacks, streams and interceptors are the driver's. Each call runs on
   * the channel with the fewest calls. `client.close()` closes the pool.
   */
  readonly client: C
  /** The promise form of the client's unary methods: `await pool.promises.getUser({ id: 1 }, { timeoutMillis: 500 })`. */
  readonly promises: Promises<C>
  readonly #core: Pool<GrpcChannel<C>>
  readonly #options: ResolvedGrpcOptions

  constructor(
    Client: GrpcClientClass<C>,
    target: string,
    credentials: unknown,
    given: Readonly<Record<string, unknown>>,
  ) {
    const options = resolveGrpcOptions(given)
    const { name = 'grpc' } = options.engine
    checkArguments(name, Client, target)
    this.#options = options
    const factory = new GrpcFactory(Client, target, credentials, options, {
      streamLimit: (limit) => engineOf(this.#core).inventory.limitLeases(limit),
    })
    const core = new Pool<GrpcChannel<C>>(factory, options.engine)
    this.#core = core
    const { acquireTimeoutMillis = 0, validateTimeoutMillis = 5_000, maxUseMillis = Infinity } = options.engine
    const host: ChannelHost = {
      name,
      target,
      acquireTimeoutMillis,
      operations: core.operations,
      watchesUse: maxUseMillis !== Infinity,
      lendNow: () => core.tryAcquire(),
      claim: (call, { label, priority }, timeoutMillis) => claim(core, call, label, priority, call, timeoutMillis),
      suspect: (made) => factory.suspect(made as GrpcChannel<C>, validateTimeoutMillis),
      state: () => core.state,
      counts: () => {
        const { idle, used, maintaining, creating } = core.stats()
        return { open: idle + used + maintaining, creating }
      },
      connect: () => void core.ready({ timeoutMillis: Infinity }).catch(() => undefined),
      close: () => void this.close(),
      onChange: (listener) => {
        for (const event of CHANGES) core.on(event, listener)
      },
    }
    const channel = new PooledChannel(host)
    this.client = new Client(target, credentials, { ...options.client, channelOverride: channel })
    this.promises = promisesOf(this.client, (wish, callback) => channel.wishing(wish, callback))
    for (const doubt of options.doubts) process.emitWarning(`pool "${name}": ${doubt}`, 'MillpondWarning')
  }

  /** The engine's pool of channels: leases, events, `resize`, `invalidate`, `suspend`. */
  get core(): Pool<GrpcChannel<C>> {
    return this.#core
  }
  get name(): string {
    return this.#core.name
  }
  get kind(): string {
    return this.#core.kind
  }
  get state(): PoolState {
    return this.#core.state
  }

  /** Runs the callback with a client on one channel, for calls that must share a connection; it counts as one stream. */
  use<R>(callback: (client: C) => R | PromiseLike<R>, options?: AcquireOptions): Promise<R> {
    return this.#core.use(({ client }) => callback(client), options)
  }

  /** Opens `min` channels, at least one; rejects with `ERR_POOL_CREATE`. */
  async ready(options?: ReadyOptions): Promise<void> {
    await this.#core.ready(options)
  }

  stats(): PoolStats {
    return this.#core.stats()
  }

  /** Asks the server's `grpc.health.v1` on a channel of the pool; a server without it passes by answering at all. */
  async health({ timeoutMillis = 1_000 }: HealthOptions = {}): Promise<HealthCheck> {
    const startedAt = performance.now()
    const { healthService } = this.#options
    const { used, idle, leases, max, creating } = this.stats()
    const { maxLeasesPerResource } = engineOf(this.#core).sizes
    const isSaturated = idle === 0 && used + creating >= max && leases >= used * maxLeasesPerResource
    if (healthService === false || this.state !== 'open' || isSaturated) return this.#core.health({ timeoutMillis })
    const answer = (status: HealthCheck['status'], message: string): HealthCheck => ({
      status,
      pool: this.name,
      kind: this.kind,
      message,
      durationMillis: performance.now() - startedAt,
    })
    try {
      const lease = await this.#core.acquire({ timeoutMillis, label: 'health check' })
      const leftMillis = Math.max(1, timeoutMillis - (performance.now() - startedAt))
      const heard = await askHealth(lease.resource.client, healthService, leftMillis)
      if (!lease.released) lease.release(heard.error)
      return answer(...verdict(heard, healthService))
    } catch {
      return answer('fail', 'No connection could be opened')
    }
  }

  /** Calls get the grace time to end; the rest is cancelled, and the channels are closed. */
  close(options?: CloseOptions): Promise<CloseReport> {
    return this.#core.close(options)
  }

  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#core.on(event, listener)
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#core.off(event, listener)
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Names and counts only: clients hold credentials. */
  [inspect.custom](): string {
    return inspect(this.#core).replace(/^Pool/, 'GrpcPool')
  }
}

function verdict({ status, error }: HealthAnswer, service: string): [HealthCheck['status'], string] {
  const whose = service === '' ? 'The server' : `The service "${service}"`
  if (status === 'SERVING') return ['pass', 'Pool is healthy']
  if (status !== undefined) return ['fail', `${whose} says ${status}`]
  if (error.code === STATUS.UNIMPLEMENTED) return ['pass', 'The server answers; it has no health service']
  if (error.code === 5 /* NOT_FOUND */)
    return ['fail', `The server’s health service does not know ${whose.toLowerCase()}`]
  return ['fail', 'The server did not answer']
}

function checkArguments(pool: string, Client: unknown, target: unknown): void {
  const methods = typeof Client === 'function' ? (Client.prototype as Partial<GrpcClient> | undefined) : undefined
  if (typeof methods?.makeUnaryRequest !== 'function') {
    throw new OptionError(
      pool,
      'Client',
      'Expected `Client` to be a class of @grpc/grpc-js clients: generated, or from `grpc.loadPackageDefinition`',
    )
  }
  if (typeof target !== 'string' || target === '') {
    throw new OptionError(
      pool,
      'target',
      `Expected \`target\` to be an address such as 'dns:///api:50051', got ${typeof target === 'string' ? 'an empty string' : typeof target}`,
    )
  }
}

/**
 * A pool of channels in place of `new Client(target, credentials, options)`: each channel has a connection of its own,
 * so that calls are not held up by the number of streams that a server allows on one.
 *
 * ```ts
 * const users = grpcPool(UserServiceClient, 'dns:///users:50051', grpc.credentials.createInsecure())
 * users.client.getUser({ id: 1 }, (error, user) => { … })
 * const user = await users.promises.getUser({ id: 1 }, { timeoutMillis: 500 })
 * ```
 *
 * @throws {OptionError} on a wrong value, a misspelt option, or two names for one thing
 */
export function grpcPool<K extends GrpcClientClass>(
  Client: K,
  target: string,
  credentials: ConstructorParameters<K>[1],
  options: GrpcPoolOptions<K> = {},
): GrpcPool<InstanceType<K>> {
  return new GrpcPool(
    Client as unknown as GrpcClientClass<InstanceType<K>>,
    target,
    credentials,
    options as Readonly<Record<string, unknown>>,
  )
}
