import type { Room, Suspect } from '../../core/mistakes.ts'
import type { DriverClient } from './driver.ts'

/** What there is to know of a client for whoever looks for mistakes. */
export function suspicionOf({ options }: DriverClient): Pick<Suspect, 'factory' | 'options' | 'deadlineMend'> {
  const { waitQueueTimeoutMS = 0, socketTimeoutMS = 0, timeoutMS = 0 } = options
  // `0` is the driver's word for "for ever". Its connects are always bounded, which helps nobody who waits for one.
  const bound = (millis: number): number => (millis > 0 ? millis : Infinity)
  return {
    factory: { target: targetOf(options) },
    options: {
      acquireTimeoutMillis: bound(waitQueueTimeoutMS),
      createTimeoutMillis: Infinity,
      maxUseMillis: Math.min(bound(socketTimeoutMS), bound(timeoutMS)),
    },
    deadlineMend: '`waitQueueTimeoutMS` (`mongoOptions` does) or `socketTimeoutMS`',
  }
}

/** Where a client leads to, without a secret. */
function targetOf({ hosts = [], srvHost, dbName = '', credentials }: DriverClient['options']): string {
  const place = srvHost ?? hosts.map(String).sort().join(',')
  const user = credentials?.username === undefined ? '' : `${credentials.username}@`
  return `${srvHost === undefined ? 'mongodb' : 'mongodb+srv'}://${user}${place}/${dbName}`
}

/** How many connections the server has for us; nothing where it does not say, or we may not ask. */
export async function askRoom(client: DriverClient): Promise<Room | undefined> {
  try {
    const { connections } = (await client.db('admin').command({ serverStatus: 1 })) as {
      readonly connections?: { readonly current?: number; readonly available?: number }
    }
    const { current, available } = connections ?? {}
    return typeof current === 'number' && typeof available === 'number'
      ? { usable: current + available, free: available }
      : undefined
  } catch {
    return undefined
  }
}

/** Calls back once, when a connection is idle for the first time: so that the question opens none of its own. */
export function whenFirstIdle(client: DriverClient, then: () => void): () => void {
  const stop = (): void => void client.off('connectionCheckedIn', once)
  const once = (): void => {
    stop()
    // The driver still has it in hand.
    setImmediate(then)
  }
  client.on('connectionCheckedIn', once)
  return stop
}
