import type { FailureClass } from '../../core/factory.ts'
import { NODE_FAILURES } from '../../core/node-failures.ts'

/** The server takes no writes, and `writable` asks for one that does. */
export class NotWritableError extends Error {
  constructor() {
    super('the server is read-only')
  }

  static {
    this.prototype.name = 'NotWritableError'
  }
}

/** Errors of the server that say more than "this statement failed". */
const BY_ERRNO: Readonly<Record<number, FailureClass>> = {
  1040: 'saturated', // ER_CON_COUNT_ERROR: too many connections
  1203: 'saturated', // ER_TOO_MANY_USER_CONNECTIONS
  1226: 'saturated', // ER_USER_LIMIT_REACHED
  1041: 'saturated', // ER_OUT_OF_RESOURCES
  1135: 'saturated', // ER_CANT_CREATE_THREAD
  1044: 'auth', // ER_DBACCESS_DENIED_ERROR
  1045: 'auth', // ER_ACCESS_DENIED_ERROR
  1130: 'auth', // ER_HOST_NOT_PRIVILEGED
  1129: 'auth', // ER_HOST_IS_BLOCKED: after too many failed logins
  1251: 'auth', // ER_NOT_SUPPORTED_AUTH_MODE
  1698: 'auth', // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  1820: 'auth', // ER_MUST_CHANGE_PASSWORD
  1862: 'auth', // ER_MUST_CHANGE_PASSWORD_LOGIN
  3118: 'auth', // ER_ACCOUNT_HAS_BEEN_LOCKED
  4151: 'auth', // ER_ACCOUNT_HAS_BEEN_LOCKED, as MariaDB numbers it
  3159: 'tls', // ER_SECURE_TRANSPORT_REQUIRED
  1049: 'config', // ER_BAD_DB_ERROR: no such database
  1053: 'restart', // ER_SERVER_SHUTDOWN
  1077: 'restart', // ER_NORMAL_SHUTDOWN
  1079: 'restart', // ER_SHUTDOWN_COMPLETE
  1080: 'disconnect', // ER_FORCING_CLOSE
  1152: 'disconnect', // ER_ABORTING_CONNECTION
  1158: 'disconnect', // ER_NET_READ_ERROR
  1159: 'disconnect', // ER_NET_READ_INTERRUPTED
  1160: 'disconnect', // ER_NET_ERROR_ON_WRITE
  1161: 'disconnect', // ER_NET_WRITE_INTERRUPTED
  1184: 'disconnect', // ER_NEW_ABORTING_CONNECTION
  1927: 'disconnect', // ER_CONNECTION_KILLED: by KILL, and by a shutdown; one other connection tells which
  4031: 'disconnect', // ER_CLIENT_INTERACTION_TIMEOUT: idle too long
  1290: 'role-change', // ER_OPTION_PREVENTS_STATEMENT: --read-only, after a failover
  1836: 'role-change', // ER_READ_ONLY_MODE
}

/** Codes of the driver itself, of sockets, name resolution and TLS. */
const BY_CODE: Readonly<Record<string, FailureClass>> = {
  PROTOCOL_CONNECTION_LOST: 'disconnect',
  PROTOCOL_SEQUENCE_TIMEOUT: 'timeout',
  PROTOCOL_ERROR: 'disconnect',
  PROTOCOL_UNEXPECTED_PACKET: 'disconnect',
  HANDSHAKE_NO_SSL_SUPPORT: 'tls',
  HANDSHAKE_SSL_ERROR: 'tls',
  AUTH_SWITCH_PLUGIN_ERROR: 'auth',
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: 'auth',
  ERR_STREAM_WRITE_AFTER_END: 'disconnect',
  ...NODE_FAILURES,
}

interface DriverError {
  readonly errno?: unknown
  readonly code?: unknown
  readonly sqlState?: unknown
  readonly fatal?: unknown
  readonly message?: unknown
}

/** Whether the server said it, in answer to a statement or a login. */
export function isServerError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { errno, sqlState } = error as DriverError
  // Node's own errors have an errno too: a negative one.
  return typeof errno === 'number' && errno > 0 && typeof sqlState === 'string'
}

/** Whether the server ends the connection on which it answers so; the socket says it only later. */
export function endsConnection(errno: number): boolean {
  const known = BY_ERRNO[errno]
  return known === 'disconnect' || known === 'restart'
}

/** What an error of mysql2, of the server, or of the socket says about the connection. */
export function classifyMysql(error: unknown): FailureClass {
  if (error instanceof NotWritableError) return 'role-change'
  if (typeof error !== 'object' || error === null) return 'query'
  const { errno, code, fatal, message } = error as DriverError
  if (typeof errno === 'number' && errno > 0) {
    const known = BY_ERRNO[errno]
    if (known !== undefined) return known
    if (isServerError(error)) return fatal === true ? 'disconnect' : 'query'
  }
  if (typeof code === 'string') {
    const known = BY_CODE[code]
    if (known !== undefined) return known
    if (/^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_)/.test(code)) return 'tls'
  }
  if (error instanceof AggregateError) return classifyMysql(error.errors[0])
  if (fatal === true || message === "Can't add new command when connection is in closed state") return 'disconnect'
  return 'query'
}

/** What the server or the driver said: it tells of the connection, as somebody else's `ECONNREFUSED` does not. */
export function isOfDriver(error: unknown): boolean {
  return isServerError(error) || (error as { fatal?: unknown } | null | undefined)?.fatal === true
}
