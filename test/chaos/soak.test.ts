import { expect, it } from 'vitest'
import { figures, pick } from '../support/chaos.ts'
import { Soak } from '../support/soak.ts'

it('C24: a soak of random faults finds nothing wrong', { timeout: 600_000 }, async () => {
  const soak = new Soak({
    millis: pick(180_000, 5_000),
    faultEveryMillis: pick([1_000, 4_000] as const, [300, 800] as const),
    checkEveryMillis: pick(30_000, 2_500),
    callsPerSecond: 100,
    seed: 24,
    say: () => undefined,
  })
  const { faults, outcomes, stats, rests, heapMegabytesPerHour, longestAcquireMillis, problems } = await soak.run()
  figures('C24 soak on PostgreSQL', {
    faults: Object.values(faults).reduce((sum, count) => sum + count, 0),
    ...outcomes,
    created: stats.created,
    'longest acquire ms': longestAcquireMillis,
    rests: rests.length,
    'heap at rest MB': `${rests[0]?.heapMegabytes.toFixed(1)} → ${rests.at(-1)?.heapMegabytes.toFixed(1)}`,
    'heap growth MB/h': heapMegabytesPerHour,
  })
  expect(problems).toEqual([])
  expect(outcomes['ok']).toBeGreaterThan(100)
})
