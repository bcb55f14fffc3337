import { isClient, isConnection, isMongoose } from '../adapters/mongodb/driver.ts'
import { observeMongo } from '../adapters/mongodb/observe-mongo.ts'
import { OptionError } from '../core/errors.ts'
import type { ForeignPool } from '../core/foreign-pool.ts'
import type { ManagedPool } from '../core/managed-pool.ts'
import { GenericPoolView, isGenericPool, type GenericPoolLike } from './generic-pool.ts'
import { HttpAgentView, isHttpAgent } from './http-agent.ts'
import { MysqlPoolView, mysqlPoolOf } from './mysql.ts'
import { checkOptions, type ObserveOptions } from './options.ts'
import { isPgPool, PgPoolView } from './pg.ts'
import type { PoolView } from './pool-view.ts'
import { isKnex, isTarnPool, TarnPoolView, type KnexLike, type TarnPoolLike } from './tarn.ts'
import { UndiciView } from './undici.ts'
import { dispatcherOfFetch, isUndici } from './undici-tree.ts'
import type { WatchedOrigins } from './watched-origins.ts'

/** What connects to many origins: an `http.Agent`, a dispatcher of undici's, the global `fetch`. */
export type HttpSource =
  | { readonly freeSockets: object; readonly sockets: object; readonly requests: object; destroy(): void }
  | { dispatch(...args: never[]): boolean; compose(...args: never[]): unknown }
  | typeof globalThis.fetch

/** A view on connections to many origins, with the statistics of each. */
export type ObservedOrigins = ForeignPool & Pick<WatchedOrigins, 'origins' | 'parts' | 'leases'>

/** Views by the pool that they look at, so that nobody looks twice and wraps twice. */
const views = new WeakMap<object, PoolView>()

const KINDS =
  'pg.Pool, a pool of mysql2, tarn, knex, generic-pool, a MongoClient, mongoose, a dispatcher of undici, fetch or an http.Agent'

/**
 * A view on a pool that is not ours: the same statistics, health, events and close as of a Millpond pool, for registry,
 * metrics and dashboard. The pool goes on as it is; of this one object a few methods are wrapped, until `close()`, which
 * ends the pool in order, or `detach()`, which leaves it. The same pool gives the same view; a Millpond pool is given
 * back as it is.
 *
 * @throws {OptionError} on a pool of a kind that is not known, and on a wrong or misspelt option
 */
export function observe<P extends ManagedPool>(pool: P, options?: ObserveOptions): P
export function observe(pool: HttpSource, options?: ObserveOptions): ObservedOrigins
export function observe(pool: object, options?: ObserveOptions): ForeignPool
export function observe(pool: object, options: ObserveOptions = {}): ManagedPool {
  checkOptions(options)
  if (isManaged(pool)) return pool
  if (isMongoose(pool) || isConnection(pool) || isClient(pool)) return observeMongo(pool, options)
  const found = viewOf(pool, options)
  if (found !== undefined) return found
  throw new OptionError(options.name ?? 'observed', 'pool', `Expected ${KINDS}; got ${describe(pool)}`)
}

function viewOf(source: object, options: ObserveOptions): PoolView | undefined {
  const pool = source === globalThis.fetch ? (dispatcherOfFetch() ?? source) : source
  if (isKnex(pool))
    return known(pool.client.pool as TarnPoolLike, (tarn, forget) => tarnView(tarn, pool, options, forget))
  if (typeof pool !== 'object') return undefined
  const mysql = mysqlPoolOf(pool)
  if (mysql !== undefined) return known(mysql, (own, forget) => new MysqlPoolView(own, options, forget))
  if (isPgPool(pool)) return known(pool, (own, forget) => new PgPoolView(own, options, forget))
  if (isTarnPool(pool)) return known(pool, (own, forget) => tarnView(own, undefined, options, forget))
  if (isUndici(pool)) return known(pool, (own, forget) => new UndiciView(own, options, forget))
  if (isHttpAgent(pool)) return known(pool, (own, forget) => new HttpAgentView(own, options, forget))
  if (isGenericPool(pool))
    return known<GenericPoolLike>(pool, (own, forget) => new GenericPoolView(own, options, forget))
  return undefined
}

function tarnView(
  pool: TarnPoolLike,
  knex: KnexLike | undefined,
  options: ObserveOptions,
  forget: () => void,
): TarnPoolView {
  return new TarnPoolView(pool, knex, options, forget)
}

function known<P extends object>(pool: P, make: (pool: P, forget: () => void) => PoolView): PoolView {
  const view = views.get(pool)
  if (view !== undefined) return view
  const made = make(pool, () => views.delete(pool))
  views.set(pool, made)
  return made
}

function isManaged(pool: object): pool is ManagedPool {
  const { stats, health, close, name, kind } = pool as Partial<ManagedPool>
  return (
    typeof stats === 'function' &&
    typeof health === 'function' &&
    typeof close === 'function' &&
    typeof name === 'string' &&
    typeof kind === 'string'
  )
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return `an object of ${value.constructor.name}`
}
