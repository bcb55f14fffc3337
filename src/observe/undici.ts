import { PoolClosedError, PoolError } from '../core/errors.ts'
import type { DestroyReason } from '../core/factory.ts'
import type { Ask, Refusal } from '../core/ledger.ts'
import type { Books, Lease, Opening } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { Request, requestOf, watchedHandler } from './undici-request.ts'
import {
  childrenOf,
  connectionsOf,
  connectorOf,
  isClient,
  partOf,
  symbolOf,
  treeOf,
  urlOf,
  type Connector,
  type ConnectWish,
  type DispatcherLike,
} from './undici-tree.ts'
import { WatchedOrigins } from './watched-origins.ts'
import { Wrappings } from './wrapping.ts'

type Dispatch = (options: object, handler: object) => boolean
type MakeDispatcher = (...args: unknown[]) => unknown

/** Requests for which a balanced pool has found no upstream yet. */
const NO_UPSTREAM_YET = 'any upstream'
/** So many ways to write an origin are remembered. */
const MOST_SPELLINGS = 1_000

/** What was there before anybody watched, of one origin. */
interface Strangers {
  /** Those who wait now, known or not. */
  readonly pending: () => number
  readonly clients: () => DispatcherLike[]
  readonly asks: Ask[]
  /** By client. */
  readonly leases: Map<object, Lease[]>
}

/** A view on an `Agent`, a `Pool`, a `BalancedPool`, a `RoundRobinPool` or a `Client` of undici's. */
export class UndiciView extends WatchedOrigins {
  readonly #root: DispatcherLike
  /** Of what comes and goes inside the agent, so that nothing here keeps it alive. */
  readonly #wrappings = new WeakMap<object, Wrappings>()
  /** Clients that have a connection. That it is being closed is seen before it is told. */
  readonly #open = new Map<DispatcherLike, { readonly books: Books; readonly isConnected: () => boolean }>()
  /** How a client connects when nobody counts. */
  readonly #connectors = new WeakMap<object, Connector>()
  readonly #spellings = new Map<string, string>()
  readonly #strangers = new Map<Books, Strangers>()
  #isStopped = false

  constructor(root: DispatcherLike, options: ObserveOptions, forget: () => void) {
    super(options, forget)
    this.#root = root
    this.#adopt(root, undefined)
    if (isBalanced(root)) {
      this.#wrapQueue(root)
      this.#meet(root, NO_UPSTREAM_YET)
    }
    if (!isBalanced(root)) this.#wrapAsks(this.wrappings, root, urlOf(root)?.origin)
    this.wrappings.wrap(root, 'destroy', (original: (...args: unknown[]) => unknown) => (...args: unknown[]) => {
      const destroyed = original(...args)
      // By its owner, or at the end of their `close`.
      if (this.state !== 'closing' && this.state !== 'closed') {
        this.stop()
        this.ownerClosed(this.stats().destroyed.close)
      }
      return destroyed
    })
  }

  // ── what is asked for ──

  /** @param origin - of whatever has only one; an agent's requests say theirs */
  #wrapAsks(wrappings: Wrappings, dispatcher: DispatcherLike, origin: string | undefined): void {
    wrapDispatch(wrappings, dispatcher, (original) => (options, handler) => {
      const known = requestOf(handler)
      if (known?.isAsked === true) return original(options, handler)
      const books = this.origin(origin ?? this.#originIn(options))
      const request = known ?? new Request()
      request.askedIn(books, books.asks())
      return dispatchWatched(original, options, handler, request)
    })
  }

