import { isTold } from './caller-mark.ts'
import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { Lease } from './lease.ts'
import type { Request } from './request.ts'
import { isHeldOnPurpose } from './steps.ts'

/** Someone asks. */
export function asked<T>({ events, options }: PoolContext<T>, label: string | undefined): void {
  if (events.acquireStarted.heard) events.queue('acquireStarted', { pool: options.name, label })
}

/** Someone got a resource. Asked for only where the event is heard. */
export function acquired<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  label: string | undefined,
  durationMillis: number,
): void {
  events.queue('acquired', { pool: options.name, resourceId, generation, label, durationMillis })
}

/** Someone gave a resource back. Asked for only where the event is heard. */
export function released<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  lease: Lease<T>,
  useMillis: number,
  error: unknown,
): void {
  const { name: pool } = options
  const { label } = lease
  // A literal each: to spread what is there or not costs as much as all the rest.
  if (error === undefined) events.queue('released', { pool, resourceId, generation, label, useMillis })
  else events.queue('released', { pool, resourceId, generation, label, useMillis, error })
}

/** Someone got a resource after a long wait. */
export function longWait<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  { label }: Lease<T>,
  waitMillis: number,
  request: Request | undefined,
): void {
  if (!events.heard('longWait')) return
  const caller = by(request?.caller)
  events.queue('longWait', { pool: options.name, resourceId, generation, label, waitMillis, ...caller })
}

/** What was read of a caller, where anything was. */
export const by = (caller: unknown): { readonly caller?: unknown } => (caller === undefined ? {} : { caller })

/** Someone gives a resource back after long; not whoever held it on purpose, to listen for something. */
export function longLease<T>(context: PoolContext<T>, entry: Entry<T>, { label }: Lease<T>, useMillis: number): void {
  const { events, options } = context
  if (!events.heard('longLease') || isHeldOnPurpose(context, entry.resource as T)) return
  events.queue('longLease', {
    pool: options.name,
    resourceId: entry.id,
    generation: entry.generation,
    label,
    useMillis,
  })
}

/** The wait of somebody of whom something was read is over; the lease that they got must not hold on to it. */
export function waited<T>(
  { events, options }: PoolContext<T>,
  request: Request,
  waitMillis: number,
  acquired: boolean,
): void {
  const { label, caller } = request
  request.caller = undefined
  if (isTold(waitMillis) && events.heard('waited'))
    events.queue('waited', { pool: options.name, label, waitMillis, acquired, caller })
}
