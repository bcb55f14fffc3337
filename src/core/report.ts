/** Who holds a lease. */
export interface LeaseInfo {
  /** Which resource it is of, as in the events. */
  readonly resourceId: number
  readonly label: string | undefined
  readonly heldMillis: number
  /** Where it was acquired, when stacks are tracked. */
  readonly stack: string | undefined
  /** Of which part, where the pool consists of several: each counts its resources from 1. */
  readonly part?: string
}

export function leaseInfo(
  resourceId: number,
  holder: { readonly label: string | undefined; readonly stack: string | undefined },
  since: number,
  now: number,
): LeaseInfo {
  return { resourceId, label: holder.label, heldMillis: Math.max(0, now - since), stack: holder.stack }
}

/** Who waits for a lease. */
export interface WaiterInfo {
  readonly label: string | undefined
  readonly waitedMillis: number
  readonly priority: number
  /** How much longer it will wait; `Infinity` where it has no deadline. */
  readonly leftMillis: number
  /** For which part, where the pool consists of several. */
  readonly part?: string
}

/** One resource of a pool. */
export interface ResourceInfo {
  readonly resourceId: number
  readonly state: 'creating' | 'idle' | 'leased' | 'maintaining' | 'closing' | 'closed' | 'zombie'
  readonly generation: number
  /** Since its create began. */
  readonly ageMillis: number
  /** How many leases it has had. */
  readonly uses: number
  /** How many are out. */
  readonly leases: number
  /** Of which part, where the pool consists of several: each counts its resources from 1. */
  readonly part?: string
}

/** The probable cause of a timeout. */
export type Diagnosis =
  | 'event-loop-blocked'
  | 'suspended'
  | 'server-down'
  | 'nested-acquire'
  | 'server-saturated'
  | 'leak-suspected'
  | 'create-slow'
  | 'pool-too-small'

/** What the pool looked like when a caller ran into its deadline. */
export interface AcquireReport {
  readonly total: number
  readonly idle: number
  readonly used: number
  readonly maintaining: number
  readonly creating: number
  readonly waiting: number
  readonly max: number
  /** Ages of the leases that are out, in milliseconds. */
  readonly leaseAgeP50: number
  readonly leaseAgeP99: number
  /** The three leases that are out longest. */
  readonly longest: readonly LeaseInfo[]
  readonly diagnosis: Diagnosis
}

/** One line each: what to look at. */
const ADVICE: Readonly<Record<Diagnosis, string>> = {
  'event-loop-blocked': 'the event loop was blocked; look for synchronous work or a starved CPU',
  suspended: 'the pool is suspended; call resume()',
  'server-down': 'the server cannot be reached; see the cause of this error',
  'nested-acquire':
    'nested acquire: every lease belongs to a callback that waits for this pool; pass the resource on instead of acquiring again',
  'server-saturated': 'the server takes no more connections; lower `max` or raise the limit of the server',
  'leak-suspected':
    'leak suspected: leases are out far longer than usual; set `leakThresholdMillis` to see who holds them',
  'create-slow': 'creating a resource takes longer than this caller could wait',
  'pool-too-small': 'the pool is too small for the load, or the work on a lease too slow',
}

/** `12 ms`, `3.4 s`, `41 s`, `5 min` */
export function formatMillis(millis: number): string {
  if (millis < 1_000) return `${Math.round(millis)} ms`
  if (millis < 10_000) return `${(millis / 1_000).toFixed(1)} s`
  if (millis < 300_000) return `${Math.round(millis / 1_000)} s`
  return `${Math.round(millis / 60_000)} min`
}

/** How many frames of this package may stand above those of whoever asks. */
const OWN_FRAMES = 12

/** Where an acquire was made. Node's usual ten frames may all be ours. */
export function acquiredHere(): Error {
  const { stackTraceLimit } = Error
  if (stackTraceLimit > 0) Error.stackTraceLimit = stackTraceLimit + OWN_FRAMES
  const error = new Error('acquired')
  Error.stackTraceLimit = stackTraceLimit
  return error
}

/** The frame of {@link acquiredHere}, with which each such stack begins. What stands before `core` is ours. */
const OWN = /([^\s(]*[\\/])core[\\/]report\.[cm]?[jt]s:\d+:\d+\)?$/

/** A stack without this package's own frames: from whoever asked for the lease on. */
export function callersStack(stack: string | undefined): string | undefined {
  if (stack === undefined) return undefined
  const [head = '', ...frames] = stack.split('\n')
  const own = OWN.exec(frames[0] ?? '')?.[1]
  if (own === undefined) return stack
  const theirs = frames.filter((frame) => !frame.includes(own))
  return theirs.length === 0 ? stack : [head, ...theirs].join('\n')
}

/** The first line of a stack that is neither ours nor Node's: where the lease was acquired. */
function firstFrame(stack: string | undefined): string | undefined {
  const frames = callersStack(stack)?.split('\n')
  const frame = frames?.find((line) => line.trimStart().startsWith('at ') && !line.includes('(node:'))
  return frame?.trim().slice(3)
}

/** The message of an acquire that timed out: which pool, what happened, the numbers, who holds, what to look at. */
export function timeoutMessage(
  pool: string,
  kind: string,
  waitedMillis: number,
  stallMillis: number,
  report: AcquireReport,
): string {
  const counts = `total=${report.total} used=${report.used} idle=${report.idle} creating=${report.creating} waiting=${report.waiting} max=${report.max}`
  const parts = [`pool "${pool}": no ${kind} resource within ${formatMillis(waitedMillis)} (${counts})`]
  const [longest] = report.longest
  if (longest !== undefined) {
    const label = longest.label === undefined ? '' : ` by "${longest.label}"`
    const frame = firstFrame(longest.stack)
    parts.push(
      `longest lease held for ${formatMillis(longest.heldMillis)}${label}${frame === undefined ? '' : `, acquired at ${frame}`}`,
    )
  }
  if (stallMillis > 0) parts.push(`deadline extended by ${formatMillis(stallMillis)} because the event loop stalled`)
  parts.push(`probable cause: ${ADVICE[report.diagnosis]}`)
  return parts.join('; ')
}
