import type { Entry } from './entry.ts'
import { leaseAccess, type Holder, type Lease } from './lease.ts'
import type { Scope } from './nesting.ts'

/** What is known of a lease without keeping it alive. */
class WatchedHolder<T> implements Holder<T> {
  readonly label: string | undefined
  readonly scope: Scope | undefined
  readonly #stack: string | undefined
  readonly #lease: WeakRef<Lease<T>>
  #leakReported: boolean

  constructor(lease: Lease<T>) {
    const holder = leaseAccess.holder(lease)
    this.#stack = holder.stack
    this.label = holder.label
    this.scope = holder.scope
    this.#leakReported = holder.leakReported
    this.#lease = new WeakRef(lease)
  }

  get stack(): string | undefined {
    return this.#stack
  }

  get leakReported(): boolean {
    return this.#leakReported
  }

  set leakReported(reported: boolean) {
    this.#leakReported = reported
    const lease = this.lease()
    if (lease !== undefined) leaseAccess.holder(lease).leakReported = reported
  }

  lease(): Lease<T> | undefined {
    return this.#lease.deref()
  }
}

interface Abandoned<T> {
  readonly entry: Entry<T>
  readonly holder: Holder<T>
  readonly since: number
}

/**
 * Finds leases that were garbage-collected without a release. Only leases that are still out when maintenance comes by
 * are watched; those that come and go between two rounds cost nothing.
 */
export class Abandonment<T> {
  readonly #registry: FinalizationRegistry<Abandoned<T>>

  constructor(found: (abandoned: Abandoned<T>) => void) {
    this.#registry = new FinalizationRegistry(found)
  }

  watch(entry: Entry<T>, lease: Lease<T>, since: number): void {
    const holder = new WatchedHolder(lease)
    entry.watch(lease, holder)
    this.#registry.register(lease, { entry, holder, since }, lease)
  }

  /** The lease came back by itself. */
  forget(lease: Lease<T>): void {
    this.#registry.unregister(lease)
  }
}
