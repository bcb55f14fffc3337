import { readFileSync } from 'node:fs'
import { makeSelfSigned, type CertificateFiles } from './certificate.ts'
import { removeFolder, tempFolder } from './child.ts'
import { ProgramServer, type ProgramOptions } from './program-server.ts'
import { freePort } from './wait.ts'

export interface HttpOptions {
  /** `h2`: HTTP/2 over TLS, and HTTP/1.1 for those who want it. TLS needs `openssl`. @defaultValue 'http' */
  readonly protocol?: 'http' | 'https' | 'h2'
  /** Closes a connection that was idle this long, and says so by `Keep-Alive`; 0 never. @defaultValue 0 */
  readonly keepAliveMillis?: number
  /** Where it listens; addresses that begin with 127. are this machine's, on Linux. @defaultValue '127.0.0.1' */
  readonly address?: string
  /** @defaultValue a free one */
  readonly port?: number
  /** Streams on one HTTP/2 connection. @defaultValue no limit */
  readonly maxConcurrentStreams?: number
  /** Takes no TLS connection from clients without a certificate of {@link HttpServer.client}; so many of these are made. @defaultValue 0 */
  readonly clientCertificates?: number
}

/** What the program of the server is told. */
export interface HttpProgramOptions extends HttpOptions, ProgramOptions {
  readonly port: number
  readonly clients?: readonly CertificateFiles[]
}

/** What the server has seen since it started, or since the last {@link HttpServer.reset}. */
export interface HttpView {
  readonly requests: number
  /** Requests that run. */
  readonly active: number
  readonly mostActive: number
  /** Connections that were opened, and those that are open. */
  readonly opened: number
  readonly open: number
  /** How often each `x-request-id` came, and by which methods. */
  readonly ids: Readonly<Record<string, number>>
  readonly methods: Readonly<Record<string, number>>
  /** Requests whose client went away before the answer had ended. */
  readonly cutOff: number
}

/**
 * A real HTTP server in a process of its own. What it does with a request stands in the path:
 *
 * | path | |
 * |---|---|
 * | `/echo` | answers with the method, headers and body as JSON; over TLS with the name that the client asked for, and its own |
 * | `/bytes?n=` | that many bytes |
 * | `/slow?millis=` | the headers come that late; without `millis` never |
 * | `/trickle?pieces=&millis=` | a body in pieces, with pauses |
 * | `/stall` | headers and the first piece of a body, and then nothing |
 * | `/status?code=&times=&retryAfter=` | that status, the first so many times for each `x-request-id` |
 * | `/close?how=fin\|reset` | answers, and closes without having said so |
 * | `/drop?when=before\|headers\|body&how=fin\|reset&times=` | ends the connection instead, the first so many times for each `x-request-id` |
 * | `/goodbye` | answers with `Connection: close` |
 */
export class HttpServer extends ProgramServer<HttpProgramOptions> {
  protected readonly what = 'the HTTP server'
  readonly origin: string
  readonly #folder: string
  readonly #clients: readonly CertificateFiles[]

  constructor(folder: string, options: HttpProgramOptions) {
    super('http-program.ts', folder, options)
    this.#folder = folder
    this.#clients = options.clients ?? []
    const scheme = (options.protocol ?? 'http') === 'http' ? 'http' : 'https'
    this.origin = `${scheme}://${options.address ?? this.host}:${options.port}`
  }

  async view(): Promise<HttpView> {
    return (await this.order('view')) as HttpView
  }

  /** Counts anew from here on. */
  async reset(): Promise<void> {
    await this.order('reset')
  }

  /** Closes what is idle, and every other connection after the answer that is under way; goes on listening. */
  async drain(): Promise<void> {
    await this.order('drain')
  }

  /** Key and certificate of a client that it takes; the first is named `client-1`. */
  client(index: number): { readonly key: Buffer; readonly cert: Buffer } {
    const files = this.#clients[index]
    if (files === undefined) throw new Error(`the HTTP server has ${this.#clients.length} clients with a certificate`)
    return { key: readFileSync(files.key), cert: readFileSync(files.certificate) }
  }

  /** Has a new certificate from here on, which nobody trusts yet; connections that are open go on. */
  async renewCertificate(): Promise<void> {
    makeSelfSigned(this.#folder, 'An HTTP server')
    await this.order('renew')
  }

  /** Ends every connection, also under a request, and goes on listening. */
  async cutAll(how: 'fin' | 'reset'): Promise<void> {
    await this.order('cut', how)
  }
}

/** Starts an HTTP server that ends with this process. */
export async function startHttp(options: HttpOptions = {}): Promise<HttpServer> {
  const folder = tempFolder('http')
  try {
    const tls = (options.protocol ?? 'http') === 'http' ? {} : makeSelfSigned(folder, 'An HTTP server')
    const clients = Array.from({ length: options.clientCertificates ?? 0 }, (_, index) =>
      makeSelfSigned(folder, 'A client with a certificate', `client-${index + 1}`),
    )
    const server = new HttpServer(folder, { ...options, ...tls, clients, port: options.port ?? (await freePort()) })
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
