import { Pool, PoolError, type PoolOptions } from 'millpond'
import { ManualClock } from 'millpond/testing'
import { after, seeded } from '../support/simulation.ts'

/** The server: a piece of work takes this long on the mean. */
const SERVICE_MILLIS = 20
/** How long each takes, by chance. */
export type Work = (random: () => number) => number
export const EVEN: Work = () => SERVICE_MILLIS
/** Most of it is short; the median says half of what the mean does. */
export const SKEWED: Work = (random) => (random() < 0.9 ? 10 : 110)
const MAX = 10
/** How many pieces of work a second the server can do for this pool. */
export const CAPACITY = (MAX * 1_000) / SERVICE_MILLIS
/** After this a caller gives up, and no answer is of any use. */
export const PATIENCE_MILLIS = 500

export interface OverloadResult {
  /** Answers in time, as a share of what the server can do. */
  readonly goodput: number
  /** Answers that came too late, as a share of the same. */
  readonly wasted: number
  /** When refused callers were told so, in milliseconds after they came: median and 99th percentile. */
  readonly refusedAfter: { readonly p50: number; readonly p99: number; readonly count: number }
  /** Wait of those who were answered in time. */
  readonly waited: { readonly p50: number; readonly p99: number }
  /** From the end of the overload until every caller is answered in time again. */
  readonly recoveredAfterMillis: number
}

/** How a caller fared. */
interface Answer {
  readonly outcome: 'answered' | 'late' | 'refused' | 'gave up'
  /** Until it had a resource, or was told that it gets none. */
  readonly waitedMillis: number
}

/** A pool and its callers, in a simulation that is the same every time. */
class Scene {
  readonly clock = new ManualClock()
  readonly #random: () => number
  readonly #work: Work
  readonly #pool: Pool<object>

  constructor(options: PoolOptions<object>, seed: number, work = EVEN) {
    this.#random = seeded(seed)
    this.#work = work
    this.#pool = new Pool<object>(
      { kind: 'simulated', create: () => Promise.resolve({}), destroy: () => undefined },
      { max: MAX, clock: this.clock, random: this.#random, ...options },
    )
  }

  /** Gives up after {@link PATIENCE_MILLIS} by an abort signal, whether it waits or holds a resource. */
  async call(): Promise<Answer> {
    const { clock } = this
    const cameAt = clock.now()
    const abort = new AbortController()
    const patience = clock.setTimer(() => abort.abort(new Error('gave up')), PATIENCE_MILLIS)
    try {
      const lease = await this.#pool.acquire({ signal: abort.signal })
      const waitedMillis = clock.now() - cameAt
      // The server finishes what it has begun.
      await after(clock, this.#work(this.#random))
      lease.release()
      return { outcome: clock.now() - cameAt <= PATIENCE_MILLIS ? 'answered' : 'late', waitedMillis }
    } catch (error) {
      return { outcome: error instanceof PoolError ? 'refused' : 'gave up', waitedMillis: clock.now() - cameAt }
    } finally {
      patience.cancel()
    }
  }

  /** Calls at this rate a second, with exponential gaps. */
  async offer(rate: number, millis: number, told: (answer: Answer) => void = () => undefined): Promise<void> {
    const until = this.clock.now() + millis
    while (this.clock.now() < until) {
      await this.clock.advance((-Math.log(1 - this.#random()) * 1_000) / rate)
      void this.call().then(told)
    }
  }

  async close(): Promise<void> {
    await this.clock.advance(PATIENCE_MILLIS + SERVICE_MILLIS)
    const closed = this.#pool.close()
    await this.clock.advance(1_000)
    await closed
  }
}

/**
 * Offers the load (1 is the capacity) for some seconds, then half the capacity. Deterministic: the same seed gives the
 * same result.
 */
export async function overload(
  load: number,
  seconds: number,
  options: PoolOptions<object>,
  seed = 1,
  work = EVEN,
): Promise<OverloadResult> {
  const scene = new Scene(options, seed, work)
  const answers: Answer[] = []
  let lastBadAt = 0
  const watch = ({ outcome }: Answer): void => {
    if (outcome !== 'answered') lastBadAt = scene.clock.now()
  }
  await scene.offer(load * CAPACITY, 5_000) // until the queue is what it will be
  await scene.offer(load * CAPACITY, seconds * 1_000, (answer) => {
    answers.push(answer)
    watch(answer)
  })
  const overloadedUntil = scene.clock.now()
  await scene.offer(0.5 * CAPACITY, 3_000, watch)
  await scene.close()
  const of = (outcome: Answer['outcome']): number[] =>
    answers.filter((answer) => answer.outcome === outcome).map(({ waitedMillis }) => waitedMillis)
  const [answered, refused] = [of('answered'), of('refused')]
  const able = CAPACITY * seconds
  return {
    goodput: answered.length / able,
    wasted: of('late').length / able,
    refusedAfter: { p50: quantile(refused, 0.5), p99: quantile(refused, 0.99), count: refused.length },
    waited: { p50: quantile(answered, 0.5), p99: quantile(answered, 0.99) },
    recoveredAfterMillis: Math.max(0, lastBadAt - overloadedUntil),
  }
}

/**
 * Offers a third of the capacity, and now and then a burst on top that the server could just serve in time.
 * @returns how many of the burst's callers are answered in time, as a share
 */
export async function bursts(size: number, options: PoolOptions<object>, seed = 1): Promise<number> {
  const scene = new Scene(options, seed)
  const count = 10
  let answered = 0
  for (let burst = 0; burst < count; burst++) {
    await scene.offer(CAPACITY / 3, 3_000)
    for (let index = 0; index < size; index++)
      void scene.call().then(({ outcome }) => {
        if (outcome === 'answered') answered++
      })
  }
  await scene.offer(CAPACITY / 3, 1_000)
  await scene.close()
  return answered / (size * count)
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
