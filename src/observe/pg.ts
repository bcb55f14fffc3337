import type { Refusal } from '../core/ledger.ts'
import type { Asking, Opening } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { WatchedPool } from './watched-pool.ts'

type Callback = (error: unknown, client?: object, release?: unknown) => void

/** What is used of `pg.Pool`, its private lists included: what a create costs and how it fails, no event tells. */
export interface PgPoolLike {
  readonly options: { readonly max?: number; readonly min?: number }
  readonly _clients: readonly object[]
  readonly _idle: readonly { readonly client: object }[]
  readonly _pendingQueue: readonly object[]
  readonly ending?: boolean
  connect(callback?: Callback): Promise<object> | undefined
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
}

export function isPgPool(pool: object): pool is PgPoolLike {
  return '_pendingQueue' in pool && '_clients' in pool && '_idle' in pool && 'connect' in pool
}

/** A view on a `pg.Pool`. */
export class PgPoolView extends WatchedPool {
  readonly #pool: PgPoolLike
  readonly #opening = new Map<object, Opening>()
  readonly #broken = new WeakSet<object>()

  constructor(pool: PgPoolLike, options: ObserveOptions, forget: () => void) {
    super('postgres', options, forget)
    this.#pool = pool
    const idle = new Set(pool._idle.map(({ client }) => client))
    for (const client of pool._clients) this.found(client, !idle.has(client))
    this.foundWaiting()
    this.wrap(pool, 'connect', (original: PgPoolLike['connect']) => (callback) => this.#connect(original, callback))
    this.wrap(pool, 'newClient', (original: (item: object) => unknown) => (item: object) => {
      const result = original(item)
      for (const client of pool._clients)
        if (!this.knows(client) && !this.#opening.has(client)) this.#opening.set(client, this.opening())
      return result
    })
    this.wrap(pool, '_remove', (original: (client: object, done: unknown) => unknown) => (client, done) => {
      this.gone(client, this.#broken.has(client) ? 'broken' : pool.ending === true ? 'close' : 'idle')
      return original(client, done)
    })
    this.listen(pool, 'connect', (client: object) => {
      const opening = this.#opening.get(client)
      this.#opening.delete(client)
      this.opened(client, opening)
    })
    this.listen(pool, 'acquire', (client: object) => this.lent(client))
    this.listen(pool, 'release', (error: unknown, client: object) => {
      if (error) this.#broken.add(client)
      this.returned(client)
    })
    this.listen(pool, 'remove', (client: object) => this.gone(client, 'idle'))
  }

  #connect(original: PgPoolLike['connect'], callback: Callback | undefined): Promise<object> | undefined {
    let asking: Asking
    try {
      asking = this.asks()
    } catch (error) {
      if (callback === undefined) return Promise.reject(error)
      process.nextTick(callback, error, undefined, () => undefined)
      return undefined
    }
    if (callback !== undefined) {
      return original((error, client, release) => {
        this.#settled(asking, error, client)
        callback(error, client, release)
      })
    }
    const connected = original()
    connected?.then(
      (client) => this.#settled(asking, undefined, client),
      (error: unknown) => this.#settled(asking, error, undefined),
    )
    return connected
  }

  #settled(asking: Asking, error: unknown, client: object | undefined): void {
    if (client === undefined) {
      this.lookAgain(error)
      this.refused(asking, error)
    } else {
      this.served(asking, client)
    }
  }

  /** A connect that failed leaves the list, and nothing tells of it. */
  protected override lookAgain(error?: unknown): void {
    if (this.#opening.size === 0) return
    const clients = new Set(this.#pool._clients)
    for (const [client, opening] of this.#opening) {
      if (clients.has(client)) continue
      this.#opening.delete(client)
      this.openFailed(opening, error)
    }
  }

  protected override sizes(): { min: number; max: number } {
    const { max = 10, min = 0 } = this.#pool.options
    return { min, max }
  }

  protected override queue(): readonly object[] {
    return this.#pool._pendingQueue
  }

  protected override refusalOf(error: unknown): Refusal {
    const message = error instanceof Error ? error.message : ''
    if (message.startsWith('timeout exceeded when trying to connect')) return 'timedOut'
    return message.startsWith('Cannot use a pool after calling end') ? 'refused' : 'failed'
  }

  protected override async probe(): Promise<void> {
    await this.#pool.query('SELECT 1')
  }

  protected override async shut(): Promise<void> {
    await this.#pool.end()
  }

  protected override cut(client: object): void {
    const { connection, release } = client as {
      readonly connection?: { readonly stream?: { destroy(): void } }
      readonly release?: (error: Error) => void
    }
    try {
      release?.(new Error('the pool is closed'))
    } catch {
      // its borrower has released it meanwhile
    }
    connection?.stream?.destroy()
  }
}
