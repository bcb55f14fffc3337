import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import type { Distributions } from '../../core/distribution.ts'
import { OptionError } from '../../core/errors.ts'
import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type {
  CloseOptions,
  HealthCheck,
  HealthOptions,
  InvalidateOptions,
  LookOptions,
  ManagedPool,
  Steering,
} from '../../core/managed-pool.ts'
import { checkSizes, resolveOptions } from '../../core/options.ts'
import type { Pool, ReadyOptions } from '../../core/pool.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../../core/report.ts'
import type { PoolStats } from '../../core/stats.ts'
import { PoolGroup } from '../../registry/pool-group.ts'
import type { HttpConnection } from './connection.ts'
import { makeDispatcher, type DispatcherHost, type DispatcherLike } from './dispatcher.ts'
import type { AnyHandler, DispatchOptions, UndiciModule } from './driver.ts'
import type { PoolWish } from './exchange.ts'
import { resolveHttpOptions, type HttpFaceOptions, type ResolvedHttpOptions, type UndiciOptions } from './options.ts'
import { Site, type OriginStats } from './site.ts'
import { UnreadBodies } from './unread-bodies.ts'

/** Millpond's options, and those of undici's own `Pool` and `Client`. */
export type HttpPoolOptions = HttpFaceOptions & UndiciOptions

/** What a request of the pool is told, besides what undici's is. */
export interface HttpWish extends PoolWish {
  /** The whole request, waiting and body included, in milliseconds; then it is aborted. @defaultValue none */
  readonly timeoutMillis?: number | undefined
}

type RequestInit<U extends UndiciModule> = Omit<NonNullable<Parameters<U['request']>[1]>, 'dispatcher'> & HttpWish
type FetchInit<U extends UndiciModule> = Omit<NonNullable<Parameters<U['fetch']>[1]>, 'dispatcher'> & HttpWish

/** A pool of HTTP connections for each origin, behind undici's own functions. */
export class HttpPool<U extends UndiciModule = UndiciModule> implements ManagedPool, Steering, AsyncDisposable {
  /**
   * A dispatcher of your own undici: `request`, `stream`, `pipeline`, `upgrade`, `connect`, `compose`, and the
   * `dispatcher` option of its functions. Node's built-in `fetch` brings an undici of its own; use {@link fetch}.
   */
  readonly dispatcher: InstanceType<U['Dispatcher']>
  readonly #undici: U
  /** Replaced as a whole when the pool is resized: origins to come are made by it. */
  #options: ResolvedHttpOptions
  readonly #group: PoolGroup<string, Site>
  readonly #unread: UnreadBodies
  readonly #host: DispatcherHost
  readonly #dispatcher: DispatcherLike
  /** Origins whose servers turned out not to speak HTTP/2. */
  readonly #withoutHttp2 = new Set<string>()
  /** Listeners for the end of the whole, as the group knows them. */
  readonly #whenClosed = new Map<(report: CloseReport) => void, (report: CloseReport) => void>()
  #closing: Promise<CloseReport> | undefined

  constructor(undici: U, given: Readonly<Record<string, unknown>>) {
    const options = resolveHttpOptions(given)
    checkModule(options.name, undici)
    this.#undici = undici
    this.#options = options
    this.#unread = new UnreadBodies(options.bodyTimeoutMillis)
    this.#group = new PoolGroup<string, Site>(
      {
        name: options.name,
        maxPools: options.maxOrigins,
        maxTotal: options.maxTotal,
        idlePoolMillis: options.idleOriginMillis,
        clock: options.engine.clock,
      },
      (origin) => new Site(undici, origin, this.#options, this.#speaksHttp2(origin)),
    )
    const group = this.#group
    this.#host = {
      name: options.name,
      origin: options.origin,
      retry: options.retry,
      unread: this.#unread,
      get state() {
        return group.state
      },
      site: (origin) => group.get(origin),
      withoutHttp2: (site) => {
        if (this.#withoutHttp2.has(site.origin)) return
        this.#withoutHttp2.add(site.origin)
        void site.close({ waiters: 'reject' })
      },
      close: (how) => this.close(how),
    }
    const dispatcher = makeDispatcher(undici, this.#host)
    const { interceptors } = options
    this.#dispatcher = interceptors.length === 0 ? dispatcher : dispatcher.compose(interceptors)
    this.dispatcher = this.#dispatcher as InstanceType<U['Dispatcher']>
    // Without the first connection nothing tells whether a server speaks HTTP/2.
    if (options.origin !== undefined && (options.engine.min ?? 0) > 0) group.get(options.origin)
  }

  get name(): string {
    return this.#options.name
  }
  get kind(): string {
    return 'http'
  }
  get state(): PoolState {
    return this.#group.state
  }

  #speaksHttp2(origin: string): boolean {
    return this.#options.http2 && origin.startsWith('https:') && !this.#withoutHttp2.has(origin)
  }

