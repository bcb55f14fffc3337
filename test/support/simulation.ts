import { FakeError, type ManualClock } from 'millpond/testing'
import type { Pool } from 'millpond'

/** Resolves when that much simulated time has passed. */
export function after(clock: ManualClock, millis: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(resolve, millis)
  })
}

/** A step that never ends. */
export function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** Rejects as a connect does that nobody answers. */
export async function refused(): Promise<never> {
  return await Promise.reject(new FakeError('restart', 'connect ECONNREFUSED'))
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A caller that works for so long: when it asked, when it had its lease, and how it ended. */
export interface Job {
  readonly askedAt: number
  servedAt: number | undefined
  endedAt: number | undefined
  code: string | undefined
}

/** Has a caller ask now, work for `workMillis` and give back. */
export function job<T>(pool: Pool<T>, clock: ManualClock, workMillis: number, timeoutMillis?: number): Job {
  const each: Job = { askedAt: clock.now(), servedAt: undefined, endedAt: undefined, code: undefined }
  pool.acquire(timeoutMillis === undefined ? undefined : { timeoutMillis }).then(
    (lease) => {
      each.servedAt = clock.now()
      clock.setTimer(() => {
        if (!lease.released) lease.release()
        each.endedAt = clock.now()
      }, workMillis)
    },
    (error: { code?: string }) => {
      each.endedAt = clock.now()
      each.code = error.code ?? 'error'
    },
  )
  return each
}
