import { systemClock, type Clock } from '../core/clock.ts'
import type { ManagedPool } from '../core/managed-pool.ts'

/** How often it looks, in milliseconds: who waits here is paid for by the time it takes, not by the look. */
const LOOK_MILLIS = 100

export interface UntilEmptyOptions {
  /** How long to wait at most, in milliseconds. @defaultValue 60_000 */
  timeoutMillis?: number | undefined
  /** Where time comes from. @defaultValue the process's clock */
  clock?: Clock | undefined
}

/** Waits for the pools of a registry to have nothing open; one watch serves all who wait at a time. */
export class EmptyWatch {
  readonly #pools: Iterable<ManagedPool>
  #deadline = 0
  #watching: Promise<boolean> | undefined

  constructor(pools: Iterable<ManagedPool>) {
    this.#pools = pools
  }

  /** Resolves to whether all is closed; false at the deadline of whoever asked for the latest. */
  wait({ timeoutMillis = 60_000, clock = systemClock }: UntilEmptyOptions): Promise<boolean> {
    this.#deadline = Math.max(this.#deadline, clock.now() + timeoutMillis)
    this.#watching ??= this.#watch(clock).finally(() => {
      this.#watching = undefined
    })
    return this.#watching
  }

  #watch(clock: Clock): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (): void => {
        const isEmpty = Array.from(this.#pools).every(hasNothingOpen)
        if (isEmpty || clock.now() >= this.#deadline) resolve(isEmpty)
        // A script that is over need not wait for what it has asked here.
        else clock.setTimer(look, LOOK_MILLIS).unref()
      }
      look()
    })
  }
}

/** What `min` holds stays open by wish. */
function hasNothingOpen(pool: ManagedPool): boolean {
  const { total, idle, creating, waiting, min } = pool.stats()
  return creating === 0 && waiting === 0 && total === idle && idle <= min
}
