import { lookForRoom, type Room } from '../../core/mistakes.ts'
import { engineOf, type Pool } from '../../core/pool.ts'
import { run } from './driver.ts'
import type { PooledConnection } from './pooled-connection.ts'

const LIMITS = 'SELECT @@global.max_connections AS most, @@session.max_user_connections AS ofUser'
const TAKEN = "SHOW GLOBAL STATUS LIKE 'Threads_connected'"

/** Says so where `max` is above what the server has left. */
export async function compareRoom(pool: Pool<PooledConnection>, connection: PooledConnection): Promise<void> {
  await lookForRoom(engineOf(pool), 'max_connections', () => askRoom(connection))
}

/** How many connections the server has for us; nothing where it does not say. */
async function askRoom(connection: PooledConnection): Promise<Room | undefined> {
  try {
    const [limits] = (await run(connection, LIMITS)) as readonly Record<string, unknown>[]
    const [taken] = (await run(connection, TAKEN)) as readonly Record<string, unknown>[]
    const [most = 0, ofUser = 0, connected = 0] = [limits?.['most'], limits?.['ofUser'], taken?.['Value']].map(Number)
    if (!(most > 0 && connected > 0)) return undefined
    const usable = ofUser > 0 ? Math.min(most, ofUser) : most
    return { usable, free: Math.min(usable, most - connected) }
  } catch {
    // Proxies and servers that only speak the protocol know no such names.
    return undefined
  }
}
