import type {
  CommandTap,
  ConnectionHost,
  LaneName,
  Dialect,
  DriverClient,
  Opening,
  Place,
  Unanswered,
} from './driver.ts'
import { Sentinels } from './node-redis-sentinel.ts'

/** A command in a MULTI of node-redis. */
export interface NodeRedisCommand {
  readonly args: readonly unknown[]
}

type Batch = (this: NodeRedisClient, commands: readonly NodeRedisCommand[], ...rest: unknown[]) => Promise<unknown>

/** What the adapter touches of a client of node-redis. Members with an underscore are not public; `MULTI` needs them. */
export interface NodeRedisClient extends DriverClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  readonly isPubSubActive?: boolean
  /** The client behind what `createClient` returns, and behind every view with options of its own. */
  readonly _self?: NodeRedisClient
  connect(): Promise<unknown>
  close(): Promise<unknown>
  destroy(): void
  sendCommand(args: readonly unknown[], options?: unknown): Promise<unknown>
  unsubscribe(): Promise<unknown>
  pUnsubscribe(): Promise<unknown>
  sUnsubscribe?(): Promise<unknown>
  MULTI(): object
  monitor?: (listener: unknown) => unknown
  MONITOR?: (listener: unknown) => unknown
  _executeMulti: Batch
  _executePipeline: Batch
}

export type CreateClient = (options?: never) => NodeRedisClient

/** Or an error, to give up with it; or false. */
type ReconnectStrategy = (retries: number, cause: Error) => number | false | Error

export class NodeRedisDialect implements Dialect {
  readonly driver = 'node-redis'
  readonly closedPhrase = 'The client is closed'
  readonly template: NodeRedisClient
  readonly homeDb: number
  // node-redis never sends a command again of which it does not know whether it was carried out.
  readonly maxRetries = 0
  readonly resends = false
  readonly #createClient: CreateClient
  readonly #options: Readonly<Record<string, unknown>>

  readonly #sentinels: Sentinels | undefined

  constructor(createClient: CreateClient, options: Readonly<Record<string, unknown>>) {
    const { sentinelRootNodes, sentinelClientOptions, name, ...rest } = options
    this.#createClient = createClient
    // Behind sentinels `name` is that of the master; elsewhere the driver gives it to the connection.
    this.#options = sentinelRootNodes === undefined ? options : rest
    if (sentinelRootNodes !== undefined) {
      const nodes = sentinelRootNodes as readonly Place[]
      this.#sentinels = new Sentinels(createClient, String(name), nodes, sentinelClientOptions as object | undefined)
    }
    this.template = this.#make({ reconnectStrategy: false })
    this.template.on('error', () => undefined)
    try {
      // It counts every client in its metrics until it is destroyed; this one is none.
      this.template.destroy()
    } catch {
      // Before 5.9 a client that was never open cannot be.
    }
    const { database } = { ...(this.template.options as { readonly database?: unknown } | undefined) }
    this.homeDb = typeof database === 'number' ? database : 0
  }

