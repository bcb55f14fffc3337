import type { Document } from 'bson'

/** An error as the server answers with: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
export class CommandError extends Error {
  readonly code: number
  readonly codeName: string
  readonly labels: readonly string[]
  readonly extra: Document

  constructor(code: number, codeName: string, message: string, labels: readonly string[] = [], extra: Document = {}) {
    super(message)
    this.code = code
    this.codeName = codeName
    this.labels = labels
    this.extra = extra
  }

  toReply(): Document {
    const { code, codeName, message: errmsg, labels: errorLabels, extra } = this
    return { ok: 0, errmsg, code, codeName, ...(errorLabels.length > 0 ? { errorLabels } : {}), ...extra }
  }
}

export const notFound = (name: string): CommandError =>
  new CommandError(59, 'CommandNotFound', `no such command: '${name}'`)
export const unauthorized = (name: string): CommandError =>
  new CommandError(13, 'Unauthorized', `Command ${name} requires authentication`)
export const authenticationFailed = (): CommandError =>
  new CommandError(18, 'AuthenticationFailed', 'Authentication failed.')
export const notPrimary = (): CommandError =>
  new CommandError(10107, 'NotWritablePrimary', 'not primary', ['RetryableWriteError'])
export const cursorNotFound = (id: unknown): CommandError =>
  new CommandError(43, 'CursorNotFound', `cursor id ${String(id)} not found`)
export const noSuchTransaction = (): CommandError =>
  new CommandError(251, 'NoSuchTransaction', 'Given transaction number does not match any in-progress transactions.')
export const duplicateKey = (namespace: string, index: string, key: Document): CommandError =>
  new CommandError(
    11000,
    'DuplicateKey',
    `E11000 duplicate key error collection: ${namespace} index: ${index} dup key: ${JSON.stringify(key)}`,
    [],
    { keyValue: key },
  )

/** The names of the codes that tests have commands fail with. */
const CODE_NAMES: Readonly<Record<number, string>> = {
  6: 'HostUnreachable',
  91: 'ShutdownInProgress',
  189: 'PrimarySteppedDown',
  11600: 'InterruptedAtShutdown',
  11602: 'InterruptedDueToReplStateChange',
  10107: 'NotWritablePrimary',
  13435: 'NotPrimaryNoSecondaryOk',
  112: 'WriteConflict',
}

export const codeNameOf = (code: number): string => CODE_NAMES[code] ?? `Error${code}`
