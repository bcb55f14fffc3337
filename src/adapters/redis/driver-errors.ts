import { PoolClosedError, PoolError } from '../../core/errors.ts'

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
    if (!PoolError.is(error) || (error.code !== 'ERR_POOL_CREATE' && error.code !== 'ERR_POOL_DOWN')) return error
    const { cause } = error
    if (!(cause instanceof Error)) return error
    Object.defineProperty(cause, 'pool', {
      value: { name: error.pool, code: error.code, message: error.message },
      configurable: true,
    })
    return cause
  }
}
