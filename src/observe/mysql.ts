import type { Refusal } from '../core/ledger.ts'
import type { Asking, Opening } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { WatchedPool } from './watched-pool.ts'

type Callback = (error: unknown, connection?: object) => void

/** A queue of mysql2's own. */
interface RingQueue {
  readonly length: number
  get(index: number): object | undefined
}

/** What is used of mysql2's callback pool; a pool with promises has one inside. */
export interface MysqlPoolLike {
  readonly config: {
    readonly connectionLimit: number
    readonly idleTimeout?: number
    readonly resetOnRelease?: boolean
  }
  readonly _allConnections: RingQueue
  readonly _freeConnections: RingQueue
  readonly _connectionQueue: RingQueue
  getConnection(callback: Callback): unknown
  releaseConnection(connection: object): unknown
  end(callback: (error?: unknown) => void): unknown
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
}

/** A connection that the pool resets, by the method of its class. */
interface Resettable {
  _pool?: unknown
  reset(done: (error: unknown) => void): unknown
}

const resetsOnRelease = (pool: MysqlPoolLike, connection: object): connection is Resettable =>
  pool.config.resetOnRelease === true && 'reset' in connection && Boolean((connection as Resettable)._pool)

/** The callback pool, whichever face is handed in. */
export function mysqlPoolOf(pool: object): MysqlPoolLike | undefined {
  const inner = (pool as { readonly pool?: unknown }).pool
  const candidate = typeof inner === 'object' && inner !== null ? inner : pool
  return '_connectionQueue' in candidate && '_freeConnections' in candidate && 'getConnection' in candidate
    ? (candidate as MysqlPoolLike)
    : undefined
}

const listOf = (queue: RingQueue): object[] =>
  Array.from({ length: queue.length }, (_, index) => queue.get(index)).filter((item) => item !== undefined)

/** A view on a pool of `mysql2`, of either face. */
export class MysqlPoolView extends WatchedPool {
  readonly #pool: MysqlPoolLike
  readonly #opening = new Map<object, Opening>()
  /** Callbacks that come again: the pool asks anew on behalf of somebody who waits. */
  readonly #asked = new WeakSet<Callback>()

  constructor(pool: MysqlPoolLike, options: ObserveOptions, forget: () => void) {
    super('mysql', options, forget)
    this.#pool = pool
    const free = new Set(listOf(pool._freeConnections))
    for (const connection of listOf(pool._allConnections)) {
      // Before its handshake a connection has no number.
      const isOpen = (connection as { readonly threadId?: unknown }).threadId != null
      if (isOpen) this.found(connection, !free.has(connection))
      else this.#opening.set(connection, this.opening())
    }
    this.foundWaiting()
    for (const callback of this.queue()) this.#asked.add(callback as Callback)
    this.wrap(pool, 'getConnection', (original: MysqlPoolLike['getConnection']) => (callback) => {
      const result = this.#asked.has(callback) ? original(callback) : this.#ask(original, callback)
      this.#noteOpening()
      return result
    })
    this.wrap(pool, 'releaseConnection', (original: MysqlPoolLike['releaseConnection']) => (connection) => {
      if (resetsOnRelease(pool, connection)) this.#watchReset(connection)
      else this.returned(connection)
      return original(connection)
    })
    this.wrap(pool, '_removeConnection', (original: (connection: object) => unknown) => (connection) => {
      this.#removed(connection)
      return original(connection)
    })
    this.listen(pool, 'connection', (connection: object) => {
      const opening = this.#opening.get(connection)
      this.#opening.delete(connection)
      this.opened(connection, opening)
    })
  }

  #ask(original: MysqlPoolLike['getConnection'], callback: Callback): unknown {
    let asking: Asking
    try {
      asking = this.asks()
    } catch (error) {
      process.nextTick(callback, error)
      return undefined
    }
    const asked: Callback = (error, connection) => {
      if (connection === undefined) this.refused(asking, error)
      else this.served(asking, connection)
      callback(error, connection)
    }
    this.#asked.add(asked)
    const { _connectionQueue: queue } = this.#pool
    const before = queue.length
    const result = original(asked)
    // Where somebody traces the pool, another callback stands in the queue for this one.
    const queued = queue.length > before ? queue.get(queue.length - 1) : undefined
    if (queued !== undefined) this.#asked.add(queued as Callback)
    return result
  }

  /** Until it is reset, nobody else has it; where that fails, it leaves the pool, and nothing tells of it. */
  #watchReset(connection: Resettable): void {
    const reset = connection.reset.bind(connection)
    connection.reset = (done) => {
      Reflect.deleteProperty(connection, 'reset')
      return reset((error) => {
        if (error) this.gone(connection, 'reset')
        else this.returned(connection)
        done(error)
      })
    }
  }

  #noteOpening(): void {
    const { length } = this.#pool._allConnections
    const last = length === 0 ? undefined : this.#pool._allConnections.get(length - 1)
    if (last !== undefined && !this.knows(last) && !this.#opening.has(last)) this.#opening.set(last, this.opening())
  }

  #removed(connection: object): void {
    const opening = this.#opening.get(connection)
    if (opening !== undefined) {
      this.#opening.delete(connection)
      this.openFailed(opening, undefined)
    } else {
      this.gone(connection, this.isUsed(connection) ? 'released' : this.#wasIdle(connection) ? 'idle' : 'lost')
    }
  }

  #wasIdle(connection: object): boolean {
    const { lastActiveTime = Infinity } = connection as { readonly lastActiveTime?: number }
    return Date.now() - lastActiveTime >= (this.#pool.config.idleTimeout ?? Infinity)
  }

  protected override sizes(): { min: number; max: number } {
    const { connectionLimit } = this.#pool.config
    return { min: 0, max: connectionLimit === 0 ? Infinity : connectionLimit }
  }

  protected override queue(): readonly object[] {
    return listOf(this.#pool._connectionQueue)
  }

  protected override refusalOf(error: unknown): Refusal {
    const message = error instanceof Error ? error.message : ''
    return /^(Pool is closed|No connections available|Queue limit reached)/.test(message) ? 'refused' : 'failed'
  }

  protected override async probe(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#pool.getConnection((error, connection) => {
        if (connection === undefined) {
          reject(error)
          return
        }
        const borrowed = connection as { ping(done: (error: unknown) => void): void; release(): void }
        borrowed.ping((failure) => {
          borrowed.release()
          if (failure) reject(failure)
          else resolve()
        })
      })
    })
  }

  protected override async shut(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#pool.end(() => resolve())
    })
  }

  protected override cut(connection: object): void {
    ;(connection as { destroy(): void }).destroy()
  }
}
