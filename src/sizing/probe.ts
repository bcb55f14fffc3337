import { WORTHWHILE_ELASTICITY } from './usl.ts'

/** What happened while so many leases were allowed. */
export interface Block {
  readonly limit: number
  readonly completions: number
  readonly millis: number
  /** The share of the time in which every allowed lease was out. */
  readonly saturated: number
}

export interface ProbeBounds {
  readonly min: number
  readonly max: number
  /** From 0 to 1, for the order of the two sizes. @defaultValue Math.random */
  readonly random?: (() => number) | undefined
}

/** What the probe decided, and what it went by. */
export interface ProbeMove {
  readonly from: number
  readonly to: number
  /** By how many percent throughput grew for one percent more leases. */
  readonly elasticity: number
  /** Of the elasticity. */
  readonly standardError: number
  readonly pairs: number
}

/** Half the distance between the two sizes that are compared, while it moves and once it stands. */
const DITHER_MOVING = 0.15
const DITHER_SETTLED = 0.1
const FEWEST_PAIRS = 2
const MOST_PAIRS = 8
/** Less of a block saturated says nothing of the size: nobody wanted more. */
const SATURATED = 0.7
/** What a block must have, and how long it may take to get it. */
export const BLOCK = { millis: 1_000, mostMillis: 5_000, completions: 50, settleMillis: 200 } as const

/**
 * Finds the number of leases at a time from which more bring less than they should, by trying: a little more and a little
 * less than the present base, in random order, over and over, and comparing throughput within each pair. It needs no
 * baseline of any latency, so work of very different sizes, slow servers and drift do not fool it. It moves only where the
 * difference is larger than its own standard error.
 *
 *     pair:  base × 0.85 │ base × 1.15      elasticity e = Δ ln X / Δ ln L
 *     e − s > 0.1 → up 10 … 50 %    e + s < 0.1 → down 5 … 25 %    else go on measuring, at most 8 pairs
 */
export class ThroughputProbe {
  readonly #min: number
  readonly #max: number
  readonly #random: () => number
  #base: number
  #settled = false
  #order: readonly number[] = []
  #step = 0
  #first: Block | undefined
  #elasticities: number[] = []

  constructor(start: number, { min, max, random = Math.random }: ProbeBounds) {
    this.#min = min
    this.#max = max
    this.#random = random
    this.#base = this.#bounded(start)
    this.#newPair()
  }

  /** Around which it measures. */
  get base(): number {
    return this.#base
  }

  /** How many leases to allow for the next block. */
  get limit(): number {
    return this.#order[this.#step] ?? this.#base
  }

  /** Takes a block to account; says where it moved to, if it did. */
  ended(block: Block): ProbeMove | undefined {
    // A load that the present size serves says nothing of a larger one, and the next pair is a new beginning.
    if (block.saturated < SATURATED || block.completions === 0) {
      this.#first = undefined
      this.#newPair()
      return undefined
    }
    if (this.#first === undefined) {
      this.#first = block
      this.#step = 1
      return undefined
    }
    const first = this.#first
    this.#first = undefined
    const [less, more] = first.limit < block.limit ? [first, block] : [block, first]
    if (less.limit < more.limit) {
      const gain = Math.log(rateOf(more) / rateOf(less))
      this.#elasticities.push(gain / Math.log(more.limit / less.limit))
    }
    this.#newPair()
    return this.#elasticities.length >= FEWEST_PAIRS ? this.#decide() : undefined
  }

  #decide(): ProbeMove | undefined {
    const pairs = this.#elasticities.length
    const mean = this.#elasticities.reduce((sum, value) => sum + value, 0) / pairs
    const variance = this.#elasticities.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (pairs - 1)
    const error = Math.sqrt(variance / pairs)
    const surplus = mean - WORTHWHILE_ELASTICITY
    if (Math.abs(surplus) <= error && pairs < MOST_PAIRS) return undefined
    this.#elasticities = []
    const from = this.#base
    if (surplus > error)
      this.#base = this.#bounded(Math.max(from + 1, Math.round(from * (1 + clamp(surplus, 0.1, 0.5)))))
    else if (surplus < -error)
      this.#base = this.#bounded(Math.min(from - 1, Math.round(from * (1 - clamp(-surplus / 2, 0.05, 0.25)))))
    this.#settled = this.#base === from
    this.#newPair()
    return this.#base === from ? undefined : { from, to: this.#base, elasticity: mean, standardError: error, pairs }
  }

  #newPair(): void {
    const dither = this.#settled ? DITHER_SETTLED : DITHER_MOVING
    // Never the same size twice: around a small base, one lease more and one less.
    const more = Math.min(this.#max, Math.max(Math.round(this.#base * (1 + dither)), this.#base + 1))
    const less = Math.max(this.#min, Math.min(Math.round(this.#base * (1 - dither)), this.#base - 1))
    this.#order = this.#random() < 0.5 ? [less, more] : [more, less]
    this.#step = 0
  }

  #bounded(size: number): number {
    return Math.max(this.#min, Math.min(this.#max, size))
  }
}

function rateOf({ completions, millis }: Block): number {
  return completions / millis
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value))
}
