/** Minimum of Node's `IncomingMessage`, which Express and Connect extend. */
export interface NodeRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** Minimum of Node's `ServerResponse`. */
export interface NodeResponse {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body?: string): unknown
}

/** A Web-standard handler: what Hono, Next.js, Bun and Deno take as it is. */
export type WebHandler = (request: Request) => Response | Promise<Response>

/**
 * The same handler for `node:http`, Express and Connect. A failure goes to `next`, or is answered with an empty 500
 * where there is none. It is for requests without a body: whatever was sent is not read.
 */
export function toNodeHandler(
  handler: WebHandler,
): (request: NodeRequest, response: NodeResponse, next?: (error?: unknown) => void) => void {
  return (request, response, next) => {
    respond(handler, request, response).catch((error: unknown) => {
      if (next !== undefined) {
        next(error)
        return
      }
      response.statusCode = 500
      response.end()
    })
  }
}

async function respond(handler: WebHandler, request: NodeRequest, response: NodeResponse): Promise<void> {
  const answer = await handler(toRequest(request))
  const body = await answer.text()
  response.statusCode = answer.status
  answer.headers.forEach((value, name) => response.setHeader(name, value))
  response.end(body)
}

/** The address is only there because a Request needs one; nothing is read from the Host header. */
export function toRequest({ method = 'GET', url = '/', headers }: NodeRequest): Request {
  const copied = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    // HTTP/2 has names that begin with a colon.
    if (value !== undefined && !name.startsWith(':')) copied.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return new Request(new URL(url.startsWith('/') ? `http://localhost${url}` : url, 'http://localhost'), {
    method,
    headers: copied,
  })
}
