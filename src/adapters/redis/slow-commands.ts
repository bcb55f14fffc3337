/** A command that took longer than `slowCommandMillis`. It carries the command's name, never a key or a value. */
export interface SlowCommand {
  readonly pool: string
  /** As it was called: `get`, `hGetAll`, `MULTI`. */
  readonly text: string
  /** How long it waited for a connection, in milliseconds. */
  readonly waitMillis: number
  /** How long its answer took, in milliseconds. */
  readonly commandMillis: number
  readonly failed: boolean
}

export type SlowCommandListener = (slow: SlowCommand) => void

/**
 * Announces slow commands of the shared lane. Commands that block are slow on purpose, and those of `use` are the
 * borrower's. Without a listener, a command is only passed on.
 */
export class SlowCommands {
  readonly #pool: string
  readonly #thresholdMillis: number
  readonly #listeners = new Set<SlowCommandListener>()

  constructor(pool: string, thresholdMillis: number) {
    this.#pool = pool
    this.#thresholdMillis = thresholdMillis
  }

  /** Asked before anything is measured. */
  get heard(): boolean {
    return this.#listeners.size > 0 && this.#thresholdMillis !== Infinity
  }

  on(listener: SlowCommandListener): void {
    this.#listeners.add(listener)
  }

  off(listener: SlowCommandListener): void {
    this.#listeners.delete(listener)
  }

  /** Looks at the time between asking and sending, and between sending and the answer. */
  watch(text: string, askedAt: number, answer: unknown): void {
    if (!(answer instanceof Promise)) return
    const sentAt = performance.now()
    const note = (failed: boolean): void => {
      const commandMillis = performance.now() - sentAt
      const waitMillis = sentAt - askedAt
      if (waitMillis + commandMillis < this.#thresholdMillis) return
      for (const listener of this.#listeners) listener({ pool: this.#pool, text, waitMillis, commandMillis, failed })
    }
    answer.then(
      () => note(false),
      () => note(true),
    )
  }
}
