import { Pool, PoolError, type PoolOptions } from 'millpond'
import { ManualClock } from 'millpond/testing'

/** The server: every piece of work takes this long. */
const SERVICE_MILLIS = 20
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

/** A generator with a seed (Park and Miller). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

/**
 * Offers the load (1 is the capacity) with exponential gaps for some seconds, then half the capacity. A caller gives up
 * after {@link PATIENCE_MILLIS} by an abort signal, whether it waits or holds a resource; the server finishes what it
 * has begun. Deterministic: the same seed gives the same result.
 */
export async function overload(
  load: number,
  seconds: number,
  options: PoolOptions<object>,
  seed = 1,
): Promise<OverloadResult> {
  const clock = new ManualClock()
  const random = seeded(seed)
  const pool = new Pool<object>(
    { kind: 'simulated', create: () => Promise.resolve({}), destroy: () => undefined },
    { max: MAX, clock, random, ...options },
  )
  const sleep = (millis: number): Promise<void> =>
    new Promise((resolve) => {
      clock.setTimer(resolve, millis)
    })
  const good: number[] = []
  const refused: number[] = []
  let late = 0
  let lastBadAt = 0
  const caller = async (counts: boolean): Promise<void> => {
    const cameAt = clock.now()
    const abort = new AbortController()
    const patience = clock.setTimer(() => abort.abort(new Error('gave up')), PATIENCE_MILLIS)
    try {
      const lease = await pool.acquire({ signal: abort.signal })
      const waited = clock.now() - cameAt
      await sleep(SERVICE_MILLIS)
      lease.release()
      const inTime = clock.now() - cameAt <= PATIENCE_MILLIS
      if (!inTime) lastBadAt = clock.now()
      if (!counts) return
      if (inTime) good.push(waited)
      else late++
    } catch (error) {
      lastBadAt = clock.now()
      if (counts && error instanceof PoolError) refused.push(clock.now() - cameAt)
    } finally {
      patience.cancel()
    }
  }
  const offer = async (rate: number, until: number, counts: boolean): Promise<void> => {
    for (let at = clock.now(); at < until;) {
      const gap = (-Math.log(1 - random()) * 1_000) / rate
      at += gap
      await clock.advance(gap)
      void caller(counts)
    }
  }
  await offer(load * CAPACITY, clock.now() + 5_000, false) // until the queue is what it will be
  const overloadedUntil = clock.now() + seconds * 1_000
  await offer(load * CAPACITY, overloadedUntil, true)
  await offer(0.5 * CAPACITY, clock.now() + 3_000, false)
  await clock.advance(PATIENCE_MILLIS + SERVICE_MILLIS)
  const closed = pool.close()
  await clock.advance(1_000)
  await closed
  const able = CAPACITY * seconds
  return {
    goodput: good.length / able,
    wasted: late / able,
    refusedAfter: { p50: quantile(refused, 0.5), p99: quantile(refused, 0.99), count: refused.length },
    waited: { p50: quantile(good, 0.5), p99: quantile(good, 0.99) },
    recoveredAfterMillis: Math.max(0, lastBadAt - overloadedUntil),
  }
}

/**
 * Offers a third of the capacity, and now and then a burst on top that the server could just serve in time.
 * @returns how many of the burst's callers are answered in time, as a share
 */
export async function bursts(size: number, options: PoolOptions<object>, seed = 1): Promise<number> {
  const clock = new ManualClock()
  const random = seeded(seed)
  const pool = new Pool<object>(
    { kind: 'simulated', create: () => Promise.resolve({}), destroy: () => undefined },
    { max: MAX, clock, random, ...options },
  )
  let answered = 0
  const caller = async (counts: boolean): Promise<void> => {
    const cameAt = clock.now()
    const abort = new AbortController()
    const patience = clock.setTimer(() => abort.abort(new Error('gave up')), PATIENCE_MILLIS)
    try {
      const lease = await pool.acquire({ signal: abort.signal })
      await new Promise<void>((resolve) => {
        clock.setTimer(resolve, SERVICE_MILLIS)
      })
      lease.release()
      if (counts && clock.now() - cameAt <= PATIENCE_MILLIS) answered++
    } catch {
      // Counts as not answered.
    } finally {
      patience.cancel()
    }
  }
  const background = async (until: number): Promise<void> => {
    while (clock.now() < until) {
      await clock.advance((-Math.log(1 - random()) * 1_000) / (CAPACITY / 3))
      void caller(false)
    }
  }
  const count = 10
  for (let burst = 0; burst < count; burst++) {
    await background(clock.now() + 3_000)
    for (let index = 0; index < size; index++) void caller(true)
  }
  await background(clock.now() + 1_000)
  const closed = pool.close()
  await clock.advance(1_000)
  await closed
  return answered / (size * count)
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
