import { clock } from './format.ts'
import type { PoolView } from '../../../src/dashboard/protocol.ts'

export type Level = 'good' | 'warn' | 'bad'

/** A leak that was reported longer ago than this is no news. */
const RECENT_MILLIS = 900_000

/** How a pool does, and why, in a few words. */
export function judge({ stats, health, leakedAt }: PoolView): { readonly level: Level; readonly why: string } {
  if (stats.state === 'paused') return { level: 'bad', why: 'server cannot be reached' }
  if (health?.status === 'fail') return { level: 'bad', why: health.message }
  if (stats.state !== 'open') return { level: 'warn', why: stats.state }
  if (stats.waiting > 0 && stats.used >= stats.max) return { level: 'warn', why: 'exhausted, callers wait' }
  if (leakedAt !== undefined && Date.now() - leakedAt < RECENT_MILLIS)
    return { level: 'warn', why: `a leak was reported at ${clock(leakedAt)}` }
  if (health?.status === 'warn') return { level: 'warn', why: health.message }
  if (stats.utilization > 0.8) return { level: 'warn', why: 'more than 80 % used' }
  return { level: 'good', why: 'healthy' }
}
