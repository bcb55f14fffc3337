import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '@millpond/rig'
import { PoolError, type PoolOptions } from 'millpond'
import { ChaosRig, figures, percentile, pick, stopwatch } from '../support/chaos.ts'
import { expectIdentities } from '../support/identities.ts'
import type { TestPool } from '../support/pg.ts'
import { seeded } from '../support/simulation.ts'

const MAX = 5
const SERVICE_MILLIS = 40
const WORK = `SELECT pg_sleep(${SERVICE_MILLIS / 1_000})`
const DEADLINE_MILLIS = 500

describe('more work than there is room for', { timeout: 900_000 }, () => {
  let rig: ChaosRig

  beforeAll(async () => {
    rig = await ChaosRig.start()
  })
  afterEach(async () => {
    await rig.reset()
  })
  afterAll(async () => {
    await rig.stop()
  })

  /** What the pool does with exactly as many callers as connections, in answers per second. */
  async function capacityOf(pool: TestPool, millis: number): Promise<number> {
    const passed = stopwatch()
    let answers = 0
    await Promise.all(
      Array.from({ length: MAX }, async () => {
        while (passed() < millis) {
          await pool.query(WORK)
          answers++
        }
      }),
    )
    return (answers * 1_000) / passed()
  }

  /** Callers who come by chance, at this rate, each with a deadline for the whole and a signal. */
  async function offer(
    pool: TestPool,
    perSecond: number,
    millis: number,
  ): Promise<{ good: number; refusedAfter: number[]; tooLate: number; offered: number }> {
    const random = seeded(17)
    const passed = stopwatch()
    const calls: Promise<unknown>[] = []
    const refusedAfter: number[] = []
    let [good, tooLate] = [0, 0]
    const call = async (): Promise<void> => {
      const answered = stopwatch()
      const signal = AbortSignal.timeout(DEADLINE_MILLIS)
      try {
        await pool.use((client) => client.query(WORK), { signal, timeoutMillis: 0.9 * DEADLINE_MILLIS })
        if (answered() <= DEADLINE_MILLIS) good++
        else tooLate++
      } catch (error) {
        if (PoolError.is(error, 'ERR_POOL_OVERLOADED')) refusedAfter.push(answered())
        else tooLate++
      }
    }
    for (let at = 0; at < millis; at += (-Math.log(1 - random()) * 1_000) / perSecond) {
      const aheadMillis = at - passed()
      if (aheadMillis > 1) await sleep(aheadMillis)
      calls.push(call())
    }
    await Promise.all(calls)
    return { good, refusedAfter, tooLate, offered: calls.length }
  }

  const policies: readonly (readonly [string, PoolOptions])[] = [
    ['default', {}],
    ["admission 'deadline'", { admission: 'deadline' }],
    ["queue 'codel'", { queue: 'codel' }],
  ]

  it.each(pick([1.2, 1.5, 3], [1.5]))('C17: at %s times the capacity, whatever the policy', async (factor) => {
    const shares: Record<string, number> = {}
    for (const [name, options] of policies) {
      const pool = rig.pool({ max: MAX, acquireTimeoutMillis: DEADLINE_MILLIS, ...(options as object) })
      await rig.fill(pool, MAX)
      const before = await capacityOf(pool, pick(5_000, 500))
      const millis = pick(60_000, 1_500)
      const { good, refusedAfter, tooLate, offered } = await offer(pool, factor * before, millis)
      const recovered = await offer(pool, 0.5 * before, pick(3_000, 600))
      const after = await capacityOf(pool, pick(5_000, 500))
      // What client and server can do on their two cores varies: it counts on both sides of the minute.
      const ceiling = (before + after) / 2
      const answers = (good * 1_000) / millis
      shares[name] = answers / ceiling
      figures(`C17 overload ${factor}×, ${name}, on PostgreSQL`, {
        'of the ceiling %': (answers / ceiling) * 100,
        'of max / service time %': (answers / ((MAX * 1_000) / SERVICE_MILLIS)) * 100,
        'ceiling before /s': before,
        'ceiling after /s': after,
        offered,
        refused: refusedAfter.length,
        'refused after p50 ms': percentile(refusedAfter, 0.5),
        'waited in vain': tooLate,
        'answered after the load fell %': (recovered.good / recovered.offered) * 100,
        'loop lag ms': rig.lag.millis,
      })
      expect(recovered.good / recovered.offered).toBeGreaterThanOrEqual(pick(0.9, 0.7))
      // Whoever is let in just before the machine does something else for a while waits in vain: that is nobody's refusal.
      if (name.startsWith('admission')) {
        // Where the ceiling was measured too low, nothing of the quick run is too much.
        expect(refusedAfter.length).toBeGreaterThanOrEqual(pick(1, 0))
        expect(percentile(refusedAfter, 0.5)).toBeLessThanOrEqual(pick(5, 50))
      }
      expectIdentities(pool.stats())
      await pool.close({ timeoutMillis: 500 })
    }
    // The quick run shares its machine with other tests, and only tells overload from a collapse.
    expect(shares['default']).toBeGreaterThanOrEqual(pick(0.9, 0.5))
    expect(Math.max(...Object.values(shares))).toBeGreaterThanOrEqual(pick(0.95, 0.5))
    expect(Math.min(...Object.values(shares))).toBeGreaterThanOrEqual(pick(0.85, 0.5))
  })

  it('C16: ten thousand waiters that expire together leave the pool as fast as it was', async () => {
    const pool = rig.pool({ max: MAX, maxWaiting: 20_000, acquireTimeoutMillis: 300 })
    await rig.fill(pool, MAX)
    const capacity = await capacityOf(pool, 500)
    const held = await Promise.all(Array.from({ length: MAX }, () => pool.connect()))
    const asked = stopwatch()
    let latest = 0
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, () =>
        pool.connect().then(
          () => 'served',
          (error: { code: string }) => {
            latest = Math.max(latest, asked())
            return error.code
          },
        ),
      ),
    )
    for (const client of held) client.release()
    const { good, offered } = await offer(pool, 0.8 * capacity, 1_000)
    figures('C16 ten thousand expire at once', {
      expired: outcomes.filter((outcome) => outcome === 'ERR_POOL_ACQUIRE_TIMEOUT').length,
      'the last one after ms': latest,
      'answered in the second after that': good,
      offered,
      'loop lag ms': rig.lag.millis,
    })
    expect(new Set(outcomes)).toEqual(new Set(['ERR_POOL_ACQUIRE_TIMEOUT']))
    expect(latest).toBeLessThanOrEqual(300 + 1_000 + rig.lag.allowance)
    expect(good / offered).toBeGreaterThanOrEqual(pick(0.95, 0.7))
  })
})
