import type { PoolOptions } from '../../core/options.ts'
import type { AcquireOptions, Pool } from '../../core/pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import { isConnectionLoss } from './classify.ts'
import type { ClusterDialect } from './cluster-dialect.ts'
import type { DriverClient } from './driver.ts'
import type { DriverErrors } from './driver-errors.ts'
import { ExclusiveLane, type ExclusiveLaneHost } from './exclusive-lane.ts'
import type { ExclusiveOptions, FaceOwner } from './face-host.ts'
import { MaxRetriesPerRequestError } from './shared-lane.ts'
import { slotOf } from './slots.ts'

/** How often a command may be sent to another node, as with the drivers. */
const MAX_REDIRECTIONS = 16

/** How long a command waits that the cluster cannot serve at this instant, as ioredis waits. */
const RETRY_MILLIS = 100

/** How often it is asked who serves what, while a node cannot be reached and somebody waits for it. */
const LOOK_MILLIS = 250

/** The reason of an abort by which a caller goes to the node that has taken over. */
const REROUTED = new Error('another node serves the key')

export interface NodeLanesHost extends ExclusiveLaneHost {
  /** The driver's cluster client, once there is one; waits as a command of the shared lane does. */
  cluster(options: AcquireOptions): Promise<DriverClient>
  /** A lane was made. */
  made(pool: Pool<DriverClient>): void
  /** The lane of a node that has left is closed. */
  left(pool: Pool<DriverClient>): void
}

/** Somebody who waits for a connection to the node that served the slot. */
interface Waiting {
  readonly cluster: DriverClient
  readonly slot: number
  readonly address: string
  readonly abort: AbortController
}

/**
 * Leased connections in a cluster, in a lane of their own for each node:
 *
 *     key ──► slot ──► the master that serves it, as the driver knows ──► the lane of that node
 *
 * A lane comes with the first lease on its node and goes when the node has left. What was sent to the wrong node is sent
 * on, as the driver does on the shared connections; who waits for a node that is down goes to the one that takes over.
 */
export class NodeLanes {
  readonly #dialect: ClusterDialect
  #options: PoolOptions<DriverClient>
  readonly #name: string
  readonly #errors: DriverErrors
  readonly #host: NodeLanesHost
  readonly #lanes = new Map<string, Promise<ExclusiveLane>>()
  readonly #made = new Map<string, ExclusiveLane>()
  /** Pools of nodes that have left, until the last lease is over. */
  readonly #leaving = new Set<Pool<DriverClient>>()
  readonly #past: PoolStats[] = []
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(
    dialect: ClusterDialect,
    name: string,
    options: PoolOptions<DriverClient>,
    errors: DriverErrors,
    host: NodeLanesHost,
  ) {
    this.#dialect = dialect
    this.#name = name
    this.#options = options
    this.#errors = errors
    this.#host = host
  }

  get pools(): Pool<DriverClient>[] {
    return [...[...this.#made.values()].map(({ pool }) => pool), ...this.#leaving]
  }

  /** Changes the sizes of every lane, and of those to come. */
  resize(sizes: { min?: number; max?: number }): void {
    for (const { pool } of this.#made.values()) pool.resize(sizes)
    this.#options = { ...this.#options, ...sizes }
  }

  /** Those of each node. */
  get options(): PoolOptions<DriverClient> {
    return this.#options
  }

  /** Statistics of nodes that have left. */
  get past(): readonly PoolStats[] {
    return this.#past
  }

  poolOf(address: string): Pool<DriverClient> | undefined {
    return this.#made.get(address)?.pool
  }

  /** Runs a command of a face on the node of its key. */
  async run<R>(
    owner: FaceOwner,
    command: (client: DriverClient) => R | PromiseLike<R>,
    { again, key, ...options }: ExclusiveOptions,
  ): Promise<R> {
    let losses = 0
    let asked: string | undefined
    let timeLeft = this.#timeLeft(options)
    for (let redirections = 0; ; redirections++) {
      const cluster = await this.#host.cluster(timeLeft())
      try {
        return await this.#at(cluster, key, asked, options, async (lane, signal) => {
          const sent = asked === undefined ? command : this.#asking(command, lane)
          return await lane.run(owner, sent, { ...options, ...timeLeft(), signal, again: false })
        })
      } catch (error) {
        // It was sent, and waits anew.
        if (error !== REROUTED) timeLeft = this.#timeLeft(options)
        if (owner.ended || this.#host.isClosing) throw error
        if (again && this.#dialect.resends && isConnectionLoss(error)) {
          if (++losses > this.#dialect.maxRetries) throw new MaxRetriesPerRequestError(this.#dialect.maxRetries)
        } else if (error !== REROUTED && (!isRedirection(error) || redirections >= MAX_REDIRECTIONS)) throw error
        asked = /^ASK \d+ (\S+)/.exec((error as Error).message)?.[1]
        if (asked !== undefined) continue
        if (error !== REROUTED)
          await this.#dialect.refresh(cluster, movedKey(error, key, this.#dialect.keyPrefix)).catch(() => undefined)
        if (!/^MOVED /.test((error as Error).message) && error !== REROUTED) await pause(RETRY_MILLIS)
      }
    }
  }

  /** One wait has several steps: for the cluster, for a node, for the one that takes over. They share its time. */
  #timeLeft({ signal, timeoutMillis = this.#options.acquireTimeoutMillis }: AcquireOptions): () => AcquireOptions {
    const until = performance.now() + (timeoutMillis ?? Infinity)
    // 0 and what is no duration are for the engine to judge.
    if (timeoutMillis === undefined || !(timeoutMillis > 0)) return () => ({ signal, timeoutMillis })
    return () => ({ signal, timeoutMillis: Math.max(1, until - performance.now()) })
  }

  /** A node to which a slot is being moved takes its commands only behind ASKING. */
  #asking<R>(command: (client: DriverClient) => R, lane: ExclusiveLane): (client: DriverClient) => R {
    return (client) => {
      lane.ask(client, 'ASKING').catch(() => undefined)
      return command(client)
    }
  }

  /** Runs the callback with a connection to the node of the key, or to any master. */
  async use<R>(
    callback: (client: DriverClient) => R | PromiseLike<R>,
    key: unknown,
    options: AcquireOptions,
  ): Promise<R> {
    const timeLeft = this.#timeLeft(options)
    for (;;) {
      const cluster = await this.#host.cluster(timeLeft())
      try {
        return await this.#at(cluster, key, undefined, options, (lane, signal) =>
          lane.use(callback, { ...options, ...timeLeft(), signal }),
        )
      } catch (error) {
        if (error === REROUTED) continue
        // It is the callback's to begin anew; the next one goes to the right node.
        if (isRedirection(error))
          await this.#dialect.refresh(cluster, movedKey(error, key, this.#dialect.keyPrefix)).catch(() => undefined)
        throw error
      }
    }
  }

