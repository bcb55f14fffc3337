import type { ResolvedDashboardOptions } from './options.ts'

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** An answer with the headers that every answer carries. */
export function answer(
  body: string | ReadableStream | null,
  status: number,
  headers: Record<string, string> = {},
): Response {
  return new Response(body, { status, headers: { ...HEADERS, ...headers } })
}

export const json = (value: unknown, status = 200): Response =>
  answer(JSON.stringify(value), status, { 'content-type': 'application/json' })

export const text = (message: string, status: number): Response =>
  answer(`${message}\n`, status, { 'content-type': 'text/plain; charset=utf-8' })

/** The name in a `Host` header, without its port. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '')
}

/** Why a request gets nothing, or undefined where it may go on. */
export async function refusal(request: Request, options: ResolvedDashboardOptions): Promise<Response | undefined> {
  const host = nameOf(request.headers.get('host') ?? new URL(request.url).host)
  if (!options.hosts.has(host))
    return text('This dashboard does not answer under that name; see its `hosts` option', 421)
  // Whatever goes wrong while deciding is a no.
  const authorized: unknown = await Promise.resolve()
    .then(() => options.authorize(request))
    .catch(() => false)
  return authorized === true ? undefined : text('Not allowed', 403)
}

/**
 * Whether a request to change something comes from a page of ours: an origin, where one is told, that is the server's
 * own. The name of the action stands in a header besides, which only scripts of the same origin can set without the
 * server's consent.
 */
export function isSameOrigin(request: Request): boolean {
  const origin = request.headers.get('origin')
  const host = request.headers.get('host') ?? new URL(request.url).host
  return origin === null || (URL.canParse(origin) && new URL(origin).host === host)
}

/** The body as text; undefined where it is longer than so many bytes, of which no more is read. */
export async function bodyOf(request: Request, most: number): Promise<string | undefined> {
  if (request.body === null) return ''
  const decoder = new TextDecoder()
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  let [text, bytes] = ['', 0]
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes += part.value.byteLength
    if (bytes > most) {
      await reader.cancel()
      return undefined
    }
    text += decoder.decode(part.value, { stream: true })
  }
  return text + decoder.decode()
}