  /**
   * Makes a request as `undici.request` does; with `origin` in the pool's options a path is enough. Read every body:
   * the connection is free when it ends.
   *
   * Rejects with undici's own errors, also where there is no connection; with `ERR_POOL_ACQUIRE_TIMEOUT` or
   * `ERR_POOL_OVERLOADED` where there are too many requests, `ERR_POOL_DOWN` where the circuit is open, or the reason
   * of `signal`.
   */
  request(url: string | URL, init?: RequestInit<U>): ReturnType<U['request']> {
    const { origin, path } = this.#target(url)
    if (init === undefined) return this.#dispatcher.request({ origin, path, method: 'GET' }) as ReturnType<U['request']>
    const {
      timeoutMillis,
      signal,
      method = 'GET',
    } = init as HttpWish & {
      readonly signal?: AbortSignal
      readonly method?: string
    }
    return this.#dispatcher.request({
      ...init,
      origin,
      path,
      method,
      signal: withTimeout(signal, timeoutMillis),
    }) as ReturnType<U['request']>
  }

  /** Fetches as the `fetch` of your own undici does, redirects included; with `origin` in the options a path is enough. */
  fetch(input: Parameters<U['fetch']>[0] | string | URL, init?: FetchInit<U>): ReturnType<U['fetch']> {
    const { timeoutMillis, label, priority, signal, ...others } = (init ?? {}) as HttpWish & {
      readonly signal?: AbortSignal
    }
    const { origin } = this.#options
    const where = typeof input === 'string' && origin !== undefined ? new URL(input, origin) : (input as unknown)
    const limited = withTimeout(signal, timeoutMillis)
    return this.#undici.fetch(where, {
      ...others,
      ...(limited === undefined ? {} : { signal: limited }),
      dispatcher: this.#wishing({ label, priority }),
    }) as ReturnType<U['fetch']>
  }

  /** `fetch` passes on no options that it does not know. */
  #wishing(wish: PoolWish): Pick<DispatcherLike, 'dispatch'> {
    if (wish.label === undefined && wish.priority === undefined) return this.#dispatcher
    return {
      dispatch: (options: DispatchOptions, handler: AnyHandler) =>
        this.#dispatcher.dispatch({ ...options, ...wish }, handler),
    }
  }

  #target(url: string | URL): { readonly origin: string; readonly path: string } {
    const { origin } = this.#options
    if (origin !== undefined && typeof url === 'string' && url.startsWith('/')) return { origin, path: url }
    let whole: URL
    try {
      whole = typeof url === 'string' ? new URL(url, origin) : url
    } catch {
      // The URL may hold a token, so it is not shown.
      const how = origin === undefined ? 'a whole URL, or set the option `origin` and give a path' : 'a path or a URL'
      throw new OptionError(this.name, 'url', `Expected ${how}`)
    }
    return { origin: whole.origin, path: `${whole.pathname}${whole.search}` }
  }

  /** The pool of one origin, for leases, events, `resize` and `invalidate`; made where there is none. */
  connections(origin = this.#options.origin): Pool<HttpConnection> {
    if (origin === undefined) throw new OptionError(this.name, 'origin', 'Expected the origin whose pool is meant')
    return this.#group.get(new URL(origin).origin).core
  }

  /**
   * Changes the sizes of every origin's pool while it runs, present and to come.
   * @throws {OptionError} on sizes that do not fit, also into `maxTotal`; nothing is changed then
   */
  resize(given: { min?: number; max?: number }): void {
    const { engine, maxTotal } = this.#options
    const present = resolveOptions('http', engine)
    const { min = present.min, max = present.max } = given
    const sizes = { min, max }
    checkSizes(this.name, { ...sizes, minIdle: present.minIdle })
    const origins = Math.max(1, this.#group.size)
    if (sizes.max * origins > maxTotal) {
      const most = Math.floor(maxTotal / origins)
      throw new OptionError(
        this.name,
        'max',
        `Expected \`max\` to be at most ${most}, as ${origins} origins share \`maxTotal\` (${maxTotal}), got ${sizes.max}`,
      )
    }
    this.#options = { ...this.#options, engine: { ...engine, ...sizes } }
    for (const [, { core }] of this.#group.parts()) core.resize(sizes)
  }

  /** No request gets a connection until {@link resume}, to whatever origin; they wait, and their deadlines run. */
  suspend(): void {
    this.#group.suspend()
  }

  resume(): void {
    this.#group.resume()
  }

  /** Has the connections to every origin replaced: idle ones now, used ones when their request is over. */
  invalidate(options?: InvalidateOptions): void {
    this.#group.invalidate(options)
  }

  /** Ends a connection in use, and the request on it; false where there is none. @param origin - as {@link leases} says */
  takeAway(resourceId: number, origin?: string): boolean {
    return this.#group.takeAway(resourceId, origin)
  }

  /** Opens `min` connections, at least one, to an origin; rejects with `ERR_POOL_CREATE`. */
  async ready({ origin, ...options }: ReadyOptions & { readonly origin?: string | undefined } = {}): Promise<void> {
    await this.connections(origin).ready(options)
  }

  /** The sum over all origins, those included whose pool is closed by now. */
  stats(): PoolStats {
    return { ...this.#group.stats(), kind: this.kind }
  }

  /** The statistics of every origin that has a pool. */
  origins(): Readonly<Record<string, OriginStats>> {
    // Not by asking for each: whoever looks must not keep an idle origin's pool.
    return Object.fromEntries(Array.from(this.#group.parts(), ([origin, site]) => [origin, site.originStats()]))
  }

  /** The options of the pool of each origin. */
  get options(): Pool<HttpConnection>['options'] {
    return resolveOptions<HttpConnection>('http', { ...this.#options.engine, name: this.name })
  }

  /** The pools of the origins that there are now. */
  parts(): Iterable<readonly [origin: string, pool: ManagedPool]> {
    return this.#group.parts()
  }

  /** The requests that hold a connection, longest first. */
  leases(options?: LookOptions): LeaseInfo[] {
    return this.#group.leases(options)
  }

  /** The requests that wait for one, longest first. */
  waiters(options?: LookOptions): WaiterInfo[] {
    return this.#group.waiters(options)
  }

  /** The connections to all origins, the oldest first; those of each origin count from 1. */
  resources(options?: LookOptions): ResourceInfo[] {
    return this.#group.resources(options)
  }

  /** What the percentiles of {@link stats} are made of. */
  distributions(): Distributions {
    return this.#group.distributions()
  }

  /** With the option `origin` opens a connection to it where there is none; otherwise looks at the origins there are. */
  async health(options?: HealthOptions): Promise<HealthCheck> {
    const { origin } = this.#options
    const isOpen = this.state !== 'closed' && this.state !== 'closing'
    if (isOpen && origin !== undefined) this.#group.get(origin)
    return { ...(await this.#group.health(options)), kind: this.kind }
  }

  /** Requests get the grace time to end; the rest is ended, and the connections are closed. */
  close(options?: CloseOptions): Promise<CloseReport> {
    this.#closing ??= this.#group.close(options).finally(() => this.#unread.stop())
    return this.#closing
  }

  /** Events of the pools of all origins, present and to come; `closed` is that of the whole. */
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    if (event !== 'closed') this.#group.on(event, listener)
    else {
      const ofTheWhole = (report: CloseReport): void => {
        if (report.pool === this.name) listener(report as PoolEvents[E])
      }
      this.#whenClosed.set(listener as (report: CloseReport) => void, ofTheWhole)
      this.#group.on('closed', ofTheWhole)
    }
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    const ofTheWhole = this.#whenClosed.get(listener as (report: CloseReport) => void)
    if (event === 'closed' && ofTheWhole !== undefined) this.#group.off('closed', ofTheWhole)
    else this.#group.off(event, listener)
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Names and counts only: requests hold headers. */
  [inspect.custom](): string {
    const { state, idle, used, creating, waiting, max } = this.stats()
    return `HttpPool { name: '${this.name}', state: '${state}', origins: ${this.#group.size}, idle: ${idle}, used: ${used}, creating: ${creating}, waiting: ${waiting}, max: ${max} }`
  }
}

function withTimeout(signal: AbortSignal | undefined, millis: number | undefined): AbortSignal | undefined {
  if (millis === undefined || millis === Infinity) return signal
  const timeout = AbortSignal.timeout(Math.max(0, Math.ceil(millis)))
  return signal == null ? timeout : AbortSignal.any([signal, timeout])
}

function checkModule(pool: string, undici: Partial<UndiciModule>): void {
  for (const part of ['Client', 'Dispatcher', 'buildConnector', 'request', 'fetch'] as const) {
    if (typeof undici[part] === 'function') continue
    throw new OptionError(
      pool,
      'undici',
      `Expected \`undici\` to be the module itself (\`import * as undici from 'undici'\`): it has no \`${part}\``,
    )
  }
}

/**
 * A pool of connections for each origin, for what calls HTTP services:
 *
 * ```ts
 * import * as undici from 'undici'
 * const api = httpPool(undici, { origin: 'https://api.example.com', max: 50, retry: true })
 * const { statusCode, body } = await api.request('/users/1', { timeoutMillis: 2_000 })
 * const user = await body.json()
 * ```
 *
 * @throws {OptionError} on a wrong value, an unknown option, or two names for one thing
 */
export function httpPool<U extends UndiciModule>(undici: U, options: HttpPoolOptions = {}): HttpPool<U> {
  return new HttpPool(undici, options as Readonly<Record<string, unknown>>)
}
