import type { FailureClass } from '../../core/factory.ts'
import { NODE_FAILURES } from '../../core/node-failures.ts'

/** A server is not what `targetSessionAttrs` asks for. */
export class WrongServerError extends Error {
  readonly wanted: string

  constructor(wanted: string) {
    super(`the server is not ${wanted}`)
    this.wanted = wanted
  }

  static {
    this.prototype.name = 'WrongServerError'
  }
}

/** SQLSTATEs whose class differs from that of their first two characters. */
const BY_STATE: Readonly<Record<string, FailureClass>> = {
  '57P01': 'disconnect', // admin_shutdown, or pg_terminate_backend: see classifyPg
  '57P02': 'restart', // crash_shutdown
  '57P03': 'restart', // cannot_connect_now: starting up or shutting down
  '57P04': 'config', // database_dropped
  '57P05': 'disconnect', // idle_session_timeout
  '25P03': 'disconnect', // idle_in_transaction_session_timeout
  '25P04': 'disconnect', // transaction_timeout
  '53300': 'saturated', // too_many_connections
  '53400': 'saturated', // configuration_limit_exceeded
  '58P01': 'disconnect', // undefined_file
  '3D000': 'config', // invalid_catalog_name: no such database
}

const BY_CLASS: Readonly<Record<string, FailureClass>> = {
  '08': 'disconnect', // connection exception
  '28': 'auth', // invalid authorization
}

// The texts of errors that `pg` throws without a code.
const BY_MESSAGE: readonly (readonly [RegExp, FailureClass])[] = [
  [/^Connection terminated|^Client has encountered a connection error|not queryable/i, 'disconnect'],
  [/^(timeout expired|Connection terminated due to connection timeout|Query read timeout)/i, 'timeout'],
  [/does not support SSL|SSL connection/i, 'tls'],
  [/^SASL|client password must be a string/i, 'auth'],
  [/^Password must be a string/, 'config'],
]

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

const SQLSTATE = /^[0-9A-Z]{5}$/

/** The server ends the session with it. */
function isFatal(error: unknown): boolean {
  const { severity } = error as { readonly severity?: unknown }
  return severity === 'FATAL' || severity === 'PANIC'
}

/** Whether the server said it, in answer to a statement or a login. */
export function isServerError(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && SQLSTATE.test(code) && error instanceof Error && 'severity' in error
}

/**
 * What an error of `pg`, of the server, or of the socket says about the connection. A backend that was ended with
 * `pg_terminate_backend` says 57P01 like a server that goes down; its text tells the one from the other no better, so
 * 57P01 is a disconnect whose extent one other connection tells.
 */
export function classifyPg(error: unknown): FailureClass {
  if (error instanceof WrongServerError) return 'role-change'
  const code = codeOf(error)
  if (code !== undefined) {
    const known = BY_STATE[code] ?? NODE_FAILURES[code]
    if (known !== undefined) return known
    if (SQLSTATE.test(code)) return BY_CLASS[code.slice(0, 2)] ?? (isFatal(error) ? 'disconnect' : 'query')
    if (/^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_)/.test(code)) return 'tls'
  }
  if (error instanceof AggregateError) return classifyPg(error.errors[0])
  if (error instanceof Error) {
    for (const [pattern, failure] of BY_MESSAGE) if (pattern.test(error.message)) return failure
  }
  return 'query'
}
