import { Socket } from 'node:net'
import { readingSocket } from '../../core/reading-socket.ts'

/** What pg makes, and connects itself, where no `stream` is given; on a socket that costs less to read from where no TLS is to come. */
export function makeSocket({ ssl }: { readonly ssl?: unknown }): Socket {
  return ssl ? new Socket() : readingSocket()
}
