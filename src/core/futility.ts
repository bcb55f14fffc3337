/** How many outcomes decide; more than half of them. */
const OUTCOMES = 32
/** While the newest are served first, every so manieth turn is the oldest's: who can wait longer gets a share. */
const OLDEST_TURN = 16
/** The oldest get fewer turns, down to one in so many, as long as they turn out to have gone. */
const RAREST_OLDEST_TURN = 256

/**
 * Notices when "first come, first served" serves nobody.
 *
 * Callers who give up by an abort signal tell no pool how long they can wait. Under overload the queue grows until it is
 * as long as their patience; whoever is first has then next to no time left, every resource works for somebody who is
 * gone when the answer comes, and nothing of it makes the queue shorter (goodput 0 to 4 % of what the server can do).
 * The pool sees that: leases come back whose signal was aborted meanwhile. Then the newest are served first, who have
 * all their time, until the queue is empty. Now and then the oldest gets a turn, for there may be callers who can wait
 * longer; where that one has gone by the time its lease comes back, the next such turn is put off to twice as many.
 */
export class Futility {
  /** The last outcomes, a bit each: 1 for a caller who had given up. */
  #outcomes = 0
  #count = 0
  #newestFirst = false
  // Of use while the newest are served first.
  #oldestEvery = 0
  /** Turns before the oldest's. */
  #untilOldest = 0
  /** Somebody had given up since the oldest had a turn; nearly always that one. */
  #gaveUpSince = false

  /** A caller who had waited, and could give up, has given its lease back. */
  note(gaveUp: boolean): void {
    this.#outcomes = (this.#outcomes << 1) | (gaveUp ? 1 : 0)
    this.#count++
    if (gaveUp) this.#gaveUpSince = true
    if (!gaveUp || this.#newestFirst || this.#count < OUTCOMES) return
    this.#newestFirst = ones(this.#outcomes) > OUTCOMES / 2
    this.#oldestEvery = OLDEST_TURN
    this.#untilOldest = OLDEST_TURN - 1
    this.#gaveUpSince = false
  }

  /** The queue is empty: who comes now has all its time, and order is worth keeping. */
  over(): void {
    this.#count = 0
    this.#newestFirst = false
  }

  /** Whether the next turn is the newest's. */
  get servesNewest(): boolean {
    return this.#newestFirst && this.#untilOldest > 0
  }

  /** Somebody is served. */
  turn(): void {
    if (!this.#newestFirst) return
    if (this.#untilOldest > 0) {
      this.#untilOldest--
      return
    }
    const next = this.#gaveUpSince ? 2 * this.#oldestEvery : this.#oldestEvery / 2
    this.#oldestEvery = Math.min(Math.max(next, OLDEST_TURN), RAREST_OLDEST_TURN)
    this.#untilOldest = this.#oldestEvery - 1
    this.#gaveUpSince = false
  }
}

/** How many bits are set. */
function ones(bits: number): number {
  let left = bits
  let count = 0
  for (; left !== 0; left &= left - 1) count++
  return count
}