  /** A balanced pool chooses among its pools, which count; what must wait until there is a choice is counted here. */
  #wrapQueue(root: DispatcherLike): void {
    wrapDispatch(this.wrappings, root, (original) => (options, handler) => {
      if (this.state === 'closing') this.origin(NO_UPSTREAM_YET).asks()
      const request = new Request()
      const goesOn = dispatchWatched(original, options, handler, request)
      if (!request.isAsked && !request.isOver) {
        const books = this.origin(NO_UPSTREAM_YET)
        request.askedIn(books, books.asks())
      }
      return goesOn
    })
  }

  /** As `URL` writes it, however the request does. */
  #originIn(options: { readonly origin?: unknown }): string {
    const { origin } = options
    if (origin instanceof URL) return origin.origin
    const spelling = String(origin)
    let found = this.#spellings.get(spelling)
    if (found === undefined) {
      found = URL.canParse(spelling) ? new URL(spelling).origin : 'no origin'
      if (this.#spellings.size >= MOST_SPELLINGS) this.#spellings.clear()
      this.#spellings.set(spelling, found)
    }
    return found
  }

  // ── what is inside ──

  #adopt(dispatcher: DispatcherLike, parent: DispatcherLike | undefined): void {
    if (this.#isStopped || this.#wrappings.has(dispatcher)) return
    const wrappings = new Wrappings()
    this.#wrappings.set(dispatcher, wrappings)
    const origin = urlOf(dispatcher)?.origin
    if (isClient(dispatcher)) this.#adoptClient(wrappings, dispatcher, origin ?? '')
    const factory = symbolOf(dispatcher, 'factory')
    if (factory !== undefined)
      wrappings.wrap(dispatcher, factory, (original: MakeDispatcher) => (...args) => {
        const made = original(...args)
        if (typeof made === 'object' && made !== null) this.#adopt(made as DispatcherLike, dispatcher)
        return made
      })
    for (const child of childrenOf(dispatcher) ?? []) this.#adopt(child, dispatcher)
    if (origin === undefined) return
    if (parent !== undefined && isBalanced(parent)) this.#wrapAsks(wrappings, dispatcher, origin)
    // The pool of an origin knows of all its clients.
    if (parent === undefined || urlOf(parent) === undefined) this.#meet(dispatcher, origin)
  }

  #adoptClient(wrappings: Wrappings, client: DispatcherLike, origin: string): void {
    // Asked for anew: of an origin that is not in use, the books may have been closed.
    const books = (): Books => this.origin(origin)
    let opening: Opening | undefined
    const connected = symbolOf(client, 'connected') as symbol
    const isConnected = (): boolean => (client as unknown as Record<symbol, unknown>)[connected] === true
    const isOpen = (): void => void this.#open.set(client, { books: books(), isConnected })
    if (isConnected()) {
      books().found(client)
      isOpen()
    } else if (partOf(client, 'connecting') === true) opening = books().opening()
    const failed = (error: unknown, mine = opening): void => {
      if (opening === undefined || opening !== mine) return
      opening = undefined
      books().openFailed(mine, error)
    }
    wrappings.wrap(client, symbolOf(client, 'connector') as symbol, (original: Connector) => {
      this.#connectors.set(client, original)
      return (wish, connected) => {
        if (this.#isStopped) return original(wish, connected)
        const mine = books().opening()
        opening = mine
        return original(wish, (error, socket) => {
          if (error) failed(error, mine)
          connected(error, socket)
          // Connected, but nobody wants it any more. undici 6, most of 7, and Node's own copies take note of a connection
          // a few promises later.
          if (client.destroyed === true) failed(undefined, mine)
          else if (opening === mine) setImmediate(() => failed(undefined, mine))
        })
      }
    })
    wrapDispatch(wrappings, client, (original) => (options, handler) => {
      const known = requestOf(handler)
      const request = known ?? new Request()
      request.givenTo(books(), client)
      return known === undefined ? dispatchWatched(original, options, handler, request) : original(options, handler)
    })
    wrappings.listen(client, 'connect', () => {
      if (this.#isStopped) return
      books().opened(client, opening)
      opening = undefined
      isOpen()
    })
    wrappings.listen(client, 'disconnect', (_origin: unknown, _targets: unknown, error: unknown) => {
      this.#disconnected(client, reasonOf(client, error))
    })
    // Of a connect that had begun before anybody watched, or that the client gave up.
    wrappings.listen(client, 'connectionError', (_origin: unknown, _targets: unknown, error: unknown) => failed(error))
  }

  #disconnected(client: DispatcherLike, reason: DestroyReason): void {
    this.#open.get(client)?.books.gone(client, reason)
    this.#open.delete(client)
  }

  // ── what was there before ──

  /** Requests that wait or run already: nobody tells of their end, but undici knows how many there are. */
  #meet(dispatcher: DispatcherLike, origin: string): void {
    // What a balanced pool has given to its pools, waits there.
    const waiting = isBalanced(dispatcher) ? 'queued' : 'pending'
    const pending = (): number => Number(partOf(dispatcher, waiting))
    if (pending() + Number(partOf(dispatcher, 'running')) === 0) return
    const clients = (): DispatcherLike[] => (isBalanced(dispatcher) ? [] : treeOf(dispatcher).filter(isClient))
    const books = this.origin(origin)
    const asks = Array.from({ length: pending() }, () => books.ledger.ask())
    this.#strangers.set(books, { pending, clients, asks, leases: new Map() })
    this.settle()
  }

  protected override settle(): void {
    for (const [client, { books, isConnected }] of this.#open)
      if (!isConnected() && !books.isUsed(client)) this.#disconnected(client, 'released')
    if (this.#strangers.size === 0) return
    for (const [books, strangers] of this.#strangers) settleStrangers(books, strangers)
    const isOver = ({ asks, leases }: Strangers): boolean =>
      asks.length === 0 && Array.from(leases.values()).every(({ length }) => length === 0)
    if (Array.from(this.#strangers.values()).every(isOver)) this.#strangers.clear()
  }

  // ── what it says of itself ──

  protected override maxOf(origin: string): number {
    if (origin === NO_UPSTREAM_YET) return 0
    const [first] = isBalanced(this.#root) ? (childrenOf(this.#root) ?? []) : [this.#root]
    return first === undefined ? Infinity : connectionsOf(first)
  }

  protected override get maxTotal(): number {
    return Infinity
  }

  protected override refusalOf(error: unknown): Refusal {
    const { name, code } = (error ?? {}) as { readonly name?: string; readonly code?: string }
    if (name === 'AbortError') return 'aborted'
    return code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED' || PoolError.is(error, 'ERR_POOL_CLOSED')
      ? 'refused'
      : 'failed'
  }

  /** Connects to wherever it was made for; to an upstream that answers, where there are several. */
  protected override probe(): Promise<void> | undefined {
    const root = this.#root
    const sites = urlOf(root) !== undefined ? [root] : isBalanced(root) ? (childrenOf(root) ?? []) : []
    const tries = sites.flatMap((site) => {
      const url = urlOf(site)
      const connector = this.#connectors.get(site) ?? connectorOf(site)
      return url === undefined || connector === undefined ? [] : [connectOnce(url, connector)]
    })
    return tries.length === 0 ? undefined : Promise.any(tries)
  }

  protected override async shut(): Promise<void> {
    const isQuiet = this.books().every(({ ledger }) => ledger.used + ledger.waiting === 0)
    const { name } = this
    await (isQuiet
      ? this.#root.close()
      : this.#root.destroy(new PoolClosedError(name, `pool "${name}" is closed; its time to end was over`)))
  }

  /** The whole is destroyed, with all that is inside. */
  protected override cut(): void {}

  protected override stop(): void {
    this.#isStopped = true
    super.stop()
    for (const dispatcher of treeOf(this.#root)) this.#wrappings.get(dispatcher)?.restore()
    this.#strangers.clear()
    this.#open.clear()
  }
}

function settleStrangers(books: Books, { pending, clients, asks, leases }: Strangers): void {
  const others = books.ledger.waiting - asks.length
  for (const ask of asks.splice(Math.max(0, pending() - others))) books.ledger.serve(ask)
  for (const client of clients()) {
    const running = Number(partOf(client, 'running'))
    const held = leases.get(client) ?? []
    leases.set(client, held)
    for (let left = books.leaseCount(client) - running; left > 0 && held.length > 0; left--)
      books.giveBack(held.pop() as Lease)
    for (let more = running - books.leaseCount(client); more > 0; more--) {
      const lease = books.lend(client)
      if (lease !== undefined) held.push(lease)
    }
  }
}

/** A pool of pools, one for each upstream; an agent has its pools by name. */
const isBalanced = (dispatcher: DispatcherLike): boolean =>
  urlOf(dispatcher) === undefined && Array.isArray(partOf(dispatcher, 'clients'))

/** Where undici 6 keeps its way to dispatch, once it has dispatched. */
const CACHE = 'Intercepted Dispatch'

function wrapDispatch(wrappings: Wrappings, dispatcher: DispatcherLike, make: (original: Dispatch) => Dispatch): void {
  const forgetWay = (): void => {
    const cache = symbolOf(dispatcher, CACHE)
    if (cache !== undefined) Reflect.deleteProperty(dispatcher, cache)
  }
  forgetWay()
  wrappings.onRestore(forgetWay)
  wrappings.wrap(dispatcher, symbolOf(dispatcher, 'dispatch') as symbol, make)
}

function dispatchWatched(original: Dispatch, options: object, handler: object, request: Request): boolean {
  try {
    return original(options, requestOf(handler) === request ? handler : watchedHandler(handler, request))
  } catch (error) {
    request.ended(error)
    throw error
  }
}

function reasonOf(client: DispatcherLike, error: unknown): DestroyReason {
  const { code, message = '' } = (error ?? {}) as { readonly code?: string; readonly message?: string }
  if (client.closed === true || client.destroyed === true) return 'close'
  if (code !== 'UND_ERR_INFO') return 'lost'
  // By its keep-alive time, or as the response asked for, or as it was used up, or upgraded.
  return message.includes('timeout') ? 'idle' : 'released'
}

async function connectOnce(url: URL, connector: Connector): Promise<void> {
  const { host, protocol, port } = url
  const wish: ConnectWish = { host, hostname: url.hostname.replace(/^\[|\]$/g, ''), protocol, port, servername: null }
  await new Promise<void>((resolve, reject) => {
    connector(wish, (error, socket) => {
      socket?.destroy()
      if (error) reject(error)
      else resolve()
    })
  })
}
