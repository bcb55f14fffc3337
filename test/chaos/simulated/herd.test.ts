import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { figures, percentile, pick } from '../../support/chaos.ts'
import { after, seeded } from '../../support/simulation.ts'

const POOLS = 100
const SIZE = 10
const LOGINS_PER_SECOND = 50
/** The least time in which the server can take everybody back. */
const OPTIMUM_MILLIS = (POOLS * SIZE * 1_000) / LOGINS_PER_SECOND

interface Case {
  /** Whether somebody waits in each pool. */
  readonly waiting: boolean
  readonly outageMillis: number
}

/** What must not be exceeded. */
interface Most {
  readonly attempts: number
  /** Attempts of all pools in 100 ms that nobody answered: they cost a server nothing. */
  readonly refused: number
  /** Attempts of all pools in 100 ms that the server took. */
  readonly logins: number
  readonly firstP99: number
}

interface HerdRun {
  readonly attempts: readonly number[]
  readonly refusedPeak: number
  readonly loginPeak: number
  readonly wasted: number
  readonly firstMillis: readonly number[]
  readonly fullMillis: number
}

/** One server, one login at a time; a login that its client gave up costs the server its time all the same. */
async function run(seed: number, { waiting, outageMillis }: Case): Promise<HerdRun> {
  const clock = new ManualClock()
  let state: 'before' | 'down' | 'back' = 'before'
  let busyUntil = 0
  let wasted = 0
  const attemptsAt: number[] = []
  const attempts: number[] = Array.from({ length: POOLS }, () => 0)
  const first: (number | undefined)[] = []
  let backAt = 0

  const herd = Array.from({ length: POOLS }, (_, index) => {
    const factory = new FakeFactory()
    factory.onCreate = async (context) => {
      if (state === 'before') {
        await after(clock, 20)
        return
      }
      attemptsAt.push(clock.now())
      if (state === 'down') {
        attempts[index] = (attempts[index] ?? 0) + 1
        await after(clock, 1)
        throw new FakeError('restart')
      }
      busyUntil = Math.max(busyUntil, clock.now()) + 1_000 / LOGINS_PER_SECOND
      await after(clock, busyUntil - clock.now())
      if (context.signal.aborted) wasted++
      first[index] ??= clock.now() - backAt
    }
    const pool = new Pool<FakeResource>(factory, {
      clock,
      random: seeded(seed * 1_000 + index),
      max: SIZE,
      min: SIZE,
      createTimeoutMillis: 5_000,
      acquireTimeoutMillis: 300_000,
      idleTimeoutMillis: Infinity,
      reclaimAbandoned: false,
    })
    return { factory, pool }
  })
  await Promise.all([...herd.map(({ pool }) => pool.ready()), clock.advance(1_000)])

  state = 'down'
  for (const { factory } of herd) for (const resource of factory.resources) resource.die(new FakeError('restart'))
  if (waiting) {
    for (const { pool } of herd) void pool.acquire().then((lease) => clock.setTimer(() => lease.release(), 50))
  }
  await clock.advance(outageMillis)
  state = 'back'
  backAt = clock.now()
  const full = (): boolean => herd.every(({ pool }) => pool.stats().idle + pool.stats().used === SIZE)
  while (!full() && clock.now() - backAt < 10 * OPTIMUM_MILLIS) await clock.advance(100)
  const fullMillis = clock.now() - backAt
  // The outage itself begins with what all pools had under way at once.
  const afterItsBegin = attemptsAt.filter((at) => at >= backAt - outageMillis + 1_000)
  const peak = (of: readonly number[]): number => {
    const buckets = new Map<number, number>()
    for (const at of of) buckets.set(Math.floor(at / 100), (buckets.get(Math.floor(at / 100)) ?? 0) + 1)
    return Math.max(...buckets.values())
  }

  const closed = Promise.all(herd.map(({ pool }) => pool.close({ timeoutMillis: 100 })))
  await clock.advance(5_000)
  await closed
  return {
    attempts,
    refusedPeak: peak(afterItsBegin.filter((at) => at < backAt)),
    loginPeak: peak(afterItsBegin.filter((at) => at >= backAt)),
    wasted,
    fullMillis,
    firstMillis: first.map((millis) => millis ?? Infinity),
  }
}

describe('C10: a hundred processes of ten connections, an outage of a minute, a server that takes 50 logins a second', () => {
  const SEEDS = pick([1, 2, 3, 5, 8, 13, 21, 34], [1, 2])

  const CASES: readonly (Case & { readonly most: Most })[] = [
    { waiting: false, outageMillis: 60_000, most: { attempts: 30, refused: 30, logins: 30, firstP99: 9_000 } },
    { waiting: true, outageMillis: 60_000, most: { attempts: 165, refused: 150, logins: 30, firstP99: 4_000 } },
    { waiting: true, outageMillis: 4_000, most: { attempts: 50, refused: 150, logins: POOLS + 10, firstP99: 4_000 } },
  ]

  it.each(CASES)(
    'no login is wasted, and all are back in the least time there is (an outage of $outageMillis ms, callers wait: $waiting)',
    { timeout: 120_000 },
    async ({ most, ...conditions }) => {
      const runs = await Promise.all(SEEDS.map((seed) => run(seed, conditions)))
      const worst = (of: (each: HerdRun) => number): number => Math.max(...runs.map(of))
      const figure = {
        seeds: SEEDS.length,
        wasted: worst(({ wasted }) => wasted),
        'most attempts of a pool in the outage': worst(({ attempts }) => Math.max(...attempts)),
        'peak refused in 100 ms': worst(({ refusedPeak }) => refusedPeak),
        'peak logins begun in 100 ms': worst(({ loginPeak }) => loginPeak),
        'first of all after ms': worst(({ firstMillis }) => Math.min(...firstMillis)),
        'first connection p99 s': worst(({ firstMillis }) => percentile(firstMillis, 0.99)) / 1_000,
        'all full after s': worst(({ fullMillis }) => fullMillis) / 1_000,
        'optimum s': OPTIMUM_MILLIS / 1_000,
      }
      const { waiting, outageMillis } = conditions
      figures(`C10 herd, ${outageMillis / 1_000} s, ${waiting ? 'with' : 'without'} waiting callers`, figure)
      expect(figure.wasted).toBe(0)
      expect(figure['most attempts of a pool in the outage']).toBeLessThanOrEqual(most.attempts)
      expect(figure['peak refused in 100 ms']).toBeLessThanOrEqual(most.refused)
      expect(figure['peak logins begun in 100 ms']).toBeLessThanOrEqual(most.logins)
      expect(figure['first connection p99 s'] * 1_000).toBeLessThanOrEqual(most.firstP99)
      expect(figure['all full after s'] * 1_000).toBeLessThanOrEqual(1.1 * OPTIMUM_MILLIS)
    },
  )
})
