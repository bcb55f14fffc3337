import type { DestroyReason } from './factory.ts'
import type { Distributions } from './distribution.ts'
import type { Histogram, HistogramSnapshot } from './histogram.ts'
import type { PoolState } from './lifecycle.ts'

/**
 * One consistent snapshot of a pool, as plain data. Two identities always hold:
 * `requested = acquired + timedOut + aborted + refused + failed + waiting` and
 * `created = total + the sum of destroyed`.
 */
export interface PoolStats {
  readonly name: string
  readonly kind: string
  readonly state: PoolState
  /** Resources that are open: `idle + used + maintaining + closing`. */
  readonly total: number
  readonly idle: number
  /** Resources with at least one lease. */
  readonly used: number
  /** Resources being validated, reset, or in a hook. */
  readonly maintaining: number
  /** Resources saying goodbye. */
  readonly closing: number
  /** Creates under way. */
  readonly creating: number
  /** Creates past their deadline that have not settled; each may hold a socket. */
  readonly zombies: number
  /** Callers that wait. */
  readonly waiting: number
  /** How long the first of them has waited, in milliseconds; 0 when nobody waits. */
  readonly oldestWaiterMillis: number
  readonly min: number
  readonly max: number
  /** `used / max`, from 0 to 1 (above with an overflow). */
  readonly utilization: number
  /** Leases out; with `maxLeasesPerResource` 1 the same as `used`. */
  readonly leases: number
  /** Counts since the pool was made, from here on. */
  readonly requested: number
  readonly acquired: number
  /** Of these, those that had to wait. */
  readonly acquiredAfterWait: number
  readonly timedOut: number
  readonly aborted: number
  /** Refused at once or shed: queue full, admission, closed, bad options. */
  readonly refused: number
  /** Failed with the error of the server: credentials, configuration, down. */
  readonly failed: number
  readonly created: number
  readonly createErrors: number
  readonly destroyed: Readonly<Record<DestroyReason, number>>
  /** Leases reported as leaked, and leases garbage-collected unreleased. */
  readonly leaks: number
  /** Deadlocks by nested acquires that were seen. */
  readonly deadlocks: number
  readonly generation: number
  /** Time from `acquire` to its lease. */
  readonly wait: HistogramSnapshot
  /** Time from a lease to its release. */
  readonly use: HistogramSnapshot
  /** Time that successful creates took. */
  readonly create: HistogramSnapshot
}

/** The counters behind {@link PoolStats}. Each is changed where the thing happens and nowhere else. */
export class Counters {
  requested = 0
  acquired = 0
  acquiredAfterWait = 0
  timedOut = 0
  aborted = 0
  refused = 0
  failed = 0
  created = 0
  createErrors = 0
  leaks = 0
  deadlocks = 0
  readonly destroyed: Record<DestroyReason, number> = {
    idle: 0,
    lifetime: 0,
    uses: 0,
    surplus: 0,
    broken: 0,
    lost: 0,
    stale: 0,
    validate: 0,
    reset: 0,
    hook: 0,
    released: 0,
    overused: 0,
    abandoned: 0,
    interrupted: 0,
    late: 0,
    close: 0,
  }
}

/** What a snapshot is taken of. */
export interface Watched {
  readonly name: string
  readonly state: PoolState
  readonly factory: { readonly kind: string }
  readonly sizes: { readonly min: number; readonly max: number }
  readonly clock: { now(): number }
  readonly counters: Counters
  readonly inventory: {
    readonly idle: number
    readonly leased: number
    readonly maintaining: number
    readonly closing: number
    readonly creating: number
    readonly zombies: number
    readonly open: number
    readonly leases: number
    readonly generation: number
  }
  readonly queue: { readonly size: number; oldest(): { readonly queuedAt: number } | undefined }
  readonly load: { readonly waitTimes: Histogram; readonly useTimes: Histogram }
  readonly opener: { readonly createTimes: Histogram }
}

export function snapshot({
  name,
  state,
  factory,
  sizes,
  clock,
  counters,
  inventory,
  queue,
  load,
  opener,
}: Watched): PoolStats {
  const oldest = queue.oldest()
  return {
    name,
    kind: factory.kind,
    state,
    total: inventory.open,
    idle: inventory.idle,
    used: inventory.leased,
    maintaining: inventory.maintaining,
    closing: inventory.closing,
    creating: inventory.creating,
    zombies: inventory.zombies,
    waiting: queue.size,
    oldestWaiterMillis: oldest === undefined ? 0 : Math.max(0, clock.now() - oldest.queuedAt),
    min: sizes.min,
    max: sizes.max,
    utilization: inventory.leased / sizes.max,
    leases: inventory.leases,
    requested: counters.requested,
    acquired: counters.acquired,
    acquiredAfterWait: counters.acquiredAfterWait,
    timedOut: counters.timedOut,
    aborted: counters.aborted,
    refused: counters.refused,
    failed: counters.failed,
    created: counters.created,
    createErrors: counters.createErrors,
    destroyed: { ...counters.destroyed },
    leaks: counters.leaks,
    deadlocks: counters.deadlocks,
    generation: inventory.generation,
    wait: load.waitTimes.snapshot(servedAtOnce(counters)),
    use: load.useTimes.snapshot(),
    create: opener.createTimes.snapshot(),
  }
}

/** Whoever was served at once has waited for no time, and is only counted. */
const servedAtOnce = ({ acquired, acquiredAfterWait }: Counters): number => acquired - acquiredAfterWait

export function distributions({
  counters,
  load,
  opener,
}: Pick<Watched, 'counters' | 'load' | 'opener'>): Distributions {
  return {
    wait: load.waitTimes.distribution(servedAtOnce(counters)),
    use: load.useTimes.distribution(),
    create: opener.createTimes.distribution(),
  }
}
