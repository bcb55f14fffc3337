import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'

/** Minimum of Node's `IncomingMessage`, which Express and Connect extend. */
export interface NodeRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** Express takes the path at which it is mounted off `url`, and keeps the whole here. */
  readonly originalUrl?: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** Minimum of Node's `ServerResponse`. */
export interface NodeResponse {
  statusCode: number
  readonly headersSent?: boolean
  setHeader(name: string, value: string | string[]): unknown
  flushHeaders?(): void
  write(chunk: Uint8Array): boolean
  end(): unknown
  destroy?(): unknown
  once(event: 'drain' | 'close', listener: () => void): unknown
}

/** A Web-standard handler: what Hono, Next.js, Bun and Deno take as it is. */
export type WebHandler = (request: Request) => Response | Promise<Response>

/**
 * The same handler for `node:http`, Express and Connect. Bodies stream both ways, and the request's signal aborts when
 * the other side goes away. A failure goes to `next`, or is answered with an empty 500 where there is none.
 */
export function toNodeHandler(
  handler: WebHandler,
): (request: NodeRequest, response: NodeResponse, next?: (error?: unknown) => void) => void {
  return (request, response, next) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    // What is no request to `Request` (TRACE, credentials in the address) must not throw into the server.
    const answered = async (): Promise<void> =>
      await respond(handler, toRequest(request, gone.signal), response, gone.signal)
    answered().catch((error: unknown) => {
      if (response.headersSent === true) response.destroy?.()
      else if (next !== undefined) next(error)
      else {
        response.statusCode = 500
        response.end()
      }
    })
  }
}

async function respond(
  handler: WebHandler,
  request: Request,
  response: NodeResponse,
  gone: AbortSignal,
): Promise<void> {
  const { status, headers, body } = await handler(request)
  response.statusCode = status
  for (const [name, value] of headers) if (name !== 'set-cookie') response.setHeader(name, value)
  if (headers.getSetCookie().length > 0) response.setHeader('set-cookie', headers.getSetCookie())
  if (request.method === 'HEAD') await body?.cancel()
  else if (body !== null) await pour(body as ReadableStream<Uint8Array>, response, gone)
  response.end()
}

/** Sends a body as it comes. Whoever reads slower is waited for; whoever goes away ends it at its source. */
async function pour(body: ReadableStream<Uint8Array>, response: NodeResponse, gone: AbortSignal): Promise<void> {
  const reader = body.getReader()
  let wake = (): void => undefined
  const stop = (): void => {
    void reader.cancel().catch(() => undefined)
    wake()
  }
  if (gone.aborted) stop()
  else gone.addEventListener('abort', stop, { once: true })
  response.flushHeaders?.()
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (gone.aborted) return
    if (!response.write(part.value))
      await new Promise<void>((resolve) => {
        wake = resolve
        response.once('drain', resolve)
      })
  }
}

/** The address is only there because a Request needs one; nothing is read from the Host header. */
export function toRequest(request: NodeRequest, signal?: AbortSignal): Request {
  const { method = 'GET', url = '/', originalUrl = url, headers } = request
  const copied = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    // HTTP/2 has names that begin with a colon.
    if (value !== undefined && !name.startsWith(':')) copied.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  const body =
    method === 'GET' || method === 'HEAD' || !(request instanceof Readable)
      ? {}
      : request.readable
        ? { body: Readable.toWeb(request), duplex: 'half' }
        : alreadyRead((request as { readonly body?: unknown }).body)
  return new Request(
    new URL(originalUrl.startsWith('/') ? `http://localhost${originalUrl}` : originalUrl, 'http://localhost'),
    {
      method,
      headers: copied,
      ...(signal === undefined ? {} : { signal }),
      ...body,
    } as RequestInit,
  )
}

/** The body that a parser in front (`express.json()`) has read already. */
function alreadyRead(body: unknown): { body?: string | Uint8Array } {
  if (body === undefined || body === null) return {}
  return { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }
}
