import { connect } from 'node:net'
import type { DriverClient } from './driver.ts'

/** The number that PostgreSQL's protocol gives a CancelRequest. */
const CANCEL_REQUEST = 80_877_102
const GIVE_UP_MILLIS = 2_000

/**
 * Asks the server to cancel what the connection runs, over a socket of its own as the protocol demands. It is a
 * courtesy: it may come too late, and nobody waits for it. Only for a connection that is destroyed after it: a cancel
 * that comes late would hit whatever runs on the connection then.
 */
export function cancelQuery(client: DriverClient): void {
  const { processID, secretKey, host, port } = client
  // Keys longer than 4 bytes (protocol 3.2) come as something else than a number.
  if (typeof processID !== 'number' || typeof secretKey !== 'number' || host === undefined || port === undefined) return
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(CANCEL_REQUEST, 4)
  request.writeInt32BE(processID, 8)
  request.writeInt32BE(secretKey, 12)
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  socket.unref()
  socket.setTimeout(GIVE_UP_MILLIS, () => socket.destroy())
  socket.on('error', () => undefined)
  socket.once('connect', () => socket.end(request))
}
