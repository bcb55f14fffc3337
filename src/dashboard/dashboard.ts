import type { ManagedPool } from '../core/managed-pool.ts'
import { watchPools, type Followable, type PoolWatch } from '../monitoring/watch/watch.ts'
import { act, actionsOf, isAction, readAction, sizesOf } from './actions.ts'
import { Details } from './details.ts'
import { answer, bodyOf, isSameOrigin, json, refusal, text } from './guard.ts'
import { Instances } from './instances.ts'
import { resolveDashboardOptions, type DashboardOptions, type ResolvedDashboardOptions } from './options.ts'
import { PAGE_HTML, PAGE_ICON, PAGE_SCRIPT, PAGE_STYLE } from './page-assets.ts'
import { PROTOCOL, type ActionAnswer, type Hello, type InstanceView, type PoolView, type Tick } from './protocol.ts'
import { Sampler } from './sampler.ts'
import { Stream } from './stream.ts'

/** What a registry shows of its pools. */
export interface Watchable extends Iterable<ManagedPool>, Followable {
  isRequired(pool: ManagedPool): boolean
}

/** Answers the requests of the page, mounted at any path that ends in `/`. */
export interface Dashboard {
  (request: Request): Promise<Response>
  /** Ends all streams, stops looking at pools, and answers 503 from then on. Registries and pools are left as they are. */
  close(): void
}

/** The page has a history of its own, finer for the last minutes. */
const NO_HISTORY = { everyMillis: 3_600_000, keepMillis: 3_600_000 }

/** Longer bodies are not read. */
const LONGEST_BODY = 10_000

const ASSETS: Readonly<Record<string, readonly [body: string, type: string]>> = {
  '': [PAGE_HTML, 'text/html; charset=utf-8'],
  'app.js': [PAGE_SCRIPT, 'text/javascript; charset=utf-8'],
  'style.css': [PAGE_STYLE, 'text/css; charset=utf-8'],
  'icon.svg': [PAGE_ICON, 'image/svg+xml'],
}

class DashboardServer {
  readonly #options: ResolvedDashboardOptions
  readonly #sampler: Sampler
  readonly #watch: PoolWatch
  readonly #details: Details
  readonly #instances: Instances
  readonly #stream = new Stream()
  readonly #timer: NodeJS.Timeout
  /** When somebody last asked for a snapshot: another dashboard watches too. */
  #askedAt = -Infinity
  #closed = false

  constructor(registry: Watchable, options: ResolvedDashboardOptions) {
    this.#options = options
    this.#sampler = new Sampler(registry, options.instance, (pool) => registry.isRequired(pool))
    this.#watch = options.watch ?? watchPools(registry, { utilization: false, history: NO_HISTORY })
    this.#details = new Details(options, this.#watch)
    this.#instances = new Instances(options.instances)
    this.#look()
    // A dashboard keeps no process alive.
    this.#timer = setInterval(() => this.#look(), options.intervalMillis).unref()
  }

  #look(): void {
    const at = Date.now()
    const watched = this.#stream.viewers > 0 || at - this.#askedAt < 2 * this.#options.intervalMillis
    this.#sampler.look(at, watched)
    if (!watched) return
    this.#instances.refresh()
    const tick: Tick = { at, instances: this.#views(), pools: this.#pools() }
    this.#stream.send('tick', tick)
  }

