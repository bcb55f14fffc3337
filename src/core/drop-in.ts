import type { EventEmitter } from 'node:events'
import { systemClock } from './clock.ts'
import { PoolError } from './errors.ts'
import type { DestroyReason } from './factory.ts'

/** How long `end()` of a face leaves to borrowers before their connections are cut; drivers wait for ever. */
export const END_MILLIS = 30_000

const ABRUPT: ReadonlySet<DestroyReason> = new Set<DestroyReason>([
  'broken',
  'lost',
  'validate',
  'reset',
  'overused',
  'abandoned',
  'interrupted',
  'late',
])

/** Whether a connection ends without a goodbye for this reason: it is dead, or somebody may still be using it. */
export function endsAbruptly(reason: DestroyReason): boolean {
  return ABRUPT.has(reason)
}

/** The driver's own error, where a connect failed, with what the pool knows beside it; nothing for any other error. */
export function connectErrorOf(error: unknown): Error | undefined {
  if (!PoolError.is(error) || (error.code !== 'ERR_POOL_CREATE' && error.code !== 'ERR_POOL_DOWN')) return undefined
  const { cause } = error
  if (!(cause instanceof Error)) return undefined
  Object.defineProperty(cause, 'pool', {
    value: { name: error.pool, code: error.code, message: error.message },
    configurable: true,
  })
  return cause
}

/**
 * Whether anybody listens. Asked for every lease, and of most pools nobody hears anything: that is one field of Node's
 * emitters, where `listenerCount` looks the name up.
 */
export function isHeard(pool: EventEmitter, event: string): boolean {
  return (pool as { readonly _eventsCount?: number })._eventsCount !== 0 && pool.listenerCount(event) > 0
}

/** Tells an event of the driver's. A listener that throws strands nobody. */
export function emitSafely(pool: EventEmitter & { readonly name: string }, event: string, ...args: unknown[]): void {
  try {
    pool.emit(event, ...args)
  } catch (error) {
    process.emitWarning(`pool "${pool.name}": a listener of '${event}' threw: ${String(error)}`, 'MillpondWarning')
  }
}

export interface TransactionSteps<C> {
  begin(): Promise<unknown>
  commit(): Promise<C>
  rollback(): Promise<unknown>
  /** @throws where the server has not committed what it was told to */
  committed?(answer: C): void
}

/** Runs the callback between begin and commit. Its error survives a rollback that fails too. */
export async function between<R, C>(steps: TransactionSteps<C>, callback: () => R | PromiseLike<R>): Promise<R> {
  try {
    await steps.begin()
  } catch (error) {
    throw fromHere(error)
  }
  let result: R
  try {
    result = await callback()
  } catch (error) {
    // A connection that cannot even roll back is found broken when it is given back.
    await steps.rollback().catch(() => undefined)
    throw error
  }
  let answer: C
  try {
    answer = await steps.commit()
  } catch (error) {
    throw fromHere(error)
  }
  steps.committed?.(answer)
  return result
}

/** Drivers make their errors where a socket is read: this stack leads back to whoever asked for the transaction. */
function fromHere(error: unknown): unknown {
  if (error instanceof Error) Error.captureStackTrace(error, fromHere)
  return error
}

/** Runs it, and again from its start, so often at the most, after errors of which it may recover. */
export function retrying<R>(
  retries: number,
  isRetryable: (error: unknown) => boolean,
  run: () => Promise<R>,
): Promise<R> {
  return retries > 0 ? runAgain(retries, isRetryable, run) : run()
}

async function runAgain<R>(
  retries: number,
  isRetryable: (error: unknown) => boolean,
  run: () => Promise<R>,
): Promise<R> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt >= retries || !isRetryable(error)) throw error
      // Those who collided do not meet again at once.
      const delayMillis = Math.random() * 10 * 2 ** Math.min(attempt, 6)
      await new Promise<void>((resolve) => systemClock.setTimer(resolve, delayMillis))
    }
  }
}
