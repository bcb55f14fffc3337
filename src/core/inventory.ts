import type { PoolContext } from './context.ts'
import { Entry } from './entry.ts'
import type { DestroyReason } from './factory.ts'
import { Gate } from './gate.ts'
import type { Holder, Lease } from './lease.ts'
import { IdleList, LeastLeased, type Available } from './idle-list.ts'
import {
  assertEntryMove,
  CLOSED,
  CLOSING,
  CREATING,
  ENTRY_STATE_NAMES,
  IDLE,
  LEASED,
  MAINTAINING,
  ZOMBIE,
  type EntryState,
} from './lifecycle.ts'
import type { ResourceInfo } from './report.ts'
import { bounded, reportFailure } from './steps.ts'

/** Every resource of a pool and the state it is in. Nothing else changes a state or a count. */
export class Inventory<T> {
  readonly #context: PoolContext<T>
  readonly #entries = new Set<Entry<T>>()
  readonly #counts: Record<EntryState, number> = [0, 0, 0, 0, 0, 0, 0]
  /** What may be handed out, as far as its place tells; it may still be stale, expired or unproven. */
  available: Available<T>
  /** Whether a {@link gate} stands before it: then nothing passes from hand to hand. */
  gated = false
  readonly #multiplexed: boolean
  // Copies of options that the hot path reads.
  readonly #validateAfterMillis: number
  readonly #maxUses: number
  readonly #keepsIdle: boolean
  #lastId = 0
  #leases = 0
  #draining = 0
  /** Counts bulk invalidations. A resource of an older generation is never handed out. */
  generation = 0
  /** Resources that have not shown since then that they work are validated before their next use. */
  suspectSince = -Infinity

  constructor(context: PoolContext<T>) {
    this.#context = context
    const { order, maxLeasesPerResource, validateAfterIdleMillis, maxUses, idleTimeoutMillis } = context.options
    this.#validateAfterMillis = context.factory.validate === undefined ? Infinity : validateAfterIdleMillis
    this.#maxUses = maxUses
    this.#keepsIdle = idleTimeoutMillis > 0
    this.#multiplexed = maxLeasesPerResource > 1
    this.available = this.#multiplexed ? new LeastLeased(order) : new IdleList(order)
  }

  get creating(): number {
    return this.#counts[CREATING]
  }
  get idle(): number {
    return this.#counts[IDLE]
  }
  get leased(): number {
    return this.#counts[LEASED]
  }
  get maintaining(): number {
    return this.#counts[MAINTAINING]
  }
  get closing(): number {
    return this.#counts[CLOSING]
  }
  get zombies(): number {
    return this.#counts[ZOMBIE]
  }
  /** Open and in working order, as far as is known. */
  get alive(): number {
    return this.idle + this.leased + this.maintaining - this.#draining
  }
  /** Of the leased ones, those that take no new leases and end with their last. None where a resource has one lease. */
  get draining(): number {
    return this.#draining
  }
  /** Open on the server, also what is saying goodbye. */
  get open(): number {
    return this.idle + this.leased + this.maintaining + this.closing
  }
  /** What counts against `max`: a lease that runs for hours on an old resource must not keep all others from a new one. */
  get occupied(): number {
    return this.open - this.#draining
  }
  /** Leases that are out. */
  get leases(): number {
    return this.#leases
  }

  /** The most leases that are let out at once; the resources stay open. */
  get gateLimit(): number {
    return this.available instanceof Gate ? this.available.limit : Infinity
  }

