import { between } from '../../core/drop-in.ts'
import { run, type DriverConnection } from './driver.ts'
import type { Session } from './session.ts'

export interface TransactionOptions {
  isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable' | undefined
  readOnly?: boolean | undefined
  /** How often the whole callback is run again after a deadlock (1213) or a lock wait that took too long (1205). @defaultValue 0 */
  retries?: number | undefined
}

/** Errors after which the same transaction may succeed when it is run again from its start. */
const RETRYABLE = new Set([1205, 1213])

const ISOLATION = {
  'read uncommitted': 'READ UNCOMMITTED',
  'read committed': 'READ COMMITTED',
  'repeatable read': 'REPEATABLE READ',
  serializable: 'SERIALIZABLE',
} as const

/** The server had rolled a transaction back, as the victim of a deadlock, before its COMMIT. */
export class TransactionRolledBackError extends Error {
  constructor() {
    super(
      'The transaction was rolled back: a statement in it was the victim of a deadlock, and the failure was caught inside the callback',
    )
  }

  static {
    this.prototype.name = 'TransactionRolledBackError'
  }
}

/** Whether the error is one after which running the transaction again makes sense. */
export function isRetryable(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'errno' in error &&
    typeof error.errno === 'number' &&
    RETRYABLE.has(error.errno)
  )
}

/**
 * Runs the callback between START TRANSACTION and COMMIT. Its error survives a ROLLBACK that fails too.
 * @param connection - the borrower's: once that is given back, nothing more is said on it
 */
export function runTransaction<R>(
  connection: DriverConnection,
  session: Session,
  { isolation, readOnly }: TransactionOptions,
  callback: () => R | PromiseLike<R>,
): Promise<R> {
  const access = readOnly === undefined ? '' : readOnly ? ' READ ONLY' : ' READ WRITE'
  const start = (): Promise<unknown> => {
    session.wasDeadlocked()
    return run(connection, `START TRANSACTION${access}`)
  }
  return between(
    {
      begin() {
        if (isolation === undefined) return start()
        // For the next transaction only, and that follows at once: it leaves nothing.
        const level = `SET TRANSACTION ISOLATION LEVEL ${ISOLATION[isolation]}`
        return session.quietly(() => run(connection, level)).then(start)
      },
      rollback: () => run(connection, 'ROLLBACK'),
      commit: () =>
        session.wasDeadlocked() ? Promise.reject(new TransactionRolledBackError()) : run(connection, 'COMMIT'),
    },
    callback,
  )
}
