import { AsyncResource } from 'node:async_hooks'
import type { Agent as HttpAgent, ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { inspect } from 'node:util'
import { systemClock } from '../../core/clock.ts'
import { addDistributions } from '../../core/distribution.ts'
import { AcquireTimeoutError, OverloadedError, PoolClosedError } from '../../core/errors.ts'
import { Events, type PoolEventName, type PoolEvents } from '../../core/events.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { InvalidateOptions } from '../../core/managed-pool.ts'
import { Operations } from '../../core/operations.ts'
import type { PoolStats } from '../../core/stats.ts'
import { sumStats } from '../../core/sum-stats.ts'
import { AgentLedger, type AgentOriginStats } from './agent-ledger.ts'
import { IdleSockets, keep, keepAliveMillis, Kept, keptOf } from './kept-socket.ts'
import type { ResolvedAgentOptions } from './agent-options.ts'
import { AgentQueue, waitForConnect } from './agent-queue.ts'
import { classifyHttp } from './classify.ts'
import { WatchedRequest } from './watched-request.ts'

/** What Node's agents get with every request; not public in Node, and what every agent overrides. */
interface RequestTarget {
  readonly host?: string | null | undefined
  readonly port?: number | string | null | undefined
  readonly socketPath?: string | null | undefined
}

/** A connect took too long. */
class ConnectTimeoutError extends Error {
  readonly code = 'ETIMEDOUT'
  static {
    this.prototype.name = 'ConnectTimeoutError'
  }
}

/** From so many origins on, those that are not in use are forgotten. */
const MOST_ORIGINS = 500

/** What the agents of one pool share. */
export class AgentPool {
  readonly options: ResolvedAgentOptions
  readonly queue: AgentQueue
  readonly ledgers = new Map<string, AgentLedger>()
  readonly agents: HttpAgent[] = []
  readonly idle = new IdleSockets(() => this.agents)
  state: PoolState = 'open'
  readonly events: Events
  /** Measures requests, where somebody hears of slow ones. */
  readonly operations: Operations
  /** The sum of the origins that are forgotten. */
  past: readonly PoolStats[] = []
  pastTimes = addDistributions([])
  /** Connections are numbered over all origins. */
  lastId = 0
  /** What was asked for last. */
  #last: (RequestTarget & { readonly scheme: string; readonly ledger: AgentLedger }) | undefined

  constructor(options: ResolvedAgentOptions) {
    this.options = options
    this.events = new Events(options.name)
    this.operations = new Operations({ options, events: this.events, clock: systemClock })
    this.queue = new AgentQueue(
      {
        timeoutError: (ledger, waitedMillis) => this.#timeoutError(ledger, waitedMillis),
        forget: (request) => {
          for (const agent of this.agents) forget(agent.requests as Record<string, ClientRequest[]>, request)
        },
        served: (request, socket, ledger, since) => this.#served(request, socket, ledger, since),
      },
      options.acquireTimeoutMillis,
    )
  }

  tell<E extends PoolEventName>(event: E, payload: PoolEvents[E]): void {
    if (!this.events.heard(event)) return
    this.events.queue(event, payload)
    this.events.flush()
  }

  /** Has every socket replaced: idle ones now, used ones when their request is over, as the engine does. */
  invalidate({ spreadMillis = 0, interruptInUse = false }: InvalidateOptions = {}): void {
    const now = performance.now()
    for (const { sockets, freeSockets } of this.agents) {
      for (const socket of [sockets, freeSockets].flatMap((all) => Object.values(all).flatMap((some) => some ?? []))) {
        const kept = keptOf(socket)
        if (kept === undefined) continue
        if (spreadMillis > 0) {
          kept.expiresAt = Math.min(kept.expiresAt, now + spreadMillis * Math.random())
          this.idle.watch(kept.expiresAt)
          continue
        }
        kept.isStale = true
        kept.reason = 'stale'
        if (kept.since < 0 ? !socket.connecting : interruptInUse) socket.destroy()
      }
    }
  }

  ledger(scheme: string, target: RequestTarget): AgentLedger {
    const { host, port, socketPath } = target
    const last = this.#last
    // Most programs ask the same origin many times in a row.
    if (last !== undefined && last.scheme === scheme && last.host === host && last.port === port && last.socketPath === socketPath) return last.ledger // prettier-ignore
    const ledger = this.#findLedger(scheme, target)
    this.#last = { scheme, host, port, socketPath, ledger }
    return ledger
  }

  #findLedger(scheme: string, { host, port, socketPath }: RequestTarget): AgentLedger {
    const key = socketPath ?? `${host ?? 'localhost'}:${port ?? ''}`
    const origin = `${scheme}//${key}`
    let ledger = this.ledgers.get(origin)
    if (ledger === undefined) {
      if (this.ledgers.size >= MOST_ORIGINS) this.#forgetUnused()
      ledger = new AgentLedger(origin)
      this.ledgers.set(origin, ledger)
    }
    return ledger
  }

  /** Origins that are not in use any more count on in one sum. */
  #forgetUnused(): void {
    const { name } = this.options
    for (const [origin, ledger] of this.ledgers) {
      if (ledger.open + ledger.connecting + ledger.waiting > 0) continue
      const stats = ledger.stats(name, this.state, 0)
      this.past = [sumStats({ name, kind: 'http', state: this.state, max: 0 }, [], [...this.past, stats])]
      this.pastTimes = addDistributions([this.pastTimes, ledger.distributions()])
      this.ledgers.delete(origin)
      this.#last = undefined
    }
  }

  /** A request that has waited has a socket, which may have to connect. */
  #served(request: ClientRequest, socket: Socket, ledger: AgentLedger, since: number): void {
    const kept = keptOf(socket)
    // Node marks the requests on used sockets, by which one knows what may be repeated, but for those that had to wait.
    if (kept !== undefined && kept.uses > 0) request.reusedSocket = true
    if (socket.connecting) {
      waitForConnect(
        socket,
        () => this.#served(request, socket, ledger, since),
        () => ledger.counters.failed++,
      )
      return
    }
    const now = systemClock.turnNow()
    if (kept !== undefined) ledger.began(kept, now, Math.max(0, now - since))
  }

  #timeoutError(ledger: AgentLedger, waitedMillis: number): AcquireTimeoutError {
    const { name, maxSockets } = this.options
    const { total, idle, used, creating, waiting } = ledger.stats(name, this.state, maxSockets)
    const isDown = ledger.lastError !== undefined && total === 0
    const message =
      `pool "${name}": no connection to ${ledger.origin} was free within ${Math.round(waitedMillis)} ms ` +
      `(${used} used, ${idle} idle, ${creating} connecting, ${waiting} waiting, maxSockets ${maxSockets}): ` +
      (isDown
        ? 'the server cannot be reached; see the cause of this error'
        : 'raise `maxSockets`, or read every response to its end')
    const report = {
      total, idle, used, maintaining: 0, creating, waiting, max: maxSockets, leaseAgeP50: 0, leaseAgeP99: 0, longest: [],
      diagnosis: isDown ? 'server-down' : 'pool-too-small',
    } as const // prettier-ignore
    return new AcquireTimeoutError(name, message, waitedMillis, 0, report, ledger.lastError)
  }
}