  #views(): InstanceView[] {
    return [{ name: this.#options.instance, reachable: true }, ...this.#instances.views]
  }

  #pools(): PoolView[] {
    return [...this.#sampler.all.map(({ view }) => view), ...this.#instances.pools]
  }

  #hello(): Hello {
    const { title, intervalMillis, actions } = this.#options
    const own = this.#sampler.all.map(({ view, history }) => ({ ...view, history: history.columns() }))
    // What others have seen before is theirs; their charts begin here.
    const others = this.#instances.pools.map((view) => ({ ...view, history: { times: [], columns: [] } }))
    const pools = [...own, ...others]
    return { protocol: PROTOCOL, at: Date.now(), title, intervalMillis, actions, instances: this.#views(), pools }
  }

  async handle(request: Request): Promise<Response> {
    const refused = await refusal(request, this.#options)
    if (refused !== undefined) return refused
    // Asked behind the await: whoever is let in only now must not hold a stream that nothing ends.
    if (this.#closed) return text('This dashboard is closed', 503)
    const { pathname, searchParams } = new URL(request.url)
    const name = pathname.slice(pathname.lastIndexOf('/') + 1)
    if (name === 'actions') return await this.#act(request)
    if (request.method !== 'GET' && request.method !== 'HEAD') return text('Only GET', 405)
    if (name === 'events') return this.#stream.open('hello', this.#hello())
    if (name === 'snapshot') return this.#snapshot()
    if (name === 'pool') return await this.#pool(searchParams.get('key') ?? '')
    const asset = ASSETS[name]
    if (asset !== undefined) return answer(asset[0], 200, { 'content-type': asset[1] })
    // Mounted at `/pools`, asked for `/pools`: its own links need the slash.
    return answer(null, 308, { location: `${name}/` })
  }

  #snapshot(): Response {
    this.#askedAt = Date.now()
    // Whoever asks twice and subtracts wants the counts of now, not those of the last sample.
    const own = this.#sampler.all.map(({ view, pool }) => ({ ...view, stats: pool.stats() }))
    return json({ protocol: PROTOCOL, at: this.#askedAt, instances: this.#views(), pools: own })
  }

  async #pool(key: string): Promise<Response> {
    const sampled = this.#sampler.find(key)
    if (sampled === undefined) {
      const there = await this.#instances.forward(`pool?key=${encodeURIComponent(key)}`, key)
      return there === undefined ? json({ message: 'No such pool' }, 404) : json(there.value, there.status)
    }
    return json({
      key,
      at: Date.now(),
      ...this.#details.of(sampled.pool),
      actions: this.#options.actions ? actionsOf(sampled.pool) : [],
      sizes: sizesOf(sampled.pool),
    })
  }

  async #act(request: Request): Promise<Response> {
    const reply = (ok: boolean, message: string, status: number): Response =>
      json({ ok, message } satisfies ActionAnswer, status)
    if (!this.#options.actions) return reply(false, 'This dashboard is read-only; see its `actions` option.', 403)
    if (request.method !== 'POST') return reply(false, 'Expected POST.', 405)
    // Before anything of the body is read.
    const announced = request.headers.get('x-millpond-action') ?? ''
    if (!isSameOrigin(request) || !isAction(announced)) return reply(false, 'Actions come from the page alone.', 403)
    const body = await bodyOf(request, LONGEST_BODY)
    if (body === undefined) return reply(false, 'The request is too long.', 413)
    const asked = readAction(parsed(body))
    if (asked === undefined) return reply(false, 'Expected `key` and `action`.', 400)
    if (asked.action !== announced) return reply(false, 'Actions come from the page alone.', 403)
    const sampled = this.#sampler.find(asked.key)
    if (sampled === undefined) {
      const headers = { 'content-type': 'application/json', 'x-millpond-action': asked.action }
      const there = await this.#instances.forward('actions', asked.key, { method: 'POST', body, headers })
      return there === undefined
        ? reply(false, 'This pool is not there any more.', 404)
        : json(there.value, there.status)
    }
    const { ok, message } = act(sampled.pool, asked)
    const entry = { ...asked, pool: sampled.pool.name, at: Date.now(), ok, message }
    this.#options.audit(entry)
    this.#details.note(entry)
    return reply(ok, message, ok ? 200 : 409)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#stream.close()
    if (this.#options.watch === undefined) this.#watch.close()
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/**
 * A live page of all pools of a registry, and its API, as a Web-standard handler:
 *
 * ```ts
 * const handler = dashboard(registry)
 * createServer(toNodeHandler(handler)).listen(9464, '127.0.0.1')
 * ```
 *
 * @throws {OptionError} on an unknown or wrong option
 */
export function dashboard(registry: Watchable, options: DashboardOptions = {}): Dashboard {
  const resolved = resolveDashboardOptions(options)
  if (!resolved.enabled) return Object.assign(() => Promise.resolve(text('Not found', 404)), { close: () => undefined })
  const server = new DashboardServer(registry, resolved)
  return Object.assign((request: Request) => server.handle(request), { close: () => server.close() })
}
