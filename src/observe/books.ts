import { PoolClosedError } from '../core/errors.ts'
import type { PoolEventName, PoolEvents } from '../core/events.ts'
import type { DestroyReason, FailureClass } from '../core/factory.ts'
import { Ledger, type Ask, type Refusal, type Times } from '../core/ledger.ts'
import type { LeaseInfo } from '../core/report.ts'

/** A resource of somebody else's pool. */
interface Known {
  readonly resourceId: number
  readonly openedAt: number
  uses: number
  /** One, or several where several may use it at a time. */
  readonly leases: Lease[]
}

/** One use of a resource. */
export interface Lease {
  readonly resource: object
  readonly resourceId: number
  readonly since: number
  /** Where it was asked for. */
  stack: Error | undefined
  /** Whoever has it was seen to ask for it: the pool's own handling is no use. */
  wasAsked: boolean
  isReported: boolean
}

/** One try to open a resource. */
export interface Opening {
  readonly resourceId: number
  readonly startedAt: number
}

/** What an unsettled ask is, to those who wrap the pool. */
export interface Asking {
  readonly ask: Ask
  readonly stack: Error | undefined
}

/** The view that keeps the books, one for each server that it knows of. */
export interface BooksOwner {
  readonly name: string
  readonly slowMillis: number
  readonly leakThresholdMillis: number
  readonly trackStacks: boolean
  /** While it closes the pool, nobody new is let in. */
  isClosing(): boolean
  /** Counts up over all books, as the resources of a pool do. */
  nextId(): number
  /** What an error of the pool's own says. */
  refusalOf(error: unknown): Refusal
  tell<E extends PoolEventName>(event: E, payload: PoolEvents[E]): void
  /** A server was reached, or could not be. */
  reached(): void
  unreachable(failure: FailureClass, error: unknown): void
}

/** What is entered of a pool that somebody else runs, or of its part for one server; and what is told of it. */
export class Books {
  readonly ledger: Ledger
  readonly #owner: BooksOwner
  readonly #known = new Map<object, Known>()
  /** Whether the last connect has succeeded, where there was one; one that failed beside an open connection says nothing. */
  isUp: boolean | undefined

  constructor(owner: BooksOwner, whole?: Times) {
    this.#owner = owner
    this.ledger = new Ledger(whole === undefined ? {} : { whole })
  }

