import { inspect, type InspectOptions } from 'node:util'
import { LeaseReleasedError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import type { DriverClient } from './driver.ts'

/** What a borrowed client asks of its pool. */
export interface Borrowing {
  readonly onStaleRelease: 'throw' | 'warn' | 'ignore'
  giveBack(lease: Lease<DriverClient>, client: DriverClient, error: unknown): void
  /** Runs a query of the borrower, so that a slow one is noticed. */
  query(client: DriverClient, args: unknown[], label: string | undefined): unknown
}

type Listener = (...args: unknown[]) => void
type Method = (this: unknown, ...args: unknown[]) => unknown

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

/**
 * The class of what `connect()` gives out: an object per lease that stands for the real client.
 *
 *     leased (its client, its lease) ──► Leased.prototype (query, release, on, …) ──► one Proxy shared by all leases
 *
 * A name that the class defines is an ordinary method call. Any other name, read or written, falls through the
 * prototype chain to the Proxy, which gets the object as the receiver and passes it on to the real client: so whatever
 * looks at a client (`instanceof`, cursors, query streams, libraries that leave marks on it) finds what it expects, for
 * the price of one small object. A method that is assigned (`client.query = …`) stays on the borrower's object and
 * ends with it, so that wrapping one's own client wraps nobody else's.
 */
export function leasedClientsOf(Client: { readonly prototype: object }): LeasedClients {
  /** Names of fields that only instances have; learnt from the first one. */
  let instanceKeys: ReadonlySet<PropertyKey> | undefined

  const passOn = new Proxy(Object.create(Client.prototype) as object, {
    get(target, property, receiver: unknown): unknown {
      const client = clientOf(receiver)
      if (client === undefined) return Reflect.get(target, property, target)
      const value: unknown = Reflect.get(client, property, client)
      return typeof value === 'function' && property !== 'constructor'
        ? bound(client, property, value as Method)
        : value
    },
    set(target, property, value, receiver: unknown): boolean {
      const client = clientOf(receiver)
      return client === undefined ? Reflect.set(target, property, value) : Reflect.set(client, property, value, client)
    },
    has: (_target, property) => property in Client.prototype || instanceKeys?.has(property) === true,
  })

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
        ? refuse(this.#lease, args)
        : this.#borrowing.query(this.#client, args, this.#lease.label)
    }

    release(error?: unknown): void {
      const lease = this.#lease
      if (lease.released) staleRelease(lease, this.#borrowing.onStaleRelease)
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
  Object.setPrototypeOf(Leased.prototype, passOn)
  Object.defineProperty(Leased.prototype, 'constructor', { value: Client, configurable: true, writable: true })

  return {
    create(borrowing, client, lease) {
      instanceKeys ??= new Set(Reflect.ownKeys(client))
      return new Leased(borrowing, client, lease) as unknown as LeasedClient
    },
    rearm: (leased, lease) => rearm(leased, lease),
  }
}

interface BoundMethod {
  readonly method: Method
  readonly bound: Method
}

/** Methods that are asked for seldom run on the real client, and are bound once per client. */
const boundMethods = new WeakMap<DriverClient, Map<PropertyKey, BoundMethod>>()

function bound(client: DriverClient, property: PropertyKey, method: Method): Method {
  const methods = boundMethods.get(client) ?? new Map<PropertyKey, BoundMethod>()
  boundMethods.set(client, methods)
  const known = methods.get(property)
  // Bound anew when somebody has replaced the method on the client.
  if (known?.method === method) return known.bound
  const fresh: BoundMethod = { method, bound: (...args) => method.apply(client, args) }
  methods.set(property, fresh)
  return fresh.bound
}

function staleRelease(lease: Lease<DriverClient>, policy: Borrowing['onStaleRelease']): void {
  if (policy === 'ignore') return
  const stale = staleError(lease)
  if (policy === 'warn') {
    process.emitWarning(stale.message, 'MillpondWarning')
    return
  }
  // pg's own words first: that is what its users search for.
  stale.message = `Release called on client which has already been released to the pool. (${stale.message})`
  throw stale
}

function refuse(lease: Lease<DriverClient>, args: readonly unknown[]): unknown {
  const error = staleError(lease)
  const callback = args.find((arg) => typeof arg === 'function') as ((error: Error) => void) | undefined
  if (callback === undefined) return Promise.reject(error)
  process.nextTick(callback, error)
  return undefined
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
