import { AsyncLocalStorage } from 'node:async_hooks'
import type { Agent as HttpAgent, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { AgentLedger, SocketEnd, Using } from './agent-ledger.ts'

/** What is kept of a socket of an agent. */
export class Kept implements Using {
  readonly ledger: AgentLedger
  /** When its lifetime is over. */
  expiresAt: number
  /** It is to be replaced: its next request is its last. */
  isStale = false
  /** When it will have been idle for long enough. */
  idleUntil = Infinity
  /** Why it will have ended, if it ends now. */
  reason: SocketEnd = 'broken'
  since = -1
  /** How many requests it has had. */
  uses = 0

  constructor(ledger: AgentLedger, expiresAt: number) {
    this.ledger = ledger
    this.expiresAt = expiresAt
  }
}

// On the socket itself: a map of sockets would be asked several times for every request.
const KEPT = Symbol('millpond.kept')

export function keep(socket: Socket, kept: Kept): void {
  Object.defineProperty(socket, KEPT, { value: kept })
}

export function keptOf(socket: Socket): Kept | undefined {
  return (socket as Socket & { readonly [KEPT]?: Kept })[KEPT]
}

/** A socket is left this long before the server would close it, in milliseconds, as Node does. */
const MARGIN_MILLIS = 1_000
/** A longer timer would overflow; whoever set it looks again. */
const LONGEST_TIMER_MILLIS = 2_147_483_647
/** What servers say is the same every time. */
let lastHint = { text: '', millis: Infinity }

/**
 * How long the server keeps the connection open, by the `keep-alive` header of its last answer. Node heeds it only
 * where it is shorter than the agent's `timeout`, and not at all where there is none.
 */
export function keepAliveMillis(socket: Socket): number {
  const { _httpMessage: request } = socket as { readonly _httpMessage?: { readonly res?: IncomingMessage } | null }
  const text = request?.res?.headers['keep-alive']
  if (typeof text !== 'string') return Infinity
  if (text !== lastHint.text) {
    const seconds = /(?:^|[,;\s])timeout=(\d+)/i.exec(text)?.[1]
    lastHint = { text, millis: seconds === undefined ? Infinity : Math.max(0, Number(seconds) * 1_000 - MARGIN_MILLIS) }
  }
  return lastHint.millis
}

/**
 * Closes what was idle for long enough, or is too old. One timer for all sockets of a pool: a timer of each socket's own
 * would be set twice for every request.
 */
export class IdleSockets {
  readonly #agents: () => readonly HttpAgent[]
  /** No request's async context is kept by the timer. */
  readonly #detached = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  #dueAt = Infinity

  constructor(agents: () => readonly HttpAgent[]) {
    this.#agents = agents
  }

  /** A socket is idle from now on, and to be closed at this time. */
  watch(at: number): void {
    if (at >= this.#dueAt || at === Infinity) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    const millis = Math.min(LONGEST_TIMER_MILLIS, Math.max(1, Math.ceil(at - performance.now())))
    this.#timer = this.#detached(() => setTimeout(() => this.#look(), millis).unref())
  }

  #look(): void {
    this.#timer = undefined
    this.#dueAt = Infinity
    const now = performance.now()
    let next = Infinity
    for (const agent of this.#agents()) {
      for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])) {
        const kept = keptOf(socket)
        if (kept === undefined) continue
        const until = Math.min(kept.idleUntil, kept.expiresAt)
        if (until > now) next = Math.min(next, until)
        else {
          kept.reason = kept.idleUntil <= now ? 'idle' : 'lifetime'
          socket.destroy()
        }
      }
    }
    this.watch(next)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
