import { inTick } from '../../core/afterwards.ts'
import { Borrower } from '../../core/borrower.ts'
import type { Lease } from '../../core/lease.ts'
import type { Callback } from './answers.ts'
import { asDriverError } from './errors.ts'
import type { LeasedConnection } from './leased-connection.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** Makes what stands for a connection during a lease. */
type Stand = (lease: Lease<PooledConnection>, settles: boolean) => LeasedConnection

/** A call of `getConnection(callback)`. */
export class ConnectionCall extends Borrower<PooledConnection> {
  readonly #stand: Stand
  readonly #callback: Callback

  constructor(stand: Stand, callback: Callback) {
    super()
    this.#stand = stand
    this.#callback = callback
  }

  protected lent(lease: Lease<PooledConnection>, isLate: boolean): void {
    const leased = this.#stand(lease, false)
    const callback = this.#callback
    if (isLate) callback(null, leased)
    else process.nextTick(callback, null, leased)
  }

  protected override goOnLater(): void {
    inTick(this)
  }

  protected refused(error: unknown): void {
    const callback = this.#callback
    callback(error)
  }

  protected inWords(error: unknown): unknown {
    return asDriverError(error)
  }
}

/** For those who settle a promise with what they get, which needs no turn of its own. */
export class ConnectionPromise extends Borrower<PooledConnection> {
  readonly #stand: Stand
  readonly #settles: boolean
  readonly #lent: (leased: LeasedConnection) => void
  readonly #failed: (error: unknown) => void

  /** @param settles - a promise of the platform's */
  constructor(
    stand: Stand,
    settles: boolean,
    lent: (leased: LeasedConnection) => void,
    failed: (error: unknown) => void,
  ) {
    super()
    this.#stand = stand
    this.#settles = settles
    this.#lent = lent
    this.#failed = failed
  }

  protected lent(lease: Lease<PooledConnection>): void {
    const lent = this.#lent
    lent(this.#stand(lease, this.#settles))
  }

  protected refused(error: unknown): void {
    const failed = this.#failed
    failed(error)
  }

  protected inWords(error: unknown): unknown {
    return asDriverError(error)
  }
}
