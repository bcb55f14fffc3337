import type { EventEmitter } from 'node:events'
import type { DriverCommand } from './driver.ts'

/** A query that took longer than `slowQueryMillis`. It carries the statement's text, never its values. */
export interface SlowQuery {
  readonly pool: string
  /** The first 1,000 characters of the statement, as it was given. */
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

  get heard(): boolean {
    return this.#thresholdMillis !== Infinity && this.#pool.listenerCount('slowQuery') > 0
  }

  now(): number {
    return this.heard ? performance.now() : 0
  }

  /**
   * Watches a command that has just been handed to a connection.
   * @param text - of the statement as it was given: the command's own has the values in it
   */
  watch(command: DriverCommand, text: string, waitMillis: number): void {
    const startedAt = performance.now()
    let isOver = false
    const over = (failed: boolean): void => {
      if (isOver) return
      isOver = true
      const queryMillis = performance.now() - startedAt
      if (waitMillis + queryMillis < this.#thresholdMillis) return
      const slow: SlowQuery = {
        pool: this.#pool.name,
        text: text.slice(0, LONGEST_TEXT),
        waitMillis,
        queryMillis,
        failed,
      }
      this.#pool.emit('slowQuery', slow)
    }
    const done = command.onResult
    if (done === undefined) {
      // Whoever reads events hears an error by a listener of their own; to add one here would hide it from them.
      let failed = false
      const emit = command.emit.bind(command)
      command.emit = (event: string | symbol, ...args: unknown[]) => {
        failed ||= event === 'error'
        if (event === 'end') over(failed)
        return emit(event, ...args)
      }
      return
    }
    command.onResult = (error, ...results) => {
      over(Boolean(error))
      done(error, ...results)
    }
    command.once('end', () => over(false))
  }
}

/** The text of a statement as it was given: a string, options, or a query that was made before. */
export function textOf(sql: unknown): string {
  if (typeof sql === 'string') return sql
  if (typeof sql !== 'object' || sql === null || !('sql' in sql)) return ''
  return typeof sql.sql === 'string' ? sql.sql : ''
}
