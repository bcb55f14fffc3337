import { systemClock, type Clock, type Timer } from '../core/clock.ts'
import { OptionError } from '../core/errors.ts'
import { coreOf, sizedPartOf, type ManagedPool } from '../core/managed-pool.ts'
import { checkOption } from '../core/option-check.ts'
import { engineOf, Pool } from '../core/pool.ts'
import { BLOCK, ThroughputProbe, type Block, type ProbeMove } from './probe.ts'

export interface AutosizeOptions {
  /** The fewest leases that are allowed at once. @defaultValue 2 */
  readonly min?: number | undefined
  /** The most; never above the pool's own `max`. @defaultValue the pool's `max` */
  readonly max?: number | undefined
  /** Where to begin. @defaultValue the pool's `max`, within the bounds */
  readonly start?: number | undefined
  /**
   * That no pool of another process works on this server. Several that tune themselves against each other drive it to a
   * tenth of what it can do, each taking what the others leave. @defaultValue false
   */
  readonly alone?: boolean | undefined
  /**
   * Tells how many connections others have to the server; asked before every block. While it is not 0, all leases are
   * allowed and nothing is measured. One of `alone` and `others` is needed. @defaultValue none
   */
  readonly others?: (() => number | Promise<number>) | undefined
  /** Hears of every move, with what it went by. @defaultValue none */
  readonly onMove?: ((move: ProbeMove) => void) | undefined
  /** @defaultValue the process's clock */
  readonly clock?: Clock | undefined
  /** @defaultValue Math.random */
  readonly random?: (() => number) | undefined
}

/** Tunes one pool until it is stopped. Experimental. */
export class Autosizer {
  readonly #engine: ReturnType<typeof engineOf>
  readonly #core: Pool<unknown>
  readonly #clock: Clock
  readonly #options: AutosizeOptions
  readonly #probe: ThroughputProbe
  readonly #moves: ProbeMove[] = []
  #timer: Timer | undefined
  #stopped = false
  #inUse: number
  #since: number
  #completions = 0
  #fullMillis = 0
  #limit = Infinity

  /** @throws {OptionError} on a wrong option, a pool that is not the engine's, or where nobody says that it is alone */
  constructor(given: ManagedPool, options: AutosizeOptions) {
    const pool = sizedPartOf(given)
    const core = coreOf(pool)
    const { min = 2, clock = systemClock, random, alone = false, others } = options
    if (!(core instanceof Pool)) {
      throw new OptionError(
        pool.name,
        'pool',
        `"${pool.name}" is pooled by its driver, or by another copy of Millpond: only pools of this engine can be tuned`,
      )
    }
    if (!alone && others === undefined) {
      throw new OptionError(
        pool.name,
        'alone',
        'Say `alone: true` where no other process has connections to this server, or give `others`, which counts them: pools that tune themselves side by side ruin each other’s throughput',
      )
    }
    // Leases, not resources, are what the gate counts.
    const most = pool.stats().max * (core as Pool<unknown>).options.maxLeasesPerResource
    const max = Math.min(options.max ?? most, most)
    checkOption(pool.name, 'min', min, { type: 'integer', min: 1 })
    checkOption(pool.name, 'max', max, { type: 'integer', min: 1 })
    if (min > max)
      throw new OptionError(pool.name, 'min', `Expected \`min\` to be at most \`max\` (${max}), got ${min}`)
    this.#core = core as Pool<unknown>
    this.#engine = engineOf(this.#core)
    this.#clock = clock
    this.#options = options
    this.#probe = new ThroughputProbe(options.start ?? max, { min, max, random })
    this.#inUse = pool.stats().leases
    this.#since = clock.now()
    this.#core.on('acquired', this.#acquired)
    this.#core.on('released', this.#released)
    this.#core.on('closed', this.stop)
    void this.#nextBlock()
  }

  /** How many leases are allowed at once now. */
  get limit(): number {
    return this.#limit
  }

  /** Around which it measures. */
  get base(): number {
    return this.#probe.base
  }

  /** Every move so far, with what it went by; the last 1,000. */
  get moves(): readonly ProbeMove[] {
    return this.#moves
  }

  /** Allows every lease again. */
  readonly stop = (): void => {
    if (this.#stopped) return
    this.#stopped = true
    this.#timer?.cancel()
    this.#core.off('acquired', this.#acquired)
    this.#core.off('released', this.#released)
    this.#core.off('closed', this.stop)
    this.#allow(Infinity)
  };

  [Symbol.dispose](): void {
    this.stop()
  }

  readonly #acquired = (): void => {
    this.#advance()
    this.#inUse++
  }

  readonly #released = (): void => {
    this.#advance()
    this.#inUse = Math.max(0, this.#inUse - 1)
    this.#completions++
  }

  #advance(): void {
    const now = this.#clock.now()
    if (this.#inUse >= this.#limit) this.#fullMillis += now - this.#since
    this.#since = now
  }

  #allow(limit: number): void {
    this.#limit = limit
    this.#engine.inventory.gate(limit)
  }

  async #nextBlock(): Promise<void> {
    if (await this.#sharesTheServer()) {
      this.#allow(Infinity)
      this.#after(BLOCK.mostMillis, () => void this.#nextBlock())
      return
    }
    if (this.#stopped) return
    this.#allow(this.#probe.limit)
    // What was under way at the size before is not counted.
    this.#after(BLOCK.settleMillis, () => {
      this.#inUse = this.#core.stats().leases
      this.#since = this.#clock.now()
      this.#completions = 0
      this.#fullMillis = 0
      this.#measure(this.#since)
    })
  }

  #measure(startedAt: number): void {
    this.#after(BLOCK.millis, () => {
      this.#advance()
      const millis = this.#since - startedAt
      if (this.#completions < BLOCK.completions && millis < BLOCK.mostMillis) this.#measure(startedAt)
      else
        this.#blockEnded({
          limit: this.#limit,
          completions: this.#completions,
          millis,
          saturated: this.#fullMillis / millis,
        })
    })
  }

  #blockEnded(block: Block): void {
    const move = this.#probe.ended(block)
    if (move !== undefined) {
      this.#moves.push(move)
      if (this.#moves.length > 1_000) this.#moves.shift()
      this.#options.onMove?.(move)
    }
    void this.#nextBlock()
  }

  async #sharesTheServer(): Promise<boolean> {
    const { others } = this.#options
    if (others === undefined) return false
    try {
      return (await others()) > 0
    } catch {
      // Nobody knows, so nothing is done.
      return true
    }
  }

  #after(millis: number, next: () => void): void {
    if (this.#stopped) return
    this.#timer = this.#clock.setTimer(next, millis)
    this.#timer.unref()
  }
}

/**
 * Finds by trying how many leases of a pool the server serves best at once, and allows so many. Opt-in and experimental.
 *
 * It moves a gate on leases, not the sockets, so trying costs no connects; never above the pool's `max`, never below
 * `min`; only while every allowed lease is out for 70 % of the time. In simulation it keeps 97 to 98 % of the best throughput
 * with fewer connections than the peak has, and follows a server that changes.
 *
 * @throws {OptionError} where other processes may use the server and nobody says whether they do
 */
export function autosize(pool: ManagedPool, options: AutosizeOptions = {}): Autosizer {
  return new Autosizer(pool, options)
}
