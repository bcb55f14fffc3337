import { connectErrorOf } from '../../core/drop-in.ts'
import { PoolClosedError } from '../../core/errors.ts'

/** The pool's errors in the words, and where a connect failed with the error objects, that a driver's users know. */
export class DriverErrors {
  readonly #pool: string
  readonly #closedPhrase: string

  constructor(pool: string, closedPhrase: string) {
    this.#pool = pool
    this.#closedPhrase = closedPhrase
  }

  closed(): PoolClosedError {
    return new PoolClosedError(this.#pool, `${this.#closedPhrase} (pool "${this.#pool}" is closed)`)
  }

  /** What the caller is told for an error of the engine; anything else is passed on as it is. */
  of(error: unknown): unknown {
    if (error instanceof PoolClosedError) return this.closed()
    return connectErrorOf(error) ?? error
  }
}
