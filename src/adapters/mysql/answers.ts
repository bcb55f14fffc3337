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
 * A callback that is told once, and of an error only after the driver is done with the command: it tells of errors in
 * the middle of it, when the connection can neither be given back nor asked again, and of a connection's end once more
 * after a timeout.
 */
export function toldOnce(call: Callback): Callback {
  let isAnswered = false
  return (error, ...results) => {
    if (isAnswered) return
    isAnswered = true
    if (error) process.nextTick(call, error, ...results)
    else call(error, ...results)
  }
}

/**
 * The callback that answers whoever asks now, in their async context.
 *
 * @param settles - it only settles a promise of the platform's: whoever awaits that goes on in a context of their own
 */
export function inAskersContext(callback: Callback, settles: boolean): Callback {
  return settles ? callback : inCallersContext(callback)
}

/** The same, told once. */
export function answering(callback: Callback, settles: boolean): Callback {
  return toldOnce(inAskersContext(callback, settles))
}
