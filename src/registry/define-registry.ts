import { PoolRegistry } from './registry.ts'

// On globalThis, as the pools of `definePool` are.
const KEY = Symbol.for('millpond.definedRegistry')

/**
 * The one registry of a process, however often the module that defines it is evaluated: for hot reload and for bundles
 * that hold the same module twice. What `setUp` does (`closeOnSignals`, a dashboard) is done once; a registry that was
 * closed is replaced by a new one, and set up again.
 *
 * @param setUp - what is to be done once with the new registry
 */
export function defineRegistry(setUp?: (registry: PoolRegistry) => void): PoolRegistry {
  const holder = globalThis as Record<symbol, unknown>
  const known = holder[KEY] as PoolRegistry | undefined
  if (known !== undefined && !known.isClosing) return known
  const registry = new PoolRegistry()
  holder[KEY] = registry
  setUp?.(registry)
  return registry
}
