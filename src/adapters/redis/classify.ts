import type { FailureClass } from '../../core/factory.ts'
import { NODE_FAILURES } from '../../core/node-failures.ts'

/** The first word of an error that the server replied. What is not here is an error of the command. */
const BY_REPLY: Readonly<Record<string, FailureClass>> = {
  READONLY: 'role-change', // a write reached a replica: the master was demoted
  NOAUTH: 'auth',
  WRONGPASS: 'auth',
  NOPROTO: 'config', // the server does not speak the protocol that the driver asks for
  LOADING: 'timeout', // it reads its data set; the next attempt waits
  MASTERDOWN: 'timeout', // a replica without its master, which serves no stale data
}

// Replies that begin with a plain ERR, and errors of the drivers' own, which have no code.
const BY_MESSAGE: readonly (readonly [RegExp, FailureClass])[] = [
  [/max number of clients (\+ cluster connections )?reached/i, 'saturated'],
  [/invalid (username-password|password)|client sent auth, but no password/i, 'auth'],
  [/db index is out of range|invalid db index/i, 'config'],
  [/^connection is closed|^socket closed unexpectedly|^the client is closed|^disconnects client/i, 'disconnect'],
  [/^socket timeout|^connection timeout|^command timed out/i, 'timeout'],
  [/^all sentinels are unreachable/i, 'disconnect'],
  [/^the sentinels name /, 'timeout'],
  [/^no sentinel knows/i, 'config'],
]

/** What an error of a driver, of the server, or of the socket says about the connection. */
export function classifyRedis(error: unknown): FailureClass {
  if (!(error instanceof Error)) return 'query'
  const { code, lastNodeError } = error as { readonly code?: unknown; readonly lastNodeError?: unknown }
  if (typeof code === 'string') {
    const known = NODE_FAILURES[code]
    if (known !== undefined) return known
    if (/^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_)/.test(code)) return 'tls'
  }
  const reply = BY_REPLY[/^[A-Z]+(?=\s|$)/.exec(error.message)?.[0] ?? '']
  if (reply !== undefined) return reply
  // ioredis, when no node of a cluster answers.
  if (lastNodeError !== undefined) return classifyRedis(lastNodeError)
  if (error instanceof AggregateError) return classifyRedis(error.errors[0])
  for (const [pattern, failure] of BY_MESSAGE) if (pattern.test(error.message)) return failure
  return 'query'
}

/** Whether the connection was lost, so that nobody knows whether the command was carried out. */
export function isConnectionLoss(error: unknown): boolean {
  const failure = classifyRedis(error)
  return failure === 'disconnect' || failure === 'restart'
}

/** Whether the error is the server's word that it takes no writes. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('READONLY')
}
