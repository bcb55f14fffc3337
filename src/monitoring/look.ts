import type { Distributions } from '../core/distribution.ts'
import { coreOf, type ManagedPool } from '../core/managed-pool.ts'
import type { PoolStats } from '../core/stats.ts'

/** One look at a pool. */
export interface Look {
  readonly stats: PoolStats
  /** Undefined for pools that keep none. */
  readonly distributions: Distributions | undefined
}

export function lookAt(pool: ManagedPool): Look {
  return { stats: pool.stats(), distributions: coreOf(pool).distributions?.() }
}
