import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { DestroyReason } from './factory.ts'
import type { Inventory } from './inventory.ts'
import { CREATING } from './lifecycle.ts'
import type { Opener } from './opener.ts'
import type { Status } from './status.ts'
import { reportFailure } from './steps.ts'
import type { WaitQueue } from './wait-queue.ts'

/** Called with the pool in a consistent state. */
export interface RetirementHost<T> {
  /** The resource is known to be dead, and nobody holds it. */
  lost(entry: Entry<T>): void
}

/** Decides whether a resource that nobody holds goes on. */
export class Retirement<T> {
  readonly #context: PoolContext<T>
  readonly #inventory: Inventory<T>
  readonly #queue: WaitQueue<T>
  readonly #opener: Opener<T>
  readonly #status: Status
  readonly #host: RetirementHost<T>

  constructor(
    context: PoolContext<T>,
    inventory: Inventory<T>,
    queue: WaitQueue<T>,
    opener: Opener<T>,
    status: Status,
    host: RetirementHost<T>,
  ) {
    this.#context = context
    this.#inventory = inventory
    this.#queue = queue
    this.#opener = opener
    this.#status = status
    this.#host = host
  }

  /** Ends a resource that may not, or need not, go on. */
  ends(entry: Entry<T>, now: number): boolean {
    const reason = this.#reason(entry, now)
    if (reason === undefined) return false
    if (reason === 'lost') this.#host.lost(entry)
    else this.#inventory.destroy(entry, reason)
    return true
  }

  #reason(entry: Entry<T>, now: number): DestroyReason | undefined {
    const { options, sizes } = this.#context
    const defect = this.#inventory.defect(entry, now)
    if (defect !== undefined) return defect
    if (entry.uses >= options.maxUses) return 'uses'
    const waiting = this.#queue.size > 0
    if (this.#status.state === 'closing' && !waiting) return 'close'
    const alive = this.#inventory.alive + (entry.state === CREATING ? 1 : 0)
    if (alive > sizes.max + (waiting ? options.maxOverflow : 0)) return 'surplus'
    const wanted = Math.max(sizes.min, sizes.minIdle, this.#opener.wantedReady)
    return options.idleTimeoutMillis === 0 && !waiting && alive > wanted ? 'idle' : undefined
  }
}

/** Asks the adapter whether the resource survived its last use; one that cannot say is broken. */
export function asksBroken<T>(context: PoolContext<T>, entry: Entry<T>, error: unknown): boolean {
  try {
    return context.factory.isBroken?.(entry.resource as T, error) ?? false
  } catch (thrown) {
    reportFailure(context, 'isBroken', thrown)
    return true
  }
}
