import type { Socket } from 'node:net'

/** The part of Node's `ClientHttp2Session` that is used. */
interface SessionLike {
  readonly remoteSettings?: Settings | undefined
  on(event: 'remoteSettings', listener: (settings: Settings) => void): unknown
}

interface Settings {
  readonly maxConcurrentStreams?: number | undefined
}

/**
 * Calls back with the number of streams that the server allows on a connection, whenever it says one. What goes beyond
 * would wait in the driver, where it has no place in the pool's queue.
 * @param streams - how many the client was made for, which is what Node assumes until the server has said something
 */
export function heedStreamLimit(socket: Socket, streams: number, heed: (limit: number) => void): void {
  const note = ({ maxConcurrentStreams: limit }: Settings): void => {
    if (limit !== undefined) heed(limit)
  }
  const listen = (): boolean => {
    const session = sessionOf(socket)
    session?.on('remoteSettings', note)
    const { maxConcurrentStreams: limit = streams } = session?.remoteSettings ?? {}
    if (limit < streams) heed(limit)
    return session !== undefined
  }
  // Older versions of the driver make the session a little later, when the server may have spoken already.
  if (!listen()) setImmediate(listen)
}

/** The driver's session is not public: it stands on its socket under a symbol. It is looked for, and its absence survived. */
function sessionOf(socket: Socket): SessionLike | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'http2Session')
  return symbol && ((socket as unknown as Record<symbol, SessionLike | null>)[symbol] ?? undefined)
}
