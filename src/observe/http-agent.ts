import { errorMonitor } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { PoolClosedError, PoolError } from '../core/errors.ts'
import type { DestroyReason } from '../core/factory.ts'
import type { Refusal } from '../core/ledger.ts'
import type { Asking, Books, Lease, Opening } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { WatchedOrigins } from './watched-origins.ts'
import { Wrappings, type EventSource } from './wrapping.ts'

/** Where a request goes, as Node tells its agent. */
interface Target {
  readonly protocol?: string | null
  readonly host?: string | null
  readonly port?: number | string | null | undefined
  readonly socketPath?: string | null
}

type Lists<T> = Readonly<Record<string, T[] | undefined>>
/** Not public in Node, and what every agent calls: gives a request its socket, or an error in place of one. */
type OnSocket = (socket: Socket | null | undefined, error?: Error) => void
type Requesting = Omit<ClientRequest, 'onSocket'> & { onSocket: OnSocket; readonly res?: IncomingMessage | null }
type Created = (error?: Error | null, socket?: Socket) => void
type CreateConnection = (target: Target, created?: Created) => Socket | null | undefined

/** What is used of Node's agents, and of those that are made from them: agentkeepalive, those for proxies. */
export interface HttpAgentLike extends EventSource {
  readonly protocol?: string
  readonly maxSockets: number
  readonly maxTotalSockets?: number
  /** By a name that holds keys and certificates as well as the host: never shown. */
  readonly sockets: Lists<Socket>
  readonly freeSockets: Lists<Socket>
  readonly requests: Lists<Requesting>
  prependListener(event: string, listener: never): unknown
  destroy(): void
}

export function isHttpAgent(source: object): source is HttpAgentLike {
  return 'addRequest' in source && 'createConnection' in source && 'freeSockets' in source && 'sockets' in source
}

/** A socket of an agent's. */
interface Kept {
  readonly origin: string
  readonly wrappings: Wrappings
  /** Being opened still, since before anybody watched where there is no more to say. */
  opening: Opening | undefined
  /** Who gets it once it is open. */
  promised: (() => void) | undefined
  lease: Lease | undefined
  /** Who has it, or had it last. */
  request: Requesting | undefined
  /** Why it is gone, if it goes now. */
  reason: DestroyReason
}

const LOOK_MILLIS = 5

/** A view on an `http.Agent`, an `https.Agent`, or one that is made from them. */
export class HttpAgentView extends WatchedOrigins {
  readonly #agent: HttpAgentLike
  readonly #kept = new Map<Socket, Kept>()
  /** Requests that have no socket yet. */
  readonly #waiting = new Map<Requesting, { readonly own: OnSocket; readonly watched: OnSocket }>()

  constructor(agent: HttpAgentLike, options: ObserveOptions, forget: () => void) {
    super(options, forget)
    this.#agent = agent
    this.#meet()
    this.wrappings.wrap(
      agent,
      'addRequest',
      (original: (request: Requesting, target: Target | string, ...older: unknown[]) => void) =>
        (request, target, ...older) => {
          const to = typeof target === 'string' ? { host: target, port: older[0] as number } : target
          if (this.#asks(request, this.#originOf(to))) original(request, target, ...older)
        },
    )
    this.wrappings.wrap(
      agent,
      'createConnection',
      (original: CreateConnection) => (target, created) => this.#createConnection(original, target, created),
    )
    this.wrappings.wrap(agent, 'keepSocketAlive', (original: (socket: Socket) => boolean) => (socket) => {
      const isKept = original(socket)
      const kept = this.#kept.get(socket)
      if (kept !== undefined) kept.reason = isKept ? 'lost' : 'lifetime'
      return isKept
    })
    // Before Node's own listener, which hands the socket on to whoever waits.
    const freed = (socket: Socket): void => this.#freed(socket)
    agent.prependListener('free', freed as never)
    this.wrappings.onRestore(() => void agent.removeListener('free', freed as never))
  }

  /** What is there already. */
  #meet(): void {
    const { sockets, freeSockets, requests } = this.#agent
    for (const [name, list] of Object.entries(freeSockets)) {
      for (const socket of list ?? []) {
        this.#adopt(socket, this.#originNamed(name, undefined, socket.remotePort), undefined).reason = 'lost'
      }
    }
    for (const [name, list] of Object.entries(sockets)) {
      for (const socket of list ?? []) {
        const { host } = (socket as { readonly _httpMessage?: ClientRequest | null })._httpMessage ?? {}
        const kept = this.#adopt(socket, this.#originNamed(name, host, socket.remotePort), undefined)
        const books = this.origin(kept.origin)
        if (books.knows(socket)) kept.lease = books.lend(socket)
        else {
          const ask = books.ledger.ask()
          kept.promised = () => (kept.lease = books.served({ ask, stack: undefined }, () => books.lend(socket)))
        }
      }
    }
    for (const [name, list] of Object.entries(requests))
      for (const request of list ?? []) this.#asks(request, this.#originNamed(name, request.host, undefined))
  }

