/** What a {@link Histogram} says. Durations are in milliseconds; percentiles are exact to 6 %. */
export interface HistogramSnapshot {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

// Log-linear buckets over microseconds: 8 per power of two, so that no bucket is wider than 12.5 % of its values.
const SUB_BITS = 3
const SUB_COUNT = 1 << SUB_BITS
const BUCKETS = (32 - SUB_BITS + 1) * SUB_COUNT
const LONGEST_MICROS = 2 ** 31 - 1

function bucketOf(micros: number): number {
  if (micros < SUB_COUNT) return micros
  const exponent = 31 - Math.clz32(micros) - SUB_BITS
  return ((exponent + 1) << SUB_BITS) + ((micros >>> exponent) & (SUB_COUNT - 1))
}

/** The middle of a bucket, in milliseconds. */
function valueOf(bucket: number): number {
  if (bucket < SUB_COUNT) return bucket / 1000
  const exponent = (bucket >> SUB_BITS) - 1
  const low = (SUB_COUNT + (bucket & (SUB_COUNT - 1))) * 2 ** exponent
  return (low + 2 ** exponent / 2) / 1000
}

/** Counts durations from 1 µs to 35 minutes (longer ones as that) in 1 kB, without keeping them. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  /** Durations of zero: by far the most where a turn of the event loop is the unit, so they are only counted. */
  zeros = 0
  #sum = 0
  #max = 0

  get count(): number {
    return this.#count + this.zeros
  }

  record(millis: number): void {
    if (millis <= 0) {
      this.zeros++
      return
    }
    this.#count++
    this.#sum += millis
    if (millis > this.#max) this.#max = millis
    const bucket = bucketOf(Math.min(Math.round(millis * 1000), LONGEST_MICROS))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
  }

  /** @param extraZeros - durations of zero that were counted elsewhere */
  snapshot(extraZeros = 0): HistogramSnapshot {
    const zeros = this.zeros + extraZeros
    const count = this.#count + zeros
    const at = (quantile: number): number => this.#quantile(quantile, count, zeros)
    return {
      count,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
      max: this.#max,
    }
  }

  #quantile(quantile: number, count: number, zeros: number): number {
    const rank = Math.ceil(quantile * count)
    let seen = zeros
    if (rank <= seen) return 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= rank) return Math.min(valueOf(bucket), this.#max)
    }
    return this.#max
  }
}