  /** Lets out no more leases than this at once, for `millpond/sizing`; `Infinity` takes the gate away. */
  gate(limit: number): void {
    const behind = this.available instanceof Gate ? (this.available as Gate<T>).behind : this.available
    this.available = limit === Infinity ? behind : new Gate(behind, limit, () => this.#leases)
    this.gated = limit < Infinity
    this.#context.changed()
  }

  entries(): Iterable<Entry<T>> {
    return this.#entries
  }

  /** What there is, the oldest first. */
  infos(now: number, limit: number): ResourceInfo[] {
    const infos: ResourceInfo[] = []
    for (const { id, state, generation, startedAt, uses, leases } of this.#entries) {
      if (infos.length === limit) break
      const ageMillis = Math.max(0, now - startedAt)
      infos.push({ resourceId: id, state: ENTRY_STATE_NAMES[state], generation, ageMillis, uses, leases })
    }
    return infos
  }

  /** The one place where a resource changes its state. */
  move(entry: Entry<T>, to: EntryState): void {
    const from = entry.state
    assertEntryMove(from, to)
    this.#counts[from]--
    this.#counts[to]++
    entry.state = to
    if (entry.draining) {
      entry.draining = false
      this.#draining--
    }
    if (to === CLOSED) this.#entries.delete(entry)
  }

  /** A new entry, for a create that begins now. */
  add(now: number): Entry<T> {
    const entry = new Entry<T>(++this.#lastId, this.generation, now, this.#multiplexed)
    this.#entries.add(entry)
    this.#counts[CREATING]++
    return entry
  }

  /** Gives the entry to the holder of the lease; a multiplexed one stays available while it has room. */
  lend(entry: Entry<T>, lease: Lease<T>, now: number): void {
    this.available.remove(entry)
    // One that passes from hand to hand is leased already.
    if (entry.state !== LEASED) this.move(entry, LEASED)
    this.#leases++
    entry.take(lease, now)
    if (this.#multiplexed) this.#lendFurther(entry)
  }

  #lendFurther(entry: Entry<T>): void {
    if (entry.uses >= this.#maxUses) this.drain(entry)
    else if (entry.leases < this.#context.sizes.maxLeasesPerResource) this.available.add(entry)
  }

  /**
   * A server has said how many leases it allows on a resource, which counts where the pool would give more: one that has
   * more already takes none until it has fewer. The last word of a server is what counts for all.
   */
  limitLeases(limit: number): void {
    const { options, sizes, clock } = this.#context
    const cap = Math.max(1, Math.min(options.maxLeasesPerResource, limit))
    if (cap === sizes.maxLeasesPerResource) return
    sizes.maxLeasesPerResource = cap
    for (const entry of this.#entries) {
      if (entry.leases >= cap) this.available.remove(entry)
      else if (entry.state === LEASED && !entry.draining && !entry.listed) this.keep(entry, clock.turnNow())
    }
    this.#context.changed()
  }

  /** Ends the holding of this lease, and tells since when it was out. */
  takeBack(entry: Entry<T>, lease: Lease<T>): number {
    this.#leases--
    if (this.#multiplexed) this.available.remove(entry)
    return entry.giveBack(lease)
  }

  /** Ends the holding of a lease that was garbage-collected. */
  giveUp(entry: Entry<T>, holder: Holder<T>): void {
    this.#leases--
    if (this.#multiplexed) this.available.remove(entry)
    entry.giveUp(holder)
  }

  /** Makes an entry idle that nobody holds. */
  makeAvailable(entry: Entry<T>, now: number, cold: boolean): void {
    this.move(entry, IDLE)
    if (!cold) entry.idleSince = now
    if (cold) this.available.addCold(entry)
    else this.available.add(entry)
  }

  /** Takes an idle entry out for a check, a reset or a hook. */
  startMaintaining(entry: Entry<T>, now: number): void {
    this.available.remove(entry)
    this.move(entry, MAINTAINING)
    entry.maintainedSince = now
  }

  /** Whether the entry may be handed out, as far as is known. */
  sound(entry: Entry<T>, now: number): boolean {
    return !entry.broken && entry.generation === this.generation && entry.expiresAt > now
  }

  /** Sound, and no check is due. */
  ready(entry: Entry<T>, now: number): boolean {
    return (
      !entry.broken &&
      entry.generation === this.generation &&
      entry.expiresAt > now &&
      now - entry.provenAt <= this.#validateAfterMillis &&
      entry.provenAt >= this.suspectSince
    )
  }

  /** Why the entry must not be handed out any more. */
  defect(entry: Entry<T>, now: number): DestroyReason | undefined {
    if (this.sound(entry, now)) return undefined
    return entry.broken ? 'lost' : entry.generation !== this.generation ? 'stale' : 'lifetime'
  }

  /** Goes on lending an entry that has leases, as long as it is sound, not used up, and has room. */
  keep(entry: Entry<T>, now: number): void {
    if (!this.sound(entry, now) || entry.uses >= this.#maxUses) this.drain(entry)
    else if (entry.leases < this.#context.sizes.maxLeasesPerResource) this.available.add(entry)
  }

  /** Takes a leased entry that is not sound, or used up, out of reach, for what is left of its leases. */
  drain(entry: Entry<T>): void {
    if (!this.#multiplexed || entry.state !== LEASED || entry.draining || entry.leases === 0) return
    this.available.remove(entry)
    entry.draining = true
    this.#draining++
  }

  /** Ends an available entry that is not sound; one that still has leases is only not handed out any more. */
  discard(entry: Entry<T>, now: number): void {
    if (entry.leases > 0) this.drain(entry)
    else this.destroy(entry, this.defect(entry, now) ?? 'stale')
  }

  /** Whether a released entry goes on without any question: nobody else holds it, and no limit is reached. */
  reusable(entry: Entry<T>, now: number): boolean {
    return (
      entry.leases === 0 &&
      this.sound(entry, now) &&
      entry.uses < this.#maxUses &&
      this.#keepsIdle &&
      this.alive <= this.#context.sizes.max
    )
  }

  /** Whether the entry has to show that it works before it is handed out. */
  needsValidation(entry: Entry<T>, now: number): boolean {
    if (now - entry.provenAt <= this.#validateAfterMillis && entry.provenAt >= this.suspectSince) return false
    return entry.leases === 0 && this.#context.factory.validate !== undefined
  }

  /**
   * Ends a resource that nobody holds: it is out of reach at once, and closed after the adapter's goodbye or
   * `destroyTimeoutMillis`, whichever comes first.
   */
  destroy(entry: Entry<T>, reason: DestroyReason, error?: unknown): void {
    const { counters, options, factory } = this.#context
    this.available.remove(entry)
    this.move(entry, CLOSING)
    let isAtOnce = true
    bounded<T, void>(
      this.#context,
      'destroy',
      options.destroyTimeoutMillis,
      () => factory.destroy(entry.resource as T, reason),
      (outcome) => {
        if (!outcome.ok) reportFailure(this.#context, 'destroy', outcome.error)
        this.move(entry, CLOSED)
        counters.destroyed[reason]++
        entry.resource = undefined
        this.#announce(entry, reason, error)
        // Over at once: whoever ends a resource has yet to say what that means for the others.
        if (isAtOnce) queueMicrotask(() => this.#context.changed())
        else this.#context.changed()
      },
    )
    isAtOnce = false
  }

  #announce(entry: Entry<T>, reason: DestroyReason, error: unknown): void {
    const { events, options, clock } = this.#context
    if (!events.heard('destroyed')) return
    events.queue('destroyed', {
      pool: options.name,
      resourceId: entry.id,
      generation: entry.generation,
      reason,
      // The turn's reading may be older than a create of this very turn.
      ageMillis: Math.max(0, clock.turnNow() - entry.createdAt),
      uses: entry.uses,
      ...(error === undefined ? {} : { error }),
    })
  }
}
