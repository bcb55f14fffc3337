import type { Socket } from 'node:net'
import type { CreateContext, DestroyReason, FailureClass, ResourceFactory } from '../../core/factory.ts'
import { classifyHttp, NoHttp2Error } from './classify.ts'
import { HttpConnection } from './connection.ts'
import { AddressWatch } from './address-watch.ts'
import type { ClientLike, Connector, ConnectWish, UndiciModule } from './driver.ts'
import type { CreateAttempt, ResolvedHttpOptions } from './options.ts'

/** A connect took too long; named and coded as undici's. */
class ConnectTimeoutError extends Error {
  readonly code = 'UND_ERR_CONNECT_TIMEOUT'
  static {
    this.prototype.name = 'ConnectTimeoutError'
  }
}

/** The pool ended the connection under a request. */
class ConnectionEndedError extends Error {
  readonly code = 'UND_ERR_DESTROYED'
  static {
    this.prototype.name = 'ConnectionEndedError'
  }
}

/** Whom the factory tells what it finds out. */
export interface HttpFactoryHost {
  /** The server allows this many requests at a time on an HTTP/2 connection. */
  streamLimit(limit: number): void
}

/** Opens and ends the connections to one origin. */
export class HttpFactory implements ResourceFactory<HttpConnection> {
  readonly kind = 'http'
  readonly target: string
  readonly #undici: UndiciModule
  readonly #origin: string
  readonly #options: ResolvedHttpOptions
  readonly #http2: boolean
  readonly #told: HttpFactoryHost
  readonly #wish: ConnectWish
  readonly #addresses: AddressWatch
  #connector: Connector | undefined

  constructor(
    undici: UndiciModule,
    origin: string,
    options: ResolvedHttpOptions,
    http2: boolean,
    told: HttpFactoryHost,
  ) {
    this.#told = told
    this.#undici = undici
    this.#origin = this.target = origin
    this.#options = options
    this.#http2 = http2
    const { host, hostname, protocol, port } = new URL(origin)
    this.#wish = { host, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), protocol, port }
    const { connect } = options
    this.#addresses = new AddressWatch(this.#wish.hostname, options.dnsRefreshMillis, connect)
  }

  async create(context: CreateContext): Promise<HttpConnection> {
    const connector = await this.#connectorFor(context)
    const socket = await this.#connect(connector, context.signal)
    const isHttp2 = (socket as { alpnProtocol?: unknown }).alpnProtocol === 'h2'
    if (this.#http2 && !isHttp2) {
      socket.destroy()
      throw new NoHttp2Error('the server does not speak HTTP/2')
    }
    const streams = isHttp2 ? this.#options.streamsPerConnection : 1
    const { Client } = this.#undici
    const made = new HttpConnection(socket, connector, (connect) => {
      return new Client(this.#origin, {
        ...this.#options.client,
        connect,
        allowH2: this.#http2,
        pipelining: streams,
        maxConcurrentStreams: streams,
      }) as ClientLike
    })
    made.onEnd(() => {
      this.#addresses.delete(made)
      context.lost()
    })
    made.onStreamLimit(streams, (limit) => this.#told.streamLimit(limit))
    this.#addresses.add(made, () => context.lost())
    return made
  }

  async #connectorFor({ attempt, lastError }: CreateAttempt): Promise<Connector> {
    const { tls, connect } = this.#options
    if (typeof connect === 'function') return connect as unknown as Connector
    // One connector resumes the TLS sessions of its connections.
    if (typeof tls !== 'function') return (this.#connector ??= this.#build({ ...tls, ...connect }))
    return this.#build({ ...(await tls({ attempt, lastError })), ...connect })
  }

  #build(options: object): Connector {
    return this.#undici.buildConnector({ ...options, allowH2: this.#http2 }) as Connector
  }

  #connect(connector: Connector, signal: AbortSignal): Promise<Socket> {
    const { connectMillis } = this.#options
    return new Promise((resolve, reject) => {
      const connect: { isOver: boolean; timer?: NodeJS.Timeout } = { isOver: false }
      const giveUp = (error: Error): void => {
        if (connect.isOver) return
        connect.isOver = true
        clearTimeout(connect.timer)
        // A connector of the user's own may give back anything: a promise, or nothing.
        const { destroy } = (opening ?? {}) as { destroy?: unknown }
        if (typeof destroy === 'function') (opening as Socket).destroy()
        reject(error)
      }
      const opening: unknown = connector(this.#wish, (error, socket) => {
        if (connect.isOver) {
          socket?.destroy()
          return
        }
        connect.isOver = true
        clearTimeout(connect.timer)
        if (socket === null || error !== null) reject(error ?? new Error('the connector gave no socket'))
        else resolve(socket)
      })
      // A connector may also be done at once.
      if (connect.isOver) return
      const { host } = this.#wish
      const tooLong = (): void =>
        giveUp(new ConnectTimeoutError(`Connect Timeout Error (${host ?? ''}, timeout: ${connectMillis}ms)`))
      if (connectMillis !== Infinity) connect.timer = setTimeout(tooLong, connectMillis)
      signal.addEventListener('abort', () => giveUp(new Error('the connect was given up')), { once: true })
    })
  }

  async destroy(made: HttpConnection, reason: DestroyReason): Promise<void> {
    this.#addresses.delete(made)
    await made.destroy(new ConnectionEndedError(`the connection was ended: ${reason}`))
  }

  isBroken(made: HttpConnection): boolean {
    return !made.usable
  }

  classify(error: unknown): FailureClass {
    return classifyHttp(error)
  }

  /** Stops looking up addresses. */
  stop(): void {
    this.#addresses.stop()
  }
}
