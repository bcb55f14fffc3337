import type { Socket } from 'node:net'
import { readingSocket } from '../../core/reading-socket.ts'
import type { DriverConfig } from './driver.ts'

/** What mysql2 connects where no `stream` is given, on a socket that costs less to read from. */
export function connectSocket({ config }: { readonly config: DriverConfig }): Socket {
  const { host = 'localhost', port = 3306, socketPath, enableKeepAlive, keepAliveInitialDelay } = config
  if (socketPath) return readingSocket({ path: socketPath })
  return readingSocket({
    host,
    port,
    noDelay: true,
    keepAlive: enableKeepAlive === true,
    keepAliveInitialDelay: Number(keepAliveInitialDelay),
  })
}
