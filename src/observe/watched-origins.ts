import type { Distributions } from '../core/distribution.ts'
import type { Verdict } from '../core/foreign-pool.ts'
import { Ledger, Times } from '../core/ledger.ts'
import type { PoolStats } from '../core/stats.ts'
import { sumStats } from '../core/sum-stats.ts'
import { Books } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { PoolView } from './pool-view.ts'

/** The statistics of one origin. */
export interface OriginStats extends PoolStats {
  /** `https://api.example.com:443` */
  readonly origin: string
}

/** From so many origins on, those that are not in use are forgotten. */
const MOST_ORIGINS = 500

/** A view on connections to many origins, such as an agent has: books for each, and their sum. */
export abstract class WatchedOrigins extends PoolView {
  readonly #times = new Times()
  readonly #origins = new Map<string, Books>()
  /** The sum of the origins that are forgotten. */
  #past: PoolStats

  constructor(options: ObserveOptions, forget: () => void) {
    super('http', options, forget)
    const { name, kind } = this
    this.#past = new Ledger().snapshot({ name, kind, state: 'open', generation: 0, min: 0, max: 0 })
  }

  // ── what a kind of pool says ──

  /** The most connections to one origin. */
  protected abstract maxOf(origin: string): number
  /** The most connections to all of them together; `Infinity` where there is no such bound. */
  protected abstract get maxTotal(): number
  /** Opens a connection to an origin that the pool was made for, where it was made for some, and closes it. */
  protected probe(): Promise<void> | undefined {
    return undefined
  }

  /** The books of an origin, from the first time that anybody asks for it. */
  protected origin(origin: string): Books {
    let books = this.#origins.get(origin)
    if (books === undefined) {
      if (this.#origins.size >= MOST_ORIGINS) this.#forgetUnused()
      books = new Books(this.owner, this.#times)
      this.#origins.set(origin, books)
    }
    return books
  }

  /** Origins that are not in use any more count on in one sum. */
  #forgetUnused(): void {
    for (const [origin, books] of this.#origins) {
      const { total, creating, waiting } = books.ledger
      if (total + creating + waiting > 0) continue
      this.#past = this.#sum([this.#past, this.#statsOf(origin, books)], [])
      this.#origins.delete(origin)
    }
  }

  protected override books(): readonly Books[] {
    return [...this.#origins.values()]
  }

  // ── watching ──

  #statsOf(origin: string, { ledger }: Books): OriginStats {
    const { name, kind, state } = this
    const max = this.maxOf(origin)
    const snapshot = ledger.snapshot({ name, kind, state, generation: 0, min: 0, max })
    return { ...snapshot, utilization: max === 0 ? 0 : snapshot.utilization, origin }
  }

  #sum(past: readonly PoolStats[], present: readonly PoolStats[]): PoolStats {
    const { name, kind, state } = this
    return sumStats({ name, kind, state, max: this.maxTotal }, present, past)
  }

  override stats(): PoolStats {
    this.settle()
    const origins = Object.values(this.origins())
    const stats = this.#sum([this.#past], origins)
    const max = origins.length === 0 ? Math.min(this.maxTotal, this.maxOf('')) : stats.max
    const { wait, use, create } = this.#times
    return {
      ...stats,
      max,
      utilization: stats.used / max,
      wait: wait.snapshot(stats.acquired - stats.acquiredAfterWait),
      use: use.snapshot(),
      create: create.snapshot(),
    }
  }

  /** The statistics of every origin that was asked for something. */
  origins(): Readonly<Record<string, OriginStats>> {
    return Object.fromEntries(
      Array.from(this.#origins, ([origin, books]) => [origin, this.#statsOf(origin, books)] as const),
    )
  }

  /** The same, as parts of this pool. */
  *parts(): Iterable<readonly [origin: string, part: { stats(): OriginStats }]> {
    for (const [origin, books] of this.#origins) yield [origin, { stats: () => this.#statsOf(origin, books) }]
  }

  /** What the percentiles of the statistics are made of. */
  distributions(): Distributions {
    const { acquired, acquiredAfterWait } = this.stats()
    return this.#times.distributions(acquired - acquiredAfterWait)
  }

  /** Sends no request. It fails when the last connect to every origin has failed, or, with `probe`, one fails now. */
  protected override async check(): Promise<Verdict> {
    const origins = [...this.#origins]
    if (origins.some(([origin, books]) => isSaturated(books, this.maxOf(origin)))) return ['warn', 'Pool is saturated']
    if (!origins.some(([, { ledger }]) => ledger.total > 0)) {
      const probing = this.probe()
      if (probing !== undefined) {
        await probing
        return ['pass', 'Pool is healthy']
      }
    }
    const tried = origins.filter(([, { isUp }]) => isUp !== undefined)
    const down = tried.filter(([, { isUp }]) => isUp === false).length
    if (down === 0) return ['pass', 'Pool is healthy']
    return [down === tried.length ? 'fail' : 'warn', `${down} of ${tried.length} origins cannot be reached`]
  }
}

/** More wait than connections are being opened for, and none may be opened. */
function isSaturated({ ledger }: Books, max: number): boolean {
  const { idle, used, creating, waiting } = ledger
  return idle === 0 && waiting > creating && used + creating >= max
}