/** Takes a request out of Node's queue, which must have no empty list in it. */
function forget(queues: Record<string, ClientRequest[]>, request: ClientRequest): void {
  for (const [name, queue] of Object.entries(queues)) {
    // The newest is refused, the oldest expires: both are found at once.
    const index = queue.at(-1) === request ? queue.length - 1 : queue.indexOf(request)
    if (index < 0) continue
    queue.splice(index, 1)
    // Node looks at the first one of every list that there is.
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
    if (queue.length === 0) delete queues[name]
    return
  }
}

// Node's own types leave out some of what agents override.
export type AgentClass = new (options: object) => Omit<
  HttpAgent,
  'createConnection' | 'keepSocketAlive' | 'reuseSocket' | 'getName'
> & {
  createConnection(options: RequestTarget, callback: unknown): Socket
  keepSocketAlive(socket: Socket): boolean
  reuseSocket(socket: Socket, request: ClientRequest): void
  getName(options?: object): string
}

/** What Node's agent for HTTP makes the name of an origin of; the one for HTTPS takes some twenty options more. */
interface Named extends RequestTarget {
  readonly localAddress?: string | undefined
  readonly family?: number | undefined
  /** With options of which a socket was opened: the name that it was opened under. */
  readonly _agentKey?: string | undefined
}

