import type { Clock } from './clock.ts'
import type { Deadlines } from './deadlines.ts'
import type { Events } from './events.ts'
import type { ResourceFactory } from './factory.ts'
import type { ResolvedOptions, Sizes } from './options.ts'
import type { Counters } from './stats.ts'

/** What the parts of one pool share. */
export interface PoolContext<T> {
  readonly factory: ResourceFactory<T>
  readonly options: ResolvedOptions<T>
  readonly sizes: Sizes
  readonly clock: Clock
  readonly events: Events
  readonly counters: Counters
  readonly deadlines: Deadlines
  /** Runs a function in the async context in which the pool was made, so that no request's store is retained or seen. */
  readonly detached: <R>(fn: () => R) => R
  /** Something has changed: match waiters with resources, create and destroy as it now makes sense. */
  changed(): void
}
