import { classifyRedis, isConnectionLoss, isReadOnly } from './classify.ts'
import type { CommandTap, ConnectionHost, LaneName, Dialect, DriverClient, Opening, Unanswered } from './driver.ts'
import { tidy } from './ioredis-errors.ts'
import { hold, writeTogether, type Corkable } from './ioredis-writes.ts'

/** A queue of ioredis (Denque). */
interface CommandQueue {
  readonly length: number
  shift(): QueuedCommand | undefined
}

interface QueuedCommand {
  readonly command: IoredisCommand
  /** What a pipeline writes to: it names the connection that it goes out on. */
  readonly stream?: { readonly isPipeline?: boolean; readonly destination?: { redis?: unknown } }
}

export interface IoredisCommand {
  readonly name: string
  readonly args: readonly unknown[]
  readonly promise: Promise<unknown>
  readonly inTransaction?: boolean
  reject(error: unknown): void
}

/** What the adapter touches of `Redis`. Members that ioredis does not document are optional, and survived. */
export interface IoredisClient extends DriverClient {
  readonly status: string
  readonly options: Record<string, unknown>
  readonly stream?: Corkable | null
  readonly commandQueue?: CommandQueue
  readonly offlineQueue?: CommandQueue
  connect(): Promise<void>
  disconnect(reconnect?: boolean): void
  quit(): Promise<unknown>
  call(command: string, ...args: string[]): Promise<unknown>
  unsubscribe(): Promise<unknown>
  punsubscribe(): Promise<unknown>
  sunsubscribe?(): Promise<unknown>
  sendCommand(command: IoredisCommand, stream?: unknown, node?: unknown): unknown
  defineCommand(name: string, definition: object): void
  duplicate(overrides: object): IoredisClient
}

export type IoredisClass = new (...args: unknown[]) => IoredisClient

/** Makes a client that differs in these options from what the user asked for. */
export type MakeIoredis = (overrides: Record<string, unknown>) => IoredisClient

/** How the class makes clients with the user's options, a URL among them. */
export function ioredisMaker(Redis: IoredisClass, { url, ...options }: Readonly<Record<string, unknown>>): MakeIoredis {
  if (typeof url !== 'string') return (overrides) => new Redis({ ...options, ...overrides })
  return (overrides) => new Redis(url, { ...options, ...overrides })
}

type RetryStrategy = (times: number) => number | null | undefined
type ReconnectOnError = (error: Error) => boolean | 1 | 2

export class IoredisDialect implements Dialect {
  readonly driver = 'ioredis'
  readonly closedPhrase = 'Connection is closed.'
  readonly template: IoredisClient
  readonly homeDb: number
  readonly maxRetries: number
  readonly resends: boolean
  readonly #make: MakeIoredis
  /** Commands of one's own, for every connection to come. */
  readonly #scripts = new Map<string, object>()
  readonly #losses = new WeakMap<IoredisCommand, number>()

  constructor(make: MakeIoredis) {
    this.#make = make
    this.template = this.#make({ lazyConnect: true })
    // Filled in by ioredis: its own defaults, and what a URL says.
    const { db, maxRetriesPerRequest, autoResendUnfulfilledCommands } = this.template.options
    this.homeDb = typeof db === 'number' ? db : 0
    this.maxRetries = typeof maxRetriesPerRequest === 'number' ? maxRetriesPerRequest : Infinity
    this.resends = autoResendUnfulfilledCommands !== false
  }

  /** Defines a command on every connection that is opened from now on. */
  defineCommand(name: string, definition: object): void {
    this.#scripts.set(name, definition)
    this.template.defineCommand(name, definition)
  }

