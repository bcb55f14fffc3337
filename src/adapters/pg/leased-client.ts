import { inspect, type InspectOptions } from 'node:util'
import type { Lease } from '../../core/lease.ts'
import { refuseStale, staleRelease, standInFor, type StaleReleasePolicy } from '../../core/stand-in.ts'
import type { DriverClient } from './driver.ts'

/** What a borrowed client asks of its pool. */
export interface Borrowing {
  readonly onStaleRelease: StaleReleasePolicy
  giveBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void
  /** Runs a query of the borrower, so that a slow one is noticed. */
  query(client: DriverClient, args: unknown[], label: string | undefined): unknown
}

type Listener = (...args: unknown[]) => void

/** What `connect()` gives out. */
export interface LeasedClient extends DriverClient {
  release(error?: unknown): void
}

/** Makes borrowed clients of one driver's client class. */
export interface LeasedClients {
  create(borrowing: Borrowing, client: DriverClient, lease: Lease<DriverClient>): LeasedClient
  /** With one stable object per connection: the next lease of it goes through the same object. */
  rearm(leased: LeasedClient, lease: Lease<DriverClient>): void
}

/** pg's own words: that is what its users search for. */
const STALE = 'Release called on client which has already been released to the pool.'

/** The class of what `connect()` gives out: an object per lease that stands for the real client. */
export function leasedClientsOf(Client: { readonly prototype: object }): LeasedClients {
  let clientOf: (leased: unknown) => DriverClient | undefined
  let rearm: LeasedClients['rearm']

  class Leased {
    readonly #borrowing: Borrowing
    readonly #client: DriverClient
    #lease: Lease<DriverClient>

    constructor(borrowing: Borrowing, client: DriverClient, lease: Lease<DriverClient>) {
      this.#borrowing = borrowing
      this.#client = client
      this.#lease = lease
    }

    static {
      clientOf = (leased) =>
        typeof leased === 'object' && leased !== null && #client in leased ? leased.#client : undefined
      rearm = (leased, lease) => {
        ;(leased as unknown as Leased).#lease = lease
      }
    }

    /** Asked of whatever is awaited; answered here so that it does not go through to the driver. */
    get then(): undefined {
      return undefined
    }

    get processID(): unknown {
      return this.#client.processID
    }

    get connection(): unknown {
      return this.#client.connection
    }

    query(...args: unknown[]): unknown {
      return this.#lease.released
        ? refuseStale(this.#lease, args)
        : this.#borrowing.query(this.#client, args, this.#lease.label)
    }

    release(error?: unknown): void {
      const lease = this.#lease
      if (lease.released) staleRelease(lease, this.#borrowing.onStaleRelease, STALE)
      else this.#borrowing.giveBack(lease, this.#client, error)
    }

    [Symbol.dispose](): void {
      if (!this.#lease.released) this.release()
    }

    [Symbol.asyncDispose](): Promise<void> {
      this[Symbol.dispose]()
      return Promise.resolve()
    }

    // A client's methods that return the client must return the borrower's view of it.
    on(event: string | symbol, listener: Listener): this {
      this.#client.on(event, listener)
      return this
    }
    addListener(event: string | symbol, listener: Listener): this {
      return this.on(event, listener)
    }
    once(event: string | symbol, listener: Listener): this {
      this.#client.once(event, listener)
      return this
    }
    off(event: string | symbol, listener: Listener): this {
      this.#client.off(event, listener)
      return this
    }
    removeListener(event: string | symbol, listener: Listener): this {
      return this.off(event, listener)
    }
    prependListener(event: string | symbol, listener: Listener): this {
      this.#client.prependListener(event, listener)
      return this
    }
    prependOnceListener(event: string | symbol, listener: Listener): this {
      this.#client.prependOnceListener(event, listener)
      return this
    }
    setMaxListeners(count: number): this {
      this.#client.setMaxListeners(count)
      return this
    }

    /** Where it is connected to, and never the password. */
    [inspect.custom](_depth: number, options: InspectOptions): string {
      const { processID, host, port, database, user } = this.#client as unknown as Record<string, unknown>
      return `PoolClient ${inspect({ processID, host, port, database, user, released: this.#lease.released }, options)}`
    }
  }
  const learn = standInFor(Leased, Client, (leased) => clientOf(leased))

  return {
    create(borrowing, client, lease) {
      learn(client)
      return new Leased(borrowing, client, lease) as unknown as LeasedClient
    },
    rearm: (leased, lease) => rearm(leased, lease),
  }
}
