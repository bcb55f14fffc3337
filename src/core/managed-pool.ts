import type { PoolState } from './lifecycle.ts'
import type { CloseReport } from './close-report.ts'
import type { Distributions } from './distribution.ts'
import type { PoolEventName, PoolEvents } from './events.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from './report.ts'
import type { PoolStats } from './stats.ts'

/** The answer of a health check. It holds no address, no error text and no secret. */
export interface HealthCheck {
  /** `pass`: a resource answered · `warn`: it works, but look at it (saturated, suspended) · `fail`: it does not work. */
  readonly status: 'pass' | 'warn' | 'fail'
  readonly pool: string
  readonly kind: string
  /** One sentence for a person. */
  readonly message: string
  /** How long the check took, in milliseconds. */
  readonly durationMillis: number
}

export interface HealthOptions {
  /** How long the check may take. @defaultValue 1_000 */
  timeoutMillis?: number
}

export interface CloseOptions {
  /** How long leases (and, with `waiters: 'serve'`, callers that wait) get before the rest is destroyed. @defaultValue 10_000 */
  timeoutMillis?: number
  /** Whether callers that wait already are still served within that time, or rejected at once. @defaultValue 'serve' */
  waiters?: 'serve' | 'reject'
}

export interface LookOptions {
  /** The most that are told of. @defaultValue 100 */
  limit?: number | undefined
}

export interface InvalidateOptions {
  /** Why, for the `invalidated` event. @defaultValue 'requested' */
  reason?: string | undefined
  /** Replaces the resources one after the other over this time, in milliseconds, instead of all at once. @defaultValue 0 */
  spreadMillis?: number | undefined
  /** Takes leased resources away from their borrowers too, instead of when they are released. @defaultValue false */
  interruptInUse?: boolean | undefined
}

/** What can be done to a running pool. Each kind has what it can do; views on pools that others run have none of it. */
export interface Steering {
  /** Changes the sizes: those of each part, where it consists of several. @throws {OptionError} on sizes that do not fit */
  resize?(sizes: { min?: number; max?: number }): void
  /** Hands out nothing until {@link resume}. */
  suspend?(): void
  resume?(): void
  /** Has every resource replaced: idle ones now, leased ones on release, those being created on arrival. */
  invalidate?(options?: InvalidateOptions): void
  /**
   * Takes a resource away from its borrower. Returns false where nobody holds it.
   * @param part - of which part it is, as {@link LeaseInfo} says, where the pool consists of several
   */
  takeAway?(resourceId: number, part?: string): boolean
}

/** Where the events of {@link PoolEvents} come from, and what can be seen of a pool beyond its statistics. */
export interface PoolEventSource {
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): unknown
  off?<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): unknown
  /** The leases that are out, longest first. */
  leases?(options?: LookOptions): LeaseInfo[]
  /** Every resource that there is, the oldest first. */
  resources?(options?: LookOptions): ResourceInfo[]
  /** Who waits, in the order in which they would be served. */
  waiters?(options?: LookOptions): WaiterInfo[]
  /** What the percentiles of the statistics are made of; these can be added and subtracted. */
  distributions?(): Distributions
  /** What this pool consists of (per origin, tenant, shard, lane), by what tells them apart. */
  parts?(): Iterable<readonly [key: string, part: { stats(): PoolStats }]>
}

/** What has the engine's events: a pool of the engine, or one that consists of several. */
export type PoolCore = PoolEventSource & Steering

/** What every pool shows to a registry, to metrics, to sizing and to the dashboard. */
export interface ManagedPool {
  readonly name: string
  readonly kind: string
  readonly state: PoolState
  stats(): PoolStats
  /** Never throws, never queues behind an exhausted pool. */
  health(options?: HealthOptions): Promise<HealthCheck>
  /** Idempotent: a second call returns the first one's promise. */
  close(options?: CloseOptions): Promise<CloseReport>
  /** Events of the pool's own: those of the engine, or, behind a face, those of the driver's pool. */
  on(event: never, listener: never): unknown
  /** The engine's pool behind a face, with the engine's events. */
  readonly core?: PoolCore
  /** The part that `max`, `min` and `resize` are about, where that is not the whole: the exclusive lane of Redis. */
  readonly sizedPart?: ManagedPool
}

/** The engine's pool behind a face, or the pool itself: what has the engine's events. */
export function coreOf(pool: ManagedPool): PoolCore {
  return pool.core ?? (pool as PoolCore)
}

/** What is looked at and changed when a pool's size is meant. */
export function sizedPartOf(pool: ManagedPool): ManagedPool {
  return pool.sizedPart ?? pool
}
