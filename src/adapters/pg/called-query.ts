import { Borrower } from '../../core/borrower.ts'
import type { Lease } from '../../core/lease.ts'
import type { Operations } from '../../core/operations.ts'
import type { DriverClient } from './driver.ts'
import { asDriverError } from './errors.ts'
import { noteQuery, plainQuery } from './watched-query.ts'

/** What a query of the pool's own asks of the pool. */
export interface Lending {
  readonly operations: Operations
  lent(client: DriverClient): void
  /** Takes the client back after a query of the pool's own, which may have failed. */
  takeBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void
}

export type QueryCallback = (error: unknown, result?: unknown) => void

/**
 * `pool.query(text, values, callback)`: no promise is made on the way. (The driver writes the callback into a query that is
 * an object, so that one goes by a promise: it is its owner's.)
 */
export class CalledQuery extends Borrower<DriverClient> {
  readonly #lending: Lending
  readonly #text: string
  readonly #values: unknown
  readonly #callback: QueryCallback
  /** NaN where nobody listens. */
  readonly #askedAt: number
  #sentAt = NaN
  #lease: Lease<DriverClient> | undefined = undefined
  #client: DriverClient | undefined = undefined
  #isAnswered = false

  constructor(lending: Lending, text: string, values: unknown, callback: QueryCallback) {
    super()
    this.#lending = lending
    this.#text = text
    this.#values = values
    this.#callback = callback
    const { operations } = lending
    this.#askedAt = operations.watched ? operations.now() : NaN
    this.keepContext()
  }

  protected lent(lease: Lease<DriverClient>): void {
    const client = lease.resource
    this.#lease = lease
    this.#client = client
    this.#lending.lent(client)
    if (!Number.isNaN(this.#askedAt)) this.#sentAt = this.#lending.operations.now()
    const answer = (error: unknown, result: unknown): void => {
      if (this.#isAnswered) return
      this.#isAnswered = true
      // The driver is still in the middle of telling about an error.
      if (error) process.nextTick(CalledQuery.#over, this, error, undefined)
      else CalledQuery.#over(this, undefined, result)
    }
    try {
      plainQuery(client, [this.#text, this.#values, answer])
    } catch (error) {
      answer(error, undefined)
    }
  }

  protected refused(error: unknown): void {
    const callback = this.#callback
    callback(error)
  }

  protected inWords(error: unknown): unknown {
    return asDriverError(error)
  }

  static #over(this: void, query: CalledQuery, error: unknown, result: unknown): void {
    const { operations } = query.#lending
    const lease = query.#lease as Lease<DriverClient>
    noteQuery(operations, query.#text, lease.label, query.#askedAt, query.#sentAt, error !== undefined)
    query.#lending.takeBack(lease, query.#client as DriverClient, error)
    const callback = query.#callback
    if (error === undefined) query.context?.runInAsyncScope(callback, undefined, undefined, result)
    else query.context?.runInAsyncScope(callback, undefined, error)
  }
}