  open(lane: LaneName, host: ConnectionHost): Opening {
    let isReady = false
    let firstError: unknown
    const client = this.#make({
      lazyConnect: true,
      enableOfflineQueue: true,
      // The pool sends again what lost its connection, and bounds how often.
      maxRetriesPerRequest: lane === 'subscriber' ? this.template.options['maxRetriesPerRequest'] : null,
      retryStrategy: (times: number): number | null => {
        if (lane === 'subscriber' && isReady) return this.#retryMillis(times)
        host.closed(client, firstError, isReady && lane === 'shared' ? this.takeUnanswered(client) : [])
        return null
      },
      // Where no sentinel answers, the pool is told why, and tries again in its own time.
      ...(lane === 'subscriber' ? {} : { sentinelRetryStrategy: () => null }),
      reconnectOnError: (error: Error) => this.#onErrorReply(error, client, host),
    })
    for (const [name, definition] of this.#scripts) client.defineCommand(name, definition)
    // ioredis tells the reason in events, and rejects with a word that says nothing. It prints what nobody listens to.
    client.on('error', (error: unknown) => {
      firstError ??= tidy(error)
    })
    client.once('end', () => host.closed(client, firstError, []))
    const refused = this.#hearHandshake(client)
    const ready = client.connect().then(
      () => {
        const word = refused()
        // Where one may do something without a login, ioredis 5 calls a connection ready whose login was refused, and ends it.
        if (classifyRedis(word) === 'auth') throw word
        isReady = true
        firstError = undefined
        if (lane === 'shared') writeTogether(client)
      },
      (error: unknown) => {
        throw refused() ?? firstError ?? tidy(error)
      },
    )
    return { client, ready }
  }

  /**
   * Hears what the server answers to the commands of the handshake: ioredis 6 tells nobody when the server ends the
   * connection after its word (that it takes no more clients). Returns a function that ends it and gives that word.
   */
  #hearHandshake(client: IoredisClient): () => unknown {
    let refused: unknown
    this.tap(client, (_name, _args, answer) => {
      // In one packet: a second one, to a server that has hung up, would lose its word with an error of the socket.
      hold(client.stream)
      answer?.catch((error: unknown) => {
        tidy(error)
        if (refused === undefined && classifyRedis(error) !== 'query' && !isConnectionLoss(error)) refused = error
      })
      return undefined
    })
    return () => {
      Reflect.deleteProperty(client, 'sendCommand')
      return refused
    }
  }

  #retryMillis(times: number): number | null {
    const strategy = this.template.options['retryStrategy']
    if (typeof strategy !== 'function') return null
    return (strategy as RetryStrategy)(times) ?? null
  }

  #onErrorReply(error: Error, client: IoredisClient, host: ConnectionHost): boolean | 1 | 2 {
    if (isReadOnly(error)) host.readOnly(client)
    const decide = this.template.options['reconnectOnError']
    return typeof decide === 'function' ? (decide as ReconnectOnError)(error) : false
  }

  /**
   * Takes what has no answer off a connection that is over, just before ioredis would reject it. What was queued was
   * never sent; what was sent goes out again where ioredis would have done so by itself, except in a transaction.
   */
  takeUnanswered(client: DriverClient): Unanswered[] {
    const { commandQueue, offlineQueue } = client as IoredisClient
    const taken: Unanswered[] = []
    const take = (queue: CommandQueue | undefined): void => {
      for (let item = queue?.shift(); item !== undefined; item = queue?.shift()) taken.push(this.#unanswered(item))
    }
    if (this.resends) take(commandQueue)
    take(offlineQueue)
    return taken
  }

  #unanswered({ command, stream }: QueuedCommand): Unanswered {
    const losses = (this.#losses.get(command) ?? 0) + 1
    this.#losses.set(command, losses)
    return {
      losses,
      reject: (error) => {
        command.reject(error)
      },
      resend: (other) => {
        if (stream?.destination !== undefined) stream.destination.redis = other
        ;(other as IoredisClient).sendCommand(command, stream)
      },
    }
  }

  isReady(client: DriverClient): boolean {
    return (client as IoredisClient).status === 'ready'
  }

  inFlight(client: DriverClient): number | undefined {
    return (client as IoredisClient).commandQueue?.length
  }

  async ask(client: DriverClient, command: string, ...args: string[]): Promise<unknown> {
    return await (client as IoredisClient).call(command, ...args)
  }

  async prove(client: DriverClient): Promise<void> {
    await this.ask(client, 'PING')
  }

  /** Answers come in the order of the commands: behind a command of our own nothing is outstanding. */
  async answered(client: DriverClient): Promise<void> {
    await this.ask(client, 'PING')
  }

  async quit(client: DriverClient): Promise<void> {
    const { status } = client as IoredisClient
    if (status === 'end') return
    const ended = new Promise<void>((resolve) => {
      client.once('end', resolve)
    })
    if (status === 'ready') (client as IoredisClient).quit().catch(() => this.cut(client))
    else this.cut(client)
    await ended
  }

  cut(client: DriverClient): void {
    ;(client as IoredisClient).disconnect()
  }

  hasSubscriptions(): boolean {
    return false
  }

  async unsubscribeAll(client: DriverClient): Promise<void> {
    const ioredis = client as IoredisClient
    await Promise.all([ioredis.unsubscribe(), ioredis.punsubscribe(), ioredis.sunsubscribe?.().catch(() => undefined)])
  }

  tap(client: DriverClient, note: CommandTap): void {
    const ioredis = client as IoredisClient
    // The prototype's method as it is at the time of the call: instrumentation may have wrapped it.
    const prototype = Object.getPrototypeOf(ioredis) as IoredisClient
    ioredis.sendCommand = function (this: IoredisClient, command, stream, node) {
      const answered = note(command.name, command.args, command.promise)
      if (answered !== undefined) void command.promise.then(answered, answered)
      return prototype.sendCommand.call(this, command, stream, node)
    }
  }
}
