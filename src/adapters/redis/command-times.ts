import { engineOf, type Pool } from '../../core/pool.ts'
import type { DriverClient } from './driver.ts'

/** Under load one command is timed about this often: enough for a p99 of ten seconds, and next to nothing to pay. */
const OFTENEST_MILLIS = 10
const SELDOMEST_MILLIS = 40
/** The most commands between two that are timed. */
const LONGEST_GAP = 8_192

/**
 * How long commands of the shared lane take. Nobody leases its connections, so that the engine cannot know. Few commands
 * are all timed; of many one in so many, by chance, which counts for those before it as well.
 */
export class CommandTimes {
  readonly #pool: Pool<DriverClient>
  /** Commands sent since the lane was made. */
  sent = 0
  /** The number of the next one that is timed. */
  #next = 1
  #timed = 0
  #timedAt = -Infinity
  #gap = 1

  constructor(pool: Pool<DriverClient>) {
    this.#pool = pool
  }

  /** Whether the command that was just counted as sent is to be timed. */
  get due(): boolean {
    return this.sent >= this.#next
  }

  /** Sends a command that is {@link due}, and takes its time. */
  take<R>(send: () => R): R {
    const { clock, load } = engineOf(this.#pool)
    // The clock itself: a command is often sent and answered within one turn of the event loop.
    const startedAt = clock.now()
    const standsFor = this.sent - this.#timed
    this.#schedule(startedAt)
    const answer = send()
    if (answer instanceof Promise) {
      const answered = (): void => {
        load.useTimes.record(clock.now() - startedAt, standsFor)
        load.waitTimes.zeros += standsFor
      }
      answer.then(answered, answered)
    }
    return answer
  }

  #schedule(now: number): void {
    const sinceMillis = now - this.#timedAt
    if (sinceMillis < OFTENEST_MILLIS) this.#gap = Math.min(LONGEST_GAP, this.#gap * 2)
    else if (sinceMillis > SELDOMEST_MILLIS) this.#gap = Math.max(1, this.#gap / 2)
    this.#timedAt = now
    this.#timed = this.sent
    // By chance: commands often come in a pattern.
    this.#next = this.sent + 1 + Math.floor(Math.random() * this.#gap)
  }
}
