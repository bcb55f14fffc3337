import { AsyncLocalStorage } from 'node:async_hooks'
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { inspect } from 'node:util'
import type { AgentLedger } from './agent-ledger.ts'

/** Not public in Node, and what its own agents call: gives the request its socket, or an error in place of one. */
type OnSocket = (this: ClientRequest, socket: Socket | undefined, error?: Error) => void
type Destroy = (this: ClientRequest, error?: Error) => ClientRequest

/** What a request carries from the time when it waited. */
const PLACE = Symbol('millpond.place')
type WaitingRequest = Omit<ClientRequest, 'onSocket' | 'destroy'> & {
  onSocket: OnSocket
  destroy: Destroy
  [PLACE]?: Place
}

export interface AgentQueueHost {
  /** The time of a wait is over. */
  timeoutError(ledger: AgentLedger, waitedMillis: number): Error
  /** Takes the request out of Node's own queue. */
  forget(request: ClientRequest): void
  /** A request has a socket, which may have to connect. */
  served(request: ClientRequest, socket: Socket, ledger: AgentLedger, since: number): void
}

/** A request that waits for a connection; linked with those beside it, so that anyone can leave at once. */
class Place {
  readonly queue: AgentQueue
  readonly request: WaitingRequest
  readonly ledger: AgentLedger
  readonly since: number
  /** The request's own. */
  readonly destroy: Destroy
  readonly onSocket: OnSocket
  before: Place | undefined = undefined
  behind: Place | undefined = undefined
  isOver = false

  constructor(queue: AgentQueue, request: WaitingRequest, ledger: AgentLedger) {
    this.queue = queue
    this.request = request
    this.ledger = ledger
    this.since = performance.now()
    this.destroy = request.destroy
    this.onSocket = request.onSocket
  }

  /** It hangs on a request, which people print. */
  [inspect.custom](): string {
    return `Place { origin: '${this.ledger.origin}' }`
  }
}

// Both stand in for methods of every request that has to wait: functions of the module, since thousands may wait.

function onSocketOfWaiting(this: ClientRequest, socket: Socket | undefined, error?: Error): void {
  const place = (this as WaitingRequest)[PLACE] as Place
  place.onSocket.call(this, socket, error)
  if (socket === undefined || error !== undefined) place.queue.failed(place)
  else place.queue.served(place, socket)
}

function destroyWaiting(this: ClientRequest, error?: Error): ClientRequest {
  const place = (this as WaitingRequest)[PLACE] as Place
  place.destroy.call(this, error)
  place.queue.aborted(place)
  return this
}

/**
 * The requests that wait in Node's queue. Node itself gives them no deadline, and keeps those that were aborted: their
 * own `timeout` does not run, and their abort is told only when a connection comes free.
 */
export class AgentQueue {
  readonly #host: AgentQueueHost
  readonly #millis: number
  /** No request's async context is kept by the timer. */
  readonly #detached = AsyncLocalStorage.snapshot()
  // In the order in which they came, which is that of their deadlines.
  #first: Place | undefined
  #last: Place | undefined
  #size = 0
  #timer: NodeJS.Timeout | undefined

  constructor(host: AgentQueueHost, millis: number) {
    this.#host = host
    this.#millis = millis
  }

  get size(): number {
    return this.#size
  }

  add(request: ClientRequest, ledger: AgentLedger): void {
    const waiting = request as WaitingRequest
    const place = new Place(this, waiting, ledger)
    waiting[PLACE] = place
    waiting.onSocket = onSocketOfWaiting
    waiting.destroy = destroyWaiting
    place.before = this.#last
    if (this.#last === undefined) this.#first = place
    else this.#last.behind = place
    this.#last = place
    this.#size++
    this.#schedule()
  }

  /** A request got its socket. */
  served(place: Place, socket: Socket): void {
    if (this.#leave(place)) this.#host.served(place.request, socket, place.ledger, place.since)
  }

  /** Node could open no socket for a request. */
  failed(place: Place): void {
    if (!this.#leave(place)) return
    this.#host.forget(place.request)
    place.ledger.counters.failed++
  }

  /** Whoever made the request has destroyed it. */
  aborted(place: Place): void {
    if (!this.#leave(place)) return
    this.#host.forget(place.request)
    place.ledger.counters.aborted++
    // Node tells of the end only once there is a socket.
    place.onSocket.call(place.request, undefined)
  }

  /** Fails a request that must not wait. */
  refuse(request: ClientRequest, error: Error): void {
    ;(request as WaitingRequest).onSocket(undefined, error)
  }

  #fail(place: Place, error: Error): void {
    this.#leave(place)
    this.#host.forget(place.request)
    place.onSocket.call(place.request, undefined, error)
  }

  failAll(error: () => Error): void {
    for (let place = this.#first; place !== undefined; place = this.#first) {
      place.ledger.counters.refused++
      this.#fail(place, error())
    }
  }

  /** False where it has left before. */
  #leave(place: Place): boolean {
    if (place.isOver) return false
    place.isOver = true
    if (place.before === undefined) this.#first = place.behind
    else place.before.behind = place.behind
    if (place.behind === undefined) this.#last = place.before
    else place.behind.before = place.before
    place.before = undefined
    place.behind = undefined
    this.#size--
    return true
  }

  /** One timer, for the first in the queue. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#millis === Infinity || this.#first === undefined) return
    const leftMillis = this.#first.since + this.#millis - performance.now()
    // Who waits, waits for sockets in use: those hold the process. Left over, the timer must not.
    this.#timer = this.#detached(() => setTimeout(() => this.#expire(), Math.max(1, leftMillis)).unref())
  }

  #expire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let place = this.#first; place !== undefined && place.since + this.#millis <= now; place = this.#first) {
      place.ledger.counters.timedOut++
      this.#fail(place, this.#host.timeoutError(place.ledger, now - place.since))
    }
    this.#schedule()
  }
}

/** Calls one of the two, once. */
export function waitForConnect(socket: Socket, connected: () => void, failed: () => void): void {
  const event = 'encrypted' in socket ? 'secureConnect' : 'connect'
  const settle = (then: () => void) => (): void => {
    socket.off(event, good)
    socket.off('close', bad)
    then()
  }
  const good = settle(connected)
  const bad = settle(failed)
  socket.once(event, good)
  socket.once('close', bad)
}
