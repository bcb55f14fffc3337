import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { AgentLedger } from './agent-ledger.ts'

/** Not public in Node, and what its own agents call: gives the request its socket, or an error in place of one. */
type WithOnSocket = ClientRequest & { onSocket(socket: Socket | undefined, error?: Error): void }

/** A request that waits for a connection. */
interface Waiting {
  readonly ledger: AgentLedger
  readonly since: number
  readonly deadline: number
}

export interface AgentQueueHost {
  /** The time of a wait is over. */
  timeoutError(ledger: AgentLedger, waitedMillis: number): Error
  /** Takes the request out of Node's own queue. */
  forget(request: ClientRequest): void
}

/**
 * The requests that wait in Node's queue. Node itself gives them no deadline, and keeps those that were aborted: their
 * own `timeout` does not run, and their abort is told only when a connection comes free.
 */
export class AgentQueue {
  readonly #host: AgentQueueHost
  readonly #millis: number
  /** In the order in which they came, which is that of their deadlines. */
  readonly #waiting = new Map<ClientRequest, Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(host: AgentQueueHost, millis: number) {
    this.#host = host
    this.#millis = millis
  }

  get size(): number {
    return this.#waiting.size
  }

  add(request: ClientRequest, ledger: AgentLedger): void {
    const since = performance.now()
    const waiting = { ledger, since, deadline: since + this.#millis }
    this.#waiting.set(request, waiting)
    request.once('socket', (socket) => this.#served(request, waiting, socket))
    const destroy = request.destroy.bind(request)
    request.destroy = (error?: Error) => {
      request.destroy = destroy
      destroy(error)
      if (this.#take(request)) {
        ledger.counters.aborted++
        // Node tells of the end only once there is a socket.
        ;(request as WithOnSocket).onSocket(undefined)
      }
      return request
    }
    this.#schedule()
  }

  /** Fails a request that waits, or that must not begin to. */
  fail(request: ClientRequest, error: Error): void {
    this.#waiting.delete(request)
    this.#host.forget(request)
    ;(request as WithOnSocket).onSocket(undefined, error)
  }

  failAll(error: () => Error): void {
    for (const [request, { ledger }] of this.#waiting) {
      ledger.counters.refused++
      this.fail(request, error())
    }
  }

  #take(request: ClientRequest): boolean {
    this.#host.forget(request)
    return this.#waiting.delete(request)
  }

  #served(request: ClientRequest, { ledger, since }: Waiting, socket: Socket): void {
    if (!this.#waiting.delete(request)) return
    const begin = (): void => {
      const now = performance.now()
      ledger.began(socket, now, now - since)
    }
    if (!socket.connecting) begin()
    else waitForConnect(socket, begin, () => ledger.counters.failed++)
  }

  /** One timer, for the first in the queue. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#millis === Infinity) return
    const [first] = this.#waiting.values()
    if (first === undefined) return
    // Who waits, waits for sockets in use: those hold the process. Left over, the timer must not.
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, first.deadline - performance.now())).unref()
  }

  #expire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const [request, { ledger, since, deadline }] of this.#waiting) {
      if (deadline > now) break
      ledger.counters.timedOut++
      this.fail(request, this.#host.timeoutError(ledger, now - since))
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
