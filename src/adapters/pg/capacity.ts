import type { Room } from '../../core/mistakes.ts'
import { run, type DriverClient } from './driver.ts'
import type { ResolvedPgOptions } from './options.ts'

/** Where a pool leads to, as far as its options say, and without a secret. */
export function targetOf({ client, hosts }: Pick<ResolvedPgOptions, 'client' | 'hosts'>): string {
  const { connectionString, user, host, port, database } = client as Readonly<
    Record<string, string | number | undefined>
  >
  if (typeof connectionString === 'string') {
    // Greedy: also of a password that is not encoded as it must be, nothing is left.
    return connectionString.replace(/:\/\/([^:@/]*)(?::.*)?@/s, '://$1@').replace(/\?.*$/s, '')
  }
  const place = hosts.length > 0 ? hosts.join(',') : `${host ?? ''}${port === undefined ? '' : `:${port}`}`
  return `postgres://${user ?? ''}@${place}/${database ?? ''}`
}

// What ordinary users may have, and what others have of it already.
const CAPACITY = `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int AS usable,
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS taken`

/** How many connections the server has for us; nothing where it does not say. */
export async function askRoom(client: DriverClient): Promise<Room | undefined> {
  try {
    const { rows } = await run(client, CAPACITY)
    const { usable, taken } = rows[0] ?? {}
    return typeof usable === 'number' && typeof taken === 'number' ? { usable, free: usable - taken - 1 } : undefined
  } catch {
    // Poolers and servers that only speak the protocol know no such tables.
    return undefined
  }
}
