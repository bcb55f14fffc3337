import type { Socket } from 'node:net'
import { readingSocket } from '../../core/reading-socket.ts'
import type { DriverConfig } from './driver.ts'

/** What mysql2 connects where no `stream` is given, on a socket that costs less to read from. */
export function connectedSocket({ config }: { readonly config: DriverConfig }): Socket {
  const { host = 'localhost', port = 3306, socketPath, enableKeepAlive, keepAliveInitialDelay } = config
  const socket = readingSocket()
  if (socketPath) return socket.connect(socketPath)
  socket.setNoDelay(true)
  if (enableKeepAlive) socket.setKeepAlive(true, keepAliveInitialDelay)
  return socket.connect(port, host)
}
