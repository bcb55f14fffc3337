import type { Refusal } from '../core/ledger.ts'
import type { Asking } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { WatchedPool } from './watched-pool.ts'

interface Factory {
  create(): Promise<object>
  destroy(resource: object): Promise<unknown>
  validate?(resource: object): Promise<boolean>
}

/** What is used of generic-pool. */
export interface GenericPoolLike {
  readonly min: number
  readonly max: number
  _factory: Factory
  readonly _allObjects: ReadonlySet<{ readonly obj: object; readonly state: string }>
  acquire(priority?: number): Promise<object>
  release(resource: object): Promise<unknown>
  destroy(resource: object): Promise<unknown>
  drain(): Promise<unknown>
  clear(): Promise<unknown>
}

export function isGenericPool(pool: object): pool is GenericPoolLike {
  return '_allObjects' in pool && '_factory' in pool && 'acquire' in pool
}

/** A view on a pool of generic-pool. */
export class GenericPoolView extends WatchedPool {
  readonly #pool: GenericPoolLike
  #isShut = false

  constructor(pool: GenericPoolLike, options: ObserveOptions, forget: () => void) {
    super('generic-pool', options, forget)
    this.#pool = pool
    for (const { obj, state } of pool._allObjects) this.found(obj, state === 'ALLOCATED')
    this.#watchFactory()
    this.wrap(
      pool,
      'acquire',
      (original: GenericPoolLike['acquire']) => (priority) => this.#acquire(original, priority),
    )
    for (const method of ['release', 'destroy'] as const) {
      this.wrap(pool, method, (original: GenericPoolLike['release']) => (resource) => {
        this.returned(resource)
        return original(resource)
      })
    }
  }

  /** In front of the user's factory, which other pools may share, stands one of this pool's own. */
  #watchFactory(): void {
    const pool = this.#pool
    const factory = pool._factory
    const watched = Object.create(factory) as Factory
    watched.create = async () => {
      const opening = this.opening()
      try {
        const resource = await factory.create()
        this.opened(resource, opening)
        return resource
      } catch (error) {
        this.openFailed(opening, error)
        throw error
      }
    }
    watched.destroy = (resource) => {
      this.gone(resource, this.#isShut ? 'close' : 'idle')
      return factory.destroy(resource)
    }
    // Called on the user's own object, which may have private members.
    if (factory.validate !== undefined)
      watched.validate = async (resource) => (await factory.validate?.(resource)) ?? false
    pool._factory = watched
    this.wrappings.onRestore(() => {
      if (pool._factory === watched) pool._factory = factory
    })
  }

  #acquire(original: GenericPoolLike['acquire'], priority: number | undefined): Promise<object> {
    let asking: Asking
    try {
      asking = this.asks()
    } catch (error) {
      return Promise.reject(error)
    }
    const acquired = original(priority)
    acquired.then(
      (resource) => this.served(asking, resource),
      (error: unknown) => this.refused(asking, error),
    )
    return acquired
  }

  protected override sizes(): { min: number; max: number } {
    const { min, max } = this.#pool
    return { min, max }
  }

  protected override refusalOf(error: unknown): Refusal {
    const { name, message } = error as Error
    if (name === 'TimeoutError') return 'timedOut'
    return /max waitingClients|is draining/.test(message) ? 'refused' : 'failed'
  }

  protected override async probe(): Promise<void> {
    const resource = await this.#pool.acquire()
    try {
      const isValid = (await this.#pool._factory.validate?.(resource)) ?? true
      if (!isValid) throw new Error('the factory finds it invalid')
    } finally {
      await this.#pool.release(resource)
    }
  }

  protected override async shut(): Promise<void> {
    this.#isShut = true
    await this.#pool.drain()
    await this.#pool.clear()
  }

  protected override cut(resource: object): void {
    this.#pool.destroy(resource).catch(() => undefined)
  }
}
