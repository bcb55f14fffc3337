import type { WaitObjective } from './queueing.ts'

/** What was asked of a pool: when, and for how long. In the order of the arrivals. */
export interface Trace {
  readonly length: number
  /** In milliseconds. */
  readonly arrivals: Float64Array
  /** How long each was used, in milliseconds. */
  readonly uses: Float32Array | Float64Array
}

/**
 * The share of callers who would have waited longer than `waitMillis` with so many connections: the trace is served
 * again, first come first served. Exact for the trace, bursts and all, as long as times of use do not depend on the
 * number of connections, which holds below the server's knee.
 */
export function replay(trace: Trace, connections: number, waitMillis: number): number {
  const { arrivals, uses, length } = trace
  if (length === 0) return 0
  // A heap of when each connection is free again; the earliest is on top.
  const free = new Float64Array(connections)
  let late = 0
  for (let index = 0; index < length; index++) {
    const arrival = arrivals[index] ?? 0
    const start = Math.max(arrival, free[0] ?? 0)
    if (start - arrival > waitMillis) late++
    sinkTop(free, start + (uses[index] ?? 0))
  }
  return late / length
}

function sinkTop(heap: Float64Array, value: number): void {
  const { length } = heap
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= length) break
    if (child + 1 < length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++
    if ((heap[child] ?? 0) >= value) break
    heap[index] = heap[child] ?? 0
    index = child
  }
  heap[index] = value
}

/** No pool is looked for beyond this. */
const MOST = 4_096

/** The fewest connections with which the trace would have met the objective; about a dozen replays. */
export function connectionsByReplay(trace: Trace, { waitMillis, share }: WaitObjective): number {
  const meets = (connections: number): boolean => replay(trace, connections, waitMillis) <= share
  let high = 1
  while (high < MOST && !meets(high)) high *= 2
  let low = Math.floor(high / 2)
  // `low` is too few, `high` is enough.
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (meets(middle)) high = middle
    else low = middle
  }
  return high
}

/** So many times of use are kept to guess others from. */
const LATELY = 1_024

/** The last so many arrivals and times of use, in two rings of numbers: 600 kB for 50,000. */
export class TraceRing {
  readonly #arrivals: Float64Array
  readonly #uses: Float32Array
  #recorded = 0
  /** How long leases that came back were out, lately; what is guessed from them is not among them. */
  readonly #lately = new Float32Array(LATELY)
  #ended = 0
  #guessed = 0

  constructor(size: number) {
    this.#arrivals = new Float64Array(size)
    this.#uses = new Float32Array(size)
  }

  get recorded(): number {
    return this.#recorded
  }

  /** A lease that has ended. */
  record(arrival: number, useMillis: number): void {
    this.#lately[this.#ended++ % LATELY] = useMillis
    this.#add(arrival, useMillis)
  }

  /**
   * Somebody who got nothing: taken to have needed one as long as another, lately. They are gone through one by one, as
   * many fail together, and one that is long must not stand for all of them.
   */
  recordFailure(arrival: number): void {
    const known = Math.min(this.#ended, LATELY)
    this.#add(arrival, known === 0 ? 0 : (this.#lately[this.#guessed++ % known] ?? 0))
  }

  #add(arrival: number, useMillis: number): void {
    const index = this.#recorded++ % this.#arrivals.length
    this.#arrivals[index] = arrival
    this.#uses[index] = useMillis
  }

  /** What is in it, in the order of the arrivals: leases are recorded when they end. */
  trace(): Trace {
    const length = Math.min(this.#recorded, this.#arrivals.length)
    const order = Uint32Array.from({ length }, (_, index) => index)
    order.sort((one, other) => (this.#arrivals[one] ?? 0) - (this.#arrivals[other] ?? 0))
    const arrivals = new Float64Array(length)
    const uses = new Float32Array(length)
    order.forEach((from, to) => {
      arrivals[to] = this.#arrivals[from] ?? 0
      uses[to] = this.#uses[from] ?? 0
    })
    return { length, arrivals, uses }
  }
}

/** Mean and squared coefficient of variation. */
export interface Moments {
  readonly mean: number
  /** Variance over the square of the mean: 0 constant, 1 exponential. */
  readonly cv2: number
}

export function momentsOf(values: ArrayLike<number>, length = values.length): Moments {
  if (length === 0) return { mean: 0, cv2: 0 }
  let sum = 0
  for (let index = 0; index < length; index++) sum += values[index] ?? 0
  const mean = sum / length
  let squares = 0
  for (let index = 0; index < length; index++) squares += ((values[index] ?? 0) - mean) ** 2
  return { mean, cv2: mean === 0 ? 0 : squares / length / (mean * mean) }
}

/** The moments of the times between arrivals. */
export function gapsOf({ arrivals, length }: Trace): Moments {
  const gaps = new Float64Array(Math.max(0, length - 1))
  for (let index = 1; index < length; index++) gaps[index - 1] = (arrivals[index] ?? 0) - (arrivals[index - 1] ?? 0)
  return momentsOf(gaps)
}
