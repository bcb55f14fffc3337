import { describe, expect, it } from 'vitest'
import { figures, percentile, pick } from '../../support/chaos.ts'
import { Herd, OPTIMUM_MILLIS, POOLS, SIZE } from '../../support/herd.ts'

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

async function run(seed: number, { waiting, outageMillis }: Case): Promise<HerdRun> {
  const herd = new Herd(seed)
  const { clock, members } = herd
  await herd.fill()
  herd.down()
  if (waiting) {
    for (const { pool } of members) void pool.acquire().then((lease) => clock.setTimer(() => lease.release(), 50))
  }
  await clock.advance(outageMillis)
  herd.back()
  const { backAt } = herd
  while (herd.open() < POOLS * SIZE && clock.now() - backAt < 10 * OPTIMUM_MILLIS) await clock.advance(100)
  const fullMillis = clock.now() - backAt
  // The outage itself begins with what all pools had under way at once.
  const afterItsBegin = herd.attemptsAt.filter((at) => at >= backAt - outageMillis + 1_000)
  const peak = (of: readonly number[]): number => {
    const buckets = new Map<number, number>()
    for (const at of of) buckets.set(Math.floor(at / 100), (buckets.get(Math.floor(at / 100)) ?? 0) + 1)
    return Math.max(...buckets.values())
  }
  await herd.close()
  return {
    attempts: herd.attempts,
    refusedPeak: peak(afterItsBegin.filter((at) => at < backAt)),
    loginPeak: peak(afterItsBegin.filter((at) => at >= backAt)),
    wasted: herd.wasted,
    fullMillis,
    firstMillis: herd.firstMillis,
  }
}

describe(
  'C10: a hundred processes of ten connections, an outage of a minute, a server that takes 50 logins a second',
  { retry: 0 },
  () => {
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
  },
)
