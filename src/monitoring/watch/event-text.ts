import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import { formatMillis } from '../../core/report.ts'
import type { LogLevel } from './logger.ts'

/** The events that are worth keeping. What happens on every acquire is not, and stays unheard. */
export type KeptEventName = Exclude<
  PoolEventName,
  'acquireStarted' | 'acquired' | 'waited' | 'released' | 'createStarted' | 'validated' | 'probe'
>

/** How loud each is in a log; `quiet` ones are kept and not logged. */
export const LEVELS: Readonly<Record<KeptEventName, LogLevel | 'quiet'>> = {
  created: 'quiet',
  createFailed: 'warn',
  destroyed: 'quiet',
  acquireFailed: 'warn',
  leak: 'warn',
  leakReturned: 'info',
  abandoned: 'warn',
  overused: 'warn',
  slow: 'warn',
  longWait: 'warn',
  longLease: 'info',
  nested: 'warn',
  deadlock: 'error',
  invalidated: 'info',
  saturated: 'warn',
  paused: 'error',
  resumed: 'info',
  suspended: 'info',
  frozen: 'warn',
  resized: 'info',
  mistake: 'warn',
  failure: 'error',
  closed: 'info',
}

export const KEPT_EVENTS = Object.keys(LEVELS) as readonly KeptEventName[]

/** What may be shown of an error: its code or name. Its message may hold an address, a value, a password. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }
  if ((typeof code === 'string' && /^[\w.-]{1,64}$/.test(code)) || typeof code === 'number') return String(code)
  return typeof name === 'string' && /^[\w.-]{1,64}$/.test(name) ? name : undefined
}

const by = ({ label }: { readonly label: string | undefined }): string => (label === undefined ? '' : ` by "${label}"`)
const why = (error: unknown): string => {
  const code = errorCode(error)
  return code === undefined ? '' : ` (${code})`
}

const TEXTS: { readonly [E in KeptEventName]: (event: PoolEvents[E]) => string } = {
  created: (e) => `opened resource ${e.resourceId} in ${formatMillis(e.durationMillis)}`,
  createFailed: (e) => `could not open a resource: ${e.failure}${why(e.error)} after ${formatMillis(e.durationMillis)}`,
  destroyed: (e) =>
    `closed resource ${e.resourceId}: ${e.reason}${why(e.error)}, ${formatMillis(e.ageMillis)} old, used ${e.uses} times`,
  acquireFailed: (e) => `an acquire${by(e)} failed: ${e.reason}${why(e.error)} after ${formatMillis(e.durationMillis)}`,
  leak: (e) => `a lease${by(e)} is out for ${formatMillis(e.heldMillis)} and was not released`,
  leakReturned: (e) => `a leaked lease${by(e)} came back after ${formatMillis(e.heldMillis)}`,
  abandoned: (e) => `a lease${by(e)} was garbage-collected without a release`,
  overused: (e) => `a lease${by(e)} was taken away after ${formatMillis(e.heldMillis)}`,
  slow: (e) =>
    `slow${e.failed ? ' and failed' : ''}: ${e.operation}${by(e)}, waited ${formatMillis(e.waitMillis)}, ran ${formatMillis(e.useMillis)}`,
  longWait: (e) => `a caller${by(e).replace('by ', '')} waited ${formatMillis(e.waitMillis)}`,
  longLease: (e) => `a lease${by(e)} was out for ${formatMillis(e.useMillis)}`,
  nested: (e) => `a callback of use() waits for its own pool${by(e)}`,
  deadlock: (e) => `deadlock: all ${e.holders.length} leases belong to callbacks that wait for this pool`,
  invalidated: (e) => `all resources are replaced: ${e.reason}`,
  saturated: (e) => `the server takes no more connections; making do with ${e.limit}`,
  paused: (e) => `the server cannot be reached: ${e.failure}${why(e.error)}`,
  resumed: (e) => `the server is back after ${formatMillis(e.pausedMillis)} and ${e.attempts} attempts`,
  suspended: (e) => (e.suspended ? 'suspended' : 'resumed on request'),
  frozen: (e) => `the process was frozen for ${formatMillis(e.gapMillis)}`,
  // Its message names the server, which not everybody who reads this may know.
  mistake: (e) => `probably used wrongly: ${e.code}`,
  resized: (e) => `resized to min ${e.min}, max ${e.max}`,
  failure: (e) => `${e.from} failed${why(e.error)}`,
  closed: (e) => `closed: ${e.closed} in order, ${e.forced} cut, ${e.rejected} callers rejected`,
}

/** One sentence for a person, without an address, an error text or a value. */
export function textOf<E extends KeptEventName>(name: E, event: PoolEvents[E]): string {
  return TEXTS[name](event)
}
