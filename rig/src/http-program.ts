/** The program of the rig's HTTP server: a process of its own, steered over HTTP by the one that started it. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { takeOrders } from './control.ts'
import type { HttpProgramOptions, HttpView } from './http.ts'
import { sleep } from './wait.ts'

type Request = IncomingMessage | Http2ServerRequest
type Response = (ServerResponse | Http2ServerResponse) & { write(chunk: string | Buffer): boolean }

const options = JSON.parse(process.argv[2] ?? '{}') as HttpProgramOptions
const sockets = new Set<Socket>()
let view = emptyView()
/** How often a behaviour that ends after some times was met, by path and `x-request-id`. */
const met = new Map<string, number>()
let isDraining = false

function emptyView(): Omit<HttpView, 'open'> {
  return { requests: 0, active: 0, mostActive: 0, opened: 0, ids: {}, methods: {}, cutOff: 0 }
}

const plusOne = (counts: Readonly<Record<string, number>>, key: string): Record<string, number> => ({
  ...counts,
  [key]: (counts[key] ?? 0) + 1,
})

function endOf(socket: Socket, how: string | null): void {
  // Only the connection below TLS can be reset.
  const { _parent: below } = socket as Socket & { readonly _parent?: Socket | null }
  if (how === 'reset') (below ?? socket).resetAndDestroy()
  else socket.end()
}

/** Whether the behaviour of this path still applies: for each id the first so many times. */
function applies(request: Request, url: URL): boolean {
  const times = Number(url.searchParams.get('times') ?? Infinity)
  const key = `${url.pathname} ${String(request.headers['x-request-id'])}`
  const count = (met.get(key) ?? 0) + 1
  met.set(key, count)
  return count <= times
}

async function bodyOf(request: Request): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What the client said of itself by TLS. */
function tlsOf({ socket }: Request): { readonly servername?: string | false | null; readonly client?: unknown } {
  if (tls === undefined) return {}
  const { servername } = socket as TLSSocket
  // A client without a certificate has an empty one, whatever the types say.
  const { subject } = (socket as TLSSocket).getPeerCertificate() as { readonly subject?: { readonly CN?: unknown } }
  return { servername, client: subject?.CN }
}

type Behaviour = (request: Request, response: Response, url: URL) => Promise<void> | void

const echo: Behaviour = async (request, response) => {
  const body = (await bodyOf(request)).toString()
  const { method, url, headers, httpVersion } = request
  const text = JSON.stringify({ method, url, headers, body, httpVersion, port: options.port, ...tlsOf(request) })
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', Buffer.byteLength(text))
  response.end(text)
}

const behaviours: Readonly<Record<string, Behaviour>> = {
  '/bytes': (_, response, url) => {
    response.end(Buffer.alloc(Number(url.searchParams.get('n') ?? 0), 'x'))
  },
  '/slow': async (request, response, url) => {
    const millis = url.searchParams.get('millis')
    if (millis === null) return
    await sleep(Number(millis))
    await echo(request, response, url)
  },
  '/trickle': async (_, response, url) => {
    for (let piece = 0; piece < Number(url.searchParams.get('pieces') ?? 5); piece++) {
      response.write(`${piece}\n`)
      await sleep(Number(url.searchParams.get('millis') ?? 20))
    }
    response.end()
  },
  '/stall': (_, response) => {
    response.setHeader('content-length', 1_000)
    response.write('beginning')
  },
  '/status': (request, response, url) => {
    if (!applies(request, url)) return echo(request, response, url)
    const retryAfter = url.searchParams.get('retryAfter')
    if (retryAfter !== null) response.setHeader('retry-after', retryAfter)
    response.statusCode = Number(url.searchParams.get('code') ?? 503)
    response.end('not now')
  },
  '/close': async (request, response, url) => {
    const { socket } = request
    response.once('finish', () => endOf(socket, url.searchParams.get('how')))
    await echo(request, response, url)
  },
  '/drop': async (request, response, url) => {
    if (!applies(request, url)) return echo(request, response, url)
    const { socket } = request
    const when = url.searchParams.get('when') ?? 'before'
    if (when === 'body') response.setHeader('content-length', 1_000)
    if (when !== 'before') response.write('beginning')
    // What was written must have left.
    await sleep(when === 'before' ? 0 : 20)
    endOf(socket, url.searchParams.get('how'))
  },
  '/goodbye': (request, response, url) => {
    response.setHeader('connection', 'close')
    return echo(request, response, url)
  },
}

function answer(request: Request, response: Response): void {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  const id = request.headers['x-request-id']
  view = {
    ...view,
    requests: view.requests + 1,
    active: view.active + 1,
    mostActive: Math.max(view.mostActive, view.active + 1),
    methods: plusOne(view.methods, request.method ?? ''),
    ids: typeof id === 'string' ? plusOne(view.ids, id) : view.ids,
  }
  response.once('close', () => {
    view = {
      ...view,
      active: Math.max(0, view.active - 1),
      cutOff: view.cutOff + (response.writableFinished ? 0 : 1),
    }
  })
  if (isDraining && request.httpVersionMajor === 1) response.setHeader('connection', 'close')
  void Promise.resolve((behaviours[url.pathname] ?? echo)(request, response, url)).catch(() => undefined)
}

/** Reads the files anew: they may have been replaced. */
function readTls() {
  const { key, certificate, clients = [] } = options
  if (key === undefined || certificate === undefined) return undefined
  const trusted = clients.map((client) => readFileSync(client.certificate))
  return {
    key: readFileSync(key),
    cert: readFileSync(certificate),
    ...(trusted.length === 0 ? {} : { ca: trusted, requestCert: true }),
  }
}
const tls = readTls()
const { maxConcurrentStreams } = options

const server =
  options.protocol === 'h2'
    ? createSecureServer(
        {
          ...tls,
          allowHTTP1: true,
          ...(maxConcurrentStreams === undefined ? {} : { settings: { maxConcurrentStreams } }),
        },
        answer as (request: Http2ServerRequest, response: Http2ServerResponse) => void,
      )
    : options.protocol === 'https'
      ? createTlsServer(tls ?? {}, answer)
      : createServer(answer)
if ('keepAliveTimeout' in server) server.keepAliveTimeout = options.keepAliveMillis ?? 0

// Of TLS connections the plain ones below are counted as well, so only the inner event counts.
server.on(
  options.protocol === 'http' || options.protocol === undefined ? 'connection' : 'secureConnection',
  (socket: Socket) => {
    sockets.add(socket)
    view = { ...view, opened: view.opened + 1 }
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  },
)
const sessions = new Set<{ close(): void }>()
server.on('session', (session: { close(): void; once(event: 'close', done: () => void): void }) => {
  sessions.add(session)
  session.once('close', () => sessions.delete(session))
})

function sayGoodbye(): void {
  isDraining = true
  for (const session of sessions) session.close()
  if ('closeIdleConnections' in server) server.closeIdleConnections()
}

server.listen(options.port, options.address ?? '127.0.0.1', () => {
  takeOrders({
    view: () => ({ ...view, open: sockets.size }),
    reset: () => {
      view = { ...emptyView(), active: view.active }
      met.clear()
    },
    drain: sayGoodbye,
    renew: () => {
      if ('setSecureContext' in server) server.setSecureContext(readTls() ?? {})
    },
    cut: (how) => {
      for (const socket of sockets) endOf(socket, how)
    },
    shutdown: () => {
      server.close(() => process.exit(0))
      sayGoodbye()
    },
  })
})
