import { inCallersContext } from '../../core/caller-context.ts'
import { fingerprint } from '../../core/fingerprint.ts'
import type { Operations } from '../../core/operations.ts'
import type { DriverCommand } from './driver.ts'

/** The text of a statement as it was given: a string, options, or a query that was made before. */
export function textOf(sql: unknown): string {
  if (typeof sql === 'string') return sql
  if (typeof sql !== 'object' || sql === null || !('sql' in sql)) return ''
  return typeof sql.sql === 'string' ? sql.sql : ''
}

/**
 * Measures a command that has just been handed to a connection; it is over when its callback is called, or when it says
 * so to those who read its events.
 *
 * @param text - of the statement as it was given
 */
export function watch(
  operations: Operations,
  command: DriverCommand,
  text: string,
  label: string | undefined,
  waitMillis: number,
): void {
  const startedAt = operations.now()
  const ended = inCallersContext((failed: boolean) => {
    operations.ended({ describe: () => fingerprint(text), label, waitMillis }, startedAt, failed)
  })
  let isOver = false
  const over = (failed: boolean): void => {
    if (isOver) return
    isOver = true
    ended(failed)
  }
  const done = command.onResult
  if (done !== undefined) {
    command.onResult = (error, ...results) => {
      over(Boolean(error))
      done(error, ...results)
    }
    // A statement that cannot even be prepared is told of past its own callback.
    command.once('end', () => setImmediate(over, true))
    return
  }
  // Whoever reads events hears an error by a listener of their own; to add one here would hide it from them.
  const emit = command.emit.bind(command)
  let failed = false
  command.emit = (event: string | symbol, ...args: unknown[]) => {
    failed ||= event === 'error'
    if (event === 'end') over(failed)
    return emit(event, ...args)
  }
}
