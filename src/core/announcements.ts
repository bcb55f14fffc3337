import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import type { Lease } from './lease.ts'
import { isHeldOnPurpose } from './steps.ts'

/** Someone asks. */
export function asked<T>({ events, options }: PoolContext<T>, label: string | undefined): void {
  if (events.heard('acquireStarted')) events.queue('acquireStarted', { pool: options.name, label })
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
  events.queue('released', {
    pool: options.name,
    resourceId,
    generation,
    label: lease.label,
    useMillis,
    ...(error === undefined ? {} : { error }),
  })
}

/** Someone got a resource after a long wait. */
export function longWait<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  { label }: Lease<T>,
  waitMillis: number,
): void {
  if (events.heard('longWait'))
    events.queue('longWait', { pool: options.name, resourceId, generation, label, waitMillis })
}

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

/** Someone waits. */
export function waiting<T>(
  { events, options }: PoolContext<T>,
  over: Promise<boolean>,
  label: string | undefined,
): void {
  events.queue('waiting', { pool: options.name, label, over })
}
