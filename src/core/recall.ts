import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { Inventory } from './inventory.ts'
import { leaseAccess, type Holder, type Lease } from './lease.ts'
import { IDLE, LEASED } from './lifecycle.ts'

/** Why a lease is taken away, as its borrower is told. */
const TAKEN_AWAY = {
  overused: 'it was out longer than `maxUseMillis`',
  abandoned: 'it was garbage-collected without a release',
  interrupted: 'the pool was invalidated with `interruptInUse`',
  close: 'the pool closed, and its grace time was over',
} as const

/** Who watches leases. */
export interface RecallHost<T> {
  /** The lease needs no watching any more. */
  forget(lease: Lease<T>): void
}

/** Takes resources out of use before their time: one from its borrower, or all of them. */
export class Recall<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #host: RecallHost<T>

  constructor(context: PoolContext<T>, inventory: Inventory<T>, host: RecallHost<T>) {
    this.#context = context
    this.#inventory = inventory
    this.#host = host
  }

  /** Ends a lease, and destroys its resource: whoever held it may still be using it. */
  lease(entry: Entry<T>, holder: Holder<T>, reason: keyof typeof TAKEN_AWAY, why: string = TAKEN_AWAY[reason]): void {
    const lease = holder.lease()
    const tell = lease === undefined ? undefined : leaseAccess.takeAway(lease, new Error(why))
    if (lease === undefined) {
      this.#inventory.giveUp(entry, holder)
    } else {
      // Given back meanwhile, by whoever was told of another lease that was taken away.
      if (tell === undefined) return
      this.#inventory.takeBack(entry, lease)
      this.#host.forget(lease)
    }
    entry.broken = true
    if (entry.leases === 0) this.#inventory.destroy(entry, reason)
    else this.#inventory.drain(entry)
    // Runs what the borrower has set on `lease.signal`: only once everything adds up again.
    tell?.()
    this.#context.changed()
  }

  /** Ends the leases of one resource. Returns whether there was one. */
  resource(id: number): boolean {
    for (const entry of this.#inventory.entries()) {
      if (entry.id !== id || entry.state !== LEASED) continue
      for (const { holder } of entry.holdings())
        this.lease(entry, holder, 'interrupted', 'it was taken away by `takeAway`')
      return true
    }
    return false
  }

  allLeases(reason: 'interrupted' | 'close'): void {
    for (const entry of this.#inventory.entries()) {
      if (entry.state !== LEASED) continue
      for (const { holder } of entry.holdings()) this.lease(entry, holder, reason)
    }
  }

  /**
   * Begins a new generation: idle resources end now, leased ones on release, those being created on arrival.
   * @param told - false for a paused pool: nothing is open that could be told of
   */
  generation(reason: string, isAutomatic: boolean, told: boolean): void {
    const { events, options } = this.#context
    this.#inventory.generation++
    this.#inventory.suspectSince = -Infinity
    if (told && events.heard('invalidated')) {
      events.queue('invalidated', {
        pool: options.name,
        generation: this.#inventory.generation,
        reason,
        automatic: isAutomatic,
      })
    }
    for (const entry of this.#inventory.entries()) {
      if (entry.state === IDLE) this.#inventory.destroy(entry, 'stale')
      else this.#inventory.drain(entry)
    }
  }

  /** Has every resource reach the end of its lifetime within this time, one after the other. */
  spread(overMillis: number): void {
    const { clock, options } = this.#context
    const now = clock.now()
    for (const entry of this.#inventory.entries()) {
      entry.expiresAt = Math.min(entry.expiresAt, now + overMillis * options.random())
    }
  }

  /** Ends idle resources above `max`, coldest first. */
  surplus(max: number): void {
    for (const entry of this.#inventory.available.coldestFirst()) {
      if (this.#inventory.alive <= max) break
      if (entry.listed) this.#inventory.destroy(entry, 'surplus')
    }
  }
}
