import { Pool, type Lease } from 'millpond'
import { FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { uslThroughput, type UslModel } from 'millpond/sizing'

/** Numbers from 0 to 1 that are the same in every run (Mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export const exponential = (random: () => number, mean: number): number => -mean * Math.log(1 - random())

/** Which database a pool works on in a simulation: what n connections get done, by the scalability law. */
export const SERVERS = {
  mild: { gamma: 200, alpha: 0.02, beta: 0.0004 },
  strong: { gamma: 200, alpha: 0.05, beta: 0.002 },
  flat: { gamma: 200, alpha: 0.05, beta: 0.000095 },
} as const satisfies Readonly<Record<string, UslModel>>

/**
 * A real pool on a manual clock, in front of a simulated server that shares itself among whoever is at work: with n
 * at work, each gets X(n)/n of what one alone would get in a second.
 */
export class SimulatedLoad {
  readonly clock = new ManualClock()
  readonly pool: Pool<FakeResource>
  readonly #random: () => number
  readonly #work = new Map<Lease<FakeResource>, number>()
  readonly #arrivals: () => number
  readonly #size: () => number
  model: UslModel
  completed = 0
  refused = 0
  #nextArrival = this.clock.now()

  constructor(
    model: UslModel,
    options: {
      max: number
      arrivals(random: () => number): number
      size?(random: () => number): number
      seed?: number
      timeoutMillis?: number
      leasesPerConnection?: number
    },
  ) {
    this.model = model
    this.#random = randomOf(options.seed ?? 1)
    this.#arrivals = () => options.arrivals(this.#random)
    this.#size = () => options.size?.(this.#random) ?? exponential(this.#random, 1)
    this.pool = new Pool(new FakeFactory(), {
      clock: this.clock,
      random: this.#random,
      max: options.max,
      min: options.max,
      maxLeasesPerResource: options.leasesPerConnection ?? 1,
      acquireTimeoutMillis: options.timeoutMillis ?? 500,
      reclaimAbandoned: false,
      maxLifetimeMillis: Infinity,
      keepAliveMillis: Infinity,
    })
  }

  /** Runs for so long, in steps that are short beside the work. */
  async run(millis: number, stepMillis = 1): Promise<void> {
    const until = this.clock.now() + millis
    while (this.clock.now() < until) {
      const now = this.clock.now()
      for (; this.#nextArrival <= now; this.#nextArrival += this.#arrivals()) this.#arrive()
      await this.clock.advance(stepMillis)
      this.#serve(stepMillis)
    }
  }

  #arrive(): void {
    this.pool.acquire().then(
      (lease) => void this.#work.set(lease, this.#size()),
      () => {
        this.refused++
      },
    )
  }

  #serve(millis: number): void {
    const n = this.#work.size
    if (n === 0) return
    const each = ((uslThroughput(this.model, n) / n) * millis) / 1_000
    for (const [lease, left] of this.#work) {
      if (left > each) {
        this.#work.set(lease, left - each)
        continue
      }
      this.#work.delete(lease)
      this.completed++
      lease.release()
    }
  }
}
