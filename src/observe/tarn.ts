import type { Refusal } from '../core/ledger.ts'
import type { Asking, Opening } from './books.ts'
import type { ObserveOptions } from './options.ts'
import { WatchedPool } from './watched-pool.ts'

/** What is used of a pool of tarn, which knex has inside. */
export interface TarnPoolLike {
  readonly min: number
  readonly max: number
  readonly used: readonly { readonly resource: object }[]
  readonly free: readonly { readonly resource: object }[]
  readonly pendingCreates: readonly object[]
  readonly pendingAcquires: readonly object[]
  acquire(): { readonly promise: Promise<object> }
  release(resource: object): boolean
  destroy(): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
}

/** Knex itself, which closes its pool in its own way. */
export interface KnexLike {
  readonly client: {
    readonly pool?: TarnPoolLike
    readonly dialect?: string
  }
  raw(sql: string): PromiseLike<unknown>
  destroy(): Promise<unknown>
}

export function isTarnPool(pool: object): pool is TarnPoolLike {
  return 'pendingAcquires' in pool && 'pendingCreates' in pool && 'acquire' in pool
}

export function isKnex(source: unknown): source is KnexLike {
  if (typeof source !== 'function' || !('client' in source)) return false
  const { pool } = source.client as { readonly pool?: unknown }
  return typeof pool === 'object' && pool !== null && isTarnPool(pool)
}

/** A view on a pool of tarn: alone, or that of knex. Its events have numbers and are complete, so nothing is wrapped but `acquire`. */
export class TarnPoolView extends WatchedPool {
  readonly #pool: TarnPoolLike
  readonly #knex: KnexLike | undefined
  readonly #asking = new Map<number, Asking>()
  readonly #opening = new Map<number, Opening>()

  constructor(pool: TarnPoolLike, knex: KnexLike | undefined, options: ObserveOptions, forget: () => void) {
    super(knex === undefined ? 'tarn' : 'knex', options, forget)
    this.#pool = pool
    this.#knex = knex
    for (const { resource } of pool.used) this.found(resource, true)
    for (const { resource } of pool.free) this.found(resource, false)
    this.foundWaiting()
    this.wrap(pool, 'acquire', (original: TarnPoolLike['acquire']) => () => {
      if (this.state === 'closing') this.asks()
      return original()
    })
    this.listen(pool, 'acquireRequest', (id: number) => void this.#asking.set(id, this.asks()))
    this.listen(pool, 'acquireSuccess', (id: number, resource: object) => {
      const asking = this.#take(this.#asking, id)
      if (asking === undefined) this.lent(resource)
      else this.served(asking, resource)
    })
    this.listen(pool, 'acquireFail', (id: number, error: unknown) => {
      const asking = this.#take(this.#asking, id)
      if (asking !== undefined) this.refused(asking, error)
    })
    this.listen(pool, 'release', (resource: object) => this.returned(resource))
    this.listen(pool, 'createRequest', (id: number) => void this.#opening.set(id, this.opening()))
    this.listen(pool, 'createSuccess', (id: number, resource: object) =>
      this.opened(resource, this.#take(this.#opening, id)),
    )
    this.listen(pool, 'createFail', (id: number, error: unknown) => {
      const opening = this.#take(this.#opening, id)
      if (opening !== undefined) this.openFailed(opening, error)
    })
    this.listen(pool, 'destroyRequest', (_: number, resource: object) =>
      this.gone(resource, this.isUsed(resource) ? 'released' : 'idle'),
    )
  }

  #take<T>(map: Map<number, T>, id: number): T | undefined {
    const value = map.get(id)
    map.delete(id)
    return value
  }

  protected override sizes(): { min: number; max: number } {
    const { min, max } = this.#pool
    return { min, max }
  }

  protected override queue(): readonly object[] {
    return this.#pool.pendingAcquires
  }

  protected override refusalOf(error: unknown): Refusal {
    const { constructor, message } = error as Error
    // Its class has no name of its own on the prototype.
    if (constructor.name === 'TimeoutError') return 'timedOut'
    return message === 'aborted' ? 'aborted' : 'failed'
  }

  protected override async probe(): Promise<void> {
    if (this.#knex !== undefined) {
      await this.#knex.raw(this.#knex.client.dialect === 'oracle' ? 'select 1 from dual' : 'select 1')
      return
    }
    // What a resource of tarn alone is asked, only its owner knows.
    const resource = await this.#pool.acquire().promise
    this.#pool.release(resource)
  }

  protected override async shut(): Promise<void> {
    await (this.#knex ?? this.#pool).destroy()
  }

  protected override cut(resource: object): void {
    // tarn waits for what is borrowed: given back, it is destroyed with the rest.
    this.#pool.release(resource)
  }
}