const NAMED_BY: ReadonlySet<unknown> = new Set(['host', 'port', 'localAddress', 'family', 'socketPath'])

/** Whether nothing else goes into a name: found out by trying, as it is up to the version of Node. */
function namesByTarget(Base: AgentClass): boolean {
  const others: unknown[] = []
  for (const value of [undefined, 'given']) {
    const options = new Proxy({}, { get: (_none, key) => (NAMED_BY.has(key) ? value : void others.push(key)) })
    ;(Base.prototype as { getName(options: object): string }).getName(options)
  }
  return others.length === 0
}

/** A subclass of Node's own agent: the same for HTTP and HTTPS. */
export function pooledAgent(Base: AgentClass, scheme: 'http:' | 'https:', pool: AgentPool): HttpAgent {
  const { options, queue } = pool
  const isNamedByTarget = namesByTarget(Base)
  class PooledAgent extends Base {
    /** What was named last: most programs ask the same origin many times in a row. */
    #lastNamed: (Named & { readonly name: string }) | undefined

    /** The request that is being given a socket: Node asks for it within the call. */
    #placing: ClientRequest | undefined

    /**
     * Node makes the name of an origin anew whenever a socket becomes free or is used again, and looks it up as often.
     * Options with which a socket was opened carry it.
     */
    override getName(options?: Named): string {
      return options?._agentKey ?? this.#nameOf(options)
    }

    #nameOf(options: Named = {}): string {
      if (!isNamedByTarget) return super.getName(options)
      const { host, port, localAddress, family, socketPath } = options
      const last = this.#lastNamed
      if (last !== undefined && last.host === host && last.port === port && last.localAddress === localAddress && last.family === family && last.socketPath === socketPath) return last.name // prettier-ignore
      const name = super.getName(options)
      this.#lastNamed = { host, port, localAddress, family, socketPath, name }
      return name
    }

    /** Node's own entrance for requests. */
    addRequest(request: ClientRequest, target: RequestTarget): void {
      const ledger = pool.ledger(scheme, target)
      ledger.counters.requested++
      if (pool.operations.watched) watch(pool.operations, request)
      if (pool.state !== 'open' || queue.size >= options.maxWaiting) {
        const refusal = refusalOf(pool, ledger)
        if (refusal !== undefined) {
          ledger.counters.refused++
          queue.refuse(request, refusal)
          return
        }
      }
      this.#placing = request
      ;(Base.prototype as { addRequest(request: ClientRequest, target: RequestTarget): void }).addRequest.call(
        this,
        request,
        target,
      )
      // Node has asked for a socket, or reused one, unless the request was queued.
      if ((this.#placing as ClientRequest | undefined) === undefined) return
      this.#placing = undefined
      if (queue.size < options.maxWaiting) queue.add(request, ledger)
      else {
        ledger.counters.refused++
        forget(this.requests as Record<string, ClientRequest[]>, request)
        queue.refuse(request, overloaded(pool, ledger))
      }
    }

    override createConnection(target: RequestTarget, callback: unknown): Socket {
      const request = this.#placing
      this.#placing = undefined
      const ledger = pool.ledger(scheme, target)
      const socket = super.createConnection(target, callback)
      adopt(pool, ledger, socket, request)
      return socket
    }

    override reuseSocket(socket: Socket, request: ClientRequest): void {
      this.#placing = undefined
      super.reuseSocket(socket, request)
      const kept = keptOf(socket)
      if (kept === undefined) return
      kept.reason = 'broken'
      kept.ledger.began(kept, systemClock.turnNow(), undefined)
    }

    /** A request is over, and nobody waits for its socket. */
    override keepSocketAlive(socket: Socket): boolean {
      if (!super.keepSocketAlive(socket)) return false
      const kept = keptOf(socket)
      if (kept === undefined) return true
      const now = systemClock.turnNow()
      kept.ledger.ended(kept, now)
      if (pool.state !== 'open') {
        kept.reason = 'close'
        return false
      }
      if (kept.isStale) {
        kept.reason = 'stale'
        return false
      }
      if (now >= kept.expiresAt) {
        kept.reason = 'lifetime'
        return false
      }
      kept.reason = 'lost'
      kept.idleUntil = now + Math.min(options.idleTimeoutMillis, keepAliveMillis(socket))
      pool.idle.watch(kept.idleUntil)
      return true
    }

    /** The statistics of every origin that was asked for something. */
    stats(): Readonly<Record<string, AgentOriginStats>> {
      return originsOf(pool, scheme)
    }

    [inspect.custom](): string {
      return `PooledAgent { name: '${options.name}', protocol: '${scheme}', origins: ${Object.keys(this.stats()).length} }`
    }
  }
  const agent = new PooledAgent(options.agent) as unknown as HttpAgent
  pool.agents.push(agent)
  return agent
}

function refusalOf(pool: AgentPool, ledger: AgentLedger): Error | undefined {
  const { name, maxSockets } = pool.options
  if (pool.state !== 'open') return new PoolClosedError(name, `pool "${name}" is closed`)
  return ledger.open + ledger.connecting >= maxSockets ? overloaded(pool, ledger) : undefined
}

function overloaded({ options: { name, maxWaiting } }: AgentPool, { origin }: AgentLedger): OverloadedError {
  return new OverloadedError(
    name,
    `pool "${name}": ${maxWaiting} requests wait for a connection already; one more, to ${origin}, is refused`,
    'queue-full',
    0,
  )
}

/** Has a request measured, until its answer begins. */
function watch(operations: Operations, request: ClientRequest): void {
  const watched = new WatchedRequest(operations, request, new AsyncResource('MILLPOND_REQUEST'))
  request.once('socket', (socket) => {
    if (socket.connecting)
      waitForConnect(
        socket,
        () => watched.sent(),
        () => undefined,
      )
    else watched.sent()
  })
  request.once('response', ({ statusCode = 0 }) => watched.over(statusCode >= 500))
  // An upgrade has no response, and what fails neither.
  request.once('upgrade', () => watched.over(false))
  request.once('close', () => watched.over(true))
}

/** Watches a socket from its birth: its connect, its requests, its end. */
function adopt(pool: AgentPool, ledger: AgentLedger, socket: Socket, request: ClientRequest | undefined): void {
  const { createTimeoutMillis, maxLifetimeMillis } = pool.options
  const startedAt = performance.now()
  const kept = new Kept(ledger, startedAt + maxLifetimeMillis * (0.75 + 0.25 * Math.random()))
  keep(socket, kept)
  ledger.connects(socket)
  const resource = { pool: `${pool.options.name} ${ledger.origin}`, resourceId: ++pool.lastId, generation: 0 }
  let isOpen = false
  let lastError: unknown
  socket.on('error', (error) => (lastError = error))
  const timer =
    createTimeoutMillis === Infinity
      ? undefined
      : setTimeout(() => {
          socket.destroy(
            new ConnectTimeoutError(`connect to ${ledger.origin} took longer than ${createTimeoutMillis} ms`),
          )
        }, createTimeoutMillis)
  waitForConnect(
    socket,
    () => {
      clearTimeout(timer)
      const now = performance.now()
      isOpen = true
      ledger.connected(socket, now - startedAt)
      pool.tell('created', { ...resource, durationMillis: now - startedAt })
      if (request !== undefined) ledger.began(kept, now, now - startedAt)
    },
    () => {
      clearTimeout(timer)
      ledger.connectFailed(socket, lastError)
      pool.tell('createFailed', { ...resource, durationMillis: performance.now() - startedAt, failure: classifyHttp(lastError), error: lastError }) // prettier-ignore
      if (request === undefined) return
      if (lastError === undefined) ledger.counters.aborted++
      else ledger.counters.failed++
    },
  )
  socket.on('timeout', () => {
    // Node's own `timeout` ends it also while nobody uses it.
    if (kept.since < 0) kept.reason = 'idle'
  })
  socket.once('close', () => {
    ledger.ended(kept, performance.now())
    const reason = pool.state === 'open' ? kept.reason : 'close'
    ledger.closed(socket, reason)
    if (isOpen)
      pool.tell('destroyed', { ...resource, reason, ageMillis: performance.now() - startedAt, uses: kept.uses })
  })
}

export function originsOf(pool: AgentPool, scheme?: string): Record<string, AgentOriginStats> {
  const { name, maxSockets } = pool.options
  const ledgers = [...pool.ledgers.values()].filter(({ origin }) => scheme === undefined || origin.startsWith(scheme))
  return Object.fromEntries(ledgers.map((ledger) => [ledger.origin, ledger.stats(name, pool.state, maxSockets)]))
}
