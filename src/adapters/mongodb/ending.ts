import type { CloseReport } from '../../core/close-report.ts'
import { PoolClosedError } from '../../core/errors.ts'
import type { CloseOptions } from '../../core/managed-pool.ts'
import type { DriverClient } from './driver.ts'
import { cutUsed, rejectQueue } from './internals.ts'
import type { OpenWork } from './open-work.ts'
import type { ServerCounts } from './server-counts.ts'

/** How long the driver may take for its own goodbyes, beyond the grace time of those who work. */
const GOODBYE_MILLIS = 2_000
/** How often it is asked whether all is quiet. */
const LOOK_MILLIS = 5

interface Ending extends CloseOptions {
  readonly pool: string
  readonly client: DriverClient
  /** Who closes: the client, or the connection of mongoose around it. */
  readonly owner: { close(): Promise<unknown> }
  readonly servers: () => readonly ServerCounts[]
  readonly work: OpenWork
  /** From here on the driver does its own work, which is not refused. */
  readonly letIn: () => void
}

/**
 * Waits until nobody uses a connection and no transaction is open, or for the grace time; then has the driver close.
 * The driver's own close interrupts whatever runs, where it is not an old one, and says of nothing that it did.
 */
export async function endInOrder({
  pool,
  client,
  owner,
  servers,
  work,
  letIn,
  timeoutMillis = 10_000,
  waiters = 'serve',
}: Ending): Promise<Omit<CloseReport, 'pool' | 'durationMillis'>> {
  const rejected = waiters === 'reject' ? rejectWaiters(pool, servers()) : 0
  const until = performance.now() + timeoutMillis
  const isQuiet = (): boolean =>
    !work.inTransaction && servers().every(({ ledger }) => ledger.used === 0 && ledger.waiting === 0)
  while (!isQuiet() && performance.now() < until) await pause(LOOK_MILLIS)

  const open = sum(servers(), ({ ledger }) => ledger.total)
  const forced = sum(servers(), ({ ledger }) => ledger.used)
  const report = {
    closed: open - forced,
    forced,
    pendingCreates: sum(servers(), ({ ledger }) => ledger.creating),
    rejected: rejected + sum(servers(), ({ ledger }) => ledger.waiting),
    holders: [...work.holders(), ...servers().flatMap((server) => server.holders())],
  }
  const pools = servers().flatMap((server) => server.pool ?? [])
  letIn()
  const closing = Promise.resolve(owner.close()).catch(() => undefined)
  const isLate = await Promise.race([closing, pause(GOODBYE_MILLIS, false).then(() => true)])
  if (isLate === true) {
    // A server that is silent would have the driver wait for its goodbye for ever.
    ;(client.topology as { close?: () => void } | undefined)?.close?.()
    await Promise.race([closing, pause(GOODBYE_MILLIS, false)])
  }
  // Now that nothing new can be opened, so that nobody tries again.
  for (const each of pools) cutUsed(each)
  return report
}

function rejectWaiters(pool: string, servers: readonly ServerCounts[]): number {
  const error = (): Error => new PoolClosedError(pool, `pool "${pool}" is closing; who waits is not served any more`)
  return sum(servers, (server) => {
    const told = server.pool === undefined ? 0 : rejectQueue(server.pool, error)
    for (let count = 0; count < told; count++) server.gaveUp('refused', undefined)
    return told
  })
}

function sum(servers: readonly ServerCounts[], of: (server: ServerCounts) => number): number {
  return servers.reduce((total, server) => total + of(server), 0)
}

async function pause(millis: number, keepsAlive = true): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, millis)
    if (!keepsAlive) timer.unref()
  })
}