  // ── who asks ──

  /** Whether it may go on. */
  #asks(request: Requesting, origin: string): boolean {
    const books = this.origin(origin)
    let asking: Asking
    try {
      asking = books.asks()
    } catch (error) {
      // As of a connect that failed: the request tells of it, later.
      request.onSocket(null, error as Error)
      return false
    }
    const own = request.onSocket
    const watched: OnSocket = (socket, error) => {
      this.#leaveAlone(request)
      if (!socket || error) books.refused(asking, error)
      else if (request.destroyed) books.refused(asking, undefined, 'aborted')
      else this.#give(socket, request, origin, books, asking)
      own.call(request, socket, error)
    }
    this.#waiting.set(request, { own, watched })
    request.onSocket = watched
    return true
  }

  /** Put back, not deleted: an object that loses a property is slow from then on. */
  #leaveAlone(request: Requesting): void {
    const waiting = this.#waiting.get(request)
    this.#waiting.delete(request)
    // Somebody may have wrapped it after us.
    if (waiting !== undefined && request.onSocket === waiting.watched) request.onSocket = waiting.own
  }

  /** Node gives out sockets before they are connected. */
  #give(socket: Socket, request: Requesting, origin: string, books: Books, asking: Asking): void {
    const kept = this.#kept.get(socket) ?? this.#adopt(socket, origin, undefined)
    const own = this.origin(kept.origin)
    kept.request = request
    kept.reason = 'broken'
    const settle = (): void => {
      // An error that nobody has caused is none of the server's: the request was given up.
      if (own.knows(socket)) kept.lease = books.served(asking, () => own.lend(socket))
      else books.refused(asking, socket.errored, socket.errored ? undefined : 'aborted')
    }
    if (own.knows(socket) || socket.destroyed) settle()
    else kept.promised = settle
  }

  #freed(socket: Socket): void {
    const kept = this.#kept.get(socket)
    if (kept === undefined) return
    if (kept.lease !== undefined) this.origin(kept.origin).giveBack(kept.lease)
    kept.lease = undefined
    // Unless it is kept, or handed on.
    kept.reason = 'released'
  }

  // ── sockets ──

  #createConnection(
    original: CreateConnection,
    target: Target,
    created: Created | undefined,
  ): ReturnType<CreateConnection> {
    const origin = this.#originOf(target)
    const opening = this.origin(origin).opening()
    let isOver = false
    const over = (socket: Socket | null | undefined, error: unknown): void => {
      if (isOver) return
      isOver = true
      if (socket) this.#adopt(socket, origin, opening)
      else this.origin(origin).openFailed(opening, error)
    }
    const told: Created | undefined =
      created &&
      ((error, socket) => {
        // Node's own calls it with nothing at all, once the socket that it gave back is connected.
        if (error || socket) over(socket, error)
        created(error, socket)
      })
    try {
      const socket = original(target, told)
      if (socket) over(socket, undefined)
      return socket
    } catch (error) {
      over(undefined, error)
      throw error
    }
  }

  #adopt(socket: Socket, origin: string, opening: Opening | undefined): Kept {
    const wrappings = new Wrappings()
    const kept: Kept = {
      origin,
      wrappings,
      opening,
      promised: undefined,
      lease: undefined,
      request: undefined,
      reason: 'broken',
    }
    this.#kept.set(socket, kept)
    if (isConnecting(socket)) {
      kept.opening ??= this.origin(origin).opening()
      wrappings.listen(socket, 'encrypted' in socket ? 'secureConnect' : 'connect', () => this.#connected(socket, kept))
    } else if (opening === undefined) this.origin(origin).found(socket)
    else this.#connected(socket, kept)
    wrappings.listen(socket, 'timeout', () => {
      if (kept.lease === undefined) kept.reason = 'idle'
    })
    // Told before the socket is closed; heard without standing in for whoever must handle it.
    wrappings.listen(socket, errorMonitor, (error: unknown) => this.#failed(kept, error))
    wrappings.listen(socket, 'close', () => this.#left(socket, kept))
    wrappings.listen(socket, 'agentRemove', () => {
      kept.reason = 'released'
      this.#left(socket, kept)
    })
    return kept
  }

  #connected(socket: Socket, kept: Kept): void {
    this.origin(kept.origin).opened(socket, kept.opening)
    kept.opening = undefined
    kept.promised?.()
    kept.promised = undefined
  }

  #failed(kept: Kept, error: unknown): void {
    if (kept.opening === undefined) return
    this.origin(kept.origin).openFailed(kept.opening, error)
    kept.opening = undefined
    kept.promised?.()
    kept.promised = undefined
  }

  /** Closed, or the agent's no more. */
  #left(socket: Socket, kept: Kept): void {
    kept.wrappings.restore()
    this.#kept.delete(socket)
    const books = this.origin(kept.origin)
    this.#failed(kept, socket.errored ?? undefined)
    // After a response that asked for it, Node closes without having told that it is over.
    const { res } = kept.request ?? {}
    if (kept.lease !== undefined && res?.complete === true) kept.reason = 'released'
    if (kept.lease !== undefined) books.giveBack(kept.lease)
    books.gone(socket, this.state === 'closing' ? 'close' : kept.reason)
  }

  // ── origins ──

  #originOf({ protocol, host, port, socketPath }: Target): string {
    return `${protocol ?? this.#agent.protocol ?? 'http:'}//${socketPath ?? `${host ?? 'localhost'}:${port ?? ''}`}`
  }

  /** From the name that Node keeps lists by: `host:port:…`, where a host may have colons as well. */
  #originNamed(name: string, host: string | undefined, port: number | undefined): string {
    const end = port === undefined ? -1 : name.indexOf(`:${port}:`)
    const known = end > 0 ? name.slice(0, end) : host !== undefined && name.startsWith(`${host}:`) ? host : undefined
    const [first = '', second = ''] = name.split(':', 2)
    return this.#originOf(
      known === undefined
        ? { host: first, port: second }
        : { host: known, port: name.slice(known.length + 1).split(':', 1)[0] },
    )
  }

  // ── what it says of itself ──

  protected override maxOf(): number {
    return this.#agent.maxSockets
  }

  protected override get maxTotal(): number {
    return this.#agent.maxTotalSockets ?? Infinity
  }

  protected override refusalOf(error: unknown): Refusal {
    if ((error as Error | undefined)?.name === 'AbortError') return 'aborted'
    return PoolError.is(error, 'ERR_POOL_CLOSED') ? 'refused' : 'failed'
  }

  /** Node's own `destroy` would open new sockets for those who wait. */
  protected override async shut(): Promise<void> {
    for (const request of [...this.#waiting.keys()]) {
      forget(this.#agent.requests, request)
      request.onSocket(null, new PoolClosedError(this.name, `pool "${this.name}" is closed`))
    }
    this.#agent.destroy()
    while (this.#kept.size > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS).unref())
  }

  /** All are destroyed together. */
  protected override cut(): void {}

  protected override stop(): void {
    super.stop()
    for (const { wrappings } of this.#kept.values()) wrappings.restore()
    for (const request of [...this.#waiting.keys()]) this.#leaveAlone(request)
    this.#kept.clear()
  }
}

const isConnecting = (socket: Socket): boolean =>
  socket.connecting || (socket as { readonly secureConnecting?: boolean }).secureConnecting === true

/** Takes a request out of Node's queue, which must have no empty list in it. */
function forget(queues: Lists<Requesting>, request: Requesting): void {
  for (const [name, queue = []] of Object.entries(queues)) {
    const index = queue.indexOf(request)
    if (index < 0) continue
    queue.splice(index, 1)
    if (queue.length === 0) Reflect.deleteProperty(queues, name)
  }
}
