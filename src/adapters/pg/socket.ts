import { Socket } from 'node:net'
import { readingSocket } from '../../core/reading-socket.ts'

/** What pg connects where no `stream` is given: a socket, which costs less to read from where no TLS is to come. */
export function socketFor({ ssl }: { readonly ssl?: unknown }): Socket {
  return ssl ? new Socket() : readingSocket()
}
