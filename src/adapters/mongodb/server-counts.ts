import type { DestroyReason } from '../../core/factory.ts'
import { Ledger, type Ask, type Times } from '../../core/ledger.ts'
import type { LeaseInfo, ResourceInfo } from '../../core/report.ts'
import { connectionsOf, pendingOf, queueOf } from './internals.ts'
import type { DriverPool } from './driver.ts'

/** A connection of the driver's that is being opened. */
interface Opening {
  /** Counts up over all servers, as resources of a pool do. */
  readonly resourceId: number
  readonly startedAt: number
}

/** A connection of the driver's that is open. */
export interface Connection {
  readonly resourceId: number
  readonly openedAt: number
  uses: number
  usedSince: number | undefined
  /** How long its present user waited for it. */
  waitMillis: number
}

const REASONS: Readonly<Record<string, DestroyReason>> = {
  idle: 'idle',
  stale: 'stale',
  poolClosed: 'close',
  error: 'lost',
}

/** Two readings of one wait, the driver's in whole milliseconds and ours, differ by less. */
const SAME_WAIT_MILLIS = 2.5

/**
 * The counts of the driver's pool of one server, from its events. What the events leave out (connections that a cleared
 * pool forgets while they are being opened, callers who abort) is made up for, so that the counts are those of the pool.
 */
export class ServerCounts {
  readonly address: string
  readonly ledger: Ledger
  readonly #nextId: () => number
  readonly #open = new Map<number | string, Connection>()
  /** Connections being opened whose end the driver will tell. */
  readonly #opening = new Map<number | string, Opening>()
  /** Connections being opened when the pool was cleared: their end may be told, or not. */
  readonly #doomed = new Map<number | string, Opening>()
  /** Connections that were being opened before anybody listened. */
  #foreignOpening = 0
  #foreignIsDoomed = false
  /** Those who waited before anybody listened, until it is known what came of them. */
  readonly #foreignAsks = new Set<Ask>()
  generation = 0
  isReady = false
  readonly max: number
  readonly min: number
  /** The driver's pool itself, where it can be read. */
  pool: DriverPool | undefined
  #isGone = false

  constructor(
    address: string,
    { max, min, whole, nextId }: { max: number; min: number; whole: Times; nextId: () => number },
  ) {
    this.address = address
    this.max = max
    this.min = min
    this.#nextId = nextId
    this.ledger = new Ledger({ whole })
  }

  /** Whether the driver has closed its pool: what was counted stays, what was open does not. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** The connections in use. Who uses them, the driver does not tell. */
  holders(): LeaseInfo[] {
    const now = this.ledger.now()
    const holders: LeaseInfo[] = []
    for (const { resourceId, usedSince } of this.#open.values()) {
      if (usedSince === undefined) continue
      holders.push({
        resourceId,
        label: `connection to ${this.address}`,
        heldMillis: now - usedSince,
        stack: undefined,
      })
    }
    return holders
  }

