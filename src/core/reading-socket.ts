import { Socket, type ConnectOpts, type SocketConstructorOpts } from 'node:net'

/** Room for one read, as much as Node's own. */
const ROOM_BYTES = 65_536

/**
 * A socket that reads into the same memory every time, and hands on a copy of what came. One of Node's own allocates 64 KB
 * for every read and gives back what was left over, which for the few hundred bytes of an answer costs more than all else
 * about reading them. To whoever uses it, it is any other socket, with the same events, pauses and limits.
 *
 * For drivers that take a socket in place of their own. Not for TLS, which reads for itself.
 */
export function readingSocket(): Socket {
  // Documented for the constructor as well, where the types have not got it.
  const options: SocketConstructorOpts & ConnectOpts = {
    onread: {
      buffer: Buffer.allocUnsafeSlow(ROOM_BYTES),
      callback: (length, room) => socket.push(Buffer.from(room.subarray(0, length))),
    },
  }
  const socket = new Socket(options)
  return socket
}
