import type { EventEmitter } from 'node:events'
import { systemClock } from './clock.ts'
import { PoolError } from './errors.ts'
import type { DestroyReason } from './factory.ts'
import type { Lease } from './lease.ts'
import type { AcquireOptions, Pool } from './pool.ts'

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

/** Tells an event of the driver's. A listener that throws strands nobody. */
export function emitSafely(pool: EventEmitter & { readonly name: string }, event: string, ...args: unknown[]): void {
  try {
    pool.emit(event, ...args)
  } catch (error) {
    process.emitWarning(`pool "${pool.name}": a listener of '${event}' threw: ${String(error)}`, 'MillpondWarning')
  }
}

/** As `Pool.use`, with the pool's own errors in the words of the driver; the callback's are its own. */
export function useInWordsOf<T, R>(
  pool: Pool<T>,
  words: (error: unknown) => unknown,
  callback: (resource: T, lease: Lease<T>) => Promise<R>,
  options: AcquireOptions | undefined,
): Promise<R> {
  let isHeld = false
  const used = pool.use((resource, lease) => {
    isHeld = true
    return callback(resource, lease)
  }, options)
  return used.catch((error: unknown) => {
    throw isHeld ? error : words(error)
  })
}

export interface TransactionSteps {
  begin(): Promise<unknown>
  commit(): Promise<unknown>
  rollback(): Promise<unknown>
}

/** Runs the callback between begin and commit. Its error survives a rollback that fails too. */
export async function between<R>(steps: TransactionSteps, callback: () => R | PromiseLike<R>): Promise<R> {
  await steps.begin()
  let result: R
  try {
    result = await callback()
  } catch (error) {
    // A connection that cannot even roll back is found broken when it is given back.
    await steps.rollback().catch(() => undefined)
    throw error
  }
  await steps.commit()
  return result
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
