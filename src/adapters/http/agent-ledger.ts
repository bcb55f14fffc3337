import type { Socket } from 'node:net'
import type { Distributions } from '../../core/distribution.ts'
import { Histogram } from '../../core/histogram.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import { Counters, type PoolStats } from '../../core/stats.ts'

/** The statistics of one origin that agents talk to. */
export interface AgentOriginStats extends PoolStats {
  readonly origin: string
}

/** Why a socket ended. */
export type SocketEnd = 'idle' | 'lifetime' | 'stale' | 'lost' | 'close' | 'broken'

/** What a socket is doing. */
export interface Using {
  /** Since when it has a request; below 0 while it has none. Changed by the ledger only. */
  since: number
  /** How many requests it has had. Changed by the ledger only. */
  uses: number
}

/** What is counted of one origin. What each socket does stands on the socket, so that the counts cannot drift. */
export class AgentLedger {
  readonly origin: string
  readonly counters = new Counters()
  readonly #wait = new Histogram()
  readonly #use = new Histogram()
  readonly #create = new Histogram()
  readonly #open = new Set<Socket>()
  #used = 0
  readonly #connecting = new Set<Socket>()
  lastError: unknown

  constructor(origin: string) {
    this.origin = origin
  }

  get open(): number {
    return this.#open.size
  }

  get connecting(): number {
    return this.#connecting.size
  }

  /** Requests that have no connection yet. */
  get waiting(): number {
    const { requested, acquired, timedOut, aborted, refused, failed } = this.counters
    return requested - acquired - timedOut - aborted - refused - failed
  }

  connects(socket: Socket): void {
    this.#connecting.add(socket)
  }

  connected(socket: Socket, tookMillis: number): void {
    this.#connecting.delete(socket)
    this.#open.add(socket)
    this.counters.created++
    this.#create.record(tookMillis)
    this.lastError = undefined
  }

  connectFailed(socket: Socket, error: unknown): void {
    if (!this.#connecting.delete(socket)) return
    this.counters.createErrors++
    this.lastError = error
  }

  /**
   * A request has the socket; the one before it, where it passed from hand to hand, is over.
   * @param waitedMillis - undefined for a request that had not to wait
   */
  began(socket: Using, now: number, waitedMillis: number | undefined): void {
    this.counters.acquired++
    if (socket.since < 0) this.#used++
    else this.#noteUse(now - socket.since)
    socket.since = now
    socket.uses++
    if (waitedMillis === undefined) return
    this.counters.acquiredAfterWait++
    this.#wait.record(waitedMillis)
  }

  ended(socket: Using, now: number): void {
    if (socket.since < 0) return
    this.#noteUse(now - socket.since)
    socket.since = -1
    this.#used--
  }

  /** By a reading that may be a turn of the event loop old, a use may end before it began. */
  #noteUse(millis: number): void {
    this.#use.record(Math.max(0, millis))
  }

  closed(socket: Socket, reason: SocketEnd): void {
    if (this.#open.delete(socket)) this.counters.destroyed[reason]++
  }

  distributions(): Distributions {
    const { acquired, acquiredAfterWait } = this.counters
    return {
      wait: this.#wait.distribution(acquired - acquiredAfterWait),
      use: this.#use.distribution(),
      create: this.#create.distribution(),
    }
  }

  stats(name: string, state: PoolState, max: number): AgentOriginStats {
    const { counters } = this
    const used = this.#used
    const total = this.#open.size
    return {
      name,
      kind: 'http',
      state,
      origin: this.origin,
      total,
      idle: Math.max(0, total - used),
      used: Math.min(used, total),
      maintaining: 0,
      closing: 0,
      creating: this.#connecting.size,
      zombies: 0,
      waiting: this.waiting,
      oldestWaiterMillis: 0,
      min: 0,
      max,
      utilization: max === Infinity ? 0 : used / max,
      leases: Math.min(used, total),
      requested: counters.requested,
      acquired: counters.acquired,
      acquiredAfterWait: counters.acquiredAfterWait,
      timedOut: counters.timedOut,
      aborted: counters.aborted,
      refused: counters.refused,
      failed: counters.failed,
      created: counters.created,
      createErrors: counters.createErrors,
      destroyed: { ...counters.destroyed },
      leaks: 0,
      deadlocks: 0,
      generation: 0,
      wait: this.#wait.snapshot(counters.acquired - counters.acquiredAfterWait),
      use: this.#use.snapshot(),
      create: this.#create.snapshot(),
    }
  }
}
