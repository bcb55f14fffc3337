import { bucketOf, BUCKETS, quantileOf, type Distribution } from './distribution.ts'

/** What a {@link Histogram} says. Durations are in milliseconds; percentiles are exact to 6 %. */
export interface HistogramSnapshot {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Counts durations from 1 µs to 35 minutes (longer ones as that) in 1 kB, without keeping them. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0
  /** Durations of zero: by far the most where a turn of the event loop is the unit, so they are only counted. */
  zeros = 0
  #sum = 0
  #max = 0

  /** @param times - how many took this long: of a sample, as many as it stands for */
  record(millis: number, times = 1): void {
    if (millis <= 0) {
      this.zeros += times
      return
    }
    this.#count += times
    this.#sum += millis * times
    if (millis > this.#max) this.#max = millis
    const bucket = bucketOf(millis)
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + times
  }

  /** @param extraZeros - durations of zero that were counted elsewhere */
  snapshot(extraZeros = 0): HistogramSnapshot {
    const distribution = this.#view(extraZeros)
    const at = (quantile: number): number => Math.min(quantileOf(distribution, quantile), this.#max)
    const { count } = distribution
    return {
      count,
      mean: count === 0 ? 0 : this.#sum / count,
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
      max: this.#max,
    }
  }

  /** A copy of everything that was counted. */
  distribution(extraZeros = 0): Distribution {
    const view = this.#view(extraZeros)
    return { ...view, buckets: view.buckets.slice() }
  }

  #view(extraZeros: number): Distribution {
    const zeros = this.zeros + extraZeros
    return { count: this.#count + zeros, sumMillis: this.#sum, zeros, buckets: this.#buckets }
  }
}