  /** Nothing is counted any more: whatever is open, asked for or being opened ends here. */
  end(): void {
    for (const resource of this.#known.keys()) this.gone(resource, 'close')
    for (const ask of [...this.ledger.asks]) this.ledger.refuse(ask, 'refused')
    while (this.ledger.creating > 0) this.ledger.createFailed()
  }

  // ── what happens to resources ──

  /** Open since before anybody watched. */
  found(resource: object): void {
    this.ledger.adopt(1)
    this.#note(resource)
  }

  opening(): Opening {
    const opening = { resourceId: this.#owner.nextId(), startedAt: this.ledger.now() }
    this.ledger.createStarted()
    const { name } = this.#owner
    this.#owner.tell('createStarted', { pool: name, resourceId: opening.resourceId, generation: 0, attempt: 1 })
    return opening
  }

  opened(resource: object, opening: Opening | undefined): void {
    if (this.#known.has(resource)) return
    const durationMillis = opening === undefined ? undefined : this.ledger.now() - opening.startedAt
    if (opening === undefined) this.ledger.adopt(1)
    else this.ledger.created(durationMillis)
    const { resourceId } = this.#note(resource, opening?.resourceId)
    const { name } = this.#owner
    this.#owner.tell('created', { pool: name, resourceId, generation: 0, durationMillis: durationMillis ?? 0 })
    this.isUp = true
    this.#owner.reached()
  }

  openFailed({ resourceId, startedAt }: Opening, error: unknown, failure: FailureClass = 'disconnect'): void {
    this.ledger.createFailed()
    const durationMillis = this.ledger.now() - startedAt
    const { name } = this.#owner
    this.#owner.tell('createFailed', { pool: name, resourceId, generation: 0, durationMillis, failure, error })
    if (this.ledger.total > 0) return
    this.isUp = false
    this.#owner.unreachable(failure, error)
  }

  #note(resource: object, resourceId = this.#owner.nextId()): Known {
    const known: Known = { resourceId, openedAt: this.ledger.now(), uses: 0, leases: [] }
    this.#known.set(resource, known)
    return known
  }

  knows(resource: object): boolean {
    return this.#known.has(resource)
  }

  isUsed(resource: object): boolean {
    const known = this.#known.get(resource)
    return known !== undefined && known.leases.length > 0
  }

  leaseCount(resource: object): number {
    return this.#known.get(resource)?.leases.length ?? 0
  }

  /** The resources that are in use. */
  used(): object[] {
    return Array.from(this.#known).flatMap(([resource, { leases }]) => (leases.length > 0 ? [resource] : []))
  }

  /** The first one that uses a resource: the only one, where one at a time may. */
  leaseOf(resource: object): Lease | undefined {
    return this.#known.get(resource)?.leases[0]
  }

  /** Somebody has it, or somebody more: the pool itself, or whoever asked. */
  lend(resource: object): Lease | undefined {
    const known = this.#known.get(resource)
    if (known === undefined) return undefined
    const { resourceId, leases } = known
    const since = this.ledger.now()
    const lease: Lease = { resource, resourceId, since, stack: undefined, wasAsked: false, isReported: false }
    known.uses++
    this.ledger.lease(1)
    if (leases.push(lease) === 1) this.ledger.lend()
    return lease
  }

  /** It is back in the pool. */
  giveBack(lease: Lease): void {
    const leases = this.#known.get(lease.resource)?.leases
    const at = leases?.indexOf(lease) ?? -1
    if (leases === undefined || at < 0) return
    leases.splice(at, 1)
    const { resourceId, since, stack, isReported, wasAsked } = lease
    const useMillis = this.ledger.now() - since
    this.ledger.lease(-1)
    if (wasAsked) this.ledger.tookUse(useMillis)
    if (leases.length === 0) this.ledger.giveBack(undefined)
    const { name, slowMillis } = this.#owner
    const told = { pool: name, resourceId, generation: 0, label: undefined }
    this.#owner.tell('released', { ...told, useMillis })
    if (useMillis >= slowMillis) this.#owner.tell('longLease', { ...told, useMillis })
    if (isReported) this.#owner.tell('leakReturned', { ...told, heldMillis: useMillis, stack: stack?.stack })
  }

  gone(resource: object, reason: DestroyReason): void {
    const known = this.#known.get(resource)
    if (known === undefined) return
    this.#known.delete(resource)
    const { resourceId, openedAt, uses, leases } = known
    for (let count = leases.length; count > 0; count--) this.ledger.lease(-1)
    this.ledger.destroyed(reason, leases.length > 0)
    const ageMillis = this.ledger.now() - openedAt
    this.#owner.tell('destroyed', { pool: this.#owner.name, resourceId, generation: 0, reason, ageMillis, uses })
  }

  // ── who asks ──

  /** Somebody asks. While the view closes the pool, they are refused: the error is thrown for the wrapper to pass on. */
  asks(): Asking {
    const ask = this.ledger.ask()
    const { name, trackStacks } = this.#owner
    this.#owner.tell('acquireStarted', { pool: name, label: undefined })
    if (this.#owner.isClosing()) {
      const error = new PoolClosedError(name, `pool "${name}" is closing`)
      this.ledger.refuse(ask, 'refused')
      this.#tellFailure('refused', 0, error)
      throw error
    }
    return { ask, stack: trackStacks ? deepStack() : undefined }
  }

  /** Whoever asked has it: `lend` says which lease is theirs. */
  served({ ask, stack }: Asking, lend: () => Lease | undefined): Lease | undefined {
    const durationMillis = this.ledger.serve(ask)
    if (durationMillis === undefined) return undefined
    const lease = lend()
    if (lease === undefined) return undefined
    lease.stack = stack
    lease.wasAsked = true
    const { name, slowMillis } = this.#owner
    const told = { pool: name, resourceId: lease.resourceId, generation: 0, label: undefined }
    this.#owner.tell('acquired', { ...told, durationMillis })
    if (durationMillis >= slowMillis) this.#owner.tell('longWait', { ...told, waitMillis: durationMillis })
    return lease
  }

  refused({ ask }: Asking, error: unknown, how: Refusal = this.#owner.refusalOf(error)): void {
    if (this.ledger.refuse(ask, how)) this.#tellFailure(how, this.ledger.now() - ask.since, error)
  }

  #tellFailure(how: Refusal, durationMillis: number, error: unknown): void {
    const reason = how === 'timedOut' ? 'timeout' : how
    this.#owner.tell('acquireFailed', { pool: this.#owner.name, label: undefined, reason, durationMillis, error })
  }

  // ── watching ──

  /** Reports what is in use for longer than it should be. */
  lookForLeaks(): void {
    const now = this.ledger.now()
    const { name, leakThresholdMillis } = this.#owner
    for (const { leases } of this.#known.values()) {
      for (const lease of leases) {
        const { since, isReported, resourceId, stack } = lease
        if (isReported || now - since < leakThresholdMillis) continue
        lease.isReported = true
        this.ledger.leaked()
        const told = { pool: name, resourceId, generation: 0, label: undefined }
        this.#owner.tell('leak', { ...told, heldMillis: now - since, stack: stack?.stack })
      }
    }
  }

  /** Who uses something, with where it was asked for when stacks are tracked. */
  leases(): LeaseInfo[] {
    const now = this.ledger.now()
    return Array.from(this.#known.values()).flatMap(({ leases }) =>
      leases.map(({ resourceId, since, stack }) => ({
        resourceId,
        label: undefined,
        heldMillis: now - since,
        stack: stack?.stack,
      })),
    )
  }
}

/** Drivers have many frames of their own between the pool and whoever asks. */
const MOST_FRAMES = 25

function deepStack(): Error {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = Math.max(stackTraceLimit, MOST_FRAMES)
  const error = new Error('acquired')
  Error.stackTraceLimit = stackTraceLimit
  return error
}
