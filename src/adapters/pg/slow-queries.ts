import type { EventEmitter } from 'node:events'
import type { DriverClient } from './driver.ts'

/** A query that took longer than `slowQueryMillis`. It carries the statement's text, never its values. */
export interface SlowQuery {
  readonly pool: string
  /** The first 1,000 characters of the statement, or its name. */
  readonly text: string
  /** How long it waited for a connection (0 where the caller held one already), in milliseconds. */
  readonly waitMillis: number
  /** How long the server took, in milliseconds. */
  readonly queryMillis: number
  readonly failed: boolean
}

const LONGEST_TEXT = 1_000

/** Announces slow queries as `slowQuery` events of the pool. Without a listener, a query is only passed on. */
export class SlowQueries {
  readonly #pool: EventEmitter & { readonly name: string }
  readonly #thresholdMillis: number

  constructor(pool: EventEmitter & { readonly name: string }, thresholdMillis: number) {
    this.#pool = pool
    this.#thresholdMillis = thresholdMillis
  }

  get #heard(): boolean {
    return this.#thresholdMillis !== Infinity && this.#pool.listenerCount('slowQuery') > 0
  }

  now(): number {
    return this.#heard ? performance.now() : 0
  }

  /** Runs the client's own `query` with these arguments, and gives what it gives. */
  run(client: DriverClient, args: unknown[], waitMillis: number): unknown {
    const startedAt = this.now()
    const result = (client.query as (...args: unknown[]) => unknown).apply(client, args)
    if (startedAt === 0 || !(result instanceof Promise)) return result
    void result.then(
      () => this.#note(args[0], startedAt, waitMillis, false),
      () => this.#note(args[0], startedAt, waitMillis, true),
    )
    return result
  }

  #note(query: unknown, startedAt: number, waitMillis: number, failed: boolean): void {
    const queryMillis = performance.now() - startedAt
    if (waitMillis + queryMillis < this.#thresholdMillis) return
    const slow: SlowQuery = { pool: this.#pool.name, text: textOf(query), waitMillis, queryMillis, failed }
    this.#pool.emit('slowQuery', slow)
  }
}

function textOf(query: unknown): string {
  if (typeof query === 'string') return query.slice(0, LONGEST_TEXT)
  if (typeof query !== 'object' || query === null) return ''
  const { name, text } = query as { readonly name?: unknown; readonly text?: unknown }
  return typeof text === 'string' ? text.slice(0, LONGEST_TEXT) : typeof name === 'string' ? name : ''
}
