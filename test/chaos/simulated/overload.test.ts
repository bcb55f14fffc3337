import { describe, expect, it } from 'vitest'
import type { PoolOptions } from 'millpond'
import type { FakeResource } from 'millpond/testing'
import { figures, percentile, pick } from '../../support/chaos.ts'
import { overload } from '../../support/overload.ts'

const MAX = 10
const SERVICE_MILLIS = 20
const DEADLINE_MILLIS = 500
const CAPACITY = (MAX * 1_000) / SERVICE_MILLIS
const MINUTE = pick(60_000, 6_000)

interface Policy {
  readonly name: string
  readonly options: PoolOptions<FakeResource>
  /** How much of the deadline `acquire` may take. */
  readonly acquireMillis: number
  /** Whether callers give up by a signal. @defaultValue true */
  readonly signals?: boolean
  readonly leastGoodput: number
  /** Where it is known to fail. */
  readonly mostGoodput?: number
}

/** What acquire may take of the whole deadline decides as much as the policy does. */
const POLICIES: readonly Policy[] = [
  {
    name: 'default, acquire may take the whole deadline',
    options: {},
    acquireMillis: DEADLINE_MILLIS,
    leastGoodput: 0.98,
  },
  {
    // Whoever gets a connection in the last instant has no time left to use it, and nothing tells the pool.
    name: 'default, acquire may take the whole deadline, no signals',
    options: {},
    acquireMillis: DEADLINE_MILLIS,
    signals: false,
    leastGoodput: 0,
    mostGoodput: 0.5,
  },
  { name: 'default, acquire leaves a tenth', options: {}, acquireMillis: 0.9 * DEADLINE_MILLIS, leastGoodput: 0.98 },
  {
    name: "admission 'deadline', acquire may take the whole deadline",
    options: { admission: 'deadline' },
    acquireMillis: DEADLINE_MILLIS,
    leastGoodput: 0.95,
  },
  {
    name: "admission 'deadline', acquire leaves a tenth",
    options: { admission: 'deadline' },
    acquireMillis: 0.9 * DEADLINE_MILLIS,
    leastGoodput: 0.95,
  },
  {
    name: "queue 'codel', acquire may take the whole deadline",
    options: { queue: 'codel' },
    acquireMillis: DEADLINE_MILLIS,
    leastGoodput: 0.95,
  },
]

describe(
  'C17: more work than there is room for, from callers who give up after 500 ms',
  { timeout: 240_000, retry: 0 },
  () => {
    it.each([1.2, 1.5, 3])('at %s times the capacity (simulated)', async (factor) => {
      for (const { name, options, acquireMillis, signals = true, leastGoodput, mostGoodput = 1.05 } of POLICIES) {
        const { offered, goodAt, refusedAfter, late, gaveUp } = await overload({
          options,
          serviceMillis: SERVICE_MILLIS,
          max: MAX,
          // Light load follows, to see how fast the pool recovers.
          load: (millis) => (millis < MINUTE ? factor : 0.5),
          millis: MINUTE + 3_000,
          deadlineMillis: DEADLINE_MILLIS,
          acquireMillis,
          signals,
          seed: 17,
        })
        const during = goodAt.filter((at) => at > 1_000 && at <= MINUTE).length / ((MINUTE - 1_000) / 1_000) / CAPACITY
        const recovered = goodAt.filter((at) => at > MINUTE + 1_000).length / (0.5 * CAPACITY * 2)
        figures(`C17 overload ${factor}×, ${name}`, {
          'goodput %': during * 100,
          offered,
          late,
          'gave up': gaveUp,
          refused: refusedAfter.length,
          'refused after p50 ms': percentile(refusedAfter, 0.5),
          'refused after p99 ms': percentile(refusedAfter, 0.99),
          'answered a second after the load fell %': recovered * 100,
        })
        expect(during).toBeGreaterThanOrEqual(leastGoodput)
        expect(during).toBeLessThanOrEqual(mostGoodput)
        expect(recovered).toBeGreaterThan(0.9)
        if (options.admission === 'deadline') expect(percentile(refusedAfter, 0.99)).toBeLessThanOrEqual(5)
      }
    })
  },
)
