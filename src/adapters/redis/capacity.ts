import type { Room } from '../../core/mistakes.ts'
import type { Dialect, DriverClient } from './driver.ts'

/** How many connections the server has for us; nothing where it does not say. */
export async function askRoom(dialect: Dialect, client: DriverClient): Promise<Room | undefined> {
  try {
    const info = String(await dialect.ask(client, 'INFO', 'clients'))
    const [usable, connected] = ['maxclients', 'connected_clients'].map((name) =>
      Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]),
    )
    return usable !== undefined && connected !== undefined && usable > 0 && connected > 0
      ? { usable, free: usable - connected }
      : undefined
  } catch {
    // Its user may not ask, or the connection is gone already.
    return undefined
  }
}
