import { OptionError } from '../core/errors.ts'
import { toHealthJson, toSimple, type FormattedHealth } from './formats.ts'
import { HealthMonitor, type HealthKind, type HealthMonitorOptions, type HealthRegistry } from './monitor.ts'
import type { WebHandler } from './node-handler.ts'

export interface HealthHandlerOptions extends HealthMonitorOptions {
  /** What is answered; by default the last part of the path says: `live`, `ready`, `startup` (also `livez`, …), else readiness. */
  kind?: HealthKind | undefined
  /** The shape of the answer; `'ietf'` is also what a request gets that accepts `application/health+json`. @defaultValue 'simple' */
  format?: 'simple' | 'ietf' | undefined
  /** Who may see the pools one by one, by asking for it (`?details`): nobody, everybody, or whom the function lets. @defaultValue false */
  details?: boolean | ((request: Request) => boolean | Promise<boolean>) | undefined
}

const PATHS: Readonly<Record<string, HealthKind>> = {
  live: 'liveness',
  livez: 'liveness',
  liveness: 'liveness',
  startup: 'startup',
  startupz: 'startup',
}

/**
 * A Web-standard handler for health probes. It answers with 200 or 503 and tells nothing that is not asked for: no
 * address, no error text, and the names of pools only with `details`.
 *
 * @throws {OptionError} on a wrong option
 */
export function healthHandler(registry: HealthRegistry, options: HealthHandlerOptions = {}): WebHandler {
  const { kind, format = 'simple', details = false } = options
  if (!['simple', 'ietf'].includes(format))
    throw new OptionError('health', 'format', `Expected \`format\` to be 'simple' or 'ietf', got '${format}'`)
  const monitor = new HealthMonitor(registry, options)
  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
    const { pathname, searchParams } = new URL(request.url)
    const asked = kind ?? PATHS[pathname.split('/').filter(Boolean).at(-1) ?? ''] ?? 'readiness'
    const report = await monitor.check(asked)
    const shown = searchParams.has('details') && (typeof details === 'function' ? await details(request) : details)
    const wantsIetf = format === 'ietf' || (request.headers.get('accept') ?? '').includes('application/health+json')
    const answer = (wantsIetf ? toHealthJson : toSimple)(report, { details: shown })
    return toResponse(answer, request.method === 'HEAD')
  }
}

function toResponse({ statusCode, contentType, body }: FormattedHealth, headOnly: boolean): Response {
  const headers = { 'content-type': contentType, 'cache-control': 'no-store' }
  return new Response(headOnly ? null : JSON.stringify(body), { status: statusCode, headers })
}
