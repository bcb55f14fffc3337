import type { Clock } from './clock.ts'
import type { Events } from './events.ts'

/** What is known of the pool. */
export interface OperationsContext {
  readonly options: { readonly name: string; readonly slowMillis: number }
  readonly events: Events
  readonly clock: Clock
}

/** What an adapter tells of one operation. */
export interface OperationTold {
  /** Says what was done, without a value in it; asked only where it was slow. */
  readonly describe: () => string
  readonly label?: string | undefined
  /** How long the caller waited for the resource. @defaultValue 0 */
  readonly waitMillis?: number | undefined
  /**
   * Runs a callback in the async context of whoever asked for the operation; called only where it was slow.
   * @defaultValue its end is told of in that context
   */
  readonly inContext?: ((announce: () => void) => void) | undefined
}

/**
 * For adapters: measures what borrowers do with the resources of a pool, and announces what was slow. Where nobody
 * listens nothing is measured; ask {@link watched} before anything is made for it.
 */
export class Operations {
  readonly #context: OperationsContext
  /** How many were measured, and how long they took all together, in milliseconds. */
  total = 0
  totalMillis = 0

  constructor(context: OperationsContext) {
    this.#context = context
  }

  /** Whether anybody would hear of a slow operation. */
  get watched(): boolean {
    const { options, events } = this.#context
    return events.slow.heard && options.slowMillis !== Infinity
  }

  /** A reading of the pool's clock, for {@link ended}: as exact as those of leases, and next to free. */
  now(): number {
    return this.#context.clock.turnNow()
  }

  /** Runs an operation and gives what it gives; one that gives a promise is over when that is settled. */
  run<R>(operation: OperationTold, work: () => R): R {
    const startedAt = this.now()
    let result: R
    try {
      result = work()
    } catch (error) {
      this.ended(operation, startedAt, true)
      throw error
    }
    if (result instanceof Promise) {
      void result.then(
        () => this.ended(operation, startedAt, false),
        () => this.ended(operation, startedAt, true),
      )
    } else {
      this.ended(operation, startedAt, false)
    }
    return result
  }

  /** An operation is over. Listeners hear of a slow one in the async context of whoever asked for it. */
  ended(operation: OperationTold, startedAt: number, failed: boolean): void {
    if (this.wasSlow(startedAt, operation.waitMillis)) this.tell(operation, startedAt, failed)
  }

  /** Counts an operation that is over, and says whether it is to be told of: nothing need be made for one that is not. */
  wasSlow(startedAt: number, waitMillis = 0): boolean {
    const useMillis = this.now() - startedAt
    this.total++
    this.totalMillis += useMillis
    return waitMillis + useMillis >= this.#context.options.slowMillis
  }

  /** Tells of a slow operation that {@link wasSlow} has counted. */
  tell({ describe, label, waitMillis = 0, inContext }: OperationTold, startedAt: number, failed: boolean): void {
    const { options, events, clock } = this.#context
    const useMillis = clock.now() - startedAt
    const announce = (): void => {
      if (!events.heard('slow')) return
      events.queue('slow', { pool: options.name, operation: describe(), label, waitMillis, useMillis, failed })
      events.flush()
    }
    if (inContext === undefined) announce()
    else inContext(announce)
  }
}
