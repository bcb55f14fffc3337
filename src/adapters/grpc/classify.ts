import type { FailureClass } from '../../core/factory.ts'
import { isServiceError, STATUS } from './driver.ts'

/** The connection of a channel ended: the server said goodbye, or the socket closed. */
export class ConnectionLostError extends Error {
  static {
    this.prototype.name = 'ConnectionLostError'
  }
}

/** What the texts say of which the driver makes its UNAVAILABLE; it passes on no code. The first match counts. */
const BY_DETAILS: readonly (readonly [RegExp, FailureClass])[] = [
  [/ENOTFOUND|Name resolution failed.*(ENOTFOUND|NXDOMAIN)/, 'config'],
  [/EAI_AGAIN|EAI_FAIL|Name resolution failed|ETIMEOUT|ESERVFAIL/, 'dns'],
  [/certificate|self.signed|ERR_TLS|ERR_SSL|wrong version number|unable to verify|altname|EPROTO|SSL routines/i, 'tls'],
  [/ECONNREFUSED|ENOENT/, 'restart'],
  [/EMFILE|ENFILE|EADDRNOTAVAIL/, 'saturated'],
  [/ETIMEDOUT/, 'timeout'],
]

/**
 * What an error says about the connection. A status is the answer of a server, however bad, except for UNAVAILABLE,
 * which the driver makes of a connection that failed, and DEADLINE_EXCEEDED of the adapter's own checks.
 */
export function classifyGrpc(error: unknown): FailureClass {
  if (error instanceof ConnectionLostError) return 'disconnect'
  if (!isServiceError(error)) return 'query'
  if (error.code === STATUS.DEADLINE_EXCEEDED) return 'timeout'
  if (error.code !== STATUS.UNAVAILABLE) return 'query'
  for (const [pattern, failure] of BY_DETAILS) if (pattern.test(error.details)) return failure
  return 'disconnect'
}