  async #at<R>(
    cluster: DriverClient,
    key: unknown,
    asked: string | undefined,
    { signal }: AcquireOptions,
    run: (lane: ExclusiveLane, signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const slot = key === undefined ? undefined : slotOf(key, this.#dialect.keyPrefix)
    const address = asked ?? this.#dialect.ownerOf(cluster, slot)
    if (address === undefined) throw new Error(`CLUSTERDOWN pool "${this.#name}": no node serves slot ${slot ?? 'any'}`)
    this.#sweep(cluster)
    const abort = new AbortController()
    const lane = await this.#lane(cluster, address)
    const waiting = { cluster, slot: slot ?? -1, address, abort }
    if (slot !== undefined && asked === undefined) this.#waiting.add(waiting)
    if (lane.pool.state === 'paused') this.#look()
    try {
      return await run(lane, signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]))
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  #lane(cluster: DriverClient, address: string): Promise<ExclusiveLane> {
    let lane = this.#lanes.get(address)
    if (lane === undefined) {
      lane = this.#make(cluster, address)
      this.#lanes.set(address, lane)
      lane.catch(() => this.#lanes.delete(address))
    }
    return lane
  }

  async #make(cluster: DriverClient, address: string): Promise<ExclusiveLane> {
    const dialect = await this.#dialect.nodeDialect(cluster, address)
    if (this.#host.isClosing) throw this.#errors.closed()
    const options = { ...this.#options, name: `${this.#name}:exclusive:${address}` }
    const lane = new ExclusiveLane(dialect, options, this.#errors, this.#host)
    lane.pool.on('paused', () => this.#look())
    this.#made.set(address, lane)
    this.#host.made(lane.pool)
    return lane
  }

  /** Ends the lanes of nodes that have left. */
  #sweep(cluster: DriverClient): void {
    if (this.#made.size === 0) return
    const present = new Set(this.#dialect.nodes(cluster).map(({ address }) => address))
    // Between two looks the driver may know no node at all.
    if (present.size === 0) return
    for (const [address, { pool }] of this.#made) {
      if (present.has(address)) continue
      this.#made.delete(address)
      this.#lanes.delete(address)
      this.#leaving.add(pool)
      for (const waiting of this.#waiting) if (waiting.address === address) waiting.abort.abort(REROUTED)
      void pool.close({ waiters: 'reject' }).then(() => {
        this.#leaving.delete(pool)
        this.#past.push(pool.stats())
        this.#host.left(pool)
      })
    }
  }

  /** As long as somebody waits for a node that cannot be reached, looks whether another one serves by now. */
  #look(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const [stuck] = this.#stuck()
      if (stuck === undefined) return
      void this.#dialect
        .refresh(stuck.cluster)
        .catch(() => undefined)
        .then(() => {
          for (const { cluster, slot, address, abort } of this.#stuck()) {
            const now = this.#dialect.ownerOf(cluster, slot)
            if (now !== undefined && now !== address) abort.abort(REROUTED)
          }
          this.#look()
        })
    }, LOOK_MILLIS)
  }

  #stuck(): Waiting[] {
    return [...this.#waiting].filter(({ address }) => this.#made.get(address)?.pool.state === 'paused')
  }
}

/** Whether a node said that it cannot serve the command, and another one, or it itself later, can. */
function isRedirection(error: unknown): boolean {
  return error instanceof Error && /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(error.message)
}

/** The key as the server knows it, where a node said that it has moved. */
function movedKey(error: unknown, key: unknown, prefix: string): unknown {
  if (!/^MOVED /.test((error as Error).message) || key === undefined) return undefined
  return typeof key === 'string' ? prefix + key : key
}

async function pause(millis: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, millis))
}
