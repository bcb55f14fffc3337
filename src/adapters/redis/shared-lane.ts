import { PoolClosedError } from '../../core/errors.ts'
import { Pool, type AcquireOptions } from '../../core/pool.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import { CommandTimes } from './command-times.ts'
import type { Dialect, DriverClient, Unanswered } from './driver.ts'
import { RedisFactory, type RedisFactoryHost } from './factory.ts'
import type { ResolvedRedisOptions } from './options.ts'

/** ioredis' own words and class name, when a command has lost its connection, or met a failed connect, too often. */
export class MaxRetriesPerRequestError extends Error {
  constructor(maxRetries: number) {
    super(
      `Reached the max retries per request limit (which is ${maxRetries}). Refer to "maxRetriesPerRequest" option for details.`,
    )
  }

  static {
    this.prototype.name = 'MaxRetriesPerRequestError'
  }
}

export interface SharedLaneHost {
  opened(client: DriverClient): void
  gone(client: DriverClient): void
  failed(error: unknown): void
  /** A write was refused: the server is a replica. */
  readOnly(client: DriverClient): void
}

/** A command that waits for a connection. */
interface Waiting {
  /** Connects that failed since it waits, its own losses included. */
  failures: number
  readonly abort: AbortController
}

/**
 * Connections that everybody uses at once: commands go out one behind the other and are answered in that order. They
 * are the engine's to open, check and replace, and idle to it; what is counted in its waiting room are the commands
 * that no connection can take yet. That room is the offline queue: bounded, with a deadline.
 */
export class SharedLane {
  readonly pool: Pool<DriverClient>
  readonly times: CommandTimes
  readonly #dialect: Dialect
  readonly #offlineQueue: boolean
  /** Connections that take commands now. */
  readonly #live: DriverClient[] = []
  #next = 0
  #waits = false
  /** On request: no command goes out. */
  #suspended = false
  /** Commands on their way through the waiting room: nobody overtakes them. */
  #queued = 0
  readonly #waiting = new Set<Waiting>()

  constructor(dialect: Dialect, { name, target, shared, offlineQueue }: ResolvedRedisOptions, host: SharedLaneHost) {
    this.#dialect = dialect
    this.#offlineQueue = offlineQueue
    const lane: RedisFactoryHost = {
      opened: (client) => {
        this.#live.push(client)
        this.#setWaits(false)
        host.opened(client)
      },
      gone: (client) => {
        const index = this.#live.indexOf(client)
        if (index >= 0) this.#live.splice(index, 1)
        this.#setWaits(false)
        host.gone(client)
      },
      waits: (client) => {
        const index = this.#live.indexOf(client)
        if (index >= 0) this.#live.splice(index, 1)
        this.#setWaits(this.#live.length === 0)
        host.gone(client)
      },
      unanswered: (commands) => this.#resend(commands),
      readOnly: (client) => host.readOnly(client),
      failed: (error) => {
        host.failed(error)
        this.#countFailure()
      },
    }
    this.pool = new Pool(new RedisFactory(dialect, 'shared', lane, { target, name }), shared)
    this.times = new CommandTimes(this.pool)
  }

  #setWaits(waits: boolean): void {
    if (waits === this.#waits) return
    this.#waits = waits
    this.#hold()
  }

  #hold(): void {
    if (this.#waits || this.#suspended) this.pool.suspend()
    else this.pool.resume()
  }

  /** Commands wait until {@link resume}; those that were sent are answered. */
  suspend(): void {
    this.#suspended = true
    this.#hold()
  }

  resume(): void {
    this.#suspended = false
    this.#hold()
  }

  /** Whether the driver is connecting again by itself, and commands wait until it has. */
  get waits(): boolean {
    return this.#waits
  }

  get state(): PoolState {
    return this.#waits && !this.#suspended ? 'paused' : this.pool.state
  }

  /** Connections that take commands now. */
  get live(): readonly DriverClient[] {
    return this.#live
  }

  /** Commands without an answer, as far as the driver tells. */
  get inFlight(): number {
    return this.#live.reduce((sum, client) => sum + (this.#dialect.inFlight(client) ?? 0), 0)
  }

  /** A connection that takes commands at this instant; nothing while some wait for one. */
  pick(): DriverClient | undefined {
    if (this.#queued > 0 || this.#suspended) return undefined
    const live = this.#live
    if (live.length <= 1) return live[0]
    this.#next = (this.#next + 1) % live.length
    return live[this.#next]
  }

  /** Runs a command once a connection takes it: at once, or after those that wait. */
  async queued<R>(run: (client: DriverClient) => R | PromiseLike<R>, options: AcquireOptions = {}): Promise<R> {
    if (!this.#offlineQueue && this.#live.length === 0 && this.pool.state !== 'closed') {
      this.#refuseOffline()
    }
    const waiting: Waiting = { failures: 0, abort: new AbortController() }
    const client = await this.#client(waiting, options)
    return await run(client)
  }

  /** Without an offline queue, only the first connection is waited for. */
  #refuseOffline(): void {
    const { created, state } = this.pool.stats()
    if (created === 0 && state === 'open') return
    throw new Error("Stream isn't writeable and enableOfflineQueue options is false")
  }

  /** Resolves once everything that was sent is answered, or the time is over. */
  async answered(timeoutMillis: number): Promise<void> {
    if (this.#live.length === 0) return
    let timer: NodeJS.Timeout | undefined
    await Promise.race([
      Promise.allSettled(this.#live.map((client) => this.#dialect.answered(client))),
      new Promise((resolve) => {
        timer = setTimeout(resolve, timeoutMillis)
      }),
    ])
    clearTimeout(timer)
  }

  async #client(waiting: Waiting, options: AcquireOptions): Promise<DriverClient> {
    this.#queued++
    this.#waiting.add(waiting)
    try {
      const signals = options.signal === undefined ? [waiting.abort.signal] : [waiting.abort.signal, options.signal]
      const signal = signals.length === 1 ? signals[0] : AbortSignal.any(signals)
      const lease = await this.pool.acquire({ ...options, signal })
      const client = lease.resource
      // The command goes out in this very turn; the connection stays as it is.
      lease.release()
      return client
    } finally {
      this.#queued--
      this.#waiting.delete(waiting)
    }
  }

  /** Sends again what has lost its connection, before anything that is asked from now on. */
  #resend(commands: readonly Unanswered[]): void {
    // Commands of one pipeline have lost their connection equally often, and are written to one connection only.
    const byLosses = new Map<number, Unanswered[]>()
    for (const command of commands) {
      if (command.losses > this.#dialect.maxRetries) {
        command.reject(new MaxRetriesPerRequestError(this.#dialect.maxRetries))
        continue
      }
      const same = byLosses.get(command.losses)
      if (same === undefined) byLosses.set(command.losses, [command])
      else same.push(command)
    }
    for (const [failures, same] of byLosses) {
      const waiting: Waiting = { failures, abort: new AbortController() }
      this.#client(waiting, { priority: 1, label: 'resend' }).then(
        (client) => {
          for (const command of same) command.resend(client)
        },
        (error: unknown) => {
          const told = error instanceof PoolClosedError ? new Error(this.#dialect.closedPhrase) : error
          for (const command of same) command.reject(told)
        },
      )
    }
  }

  #countFailure(): void {
    const { maxRetries, driver } = this.#dialect
    if (driver !== 'ioredis' || maxRetries === Infinity) return
    for (const waiting of [...this.#waiting]) {
      if (++waiting.failures > maxRetries) waiting.abort.abort(new MaxRetriesPerRequestError(maxRetries))
    }
  }
}
