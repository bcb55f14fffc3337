import { connect, Socket, type NetConnectOpts, type SocketConstructorOpts } from 'node:net'

/** Room for one read, as much as Node's own. */
const ROOM_BYTES = 65_536

const newRoom = (): Uint8Array => Buffer.allocUnsafeSlow(ROOM_BYTES)

// A read and the copy of it are one step, so that all sockets do with one room. On Windows a read may be under way meanwhile.
let sharedRoom: Uint8Array | undefined
const roomOf = (): Uint8Array => (process.platform === 'win32' ? newRoom() : (sharedRoom ??= newRoom()))

const { userAgent } = (globalThis as { readonly navigator?: { readonly userAgent?: string } }).navigator ?? {}

/** Whether this is Node itself: what speaks its language besides has not all of `onread`, or sockets of its own. */
export const readsIntoRoom =
  process.versions['bun'] === undefined && process.versions['deno'] === undefined && userAgent !== 'Cloudflare-Workers'

/**
 * Whether a chunk may go to those who listen at once. `push` would do no more with it, but then have the stream ask for the
 * next one, in a tick of its own after every read; a socket reads on by itself. The first chunk is pushed: the stream takes
 * note that it was read from.
 */
const flows = (socket: Socket): boolean =>
  socket.readableFlowing === true &&
  socket.readableLength === 0 &&
  socket.readableDidRead &&
  socket.readableEncoding === null

/**
 * A socket that reads into the same memory every time, and hands on a copy of what came. One of Node's own allocates 64 KB
 * for every read and gives back what was left over, which for the few hundred bytes of an answer costs more than all else
 * about reading them. To whoever uses it, it is any other socket, with the same events, pauses and limits.
 *
 * For drivers that take a socket in place of their own, where {@link readsIntoRoom}. Not for TLS, which reads for itself.
 *
 * @param where - connects it; otherwise the driver does
 */
export function readingSocket(where?: NetConnectOpts): Socket {
  const onread = {
    buffer: roomOf(),
    callback(length: number, room: Uint8Array): boolean {
      const chunk = Buffer.allocUnsafe(length)
      chunk.set(new Uint8Array(room.buffer, room.byteOffset, length))
      return (flows(socket) && socket.emit('data', chunk)) || socket.push(chunk)
    },
  }
  // The types know the option only where the socket is connected.
  const socket: Socket =
    where === undefined ? new Socket({ onread } as SocketConstructorOpts) : connect({ ...where, onread })
  return socket
}
