import { Histogram } from './histogram.ts'

/** A power of two. */
const SAMPLES = 128
/** Admission draws no conclusions from fewer leases. */
const ENOUGH_SAMPLES = 20
/** In medians. */
const OUTLIER = 10

/** What the pool has learned about how long callers wait and resources are used. */
export class Load {
  readonly useTimes = new Histogram()
  /** Of those who had to wait. */
  readonly waitTimes = new Histogram()
  readonly #recent = new Float64Array(SAMPLES)
  #recorded = 0
  // A field that is always a number is updated in place; one that may be undefined allocates each time.
  #meanUseMillis = NaN
  /** At which of the leases; nothing is known before there are more than 16. */
  #knownAt = 0
  #median = 0
  #typical = 0

  record(useMillis: number): void {
    if (useMillis > 0) this.useTimes.record(useMillis)
    else this.useTimes.zeros++
    this.#recent[this.#recorded++ & (SAMPLES - 1)] = useMillis
    if (this.#recorded === 1) this.#meanUseMillis = useMillis
    else this.#meanUseMillis += 0.1 * (useMillis - this.#meanUseMillis)
  }

  /** EWMA, weight 0.1, in milliseconds; unknown before the first release. */
  get meanUseMillis(): number | undefined {
    return this.#recorded === 0 ? undefined : this.#meanUseMillis
  }

  /** The median of the last 128 use times, in milliseconds; unknown before the 20th. */
  get medianUseMillis(): number | undefined {
    return this.#knows() ? this.#median : undefined
  }

  /**
   * What a lease takes of the pool's time: the mean of the last 128 use times, in milliseconds; unknown before the 20th.
   * None counts for more than ten medians, so that one job of a minute does not speak for all the others.
   */
  get typicalUseMillis(): number | undefined {
    return this.#knows() ? this.#typical : undefined
  }

  /** Looked at anew only every 16 leases: under overload this is asked for every newcomer. */
  #knows(): boolean {
    if (this.#recorded < ENOUGH_SAMPLES) return false
    if (this.#recorded - this.#knownAt < 16) return true
    this.#knownAt = this.#recorded
    const count = Math.min(this.#recorded, SAMPLES)
    const sorted = this.#recent.slice(0, count).sort()
    this.#median = sorted[count >> 1] ?? 0
    const most = OUTLIER * this.#median
    this.#typical = sorted.reduce((sum, millis) => sum + Math.min(millis, most), 0) / count
    return true
  }
}

/** Tuned in `bench/overload`: shorter ones shed bursts that could all be served, longer ones let the wait grow. */
export const CONTROLLED_DELAY = { targetMillis: 100, intervalMillis: 500 }

/**
 * Controlled delay (CoDel: Nichols and Jacobson, RFC 8289), as a queue of callers needs it: whoever waits is fine while
 * at least one in every interval was served within the target. Otherwise the queue stands, and until it drains those
 * who have waited twice the target are shed, oldest first. Where it stands again within an interval after that, nobody
 * waits for another one: a stall in which everybody was shed ends no overload.
 */
export class ControlledDelay {
  readonly targetMillis: number
  readonly intervalMillis: number
  #intervalEndsAt = -Infinity
  #leastDelayMillis = Infinity
  #overloaded = false
  /** When the last overload seemed to be over. */
  #overAt = -Infinity

  constructor({ targetMillis, intervalMillis } = CONTROLLED_DELAY) {
    this.targetMillis = targetMillis
    this.intervalMillis = intervalMillis
  }

  /** Takes note that somebody was served (or, where nobody is, still waits) after this delay. */
  note(now: number, delayMillis: number): void {
    if (delayMillis < this.#leastDelayMillis) this.#leastDelayMillis = delayMillis
    if (delayMillis > this.targetMillis && now - this.#overAt < this.intervalMillis) this.#overloaded = true
    if (now < this.#intervalEndsAt) return
    const stands = this.#intervalEndsAt !== -Infinity && this.#leastDelayMillis > this.targetMillis
    if (this.#overloaded && !stands) this.#overAt = now
    this.#overloaded = stands
    this.#leastDelayMillis = delayMillis
    this.#intervalEndsAt = now + this.intervalMillis
  }

  /** The queue is empty: there is no overload. */
  noteEmpty(now: number): void {
    if (this.#overloaded) this.#overAt = now
    this.#overloaded = false
    this.#leastDelayMillis = 0
  }

  /** Whether someone who has waited this long is shed. */
  sheds(delayMillis: number): boolean {
    return this.#overloaded && delayMillis > 2 * this.targetMillis
  }
}
