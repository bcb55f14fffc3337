import { systemClock, type Clock, type Timer } from '../core/clock.ts'
import type { CloseReport } from '../core/close-report.ts'
import { addDistributions, type Distributions } from '../core/distribution.ts'
import { OptionError, OverloadedError, PoolClosedError } from '../core/errors.ts'
import type { PoolEventName, PoolEvents } from '../core/events.ts'
import type { PoolState } from '../core/lifecycle.ts'
import {
  coreOf,
  type CloseOptions,
  type HealthCheck,
  type HealthOptions,
  type InvalidateOptions,
  type LookOptions,
  type ManagedPool,
  type PoolCore,
  type Steering,
} from '../core/managed-pool.ts'
import { checkOption } from '../core/option-check.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../core/report.ts'
import type { PoolStats } from '../core/stats.ts'
import { sumStats } from '../core/sum-stats.ts'
import { distributionsOf, leasesOf, resourcesOf, takeAwayFrom, waitersOf, type Part } from '../core/together.ts'

export interface PoolGroupOptions {
  /** Names the group: one series in metrics, one pool in a registry. @defaultValue 'group' */
  name?: string | undefined
  /** The most resources that all pools together may open: the sum of their `max`. @defaultValue Infinity */
  maxTotal?: number | undefined
  /** The most pools. @defaultValue 100 */
  maxPools?: number | undefined
  /** A pool that nobody has asked for and nobody uses for this long is closed, in milliseconds. @defaultValue 300_000 */
  idlePoolMillis?: number | undefined
  /** Where time comes from. @defaultValue the process's clock */
  clock?: Clock | undefined
}

interface Member<P> {
  readonly pool: P
  askedAt: number
  /** Counts up with every question to the group: the lowest was asked for longest ago. */
  askedAs: number
}

type Listener = (event: never) => void

/**
 * A pool per tenant, origin or shard, under one bound. The pool that was asked for longest ago, and that nobody uses,
 * makes room for a new one. Ask for the pool every time (`group.get(key).use(…)`) instead of keeping it.
 */
export class PoolGroup<K, P extends ManagedPool = ManagedPool> implements ManagedPool, Steering, AsyncDisposable {
  readonly name: string
  readonly #make: (key: K) => P
  readonly #maxTotal: number
  readonly #maxPools: number
  readonly #idlePoolMillis: number
  readonly #clock: Clock
  readonly #members = new Map<K, Member<P>>()
  #asked = 0
  #listeners: readonly { readonly event: PoolEventName; readonly listener: Listener }[] = []
  /** The last statistics of pools that are closed: what they counted goes on counting. */
  #past: readonly PoolStats[] = []
  #pastDistributions = addDistributions([])
  #kind = 'group'
  #sweep: Timer | undefined
  #closing: Promise<CloseReport> | undefined
  #state: PoolState = 'open'

  /** @throws {OptionError} on a wrong option */
  constructor(options: PoolGroupOptions, make: (key: K) => P) {
    const {
      name = 'group',
      maxTotal = Infinity,
      maxPools = 100,
      idlePoolMillis = 300_000,
      clock = systemClock,
    } = options
    checkOption(name, 'maxTotal', maxTotal, { type: 'integer', min: 1, infinity: true })
    checkOption(name, 'maxPools', maxPools, { type: 'integer', min: 1, infinity: true })
    checkOption(name, 'idlePoolMillis', idlePoolMillis, { type: 'duration', infinity: true })
    this.name = name
    this.#make = make
    this.#maxTotal = maxTotal
    this.#maxPools = maxPools
    this.#idlePoolMillis = idlePoolMillis
    this.#clock = clock
  }

  get kind(): string {
    return this.#kind
  }

  get state(): PoolState {
    return this.#state
  }

  get size(): number {
    return this.#members.size
  }

  keys(): IterableIterator<K> {
    return this.#members.keys()
  }

