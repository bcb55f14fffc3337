/** How many outcomes decide; more than half of them. */
const OUTCOMES = 32
/** While the newest are served first, every so manieth turn is the oldest's: who can wait longer gets a share. */
const OLDEST_TURN = 16

/**
 * Notices when "first come, first served" serves nobody.
 *
 * Callers who give up by an abort signal tell no pool how long they can wait. Under overload the queue grows until it is
 * as long as their patience; whoever is first has then next to no time left, every resource works for somebody who is
 * gone when the answer comes, and nothing of it makes the queue shorter (goodput 0 to 4 % of what the server can do).
 * The pool sees that: leases come back whose signal was aborted meanwhile. Then the newest are served first, who have
 * all their time, until the queue is empty.
 */
export class Futility {
  /** The last outcomes, a bit each: 1 for a caller who had given up. */
  #outcomes = 0
  #count = 0
  #turns = 0
  #newestFirst = false

  /** A caller who had waited, and could give up, has given its lease back. */
  note(gaveUp: boolean): void {
    this.#outcomes = (this.#outcomes << 1) | (gaveUp ? 1 : 0)
    this.#count++
    if (!gaveUp || this.#newestFirst || this.#count < OUTCOMES) return
    this.#newestFirst = ones(this.#outcomes) > OUTCOMES / 2
  }

  /** The queue is empty: who comes now has all its time, and order is worth keeping. */
  over(): void {
    this.#count = 0
    this.#newestFirst = false
  }

  /** Whether this turn is the newest's. */
  servesNewest(): boolean {
    return this.#newestFirst && ++this.#turns % OLDEST_TURN !== 0
  }
}

/** How many bits are set. */
function ones(bits: number): number {
  let left = bits
  let count = 0
  for (; left !== 0; left &= left - 1) count++
  return count
}
