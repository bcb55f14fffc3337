import type { PoolContext } from './context.ts'
import type { Entry } from './entry.ts'
import { leaseAccess, type Lease } from './lease.ts'

/** Someone got a resource. Asked for only where the event is heard. */
export function announceAcquired<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  label: string | undefined,
  durationMillis: number,
): void {
  events.queue('acquired', { pool: options.name, resourceId, generation, label, durationMillis })
}

/** Someone gave a resource back. Asked for only where the event is heard. */
export function announceReleased<T>(
  { events, options }: PoolContext<T>,
  { id: resourceId, generation }: Entry<T>,
  lease: Lease<T>,
  useMillis: number,
  error: unknown,
): void {
  const { label } = leaseAccess.holder(lease)
  events.queue('released', {
    pool: options.name,
    resourceId,
    generation,
    label,
    useMillis,
    ...(error === undefined ? {} : { error }),
  })
}
