import { leaseAccess, Lease, type Holder, type Slot } from './lease.ts'
import { CREATING, type EntryState } from './lifecycle.ts'

/** A lease that is out: who holds it, since when. */
export interface Holding<T> {
  readonly holder: Holder<T>
  readonly since: number
  /** The pool keeps no reference to the lease itself, so that it can be collected. */
  readonly watched: boolean
}

/** One resource with its state, age, uses and leases. It is in one state and, at most, in one list at a time. */
export class Entry<T> implements Slot<T> {
  readonly id: number
  /** The pool's generation when the create began; another one by now means that the resource is stale. */
  readonly generation: number
  /** When the create began. */
  readonly startedAt: number
  /** Changed by `Inventory.move` only. */
  state: EntryState = CREATING
  /** Set once the create has succeeded. */
  resource: T | undefined = undefined
  createdAt = 0
  /** When its lifetime is over; a planned replacement moves it forward. */
  expiresAt = Infinity
  idleSince = 0
  /** When it last showed that it works: created, validated, or released without an error. */
  provenAt = 0
  keepAliveAt = Infinity
  /** When the present validation, reset or hook began. */
  maintainedSince = 0
  uses = 0
  /** Leases that are out; above 1 only with `maxLeasesPerResource`. */
  leases = 0
  /** Known dead; destroyed as soon as nobody holds it. */
  broken = false
  /** What the adapter said when it died while nobody looked. */
  lossError: unknown = undefined
  /** Maintenance came by while it was out, and may have reported or watched the lease. */
  inspected = false
  /** With several leases: takes no new ones, and ends with its last. Changed by `Inventory` only. */
  draining = false
  /** Passed `beforeAcquire` for the hand-out that comes next. */
  prepared = false

  // Who holds it. With one lease at a time its time stands here, so that a lease allocates no number.
  holder: Lease<T> | Holder<T> | undefined = undefined
  heldSince = 0
  /** With `maxLeasesPerResource` above 1, in place of the two above. */
  readonly holders: Map<Lease<T> | Holder<T>, number> | undefined

  /** It is in the list of what is available, which alone changes this. */
  listed = false

  constructor(id: number, generation: number, startedAt: number, multiplexed: boolean) {
    this.id = id
    this.generation = generation
    this.startedAt = startedAt
    this.holders = multiplexed ? new Map() : undefined
  }

  take(lease: Lease<T>, now: number): void {
    if (this.leases++ === 0) this.inspected = false
    this.uses++
    if (this.holders === undefined) {
      this.holder = lease
      this.heldSince = now
    } else {
      this.holders.set(lease, now)
    }
  }

  /** Ends the holding of this lease, and tells since when it was out. */
  giveBack(lease: Lease<T>): number {
    this.leases--
    if (this.holders !== undefined) return takeOut(this.holders, lease)
    this.holder = undefined
    return this.heldSince
  }

  /** Ends the holding of a lease that was garbage-collected. */
  giveUp(holder: Holder<T>): void {
    this.leases--
    if (this.holders === undefined) this.holder = undefined
    else this.holders.delete(holder)
  }

  holdings(): Holding<T>[] {
    if (this.holders !== undefined) {
      return Array.from(this.holders, ([each, since]) => asHolding(each, since))
    }
    return this.holder === undefined ? [] : [asHolding(this.holder, this.heldSince)]
  }

  /** Lets go of the lease object itself, so that it can be collected; `holder` stands for it from now on. */
  watch(lease: Lease<T>, holder: Holder<T>): void {
    if (this.holders === undefined) {
      this.holder = holder
    } else {
      this.holders.set(holder, this.holders.get(lease) ?? 0)
      this.holders.delete(lease)
    }
  }
}

/** Takes the lease out, or the holder that stands for it, and tells since when it was there. */
function takeOut<T>(holders: Map<Lease<T> | Holder<T>, number>, lease: Lease<T>): number {
  const key = holders.has(lease) ? lease : [...holders.keys()].find((each) => asHolder(each).lease() === lease)
  if (key === undefined) return 0
  const since = holders.get(key) ?? 0
  holders.delete(key)
  return since
}

function asHolder<T>(each: Lease<T> | Holder<T>): Holder<T> {
  return each instanceof Lease ? leaseAccess.holder(each) : each
}

function asHolding<T>(each: Lease<T> | Holder<T>, since: number): Holding<T> {
  return { holder: asHolder(each), since, watched: !(each instanceof Lease) }
}
