import { AsyncResource } from 'node:async_hooks'
import { inCallersContext } from '../../core/caller-context.ts'
import type { DriverCommand } from './driver.ts'

/** How the driver answers. */
export type Callback = (error: unknown, ...results: unknown[]) => void

/**
 * A command's listeners run in the async context of whoever asked, and so does what reads its stream; its callback has
 * been taken care of.
 */
export function inContextOfAsker(command: DriverCommand): void {
  if (command.onResult !== undefined) return
  command.emit = inCallersEmit(command)
}

function inCallersEmit(command: DriverCommand): DriverCommand['emit'] {
  const emit = command.emit.bind(command)
  let answer = false
  const inContext = inCallersContext((event: string | symbol, args: unknown[]) => {
    answer = emit(event, ...args)
  })
  return (event, ...args: unknown[]) => {
    inContext(event, args)
    return answer
  }
}

/**
 * The callback that answers whoever asks now: once, in their async context, and of an error only after the driver is done
 * with the command. The driver tells of errors in the middle of it, when the connection can neither be given back nor
 * asked again, and of a connection's end once more after a timeout.
 *
 * @param settles - it only settles a promise of the platform's: whoever awaits that goes on in a context of their own
 */
export function answering(callback: Callback, settles: boolean): Callback {
  const context = settles ? undefined : new AsyncResource('MILLPOND_ANSWER')
  let isAnswered = false
  return (error, rows, fields) => {
    if (isAnswered) return
    isAnswered = true
    if (error) process.nextTick(tell, context, callback, error, rows, fields)
    else tell(context, callback, error, rows, fields)
  }
}

/** Calls back in that async context; in the present one where there is none. */
export function tell(
  context: AsyncResource | undefined,
  callback: Callback,
  error: unknown,
  rows?: unknown,
  fields?: unknown,
): void {
  if (context === undefined) callback(error, rows, fields)
  else context.runInAsyncScope(callback, undefined, error, rows, fields)
}
