import type { Distributions } from '../core/distribution.ts'
import type { DestroyReason, FailureClass } from '../core/factory.ts'
import type { Verdict } from '../core/foreign-pool.ts'
import type { Ask, Ledger } from '../core/ledger.ts'
import type { PoolStats } from '../core/stats.ts'
import { Books, type Asking, type Lease, type Opening } from './books.ts'
import { PoolView } from './pool-view.ts'
import type { EventSource } from './wrapping.ts'

/** A view on a pool of connections to one server, each used by one at a time. */
export abstract class WatchedPool extends PoolView {
  readonly #books = new Books(this.owner)
  readonly #all = [this.#books]
  /** Those who waited before anybody watched, by what stands for them in the pool's own queue. */
  readonly #strangers = new Map<object, Ask>()

  // ── what a kind of pool says ──

  /** The sizes that the pool was given. */
  protected abstract sizes(): { readonly min: number; readonly max: number }
  /** Borrows a resource, has the server answer on it, and gives it back. */
  protected abstract probe(): Promise<unknown>
  /** What stands for those who wait in the pool's own queue. */
  protected queue(): readonly object[] {
    return []
  }

  /** Enters what the pool's events left out, before counts are shown. */
  protected lookAgain(): void {}

  protected override books(): readonly Books[] {
    return this.#all
  }

  protected get ledger(): Ledger {
    return this.#books.ledger
  }

  // ── what it sees ──

  protected wrap<F extends (...args: never[]) => unknown>(
    target: object,
    method: string,
    make: (original: F) => F,
  ): void {
    this.wrappings.wrap(target, method, make)
  }

  protected listen(source: EventSource, event: string, listener: (...args: never[]) => void): void {
    this.wrappings.listen(source, event, listener)
  }

  /** Open since before anybody watched. */
  protected found(resource: object, isUsed: boolean): void {
    this.#books.found(resource)
    if (isUsed) this.lent(resource)
  }

  /** Waiting since before anybody watched. */
  protected foundWaiting(): void {
    for (const item of this.queue()) this.#strangers.set(item, this.ledger.ask())
  }

  protected opening(): Opening {
    return this.#books.opening()
  }

  protected opened(resource: object, opening: Opening | undefined): void {
    this.#books.opened(resource, opening)
  }

  protected openFailed(opening: Opening, error: unknown, failure?: FailureClass): void {
    this.#books.openFailed(opening, error, failure)
  }

  protected knows(resource: object): boolean {
    return this.#books.knows(resource)
  }

  protected isUsed(resource: object): boolean {
    return this.#books.isUsed(resource)
  }

  /** Somebody has it: the pool itself, or whoever asked. */
  protected lent(resource: object): Lease | undefined {
    return this.#books.leaseOf(resource) ?? this.#books.lend(resource)
  }

  /** It is back in the pool. */
  protected returned(resource: object): void {
    const lease = this.#books.leaseOf(resource)
    if (lease !== undefined) this.#books.giveBack(lease)
  }

  protected gone(resource: object, reason: DestroyReason): void {
    this.#books.gone(resource, reason)
  }

  /** Throws what whoever asks is refused with. */
  protected asks(): Asking {
    return this.#books.asks()
  }

  protected served(asking: Asking, resource: object): void {
    this.#books.served(asking, () => this.lent(resource))
  }

  protected refused(asking: Asking, error: unknown): void {
    this.#books.refused(asking, error)
  }

  // ── watching ──

  protected override settle(): void {
    this.lookAgain()
    if (this.#strangers.size === 0) return
    const queue = new Set(this.queue())
    for (const [item, ask] of this.#strangers) {
      if (queue.has(item)) continue
      this.#strangers.delete(item)
      this.ledger.serve(ask)
    }
  }

  override stats(): PoolStats {
    this.settle()
    const { name, kind, state } = this
    return this.ledger.snapshot({ name, kind, state, generation: 0, ...this.sizes() })
  }

  /** What the percentiles of the statistics are made of. */
  distributions(): Distributions {
    return this.ledger.distributions()
  }

  protected override async check(): Promise<Verdict> {
    this.settle()
    const { idle, used, creating, waiting } = this.ledger
    // Whoever waits beside an idle one is about to get it.
    const isSaturated = idle === 0 && (waiting > 0 || used + creating >= this.sizes().max)
    if (isSaturated) return ['warn', 'Pool is saturated']
    await this.probe()
    return ['pass', 'Pool is healthy']
  }

  protected override stop(): void {
    super.stop()
    this.#strangers.clear()
  }
}