  /** Every connection that is open. */
  connections(): ResourceInfo[] {
    const now = this.ledger.now()
    return Array.from(this.#open.values(), ({ resourceId, openedAt, uses, usedSince }) => ({
      resourceId,
      state: usedSince === undefined ? 'idle' : 'leased',
      ageMillis: now - openedAt,
      uses,
      leases: usedSince === undefined ? 0 : 1,
      generation: this.generation,
    }))
  }

  /** Takes over what is there already. */
  adopt(pool: DriverPool): void {
    this.#isGone = false
    const connections = connectionsOf(pool)
    const queue = queueOf(pool)
    const pending = pendingOf(pool) ?? 0
    for (const id of [...(connections?.idle ?? []), ...(connections?.used ?? [])]) this.#learn(id)
    for (const id of connections?.used ?? []) this.#lend(id, 0)
    for (let index = 0; index < pending; index++) this.ledger.createStarted()
    this.#foreignOpening = pending
    // Who caused a connection to be opened waits outside the queue. What is opened to fill `minPoolSize`, nobody waits for.
    const filling = Math.max(0, this.min - this.#open.size)
    const waiting = (queue?.length ?? 0) + Math.max(0, pending - filling)
    for (let index = 0; index < waiting; index++) this.#foreignAsks.add(this.ledger.ask())
  }

  // ── connections ──

  /** A connection is being opened. Gives its number. */
  opening(id: number | string): number {
    const opening = { resourceId: this.#nextId(), startedAt: this.ledger.now() }
    this.#opening.set(id, opening)
    this.ledger.createStarted()
    return opening.resourceId
  }

  /** A connection is open. Gives its number, and how long it took. */
  opened(id: number | string): { readonly resourceId: number; readonly createMillis: number } {
    const { isKnown, opening } = this.#takeOpening(id)
    const createMillis = opening === undefined ? undefined : this.ledger.now() - opening.startedAt
    if (isKnown) this.ledger.created(createMillis)
    else this.ledger.adopt(1)
    const { resourceId } = this.#note(id, opening?.resourceId)
    return { resourceId, createMillis: createMillis ?? 0 }
  }

  /** A connection is gone. Gives what it was while it was open, or what it was to be. */
  closed(
    id: number | string,
    reason: string,
  ): { was: Connection; reason: DestroyReason } | { was: Opening } | undefined {
    const connection = this.#open.get(id)
    if (connection === undefined) {
      const { isKnown, opening } = this.#takeOpening(id)
      if (isKnown) this.ledger.createFailed()
      return opening === undefined ? undefined : { was: opening }
    }
    this.#open.delete(id)
    const why = REASONS[reason] ?? 'broken'
    this.ledger.destroyed(why, connection.usedSince !== undefined)
    return { was: connection, reason: why }
  }

  connection(id: number | string): Connection | undefined {
    return this.#open.get(id)
  }

  #note(id: number | string, resourceId = this.#nextId()): Connection {
    const connection = {
      resourceId,
      openedAt: this.ledger.now(),
      uses: 0,
      usedSince: undefined,
      waitMillis: 0,
    }
    this.#open.set(id, connection)
    return connection
  }

  /** A connection of which nobody has told. */
  #learn(id: number | string): Connection {
    this.ledger.adopt(1)
    return this.#note(id)
  }

  #takeOpening(id: number | string): { readonly isKnown: boolean; readonly opening?: Opening } {
    const opening = this.#opening.get(id) ?? this.#doomed.get(id)
    if (opening !== undefined) {
      this.#opening.delete(id)
      this.#doomed.delete(id)
      return { isKnown: true, opening }
    }
    if (this.#foreignOpening === 0) return { isKnown: false }
    this.#foreignOpening--
    return { isKnown: true }
  }

  // ── who asks ──

  asked(): void {
    this.ledger.ask()
  }

  /** Somebody has a connection. Gives how long they waited. */
  lent(id: number | string, durationMillis: number | undefined): number {
    const waitMillis = this.ledger.serve(this.#match(durationMillis)) ?? 0
    this.#lend(id, waitMillis)
    return waitMillis
  }

  #lend(id: number | string, waitMillis: number): void {
    const connection = this.#open.get(id) ?? this.#learn(id)
    if (connection.usedSince === undefined) this.ledger.lend()
    connection.usedSince = this.ledger.now()
    connection.waitMillis = waitMillis
    connection.uses++
  }

  /** It is back. Gives how long it was used. */
  returned(id: number | string): number | undefined {
    const connection = this.#open.get(id)
    if (connection?.usedSince === undefined) return undefined
    const useMillis = this.ledger.now() - connection.usedSince
    connection.usedSince = undefined
    this.ledger.giveBack(useMillis)
    return useMillis
  }

  /** Somebody got nothing. */
  refused(reason: string, durationMillis: number | undefined): void {
    const ask = this.#match(durationMillis)
    this.ledger.refuse(ask, reason === 'timeout' ? 'timedOut' : reason === 'poolClosed' ? 'refused' : 'failed')
  }

  /** Somebody gave up who has waited that long. */
  gaveUp(how: 'aborted' | 'refused', durationMillis: number | undefined): void {
    this.ledger.refuse(this.#match(durationMillis), how)
  }

  /** The one who has waited that long. The driver tells no names; its queue is served in order, but for those who time out. */
  #match(durationMillis: number | undefined): Ask {
    const since = durationMillis === undefined ? undefined : this.ledger.now() - durationMillis
    let first: Ask | undefined
    for (const ask of this.ledger.asks) {
      if (this.#foreignAsks.delete(ask)) return ask
      first ??= ask
      if (since === undefined || Math.abs(ask.since - since) < SAME_WAIT_MILLIS) return ask
      if (ask.since > since) break
    }
    // Nobody is known to wait: they came before anybody listened.
    return first ?? this.ledger.ask()
  }

  // ── the pool ──

  cleared(): void {
    this.generation++
    this.isReady = false
    for (const [id, opening] of this.#opening) this.#doomed.set(id, opening)
    this.#opening.clear()
    this.#foreignIsDoomed = this.#foreignOpening > 0
  }

  /** Before the counts are shown: what the driver forgot to tell. */
  settle(): void {
    if (this.pool === undefined) return
    const pending = pendingOf(this.pool)
    if (pending === undefined) return
    let tooMany = this.#opening.size + this.#doomed.size + this.#foreignOpening - pending
    for (; tooMany > 0 && this.#foreignIsDoomed && this.#foreignOpening > 0; tooMany--) {
      this.#foreignOpening--
      this.ledger.createFailed()
    }
    for (const id of this.#doomed.keys()) {
      if (tooMany-- <= 0) break
      this.#doomed.delete(id)
      this.ledger.createFailed()
    }
    // All who waited before anybody listened are gone once nobody waits at all.
    if (this.#foreignAsks.size > 0 && pending === 0 && queueOf(this.pool)?.length === 0) {
      for (const ask of this.#foreignAsks) this.ledger.refuse(ask, 'aborted')
      this.#foreignAsks.clear()
    }
  }

  /** Nothing can be left of a pool that is closed. */
  end(): void {
    for (const id of [...this.#open.keys(), ...this.#opening.keys(), ...this.#doomed.keys()])
      this.closed(id, 'poolClosed')
    for (; this.#foreignOpening > 0; this.#foreignOpening--) this.ledger.createFailed()
    for (const ask of [...this.ledger.asks]) this.ledger.refuse(ask, 'refused')
    this.isReady = false
    this.#isGone = true
  }
}
