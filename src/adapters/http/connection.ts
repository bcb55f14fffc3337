import type { Socket } from 'node:net'
import { inspect } from 'node:util'
import type { ClientLike, Connected, ConnectFunction, Connector, ConnectWish } from './driver.ts'
import { heedStreamLimit } from './stream-limit.ts'

/** The connection is gone, and nothing of the request was written to it. */
export class ConnectionGoneError extends Error {
  // Not undici's own code for sockets: with that, its client would go on connecting.
  readonly code = 'ECONNRESET'
  static {
    this.prototype.name = 'ConnectionGoneError'
  }
}

/** One connection of an origin: an open socket, and undici's client on it. */
export class HttpConnection {
  readonly client: ClientLike
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** The address that it goes to, for noticing that the name means another one by now. */
  readonly address: string | undefined
  /** How many requests were begun on it. */
  requests = 0
  readonly #connector: Connector
  /** The socket that was opened for the client, until it takes it. */
  #ready: Socket | undefined
  #socket: Socket
  #ended = false
  #listener: (() => void) | undefined
  #heedStreams: ((socket: Socket) => void) | undefined

  /** @param makeClient - makes the client with a `connect` function that hands it this connection's socket */
  constructor(socket: Socket, connector: Connector, makeClient: (connect: ConnectFunction) => ClientLike) {
    this.#connector = connector
    this.#socket = socket
    this.#ready = socket
    this.address = socket.remoteAddress
    this.protocol = (socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2' ? 'HTTP/2' : 'HTTP/1.1'
    // Nothing may come before a request: an end, or a server that has lost its way.
    // An HTTP/2 server greets first (SETTINGS); Node's session reads what is buffered when it takes the socket.
    if (this.protocol === 'HTTP/1.1') socket.once('readable', this.#endUnused)
    socket.on('error', () => undefined)
    socket.unref()
    this.client = makeClient((wish, connected) => this.#hand(wish, connected))
  }

  /** Whether it can take a request. */
  get usable(): boolean {
    return !this.#ended && !this.#socket.destroyed
  }

  /** Bytes that left for the server, or wait for it; unequal to before when anything of a request may have been sent. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  /** Calls back once, when the connection has ended or takes no more requests. */
  onEnd(listener: () => void): void {
    this.#listener = listener
    this.#watch(this.#socket)
    this.client.on('disconnect', this.#end)
  }

  /**
   * Calls back with how many requests at a time the server allows on an HTTP/2 connection, when it says so.
   * @param streams - for how many at a time the client was made
   */
  onStreamLimit(streams: number, heed: (limit: number) => void): void {
    if (this.protocol === 'HTTP/2') this.#heedStreams = (socket) => heedStreamLimit(socket, streams, heed)
  }

  #watch(socket: Socket): void {
    socket.once('close', () => {
      if (socket === this.#socket) this.#end()
    })
  }

  readonly #end = (): void => {
    if (this.#ended) return
    this.#ended = true
    // The driver has not heard of it yet: told now, it would wait for what has just happened.
    queueMicrotask(() => this.#listener?.())
  }

  /** Ends it, with what runs on it. */
  async destroy(error: Error): Promise<void> {
    this.#ended = true
    const socket = this.#socket
    const closed = socket.closed ? undefined : new Promise((resolve) => socket.once('close', resolve))
    await this.client.destroy(error)
    socket.destroy()
    await closed
  }

  readonly #endUnused = (): void => {
    this.#socket.destroy()
  }

  /** The client connects with the first request. A second time there is nothing to give: the pool opens another one. */
  #hand(wish: ConnectWish, connected: Connected): void {
    const socket = this.#ready
    this.#ready = undefined
    if (socket === undefined || socket.destroyed) {
      queueMicrotask(() => connected(new ConnectionGoneError('the connection has ended'), null))
      return
    }
    socket.off('readable', this.#endUnused)
    const { servername } = wish
    if (servername != null && servername !== (socket as { servername?: unknown }).servername) {
      // A `host` header that names another server, which the driver asks for by TLS too.
      this.#socket = this.#connector(wish, connected)
      this.#watch(this.#socket)
      socket.destroy()
      return
    }
    socket.ref()
    // Not at once: the driver does not count on it.
    queueMicrotask(() => {
      if (socket.destroyed) {
        connected(new ConnectionGoneError('the connection has ended'), null)
        return
      }
      connected(null, socket)
      this.#heedStreams?.(socket)
    })
  }

  /** Names the protocol only: the socket knows its TLS keys, the client the requests. */
  [inspect.custom](): string {
    return `HttpConnection { protocol: '${this.protocol}', requests: ${this.requests}, usable: ${this.usable} }`
  }
}
