import type { FailureClass } from '../../core/factory.ts'

/** Codes of the server: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const BY_CODE: Readonly<Record<number, FailureClass>> = {
  6: 'disconnect', // HostUnreachable
  7: 'dns', // HostNotFound
  11: 'auth', // UserNotFound
  13: 'auth', // Unauthorized
  18: 'auth', // AuthenticationFailed
  89: 'timeout', // NetworkTimeout
  91: 'restart', // ShutdownInProgress
  189: 'role-change', // PrimarySteppedDown
  202: 'saturated', // NetworkInterfaceExceededTimeLimit
  262: 'timeout', // ExceededTimeLimit
  317: 'disconnect', // ConnectionPoolExpired
  391: 'auth', // ReauthenticationRequired
  9001: 'disconnect', // SocketException
  10058: 'role-change', // LegacyNotPrimary
  10107: 'role-change', // NotWritablePrimary
  11600: 'restart', // InterruptedAtShutdown
  11602: 'role-change', // InterruptedDueToReplStateChange
  13435: 'role-change', // NotPrimaryNoSecondaryOk
  13436: 'role-change', // NotPrimaryOrSecondary
}

/** Node's codes of sockets, name resolution and TLS. */
const BY_SOCKET: readonly (readonly [RegExp, FailureClass])[] = [
  [/^ECONNREFUSED$/, 'restart'],
  [/^(ECONNRESET|EPIPE|ECONNABORTED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/, 'disconnect'],
  [/^ETIMEDOUT$/, 'timeout'],
  [/^(EMFILE|ENFILE|EADDRNOTAVAIL)$/, 'saturated'],
  [/^ENOTFOUND$/, 'config'],
  [/^(EAI_AGAIN|EAI_FAIL)$/, 'dns'],
  [/^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|EPROTO)/, 'tls'],
]

/** The driver's own errors. */
const BY_NAME: Readonly<Record<string, FailureClass>> = {
  MongoNetworkTimeoutError: 'timeout',
  MongoNetworkError: 'disconnect',
  MongoPoolClearedError: 'disconnect',
  MongoServerSelectionError: 'disconnect',
  MongoWaitQueueTimeoutError: 'timeout',
  MongoOperationTimeoutError: 'timeout',
  MongoParseError: 'config',
  MongoMissingCredentialsError: 'auth',
}

/** What an error of the driver, of the server, or of the socket says about a connection. */
export function classifyMongo(error: unknown): FailureClass {
  const { code, name, cause } = (error ?? {}) as {
    readonly code?: unknown
    readonly name?: unknown
    readonly cause?: unknown
  }
  if (typeof code === 'number' && BY_CODE[code] !== undefined) return BY_CODE[code]
  if (typeof code === 'string') {
    const known = BY_SOCKET.find(([pattern]) => pattern.test(code))
    if (known !== undefined) return known[1]
  }
  if (error instanceof AggregateError) return classifyMongo(error.errors[0])
  // The driver wraps the socket's error, which knows better.
  if (cause !== undefined && cause !== error) {
    const deeper = classifyMongo(cause)
    if (deeper !== 'query') return deeper
  }
  return (typeof name === 'string' ? BY_NAME[name] : undefined) ?? 'query'
}
