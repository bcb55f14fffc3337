/** How long a stall is remembered: longer than any caller waits. */
const KEPT_MILLIS = 60_000

interface Stall {
  readonly from: number
  readonly to: number
}

/** When this process stood still, told by a timer that should have ticked meanwhile. */
export class Stalls {
  readonly #leastMillis: number
  #tickedAt = performance.now()
  #stalls: Stall[] = []

  /** @param leastMillis - ticks that come further apart are a stall */
  constructor(leastMillis: number) {
    this.#leastMillis = leastMillis
  }

  tick(): void {
    const now = performance.now()
    if (now - this.#tickedAt > this.#leastMillis) {
      this.#stalls = this.#stalls.filter(({ to }) => now - to < KEPT_MILLIS)
      this.#stalls.push({ from: this.#tickedAt, to: now })
    }
    this.#tickedAt = now
  }

  /** The milliseconds of all stalls from then to now, the one that no tick has ended yet among them. */
  since(then: number): number {
    const now = performance.now()
    const present = now - this.#tickedAt > this.#leastMillis ? [{ from: this.#tickedAt, to: now }] : []
    return [...this.#stalls, ...present].reduce((sum, { from, to }) => sum + Math.max(0, to - Math.max(from, then)), 0)
  }
}
