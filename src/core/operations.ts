import type { PoolContext } from './context.ts'

/** What an adapter tells of one operation. */
export interface OperationTold {
  /** Says what was done, without a value in it; asked only where it was slow. */
  readonly describe: () => string
  readonly label?: string | undefined
  /** How long the caller waited for the resource. @defaultValue 0 */
  readonly waitMillis?: number | undefined
}

/**
 * For adapters: measures what borrowers do with the resources of a pool, and announces what was slow. Where nobody
 * listens nothing is measured; ask {@link watched} before anything is made for it.
 */
export class Operations {
  readonly #context: Pick<PoolContext<unknown>, 'options' | 'events' | 'clock'>
  /** How many were measured, and how long they took all together, in milliseconds. */
  total = 0
  totalMillis = 0

  constructor(context: Pick<PoolContext<unknown>, 'options' | 'events' | 'clock'>) {
    this.#context = context
  }

  /** Whether anybody would hear of a slow operation. */
  get watched(): boolean {
    const { options, events } = this.#context
    return events.topics.slow.heard && options.slowMillis !== Infinity
  }

  /** A reading of the pool's clock, for {@link ended}. */
  now(): number {
    return this.#context.clock.now()
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

  /** An operation is over. Called in the async context of whoever asked for it, which is the listeners' too. */
  ended({ describe, label, waitMillis = 0 }: OperationTold, startedAt: number, failed: boolean): void {
    const { options, events, clock } = this.#context
    const useMillis = clock.now() - startedAt
    this.total++
    this.totalMillis += useMillis
    if (waitMillis + useMillis < options.slowMillis || !events.heard('slow')) return
    events.queue('slow', { pool: options.name, operation: describe(), label, waitMillis, useMillis, failed })
    events.flush()
  }
}
