import type { Distributions } from '../core/distribution.ts'
import { coreOf, type ManagedPool, type PoolEventSource } from '../core/managed-pool.ts'
import type { PoolStats } from '../core/stats.ts'

/** How many connections a pool keeps idle, at the least and at the most. */
export interface IdleLimits {
  readonly min: number
  readonly max: number
}

/** One look at a pool. */
export interface Look {
  readonly stats: PoolStats
  /** Undefined for pools that keep none. */
  readonly distributions: Distributions | undefined
  /** Undefined where the pool does not show its options. */
  readonly idle: IdleLimits | undefined
}

export function lookAt(pool: ManagedPool): Look {
  const core = coreOf(pool)
  const stats = pool.stats()
  return { stats, distributions: core.distributions?.(), idle: idleLimitsOf(core, stats) }
}

/** The options of the engine that say how many are kept idle; `min` and `max` bound them. */
export function idleLimitsOf(core: PoolEventSource, { min, max }: PoolStats): IdleLimits | undefined {
  const { options } = core as { options?: { readonly minIdle?: number; readonly maxIdle?: number } }
  if (options === undefined) return undefined
  const { minIdle = 0, maxIdle = Infinity } = options
  return { min: Math.max(min, minIdle), max: Math.min(max, maxIdle) }
}
