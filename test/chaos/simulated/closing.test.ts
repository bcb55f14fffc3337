import { describe, expect, it } from 'vitest'
import { figures, pick } from '../../support/chaos.ts'
import { expectIdentities } from '../../support/identities.ts'
import { Herd, OPTIMUM_MILLIS, POOLS, SIZE, type Member } from '../../support/herd.ts'
import { seeded } from '../../support/simulation.ts'

const OUTAGE_MILLIS = 20_000
const GRACE = 3_000
/** The engine's own patience with a goodbye. */
const DESTROY_TIMEOUT = 2_000

describe('C21: closing in the middle of a herd (C10, simulated)', { timeout: 240_000, retry: 0 }, () => {
  it.each(pick([1, 2, 3, 5, 8], [1]))(
    'half of a hundred pools close at random instants of an outage and of what follows: each within its grace time, and the others are served all the same (seed %i)',
    async (seed) => {
      const herd = new Herd(seed)
      const { clock } = herd
      const random = seeded(seed)
      await herd.fill()
      const closing = herd.members.filter((_, index) => index % 2 === 0)
      const staying = herd.members.filter((_, index) => index % 2 === 1)
      const durations: number[] = []
      let rejected = 0
      const closeOne = async ({ pool, factory }: Member): Promise<void> => {
        // Somebody waits in half of them, and is told.
        if (random() < 0.5)
          void pool.acquire().then(
            (lease) => lease.release(),
            () => rejected++,
          )
        const askedAt = clock.now()
        await pool.close({ timeoutMillis: GRACE, waiters: random() < 0.5 ? 'serve' : 'reject' })
        durations.push(clock.now() - askedAt)
        expectIdentities(pool.stats())
        expect(pool.stats()).toMatchObject({ total: 0, creating: 0, waiting: 0, used: 0 })
        expect(factory.open).toBe(0)
      }
      // From a second before the outage to when all would be back.
      const span = 1_000 + OUTAGE_MILLIS + OPTIMUM_MILLIS / 2
      const closes: Promise<void>[] = []
      for (const member of closing) clock.setTimer(() => closes.push(closeOne(member)), random() * span)
      await clock.advance(1_000)
      herd.down()
      await clock.advance(OUTAGE_MILLIS)
      herd.back()
      const full = staying.length * SIZE
      while (herd.open(staying) < full && clock.now() - herd.backAt < 2 * OPTIMUM_MILLIS) await clock.advance(100)
      const fullMillis = clock.now() - herd.backAt
      await clock.advance(span)
      await Promise.all(closes)
      figures(`C21 close in the middle of a herd, seed ${seed}`, {
        pools: POOLS,
        closed: durations.length,
        'longest close ms': Math.max(...durations),
        'waiting callers told': rejected,
        'the others full after s': fullMillis / 1_000,
      })
      expect(durations).toHaveLength(closing.length)
      expect(Math.max(...durations)).toBeLessThanOrEqual(GRACE + DESTROY_TIMEOUT + 100)
      expect(herd.open(staying)).toBe(full)
      expect(fullMillis).toBeLessThanOrEqual(1.1 * OPTIMUM_MILLIS)
      await herd.close()
    },
  )
})
