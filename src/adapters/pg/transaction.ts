import { between } from '../../core/drop-in.ts'
import { called, type DriverClient } from './driver.ts'

export interface TransactionOptions {
  isolation?: 'read committed' | 'repeatable read' | 'serializable' | undefined
  readOnly?: boolean | undefined
  /** How often the whole callback is run again after a serialization failure (40001) or a deadlock (40P01). @defaultValue 0 */
  retries?: number | undefined
}

/** SQLSTATEs after which the same transaction may succeed when it is run again from its start. */
const RETRYABLE = new Set(['40001', '40P01'])

const ISOLATION = {
  'read committed': 'READ COMMITTED',
  'repeatable read': 'REPEATABLE READ',
  serializable: 'SERIALIZABLE',
} as const

/** A transaction in which a statement had failed was rolled back by its COMMIT. */
export class TransactionRolledBackError extends Error {
  constructor() {
    super(
      'The transaction was rolled back: a statement in it had failed, and the failure was caught inside the callback',
    )
  }

  static {
    this.prototype.name = 'TransactionRolledBackError'
  }
}

function begin({ isolation, readOnly }: TransactionOptions): string {
  const level = isolation === undefined ? '' : ` ISOLATION LEVEL ${ISOLATION[isolation]}`
  return `BEGIN${level}${readOnly === undefined ? '' : readOnly ? ' READ ONLY' : ' READ WRITE'}`
}

/** Whether the error is one after which running the transaction again makes sense. */
export function isRetryable(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    RETRYABLE.has(error.code)
  )
}

/** Runs the callback between BEGIN and COMMIT. Its error survives a ROLLBACK that fails too. */
export function runTransaction<R>(
  client: DriverClient,
  options: TransactionOptions,
  callback: () => R | PromiseLike<R>,
): Promise<R> {
  return between(
    {
      begin: () => called(client, begin(options)),
      rollback: () => called(client, 'ROLLBACK'),
      commit: () => called(client, 'COMMIT'),
      committed({ command }) {
        if (command === 'ROLLBACK') throw new TransactionRolledBackError()
      },
    },
    callback,
  )
}
