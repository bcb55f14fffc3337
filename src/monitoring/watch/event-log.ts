import type { PoolEvents } from '../../core/events.ts'
import { errorCode, textOf, type KeptEventName } from './event-text.ts'

/** An event that happened, as plain data that may be shown. */
export interface KeptEvent {
  /** Counts up, so that whoever looks again can ask for what is new. */
  readonly id: number
  /** The pool as it is registered. */
  readonly pool: string
  /** Which of the pools that it consists of, where it does: an origin's, a tenant's, a lane. */
  readonly part: string | undefined
  readonly event: KeptEventName
  /** When it happened first, in milliseconds since 1970. */
  readonly at: number
  /** When it happened last: what comes again within a second is one event. */
  lastAt: number
  times: number
  /** One sentence for a person. */
  readonly text: string
  readonly label: string | undefined
  /** Where a lease was acquired, when stacks are tracked and it is about one. */
  readonly stack: string | undefined
  /** The code or name of the error, if there was one. */
  readonly errorCode: string | undefined
  /** What else it carries that is a number or a yes or no: durations in milliseconds, ids, limits. */
  readonly numbers: Readonly<Record<string, number | boolean>>
  /** The trace that it happened in, where the watch was told how to find it. */
  readonly traceId: string | undefined
}

const numbersOf = (event: object): Record<string, number | boolean> =>
  Object.fromEntries(
    Object.entries(event).filter((entry): entry is [string, number | boolean] =>
      ['number', 'boolean'].includes(typeof entry[1]),
    ),
  )

/** What follows another of its kind this soon is counted with it. */
const SAME_MILLIS = 1_000

/** The last events of all pools. */
export class EventLog {
  readonly #limit: number
  readonly #events: KeptEvent[] = []
  readonly #latest = new Map<string, KeptEvent>()
  #lastId = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Keeps the event. Gives it back where it is not merely one more of what has just happened. */
  add<E extends KeptEventName>(
    pool: string,
    name: E,
    event: PoolEvents[E],
    at: number,
    traceId: string | undefined,
  ): KeptEvent | undefined {
    const { label, stack, error, reason } = event as {
      readonly label?: string
      readonly stack?: string
      readonly error?: unknown
      readonly reason?: string
    }
    const code = errorCode(error)
    const key = [pool, event.pool, name, name === 'slow' ? textOf(name, event) : reason, code, label].join('\n')
    const latest = this.#latest.get(key)
    if (latest !== undefined && at - latest.lastAt < SAME_MILLIS) {
      latest.times++
      latest.lastAt = at
      return undefined
    }
    const kept: KeptEvent = {
      id: ++this.#lastId,
      pool,
      part: event.pool === pool ? undefined : event.pool,
      event: name,
      at,
      lastAt: at,
      times: 1,
      text: textOf(name, event),
      label,
      stack,
      errorCode: code,
      numbers: numbersOf(event),
      traceId,
    }
    this.#events.push(kept)
    this.#latest.delete(key)
    this.#latest.set(key, kept)
    if (this.#events.length > 2 * this.#limit) this.#events.splice(0, this.#events.length - this.#limit)
    if (this.#latest.size > this.#limit) this.#latest.delete(this.#latest.keys().next().value ?? '')
    return kept
  }

  /** Newest first. */
  list({ after = 0, limit = this.#limit }: { after?: number | undefined; limit?: number | undefined }): KeptEvent[] {
    const newest = this.#events.slice(-Math.min(limit, this.#limit)).reverse()
    return newest.filter(({ id }) => id > after).map((event) => ({ ...event }))
  }
}
