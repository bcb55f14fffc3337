import type { Engine } from './engine.ts'
import type { HealthCheck, HealthOptions } from './managed-pool.ts'

/** What a health check needs of a pool. */
interface Borrowable {
  acquire(options: { timeoutMillis: number; label: string }): Promise<{ release(error?: unknown): void }>
}

/**
 * Looks whether a pool works: by its state, by validating one idle resource, or by opening one where none is open.
 * A pool whose resources are all in use works, so it is not queued behind; it only warns.
 */
export async function checkHealth<T>(
  pool: Borrowable,
  engine: Engine<T>,
  { timeoutMillis = 1_000 }: HealthOptions,
): Promise<HealthCheck> {
  const startedAt = engine.clock.now()
  const answer = (status: HealthCheck['status'], message: string): HealthCheck => ({
    status,
    pool: engine.name,
    kind: engine.factory.kind,
    message,
    durationMillis: engine.clock.now() - startedAt,
  })
  switch (engine.state) {
    case 'closing':
    case 'closed':
      return answer('fail', 'Pool is closed')
    case 'suspended':
      return answer('warn', 'Pool is suspended')
    case 'paused':
      return answer('fail', 'Server cannot be reached')
    case 'open':
  }
  const { inventory, sizes } = engine
  if (inventory.idle > 0) {
    return (await engine.probeIdle(timeoutMillis))
      ? answer('pass', 'Pool is healthy')
      : answer('fail', 'A connection did not answer')
  }
  if (inventory.occupied + inventory.creating >= sizes.max) return answer('warn', 'Pool is saturated')
  try {
    const lease = await pool.acquire({ timeoutMillis, label: 'health check' })
    lease.release()
    return answer('pass', 'Pool is healthy')
  } catch {
    return answer('fail', 'No connection could be opened')
  }
}
