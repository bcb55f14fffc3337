import { LeaseReleasedError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import type { DriverClient } from './driver.ts'

/** What a borrowed client asks of its pool. */
export interface Borrowing {
  readonly onStaleRelease: 'throw' | 'warn' | 'ignore'
  giveBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void
  /** Runs a query of the borrower, so that a slow one is noticed. */
  query(client: DriverClient, args: unknown[]): unknown
}

type Method = (this: unknown, ...args: unknown[]) => unknown

/**
 * What `connect()` gives: the real client to everybody who looks at it (`instanceof`, its properties, its events, its
 * query streams), but of this one lease. Methods run on the real client, writes go through to it; `release` ends the
 * lease, once, and after that the borrower's queries are refused instead of reaching somebody else's connection.
 *
 *     borrower ──► Proxy(this handler) ──► pg.Client
 */
export class LeasedClient implements ProxyHandler<DriverClient> {
  readonly #borrowing: Borrowing
  readonly #client: DriverClient
  #lease: Lease<DriverClient>
  readonly #proxy: DriverClient
  readonly #query: Method
  readonly #release: Method
  #methods: Map<PropertyKey, Method> | undefined

  constructor(borrowing: Borrowing, client: DriverClient, lease: Lease<DriverClient>) {
    this.#borrowing = borrowing
    this.#client = client
    this.#lease = lease
    this.#proxy = new Proxy(client, this)
    this.#query = (...args) => {
      if (this.#lease.released) return this.#refuse(args)
      return this.#borrowing.query(client, args)
    }
    this.#release = (error) => {
      this.release(error)
    }
  }

  get proxy(): DriverClient {
    return this.#proxy
  }

  /** With one stable object per connection, the next lease of it goes through the same one. */
  reuse(lease: Lease<DriverClient>): DriverClient {
    this.#lease = lease
    return this.#proxy
  }

  release(error?: unknown): void {
    const lease = this.#lease
    if (!lease.released) {
      this.#borrowing.giveBack(lease, this.#client, error)
    } else if (this.#borrowing.onStaleRelease === 'throw') {
      // pg's own words first: that is what its users search for.
      const stale = staleError(lease)
      stale.message = `Release called on client which has already been released to the pool. (${stale.message})`
      throw stale
    } else if (this.#borrowing.onStaleRelease === 'warn') {
      process.emitWarning(staleError(lease).message, 'MillpondWarning')
    }
  }

  get(client: DriverClient, property: string | symbol): unknown {
    if (property === 'query') return this.#query
    if (property === 'release') return this.#release
    if (property === Symbol.dispose) return this.#dispose
    if (property === Symbol.asyncDispose) return this.#disposeAsync
    const value: unknown = Reflect.get(client, property, client)
    if (typeof value !== 'function' || property === 'constructor') return value
    return this.#bound(property, value as Method)
  }

  set(client: DriverClient, property: string | symbol, value: unknown): boolean {
    return Reflect.set(client, property, value, client)
  }

  has(client: DriverClient, property: string | symbol): boolean {
    return property === 'release' || property === Symbol.dispose || property in client
  }

  readonly #dispose = (): void => {
    if (!this.#lease.released) this.release()
  }

  readonly #disposeAsync = (): Promise<void> => {
    this.#dispose()
    return Promise.resolve()
  }

  /** Methods run on the real client: it has private members that a proxy has not. What returns it returns the borrower's view. */
  #bound(property: PropertyKey, method: Method): Method {
    this.#methods ??= new Map()
    const known = this.#methods.get(property)
    if (known !== undefined) return known
    const bound: Method = (...args) => {
      const result = method.apply(this.#client, args)
      return result === this.#client ? this.#proxy : result
    }
    this.#methods.set(property, bound)
    return bound
  }

  #refuse(args: readonly unknown[]): unknown {
    const error = staleError(this.#lease)
    const callback = args.find((arg) => typeof arg === 'function') as ((error: Error) => void) | undefined
    if (callback === undefined) return Promise.reject(error)
    process.nextTick(callback, error)
    return undefined
  }
}

/** The error of using what is over, as the lease itself words it. */
function staleError(lease: Lease<DriverClient>): LeaseReleasedError {
  try {
    lease.release()
  } catch (error) {
    if (error instanceof LeaseReleasedError) return error
  }
  throw new Error('bug: a lease that is over could be released')
}
