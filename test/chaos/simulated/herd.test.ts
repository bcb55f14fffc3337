import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { figures, percentile, pick } from '../../support/chaos.ts'
import { after, seeded } from '../../support/simulation.ts'

const POOLS = 100
const SIZE = 10
const OUTAGE_MILLIS = 60_000
const LOGINS_PER_SECOND = 50
/** The least time in which the server can take everybody back. */
const OPTIMUM_MILLIS = (POOLS * SIZE * 1_000) / LOGINS_PER_SECOND

interface HerdRun {
  readonly attempts: readonly number[]
  readonly peak: number
  readonly wasted: number
  readonly firstMillis: readonly number[]
  readonly fullMillis: number
}

/** One server, one login at a time; a login that its client gave up costs the server its time all the same. */
async function run(seed: number, waiting: boolean): Promise<HerdRun> {
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
  await clock.advance(OUTAGE_MILLIS)
  state = 'back'
  backAt = clock.now()
  const full = (): boolean => herd.every(({ pool }) => pool.stats().idle + pool.stats().used === SIZE)
  while (!full() && clock.now() - backAt < 10 * OPTIMUM_MILLIS) await clock.advance(100)
  const fullMillis = clock.now() - backAt
  const buckets = new Map<number, number>()
  for (const at of attemptsAt) buckets.set(Math.floor(at / 100), (buckets.get(Math.floor(at / 100)) ?? 0) + 1)
  // The outage itself begins with what all pools had under way at once.
  const began = Math.floor((backAt - OUTAGE_MILLIS) / 100)
  const peak = Math.max(...[...buckets].filter(([bucket]) => bucket > began + 10).map(([, count]) => count))

  const closed = Promise.all(herd.map(({ pool }) => pool.close({ timeoutMillis: 100 })))
  await clock.advance(5_000)
  await closed
  return { attempts, peak, wasted, fullMillis, firstMillis: first.map((millis) => millis ?? Infinity) }
}

describe('C10: a hundred processes of ten connections, an outage of a minute, a server that takes 50 logins a second', () => {
  const SEEDS = pick([1, 2, 3, 5, 8, 13, 21, 34], [1, 2])

  it.each([
    [false, { attempts: 30, firstP99: 9_000 }],
    [true, { attempts: 65, firstP99: 4_000 }],
  ])(
    'no login is wasted, and all are back in the least time there is (callers wait: %s)',
    { timeout: 120_000 },
    async (waiting, most) => {
      const runs = await Promise.all(SEEDS.map((seed) => run(seed, waiting)))
      const worst = (of: (each: HerdRun) => number): number => Math.max(...runs.map(of))
      const figure = {
        seeds: SEEDS.length,
        wasted: worst(({ wasted }) => wasted),
        'most attempts of a pool in the outage': worst(({ attempts }) => Math.max(...attempts)),
        'peak attempts in 100 ms': worst(({ peak }) => peak),
        'first connection p99 s': worst(({ firstMillis }) => percentile(firstMillis, 0.99)) / 1_000,
        'all full after s': worst(({ fullMillis }) => fullMillis) / 1_000,
        'optimum s': OPTIMUM_MILLIS / 1_000,
      }
      figures(`C10 herd, ${waiting ? 'with' : 'without'} waiting callers`, figure)
      expect(figure.wasted).toBe(0)
      expect(figure['most attempts of a pool in the outage']).toBeLessThanOrEqual(most.attempts)
      expect(figure['peak attempts in 100 ms']).toBeLessThanOrEqual(30)
      expect(figure['first connection p99 s'] * 1_000).toBeLessThanOrEqual(most.firstP99)
      expect(figure['all full after s'] * 1_000).toBeLessThanOrEqual(1.1 * OPTIMUM_MILLIS)
    },
  )
})
