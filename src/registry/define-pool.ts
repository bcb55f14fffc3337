import type { ManagedPool } from '../core/managed-pool.ts'

interface Defined {
  readonly pool: ManagedPool
  readonly configuration: string
}

// On globalThis, so that a module that is evaluated again (hot reload, a second bundle) finds what it made before.
const REGISTRY = Symbol.for('millpond.definedPools')

function definedPools(): Map<string, Defined> {
  const holder = globalThis as Record<symbol, unknown>
  const known = holder[REGISTRY] as Map<string, Defined> | undefined
  const pools = known ?? new Map<string, Defined>()
  holder[REGISTRY] = pools
  return pools
}

/**
 * One pool per name and configuration in a process, however often the module that defines it is evaluated: for hot
 * reload and for bundles that hold the same module twice.
 *
 * @param name - the pool's name in the process
 * @param make - makes the pool; called only where there is none, or another configuration
 * @param configuration - what tells one configuration from another: anything that `JSON.stringify` takes. Without it,
 *   the source text of `make` does, so that an edit to it makes a new pool. The old one is closed in the background.
 */
export function definePool<P extends ManagedPool>(name: string, make: () => P, configuration?: unknown): P {
  const pools = definedPools()
  const key = configuration === undefined ? make.toString() : JSON.stringify(configuration)
  const known = pools.get(name)
  if (
    known !== undefined &&
    known.configuration === key &&
    known.pool.state !== 'closing' &&
    known.pool.state !== 'closed'
  ) {
    return known.pool as P // made by this same definition
  }
  const pool = make()
  pools.set(name, { pool, configuration: key })
  if (known !== undefined) void known.pool.close()
  return pool
}
