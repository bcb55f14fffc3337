import { addDistributions, type Distributions } from './distribution.ts'
import type { LookOptions, PoolEventSource } from './managed-pool.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from './report.ts'

// What can be seen of a pool that consists of several: what each of them shows, in one list.

/** The leases of all that are out, longest first. */
export function leasesOf(parts: readonly PoolEventSource[], { limit = 100 }: LookOptions = {}): LeaseInfo[] {
  const leases = parts.flatMap((part) => part.leases?.({ limit }) ?? [])
  return leases.sort((a, b) => b.heldMillis - a.heldMillis).slice(0, limit)
}

/** Who waits for one of them, longest first. */
export function waitersOf(parts: readonly PoolEventSource[], { limit = 100 }: LookOptions = {}): WaiterInfo[] {
  const waiters = parts.flatMap((part) => part.waiters?.({ limit }) ?? [])
  return waiters.sort((a, b) => b.waitedMillis - a.waitedMillis).slice(0, limit)
}

/** Every resource of them, the oldest first. Each counts its own from 1, so a number may come more than once. */
export function resourcesOf(parts: readonly PoolEventSource[], { limit = 100 }: LookOptions = {}): ResourceInfo[] {
  const resources = parts.flatMap((part) => part.resources?.({ limit }) ?? [])
  return resources.sort((a, b) => b.ageMillis - a.ageMillis).slice(0, limit)
}

/** Their distributions as one. @param past - of those that are gone: what they counted goes on counting */
export function distributionsOf(parts: readonly PoolEventSource[], past: Distributions): Distributions {
  return addDistributions([past, ...parts.flatMap((part) => part.distributions?.() ?? [])])
}