  /** node-redis writes into the options that it gets, so each client has its own. */
  #make(socket: Record<string, unknown>): NodeRedisClient {
    const { socket: given, ...rest } = this.#options
    return this.#createClient({ ...rest, socket: { ...(given as object | undefined), ...socket } } as never)
  }

  async locate(signal: AbortSignal): Promise<Place | undefined> {
    return await this.#sentinels?.master(signal)
  }

  open(lane: LaneName, host: ConnectionHost, place?: Place): Opening {
    let isReady = false
    let isOver = false
    const client = this.#make({
      ...place,
      reconnectStrategy: (retries: number, cause: Error) =>
        lane === 'subscriber' && isReady ? this.#retryMillis(retries, cause) : false,
    })
    const over = (error?: unknown): void => {
      if (isOver || (lane === 'subscriber' && error !== undefined && client.isOpen)) return
      isOver = isReady
      if (isReady) host.closed(client, error, [])
    }
    client.on('error', over)
    client.on('end', () => over())
    const ready = this.#connect(client, place).then(() => {
      isReady = true
    })
    return { client, ready }
  }

  /** With RESP2 it sends nothing whose failure it heeds: a server that ends the connection at once goes unnoticed. */
  async #connect(client: NodeRedisClient, place: Place | undefined): Promise<void> {
    await client.connect()
    if (place === undefined) {
      await client.sendCommand(['PING'])
      return
    }
    // In the midst of a failover sentinels still name the old master, or a replica that is not yet promoted.
    const role = await client.sendCommand(['ROLE'])
    if (!Array.isArray(role) || String(role[0]) !== 'master')
      throw new Error(`the sentinels name ${place.host}:${place.port} as master, which is a replica`)
  }

  #retryMillis(retries: number, cause: Error): number | false | Error {
    const { reconnectStrategy } = { ...(this.#options['socket'] as { reconnectStrategy?: unknown } | undefined) }
    if (typeof reconnectStrategy === 'function') return (reconnectStrategy as ReconnectStrategy)(retries, cause)
    if (reconnectStrategy === false || typeof reconnectStrategy === 'number') return reconnectStrategy
    return Math.min(2 ** retries * 50, 2_000) + Math.floor(Math.random() * 200)
  }

  isReady(client: DriverClient): boolean {
    return (client as NodeRedisClient).isReady
  }

  inFlight(): undefined {
    return undefined
  }

  async ask(client: DriverClient, ...command: string[]): Promise<unknown> {
    return await (client as NodeRedisClient).sendCommand(command)
  }

  takeUnanswered(): readonly Unanswered[] {
    return []
  }

  async prove(client: DriverClient): Promise<void> {
    await this.ask(client, 'PING')
  }

  /** Answers come in the order of the commands: behind a command of our own nothing is outstanding. */
  async answered(client: DriverClient): Promise<void> {
    await this.ask(client, 'PING')
  }

  async quit(client: DriverClient): Promise<void> {
    if ((client as NodeRedisClient).isOpen) await (client as NodeRedisClient).close()
  }

  cut(client: DriverClient): void {
    try {
      // Also one whose close() still waits for answers, which is not open any more.
      ;(client as NodeRedisClient).destroy()
    } catch {
      // Before 5.9 a client that is closed already throws.
    }
  }

  hasSubscriptions(client: DriverClient): boolean {
    return (client as NodeRedisClient).isPubSubActive === true
  }

  async unsubscribeAll(client: DriverClient): Promise<void> {
    const redis = client as NodeRedisClient
    await Promise.all([redis.unsubscribe(), redis.pUnsubscribe(), redis.sUnsubscribe?.()])
  }

  tap(client: DriverClient, note: CommandTap): void {
    const self = (client as NodeRedisClient)._self ?? (client as NodeRedisClient)
    const prototype = Object.getPrototypeOf(self) as NodeRedisClient
    self.sendCommand = function (this: NodeRedisClient, args, options) {
      const answered = note(String(args[0]), args.slice(1))
      const answer = prototype.sendCommand.call(this, args, options)
      if (answered !== undefined) void answer.then(answered, answered)
      return answer
    }
    for (const name of ['monitor', 'MONITOR'] as const) {
      self[name] = function (this: NodeRedisClient, listener: unknown) {
        note('MONITOR', [])
        return prototype.MONITOR?.call(this, listener)
      }
    }
    for (const method of ['_executeMulti', '_executePipeline'] as const) {
      self[method] = function (this: NodeRedisClient, commands, ...rest) {
        const isMulti = method === '_executeMulti'
        if (isMulti) note('MULTI', [])
        const answered = commands.map(({ args }) => note(String(args[0]), args.slice(1)))
        if (isMulti) note('EXEC', [])
        const answer = prototype[method].call(this, commands, ...rest)
        const done = (): void => {
          for (const each of answered) each?.()
        }
        void answer.then(done, done)
        return answer
      }
    }
  }

  /** A MULTI whose commands go where `run` sends them. */
  multi(
    view: NodeRedisClient,
    run: (how: '_executeMulti' | '_executePipeline', args: Parameters<Batch>) => unknown,
  ): object {
    const carrier = Object.create(view) as NodeRedisClient
    carrier._executeMulti = (...args) => run('_executeMulti', args) as Promise<unknown>
    carrier._executePipeline = (...args) => run('_executePipeline', args) as Promise<unknown>
    return carrier.MULTI()
  }
}
