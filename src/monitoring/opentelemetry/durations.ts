import { distributionSince, valueOf, type Distributions } from '../../core/distribution.ts'
import { coreOf, type ManagedPool } from '../../core/managed-pool.ts'
import { DURATION_KINDS, type Instruments } from './instruments.ts'

/**
 * Records the durations of one pool in histograms of OpenTelemetry. It has none that are observed, so what the pool has
 * counted since the last look is recorded one by one, each as the middle of its bucket (exact to 6 %): nothing is added
 * to an acquire or a release.
 */
export class DurationRecorder {
  readonly #pool: ManagedPool
  #before: Distributions | undefined

  constructor(pool: ManagedPool) {
    this.#pool = pool
    // What was before is not recorded: one by one, millions would hold up the process.
    this.#before = coreOf(pool).distributions?.()
  }

  record(instruments: Instruments): void {
    const now = coreOf(this.#pool).distributions?.()
    if (now === undefined) return
    const before = this.#before
    this.#before = now
    for (const kind of DURATION_KINDS) {
      const { zeros, buckets } = before === undefined ? now[kind] : distributionSince(now[kind], before[kind])
      const { histogram, attributes } = instruments.durationOf(this.#pool, kind)
      for (let left = zeros; left > 0; left--) histogram.record(0, attributes)
      for (const [bucket, count] of buckets.entries()) {
        if (count === 0) continue
        const seconds = valueOf(bucket) / 1_000
        for (let left = count; left > 0; left--) histogram.record(seconds, attributes)
      }
    }
  }
}
