import type { FailureClass } from './factory.ts'

const FIRST_DELAY_MILLIS = 200
const LONGEST_DELAY_MILLIS = 5_000
/** While somebody asks, the next probe comes this long after the last one began, at the latest. */
const PULLED_FORWARD_MILLIS = 1_000
/** Where the last one was refused at once, which costs a server nothing, it comes sooner: after this share of the outage. */
const OUTAGE_SHARE = 1 / 32
const SHORTEST_PULLED_FORWARD_MILLIS = 100
/** What takes longer to fail has reached somebody, and cost them something. */
const QUICK_REFUSAL_MILLIS = 100
/** A create that takes longer than this, and than three times the usual, tells that the server is still struggling. */
const SLOW_CREATE_MILLIS = 100
/** How long the pool makes do with what a saturated server granted before it asks for one more. */
const SATURATION_MILLIS = 10_000

/**
 * Decides when the pool may open something: as it likes while creates succeed; one probe at a time, ever more seldom,
 * while they fail; and with a window that opens only as fast as the server keeps up, once they succeed again.
 *
 *     creates fail ──► probing, one at a time, delay uniform(0.2, 1) · min(5 s, 200 ms · 2ⁿ) ──► one succeeds
 *          ▲                                                                                        │
 *          └────────────── a failure ◄── window 2, 3, … maxConnecting, −1 for a slow one ◄──────────┘
 *
 * While somebody asks, the next probe is pulled forward: to a second after the last one began, or, where that was
 * refused at once, to a 32nd of the time that the outage has lasted, which is at least 100 ms and at most that second. So
 * a restart of a few seconds is noticed a tenth of a second after it is over, and a long outage costs one probe a second.
 *
 * A hundred pools that recover in this way refill in the least time the server allows, without one wasted login;
 * without the window that opens by latency they waste hundreds.
 */
export class Recovery {
  readonly #maxConnecting: number
  readonly #random: () => number
  #window: number
  #usualMillis: number | undefined
  #lastAttemptAt = -Infinity
  #lastFailureAt = -Infinity
  #downSince = -Infinity
  /** When the next probe may come while somebody asks. */
  #soonestAt = -Infinity
  #saturatedAt: number | undefined
  #grantedLimit = Infinity
  /** Creates that failed in a row; those that were under way together count as one. */
  failures = 0
  /** Attempts since creates fail, or of the last time that they did. */
  attempts = 0
  /** Resources in a row that were opened and ended before anybody had them: their hook or check failed. */
  #stillborn = 0
  nextAttemptAt = -Infinity
  lastError: unknown = undefined
  lastFailure: FailureClass | undefined = undefined

  constructor(maxConnecting: number, random: () => number) {
    this.#maxConnecting = maxConnecting
    this.#random = random
    this.#window = maxConnecting
  }

  /** Creates fail; the next one is a probe. */
  get probing(): boolean {
    return this.failures > 0
  }

  /** Asking again with the same credentials or configuration will not help. */
  get hopeless(): boolean {
    return (
      this.failures > 0 && (this.lastFailure === 'auth' || this.lastFailure === 'tls' || this.lastFailure === 'config')
    )
  }

  /** The usual time of a create (EWMA, weight 0.1), in milliseconds; unknown before the first. */
  get usualMillis(): number | undefined {
    return this.#usualMillis
  }

  /** How many creates may be under way now. */
  allowedConcurrency(now: number): number {
    if (this.failures === 0) return this.#window
    return now >= this.nextAttemptAt ? 1 : 0
  }

  /** How many resources a saturated server is asked for at the most. */
  grantedLimit(now: number): number {
    if (this.#saturatedAt === undefined) return Infinity
    return this.#grantedLimit + Math.floor((now - this.#saturatedAt) / SATURATION_MILLIS)
  }

  /** When the pool may ask a saturated server for one more. */
  nextGrantAt(now: number): number {
    if (this.#saturatedAt === undefined) return Infinity
    return this.#saturatedAt + (Math.floor((now - this.#saturatedAt) / SATURATION_MILLIS) + 1) * SATURATION_MILLIS
  }

  started(now: number): void {
    this.#lastAttemptAt = now
    if (this.failures > 0) this.attempts++
  }

  succeeded(durationMillis: number, open: number): void {
    const slow = durationMillis > Math.max(SLOW_CREATE_MILLIS, 3 * (this.#usualMillis ?? durationMillis))
    if (this.failures > 0) {
      this.failures = 0
      this.lastError = undefined
      this.lastFailure = undefined
      this.nextAttemptAt = -Infinity
      this.#window = Math.min(slow ? 1 : 2, this.#maxConnecting)
    } else if (this.#window < this.#maxConnecting) {
      this.#window = slow ? Math.max(1, this.#window - 1) : this.#window + 1
    }
    // The usual time is that of a server in good order: a recovering one does not teach that slow is usual.
    if (this.#window >= this.#maxConnecting || this.#usualMillis === undefined) {
      this.#usualMillis =
        this.#usualMillis === undefined
          ? durationMillis
          : this.#usualMillis + 0.1 * (durationMillis - this.#usualMillis)
    }
    if (open > this.#grantedLimit) this.#grantedLimit = open
  }

  failed(now: number, startedAt: number, failure: FailureClass, error: unknown): void {
    // What was refused at once has cost nobody anything.
    const cheap = (failure === 'restart' || failure === 'disconnect') && now - startedAt <= QUICK_REFUSAL_MILLIS
    this.#failed(now, startedAt, failure, error, cheap)
  }

  /** A resource was opened, and ended before anybody had it. That is a failed create too: it would be repeated at once. */
  stillborn(now: number, startedAt: number, failure: FailureClass, error: unknown): void {
    this.failures = Math.max(this.failures, this.#stillborn++)
    this.#failed(now, Math.max(startedAt, this.#lastFailureAt), failure, error, false)
  }

  #failed(now: number, startedAt: number, failure: FailureClass, error: unknown, cheap: boolean): void {
    this.lastError = error
    this.lastFailure = failure
    // Creates that were under way when an earlier one failed tell nothing new.
    if (this.failures > 0 && startedAt < this.#lastFailureAt) return
    if (this.failures === 0) {
      this.attempts = 0
      this.#downSince = now
    }
    const longest = Math.min(LONGEST_DELAY_MILLIS, FIRST_DELAY_MILLIS * 2 ** this.failures)
    this.failures++
    this.#lastFailureAt = now
    this.nextAttemptAt = now + longest * (0.2 + 0.8 * this.#random())
    this.#soonestAt =
      this.#lastAttemptAt + (cheap ? this.#cheapPullMillis(now) : PULLED_FORWARD_MILLIS + 20 * this.#random())
  }

  #cheapPullMillis(now: number): number {
    const share = Math.max(SHORTEST_PULLED_FORWARD_MILLIS, (now - this.#downSince) * OUTAGE_SHARE)
    return Math.min(share, PULLED_FORWARD_MILLIS) * (0.8 + 0.2 * this.#random())
  }

  /** Somebody got a resource: whatever is opened is good for something. */
  lent(): void {
    this.#stillborn = 0
  }

  /** The server takes no more connections; `open` is what it granted. */
  saturated(now: number, open: number, error: unknown): void {
    this.lastError = error
    this.lastFailure = 'saturated'
    this.#saturatedAt = now
    this.#grantedLimit = open
  }

  /** Somebody asks: looks sooner. */
  pullForward(): void {
    if (this.failures > 0 && this.#soonestAt < this.nextAttemptAt) this.nextAttemptAt = this.#soonestAt
  }
}
