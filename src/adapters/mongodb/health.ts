import type { Verdict } from '../../core/foreign-pool.ts'
import { classifyMongo } from './classify.ts'
import type { DriverClient } from './driver.ts'
import type { ServerCounts } from './server-counts.ts'

export const REFUSES_LOGIN = 'The server does not accept the login'

interface TopologyDescription {
  readonly type?: string
  readonly servers?: ReadonlyMap<string, { readonly type?: string }>
}

/** Whether one more would have to wait for a connection. */
function isSaturated({ ledger, max }: ServerCounts): boolean {
  return ledger.waiting > 0 || (ledger.idle === 0 && ledger.used + ledger.creating >= max)
}

/** The servers that a ping may go to: the primary where there is one. */
function targetsOf({ topology }: DriverClient, servers: readonly ServerCounts[]): readonly ServerCounts[] {
  const description = topology?.description as TopologyDescription | undefined
  const primary = servers.filter(({ address }) => description?.servers?.get(address)?.type === 'RSPrimary')
  return primary.length > 0 ? primary : servers
}

/**
 * Has a server answer, on a connection of the pool. Where all are in use, that they are is the answer: nobody is queued
 * behind those who work.
 */
export async function askHealth(
  client: DriverClient,
  servers: readonly ServerCounts[],
  timeoutMillis: number,
): Promise<Verdict> {
  for (const server of servers) server.settle()
  if (targetsOf(client, servers).some(isSaturated)) return ['warn', 'Pool is saturated']
  // Short of the whole time, so that it is still known why when it is over.
  const signal = AbortSignal.timeout(Math.max(1, Math.floor(timeoutMillis * 0.9)))
  try {
    await client.db('admin').command({ ping: 1 }, { readPreference: 'primaryPreferred', signal })
  } catch (error) {
    if (signal.aborted && targetsOf(client, servers).some(isSaturated)) return ['warn', 'Pool is saturated']
    if (signal.aborted) return ['fail', 'The server did not answer in time']
    return classifyMongo(error) === 'auth' ? ['fail', REFUSES_LOGIN] : ['fail', 'No connection could be opened']
  }
  const { type } = (client.topology?.description ?? {}) as TopologyDescription
  return type === 'ReplicaSetNoPrimary'
    ? ['warn', 'The replica set has no primary: reads work, writes do not']
    : ['pass', 'Pool is healthy']
}