  /**
   * The pool of this key, made where there is none.
   * @throws {OverloadedError} when every pool is in use and the bounds leave no room for another
   * @throws {PoolClosedError} when the group is closed
   */
  get(key: K): P {
    if (this.#closing !== undefined) throw new PoolClosedError(this.name, `pool group "${this.name}" is closed`)
    const now = this.#clock.turnNow()
    const known = this.#members.get(key)
    if (known === undefined) return this.#add(key, now)
    const { state } = known.pool
    if (state !== 'closed' && state !== 'closing') {
      known.askedAt = now
      known.askedAs = ++this.#asked
      return known.pool
    }
    this.#remove(key, known)
    return this.#add(key, now)
  }

  #add(key: K, now: number): P {
    while (this.#members.size >= this.#maxPools) this.#evictIdlest('maxPools', this.#maxPools)
    const pool = this.#make(key)
    try {
      const { max } = pool.stats()
      if (max > this.#maxTotal) {
        throw new OptionError(
          this.name,
          'maxTotal',
          `A pool of the group has \`max\` ${max}, which is above the group's \`maxTotal\` (${this.#maxTotal})`,
        )
      }
      while (this.#total() + max > this.#maxTotal) this.#evictIdlest('maxTotal', this.#maxTotal)
    } catch (error) {
      void pool.close()
      throw error
    }
    this.#kind = pool.kind
    this.#members.set(key, { pool, askedAt: now, askedAs: ++this.#asked })
    for (const { event, listener } of this.#listeners) subscribe(pool, event, listener)
    if (this.#state === 'suspended') coreOf(pool).suspend?.()
    this.#scheduleSweep()
    return pool
  }

  #total(): number {
    return [...this.#members.values()].reduce((sum, { pool }) => sum + pool.stats().max, 0)
  }

  #evictIdlest(bound: string, limit: number): void {
    let idlest: readonly [key: K, member: Member<P>] | undefined
    for (const each of this.#members) {
      if ((idlest === undefined || each[1].askedAs < idlest[1].askedAs) && isUnused(each[1].pool)) idlest = each
    }
    if (idlest !== undefined) {
      this.#remove(...idlest)
      return
    }
    throw new OverloadedError(
      this.name,
      `pool group "${this.name}": every pool is in use, and \`${bound}\` (${limit}) leaves no room for another`,
      'queue-full',
      0,
    )
  }

  #remove(key: K, { pool }: Member<P>): void {
    this.#members.delete(key)
    void pool.close().then(() => this.#bury(pool))
  }

  /** A pool is closed: what it counted stays. */
  #bury(pool: P): void {
    this.#remember(pool.stats())
    this.#pastDistributions = distributionsOf([coreOf(pool)], this.#pastDistributions)
  }

  /** One sum, however many pools there have been. */
  #remember(stats: PoolStats): void {
    const { name, state } = this
    this.#past = [sumStats({ name, kind: this.#kind, state, max: 0 }, [], [...this.#past, stats])]
  }

  #scheduleSweep(): void {
    if (this.#sweep !== undefined || this.#idlePoolMillis === Infinity) return
    this.#sweep = this.#clock.setTimer(() => {
      this.#sweep = undefined
      const now = this.#clock.now()
      for (const [key, member] of this.#members) {
        if (now - member.askedAt >= this.#idlePoolMillis && isUnused(member.pool)) this.#remove(key, member)
      }
      if (this.#members.size > 0 && this.#closing === undefined) this.#scheduleSweep()
    }, this.#idlePoolMillis / 4)
    this.#sweep.unref()
  }

  /** The sum over all pools, also those that are closed by now. Percentiles are the highest of any pool: an upper bound. */
  stats(): PoolStats {
    const present = Array.from(this.#members.values(), ({ pool }) => pool.stats())
    return sumStats({ name: this.name, kind: this.#kind, state: this.#state, max: this.#maxTotal }, present, this.#past)
  }

  /** The pools of the group that there are now, by the text of their keys. */
  *parts(): Iterable<readonly [key: string, pool: P]> {
    for (const [key, { pool }] of this.#members) yield [String(key), pool]
  }

  /** The leases of all its pools that are out, longest first. */
  leases(options?: LookOptions): LeaseInfo[] {
    return leasesOf(this.#parts, options)
  }

  /** Who waits for one of its pools, longest first. */
  waiters(options?: LookOptions): WaiterInfo[] {
    return waitersOf(this.#parts, options)
  }

  /** Every resource of its pools, the oldest first. Each pool counts its own from 1. */
  resources(options?: LookOptions): ResourceInfo[] {
    return resourcesOf(this.#parts, options)
  }

  /** The sum over all pools, also those that are closed by now. */
  distributions(): Distributions {
    return distributionsOf(this.#cores, this.#pastDistributions)
  }

  get #cores(): PoolCore[] {
    return Array.from(this.#members.values(), ({ pool }) => coreOf(pool))
  }

  get #parts(): Part[] {
    return Array.from(this.parts(), ([key, pool]) => [key, coreOf(pool)])
  }

  /**
   * Its pools, those to come included, hand out nothing until {@link resume}; callers wait, and their deadlines run.
   * @throws {OptionError} where one of them is run by somebody else; nothing is suspended then
   */
  suspend(): void {
    if (this.#state !== 'open') return
    const cores = this.#able('suspend')
    this.#state = 'suspended'
    for (const core of cores) core.suspend?.()
  }

  resume(): void {
    if (this.#state !== 'suspended') return
    this.#state = 'open'
    for (const core of this.#cores) core.resume?.()
  }

  /**
   * Has every resource of every pool replaced: idle ones now, leased ones on release, those being created on arrival.
   * @throws {OptionError} where one of them is run by somebody else; nothing is replaced then
   */
  invalidate(options?: InvalidateOptions): void {
    for (const core of this.#able('invalidate')) core.invalidate?.(options)
  }

  /** Takes a resource away from its borrower; false where nobody holds it. @param part - the key of its pool, as {@link leases} says */
  takeAway(resourceId: number, part?: string): boolean {
    return takeAwayFrom(this.#parts, resourceId, part)
  }

  #able(what: 'suspend' | 'invalidate'): PoolCore[] {
    const cores = this.#cores
    if (cores.every((core) => core[what] !== undefined)) return cores
    throw new OptionError(this.name, what, `A pool of the group is run by somebody else: it has no \`${what}\``)
  }

  async health(options: HealthOptions = {}): Promise<HealthCheck> {
    const startedAt = this.#clock.now()
    const checks = await Promise.all(Array.from(this.#members.values(), ({ pool }) => pool.health(options)))
    const suspended = this.#state === 'suspended'
    const failing = checks.filter(({ status }) => status === 'fail').length
    const warning = checks.filter(({ status }) => status === 'warn').length
    const closed = this.#state === 'closed' || this.#state === 'closing'
    const status =
      closed || (failing > 0 && failing === checks.length)
        ? 'fail'
        : suspended || failing + warning > 0
          ? 'warn'
          : 'pass'
    const message = closed
      ? 'Pool group is closed'
      : suspended
        ? 'Pool group is suspended'
        : `${checks.length - failing} of ${checks.length} pools work`
    return { status, pool: this.name, kind: this.#kind, message, durationMillis: this.#clock.now() - startedAt }
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#closeAll(options)
    return this.#closing
  }

  async #closeAll(options: CloseOptions): Promise<CloseReport> {
    this.#state = 'closing'
    this.#sweep?.cancel()
    const startedAt = this.#clock.now()
    const reports = await Promise.all(Array.from(this.#members.values(), ({ pool }) => pool.close(options)))
    for (const { pool } of this.#members.values()) this.#bury(pool)
    this.#members.clear()
    this.#state = 'closed'
    const sum = (field: 'closed' | 'forced' | 'pendingCreates' | 'rejected'): number =>
      reports.reduce((total, report) => total + report[field], 0)
    const report: CloseReport = {
      pool: this.name,
      closed: sum('closed'),
      forced: sum('forced'),
      pendingCreates: sum('pendingCreates'),
      rejected: sum('rejected'),
      holders: reports.flatMap(({ holders }) => holders),
      durationMillis: this.#clock.now() - startedAt,
    }
    // The pools have told of their own ends; this is the group's.
    for (const { event, listener } of this.#listeners)
      if (event === 'closed') (listener as (report: CloseReport) => void)(report)
    return report
  }

  /** Events of all its pools, present and to come; `closed` also of the group itself, under its own name. */
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#listeners = [...this.#listeners, { event, listener }]
    for (const { pool } of this.#members.values()) subscribe(pool, event, listener)
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#listeners = this.#listeners.filter((each) => each.event !== event || each.listener !== listener)
    for (const core of this.#cores) core.off?.(event, listener)
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function isUnused(pool: ManagedPool): boolean {
  const { used, waiting, maintaining } = pool.stats()
  return used + waiting + maintaining === 0
}

function subscribe(pool: ManagedPool, event: PoolEventName, listener: Listener): void {
  // A listener of this very event, as `on` has seen to.
  coreOf(pool).on(event, listener as (event: PoolEvents[PoolEventName]) => void)
}
