import { connectErrorOf } from '../../core/drop-in.ts'
import type { FailureClass } from '../../core/factory.ts'

/** The server of an origin does not speak HTTP/2; the pool for it is made anew. */
export class NoHttp2Error extends Error {
  static {
    this.prototype.name = 'NoHttp2Error'
  }
}

const BY_CODE: Readonly<Record<string, FailureClass>> = {
  ECONNREFUSED: 'restart',
  ENOENT: 'restart',
  ENOTFOUND: 'config',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  EMFILE: 'saturated',
  ENFILE: 'saturated',
  EADDRNOTAVAIL: 'saturated',
  EPROTO: 'tls',
}

/** Codes of certificates that are not trusted, as Node takes them from OpenSSL. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_CA$)/

export function codeOf(error: unknown): string {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** What an error of a connect, or of a connection, says about the server. */
export function classifyHttp(error: unknown): FailureClass {
  if (error instanceof NoHttp2Error) return 'config'
  // Several addresses were tried: the last one speaks for all.
  const { errors } = error as { readonly errors?: readonly unknown[] }
  const code = codeOf(error) || codeOf(errors?.at(-1))
  return BY_CODE[code] ?? (CERTIFICATE.test(code) ? 'tls' : 'disconnect')
}

const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'UND_ERR_SOCKET',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_HTTP2_INVALID_SESSION',
])

/** Whether a connection ended under a request. */
export function isConnectionEnd(error: unknown): boolean {
  return SOCKET_CODES.has(codeOf(error))
}

/** The driver's own error, as undici rejects with; what the pool knows stands beside it. */
export function asDriverError(error: unknown): unknown {
  return connectErrorOf(error) ?? error
}
