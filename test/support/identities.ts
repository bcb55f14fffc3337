import { expect } from 'vitest'
import type { PoolStats } from 'millpond'

export function destroyedIn(stats: PoolStats): number {
  return Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
}

/** What must add up at every instant. */
export function expectIdentities(stats: PoolStats): void {
  const { requested, acquired, timedOut, aborted, refused, failed, waiting } = stats
  expect(requested).toBe(acquired + timedOut + aborted + refused + failed + waiting)
  expect(stats.created).toBe(stats.total + destroyedIn(stats))
  expect(stats.total).toBe(stats.idle + stats.used + stats.maintaining + stats.closing)
}
