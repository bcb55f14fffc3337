import type { CloseReport } from '../core/close-report.ts'
import type { FailureClass } from '../core/factory.ts'
import { ForeignPool } from '../core/foreign-pool.ts'
import type { Refusal } from '../core/ledger.ts'
import type { CloseOptions, LookOptions } from '../core/managed-pool.ts'
import type { LeaseInfo, WaiterInfo } from '../core/report.ts'
import type { Books, BooksOwner } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { Wrappings } from './wrapping.ts'

const LOOK_MILLIS = 5
const GOODBYE_MILLIS = 2_000

/**
 * A view on a pool that somebody else wrote, by wrapping methods of this one object: what drivers tell by themselves is
 * not enough under contention. A kind of pool says what is wrapped, and enters what it sees into its books.
 */
export abstract class PoolView extends ForeignPool {
  protected readonly wrappings = new Wrappings()
  /** What the books are kept for. */
  protected readonly owner: BooksOwner
  readonly #timer: NodeJS.Timeout | undefined
  readonly #forget: () => void
  #lastId = 0
  #pausedAt: number | undefined

  constructor(kind: string, options: ObserveOptions, forget: () => void) {
    super(options.name ?? kind, kind)
    this.#forget = forget
    const { slowMillis = 1_000, leakThresholdMillis = Infinity } = options
    this.owner = {
      name: this.name,
      slowMillis,
      leakThresholdMillis,
      trackStacks: options.trackStacks ?? leakThresholdMillis !== Infinity,
      isClosing: () => this.state === 'closing',
      nextId: () => ++this.#lastId,
      refusalOf: (error) => this.refusalOf(error),
      tell: (event, payload) => this.tell(event, payload),
      reached: () => this.#reached(),
      unreachable: (failure, error) => this.#unreachable(failure, error),
    }
    if (leakThresholdMillis === Infinity) return
    const look = (): void => {
      for (const books of this.books()) books.lookForLeaks()
    }
    this.#timer = setInterval(look, Math.min(Math.max(leakThresholdMillis / 4, 10), 1_000))
    this.#timer.unref()
  }

  // ── what a kind of pool says ──

  /** The books of every server that is known now. */
  protected abstract books(): readonly Books[]
  /** Has the pool close itself. */
  protected abstract shut(): Promise<unknown>
  /** Ends a resource that is still used when the time is over. */
  protected abstract cut(resource: object): void
  /** What an error of the pool's own says. */
  protected abstract refusalOf(error: unknown): Refusal
  /** Anything that the pool's events left out, before counts are shown. */
  protected settle(): void {}

  // ── state ──

  protected override get openState(): 'open' | 'paused' {
    return this.#pausedAt === undefined ? 'open' : 'paused'
  }

  #reached(): void {
    if (this.#pausedAt === undefined) return
    const pausedMillis = performance.now() - this.#pausedAt
    this.#pausedAt = undefined
    this.tell('resumed', { pool: this.name, pausedMillis, attempts: 1 })
  }

  /** Told once, when no server can be reached any more. */
  #unreachable(failure: FailureClass, error: unknown): void {
    if (this.#pausedAt !== undefined || this.state !== 'open' || this.books().some(({ isUp }) => isUp === true)) return
    this.#pausedAt = performance.now()
    this.tell('paused', { pool: this.name, failure, error })
  }

  // ── watching ──

  /** The resources in use, longest first; with where they were asked for, when stacks are tracked. */
  leases({ limit = 100 }: LookOptions = {}): LeaseInfo[] {
    return this.books()
      .flatMap((books) => books.leases())
      .sort((one, other) => other.heldMillis - one.heldMillis)
      .slice(0, limit)
  }

  /** Those who wait, longest first. */
  waiters({ limit = 100 }: LookOptions = {}): WaiterInfo[] {
    return this.books()
      .flatMap(({ ledger }) => ledger.waiters(limit))
      .sort((one, other) => other.waitedMillis - one.waitedMillis)
      .slice(0, limit)
  }

  // ── ending ──

  /** Those who wait are served and those who work may end, for a time; then the pool closes itself, and the rest is cut. */
  protected override async end({
    timeoutMillis = 10_000,
  }: CloseOptions): Promise<Omit<CloseReport, 'pool' | 'durationMillis'>> {
    const until = performance.now() + timeoutMillis
    const isQuiet = (): boolean => this.books().every(({ ledger }) => ledger.used === 0 && ledger.waiting === 0)
    while (!isQuiet() && performance.now() < until) {
      await pause(LOOK_MILLIS)
      this.settle()
    }
    const sum = (of: 'total' | 'used' | 'waiting' | 'creating'): number =>
      this.books().reduce((total, { ledger }) => total + ledger[of], 0)
    const forced = sum('used')
    const report = { closed: sum('total') - forced, forced, pendingCreates: sum('creating'), rejected: sum('waiting') }
    const holders = this.leases()
    const shutting = this.shut().catch(() => undefined)
    for (const resource of this.books().flatMap((books) => books.used())) this.cut(resource)
    await Promise.race([shutting, pause(GOODBYE_MILLIS, false)])
    this.stop()
    return { ...report, holders }
  }

  override detach(): void {
    if (this.state === 'closed' || this.state === 'closing') return
    this.stop()
    this.ownerClosed(0)
  }

  protected stop(): void {
    this.wrappings.restore()
    clearInterval(this.#timer)
    for (const books of this.books()) books.end()
    this.#forget()
  }
}

async function pause(millis: number, keepsAlive = true): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, millis)
    if (!keepsAlive) timer.unref()
  })
}
