import { addDistributions, type Distributions } from './distribution.ts'
import type { LookOptions, PoolCore, PoolEventSource } from './managed-pool.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from './report.ts'

// What can be seen of a pool that consists of several: what each of them shows, in one list that says whose it is.

/** One of several pools, under what tells it from the others. */
export type Part = readonly [key: string, pool: PoolCore]

/** Between the name of a part and that of a part of it. */
const WITHIN = ' › '

function named<I extends { readonly part?: string }>(key: string, infos: readonly I[] = []): I[] {
  return infos.map((info) => ({ ...info, part: info.part === undefined ? key : `${key}${WITHIN}${info.part}` }))
}

/** The leases of all that are out, longest first. */
export function leasesOf(parts: readonly Part[], { limit = 100 }: LookOptions = {}): LeaseInfo[] {
  const leases = parts.flatMap(([key, pool]) => named(key, pool.leases?.({ limit })))
  return leases.sort((a, b) => b.heldMillis - a.heldMillis).slice(0, limit)
}

/** Who waits for one of them, longest first. */
export function waitersOf(parts: readonly Part[], { limit = 100 }: LookOptions = {}): WaiterInfo[] {
  const waiters = parts.flatMap(([key, pool]) => named(key, pool.waiters?.({ limit })))
  return waiters.sort((a, b) => b.waitedMillis - a.waitedMillis).slice(0, limit)
}

/** Every resource of them, the oldest first. Each counts its own from 1. */
export function resourcesOf(parts: readonly Part[], { limit = 100 }: LookOptions = {}): ResourceInfo[] {
  const resources = parts.flatMap(([key, pool]) => named(key, pool.resources?.({ limit })))
  return resources.sort((a, b) => b.ageMillis - a.ageMillis).slice(0, limit)
}

/** Their distributions as one. @param past - of those that are gone: what they counted goes on counting */
export function distributionsOf(parts: readonly PoolEventSource[], past: Distributions): Distributions {
  return addDistributions([past, ...parts.flatMap((part) => part.distributions?.() ?? [])])
}

/** Takes a resource of one of them away. @param part - as the lists above name it */
export function takeAwayFrom(parts: readonly Part[], resourceId: number, part = ''): boolean {
  return parts.some(([key, pool]) => {
    if (part === key) return pool.takeAway?.(resourceId) === true
    const start = `${key}${WITHIN}`
    return part.startsWith(start) && pool.takeAway?.(resourceId, part.slice(start.length)) === true
  })
}
