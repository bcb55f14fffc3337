import type { EventSource } from './wrapping.ts'

/**
 * What is used of undici's dispatchers, by the descriptions of its symbols: they are the same in undici 6, 7 and 8 and
 * in the copy that Node's own fetch brings, while the symbols themselves differ from copy to copy. An agent holds pools
 * and clients, a pool holds clients, a client has one connection.
 */
export interface DispatcherLike extends EventSource {
  readonly closed?: boolean
  readonly destroyed?: boolean
  dispatch(options: object, handler: object): boolean
  close(): Promise<void>
  destroy(error: Error): Promise<void>
}

/** What a client is asked to connect to. */
export interface ConnectWish {
  readonly hostname: string
  readonly host?: string
  readonly protocol: string
  readonly port: string
  readonly servername?: string | null
}

export type Connected = (error: Error | null, socket?: { destroy(): unknown }) => void
export type Connector = (wish: ConnectWish, connected: Connected) => unknown

/** The symbol of that description, on the object or on one of its classes. */
export function symbolOf(target: object, description: string): symbol | undefined {
  for (let owner: object | null = target; owner !== null; owner = Object.getPrototypeOf(owner) as object | null) {
    const found = Object.getOwnPropertySymbols(owner).find((symbol) => symbol.description === description)
    if (found !== undefined) return found
  }
  return undefined
}

export function partOf(target: object, description: string): unknown {
  const symbol = symbolOf(target, description)
  return symbol === undefined ? undefined : (target as Record<symbol, unknown>)[symbol]
}

/** A client: what has a connection, and opens it. */
export const isClient = (dispatcher: object): boolean => typeof partOf(dispatcher, 'connector') === 'function'

/** An agent or a pool: what has others inside, and makes them. */
const isParent = (dispatcher: object): boolean =>
  typeof partOf(dispatcher, 'factory') === 'function' && childrenOf(dispatcher) !== undefined

export function isUndici(source: object): source is DispatcherLike {
  return (
    'dispatch' in source && typeof partOf(source, 'dispatch') === 'function' && (isClient(source) || isParent(source))
  )
}

/** What an agent or a pool has inside; undici has changed in what it keeps them. */
export function childrenOf(dispatcher: object): DispatcherLike[] | undefined {
  const clients = partOf(dispatcher, 'clients')
  if (clients instanceof Map)
    return Array.from(clients.values(), (kept: DispatcherLike | { readonly dispatcher: DispatcherLike }) =>
      'dispatcher' in kept ? kept.dispatcher : kept,
    )
  return Array.isArray(clients) ? (clients as DispatcherLike[]) : undefined
}

/** A dispatcher, and every one inside of it, however deep. */
export function treeOf(dispatcher: DispatcherLike): DispatcherLike[] {
  return [dispatcher, ...(childrenOf(dispatcher) ?? []).flatMap((child) => treeOf(child))]
}

/** Where a client or a pool connects to; an agent and a balanced pool have no address of their own. */
export function urlOf(dispatcher: object): URL | undefined {
  const url = partOf(dispatcher, 'url')
  return url instanceof URL ? url : undefined
}

/** How a client connects, or the clients that a pool will make. */
export function connectorOf(dispatcher: object): Connector | undefined {
  const { connect } = (partOf(dispatcher, 'options') ?? {}) as { readonly connect?: unknown }
  const connector = partOf(dispatcher, 'connector') ?? connect
  return typeof connector === 'function' ? (connector as Connector) : undefined
}

/** How many connections to one origin a dispatcher may open: one, as many as it was told, or as many as it likes. */
export function connectionsOf(dispatcher: object): number {
  if (isClient(dispatcher)) return 1
  const { connections } = (partOf(dispatcher, 'options') ?? {}) as { readonly connections?: number | null }
  const own = partOf(dispatcher, 'connections')
  const most = typeof own === 'number' ? own : connections
  return most === undefined || most === null || most === 0 ? Infinity : most
}

/** The dispatcher that the global `fetch` uses at present, which may be a copy of undici's that Node brings. */
export function dispatcherOfFetch(): object | undefined {
  // Node loads its copy when it is first used.
  Reflect.get(globalThis, 'Headers')
  const global = globalThis as unknown as Record<symbol, object | undefined>
  return global[Symbol.for('undici.globalDispatcher.2')] ?? global[Symbol.for('undici.globalDispatcher.1')]
}
