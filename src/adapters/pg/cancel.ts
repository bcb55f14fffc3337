import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { DriverClient } from './driver.ts'

/** The numbers that PostgreSQL's protocol gives these requests. */
const CANCEL_REQUEST = 80_877_102
const SSL_REQUEST = 80_877_103
const GIVE_UP_MILLIS = 1_000
const YES = 83 // 'S': the server speaks TLS

/**
 * Asks the server to cancel what the connection runs, over a socket of its own as the protocol demands, and waits (at
 * most 1 s) until the server has closed it: then the cancel has been delivered. Only for a connection that is destroyed
 * after it, because a cancel ends whatever the connection runs when it arrives.
 */
export async function cancelQuery(client: DriverClient): Promise<void> {
  const { processID, secretKey, host, port, ssl, native } = client
  if (native !== undefined) {
    await new Promise<void>((resolve) => native.cancel(() => resolve()))
    return
  }
  // Keys longer than 4 bytes (protocol 3.2) come as something else than a number.
  if (typeof processID !== 'number' || typeof secretKey !== 'number' || host === undefined || port === undefined) return
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(CANCEL_REQUEST, 4)
  request.writeInt32BE(processID, 8)
  request.writeInt32BE(secretKey, 12)
  const isUnix = host.startsWith('/')
  // The very server that runs the query: its name may by now stand for another one.
  const address = client.connection?.stream?.remoteAddress ?? host
  const socket = isUnix ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, address)
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => socket.destroy(), GIVE_UP_MILLIS)
    timer.unref()
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.once('connect', () => {
      if (isUnix || !ssl) socket.end(request)
      else sendOverTls(socket, client, request)
    })
  })
}

function sendOverTls(socket: Socket, client: DriverClient, request: Buffer): void {
  const { host = '', ssl, sslNegotiation } = client
  const isDirect = sslNegotiation === 'direct'
  const upgrade = (): void => {
    const options: ConnectionOptions = { ...(ssl === true ? {} : (ssl as ConnectionOptions)), socket, host }
    if (isIP(host) === 0) options.servername ??= host
    if (isDirect) options.ALPNProtocols = ['postgresql']
    const secure = connectTls(options)
    secure.on('error', () => socket.destroy())
    secure.once('secureConnect', () => secure.end(request))
  }
  if (isDirect) {
    upgrade()
    return
  }
  const askForTls = Buffer.alloc(8)
  askForTls.writeInt32BE(8, 0)
  askForTls.writeInt32BE(SSL_REQUEST, 4)
  socket.write(askForTls)
  socket.once('data', (answer) => {
    if (answer[0] === YES) upgrade()
    else socket.destroy()
  })
}
