import type { CloseReport } from '../../core/close-report.ts'
import { OptionError, PoolClosedError } from '../../core/errors.ts'
import type { PoolEvents } from '../../core/events.ts'
import type { Distributions } from '../../core/distribution.ts'
import { ForeignPool, type Verdict } from '../../core/foreign-pool.ts'
import { Ledger, Times } from '../../core/ledger.ts'
import type { CloseOptions, LookOptions } from '../../core/managed-pool.ts'
import { isTest } from '../../core/mistakes.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import type { LeaseInfo, ResourceInfo, WaiterInfo } from '../../core/report.ts'
import type { PoolStats } from '../../core/stats.ts'
import { sumStats } from '../../core/sum-stats.ts'
import { classifyMongo } from './classify.ts'
import type { DriverClient } from './driver.ts'
import { endInOrder } from './ending.ts'
import { askHealth, REFUSES_LOGIN } from './health.ts'
import { isClosed, isReady, poolsOf, watchAborts } from './internals.ts'
import { listenTo } from './listening.ts'
import { askRoom, suspicionOf, whenFirstIdle } from './mistakes.ts'
import { OpenWork } from './open-work.ts'
import { ServerCounts } from './server-counts.ts'
import { SlowCommands } from './slow-commands.ts'

export interface MongoViewOptions {
  /** The name in statistics, metrics and logs. @defaultValue 'mongodb' */
  name?: string | undefined
  /** Announces commands that take longer, as `slow` events; the client must be made with `monitorCommands: true`. `Infinity` is off. @defaultValue 1_000 */
  slowMillis?: number | undefined
  /** Reports sessions that are open, and cursors and change streams that nobody reads, for longer than this; `Infinity` is off. @defaultValue Infinity */
  leakThresholdMillis?: number | undefined
  /** Whether such a report says where it was begun. @defaultValue true when `leakThresholdMillis` is finite */
  trackStacks?: boolean | undefined
}

/** The statistics of the driver's pool of one server. */
export interface ServerStats extends PoolStats {
  /** `host:port` */
  readonly address: string
}

const RULES: Readonly<Record<keyof MongoViewOptions, OptionRule>> = {
  name: { type: 'string' },
  slowMillis: { type: 'duration', infinity: true },
  leakThresholdMillis: { type: 'duration', infinity: true },
  trackStacks: { type: 'boolean' },
}

/** A view on the pools of one `MongoClient`: one for each server, seen as one pool. */
export class MongoView extends ForeignPool {
  readonly #client: DriverClient
  readonly #owner: { close(): Promise<unknown> }
  readonly #times = new Times()
  /** By address; servers that are gone stay, for what they have counted. */
  readonly #servers = new Map<string, ServerCounts>()
  /** Puts back what was wrapped in the driver's pools, and stops listening. */
  readonly #undo = new Map<object, () => void>()
  readonly #work: OpenWork
  readonly #slow: SlowCommands
  #lastId = 0
  #lastError: unknown
  #hasFailed = false
  #pausedAt: number | undefined
  #failures = 0
  #refuses = false
  #leaks = 0

  /** Made by `observeMongo`. */
  constructor(client: DriverClient, owner: { close(): Promise<unknown> }, options: MongoViewOptions) {
    checkOptions(options, client)
    const { name = 'mongodb', slowMillis = 1_000, leakThresholdMillis = Infinity } = options
    super(name, 'mongodb')
    this.#client = client
    this.#owner = owner
    this.#work = new OpenWork(client, {
      leakThresholdMillis,
      trackStacks: options.trackStacks ?? leakThresholdMillis !== Infinity,
      refusal: () => (this.#refuses ? closingError(name) : undefined),
      leaked: ({ label, stack }, heldMillis) => {
        this.#leaks++
        this.tell('leak', this.#leakOf(label, stack, heldMillis))
      },
      endedLate: ({ label, stack }, heldMillis) => this.tell('leakReturned', this.#leakOf(label, stack, heldMillis)),
    })
    this.#slow = new SlowCommands(client, {
      slowMillis,
      heard: () => this.heard('slow'),
      waitOf: ({ address, connectionId }) =>
        this.#servers.get(address)?.connection(connectionId ?? '')?.waitMillis ?? 0,
      tell: (slow) => this.tell('slow', { pool: name, label: undefined, ...slow }),
    })
    for (const address of poolsOf(client).keys()) this.#server(address)
    this.#undo.set(
      client,
      listenTo(client, {
        server: (address) => this.#server(address),
        heard: (event) => this.heard(event),
        tell: (event, payload) => this.tell(event, payload),
        name,
        slowMillis,
        changed: () => this.#refresh(),
        failed: (error) => {
          this.#hasFailed = true
          this.#failures++
          this.#lastError = error ?? this.#lastError
          this.#refresh()
        },
        poolClosed: (server) => this.#forget(server),
        notOpened: (error) => {
          this.#lastError = error
        },
        topologyClosed: () => {
          // A connect that failed closes its topology as well; the client goes on, and may connect anew.
          if (this.state === 'closing' || this.#client.topology !== undefined) return
          this.#stop()
          this.ownerClosed(this.stats().destroyed.close)
        },
      }),
    )
    this.#lookForMistakes()
  }

  /** As the engine does with its own pools. */
  #lookForMistakes(): void {
    this.lookForMistakes(suspicionOf(this.#client))
    if (isTest()) return
    const ask = (): void =>
      void this.lookForRoom(this.#sizes.max, 'net.maxIncomingConnections', () => askRoom(this.#client))
    this.#undo.set(ask, whenFirstIdle(this.#client, ask))
  }

  #leakOf(label: string, stack: Error | undefined, heldMillis: number): PoolEvents['leak'] {
    // A session has no connection of its own, so it has no number.
    return { pool: this.name, resourceId: 0, generation: 0, label, heldMillis, stack: stack?.stack }
  }

  /** The counts of a server, from the first time that anybody hears of it. */
  #server(address: string): ServerCounts {
    let server = this.#servers.get(address)
    if (server === undefined) {
      server = new ServerCounts(address, { ...this.#sizes, whole: this.#times, nextId: () => ++this.#lastId })
      this.#servers.set(address, server)
    }
    const pool = server.pool === undefined ? poolsOf(this.#client).get(address) : undefined
    if (pool !== undefined && !isClosed(pool)) {
      const counts = server
      counts.pool = pool
      counts.isReady = isReady(pool) ?? counts.isReady
      counts.adopt(pool)
      this.#undo.set(
        counts,
        watchAborts(pool, (waitedMillis) => counts.gaveUp('aborted', waitedMillis)),
      )
    }
    return server
  }

  #forget(server: ServerCounts): void {
    server.end()
    server.pool = undefined
    this.#undo.get(server)?.()
    this.#undo.delete(server)
  }

  get #sizes(): { readonly max: number; readonly min: number } {
    const { maxPoolSize = 100, minPoolSize = 0 } = this.#client.options
    return { max: maxPoolSize === 0 ? Infinity : maxPoolSize, min: minPoolSize }
  }

  #present(): ServerCounts[] {
    return [...this.#servers.values()].filter(({ pool, isGone }) => pool !== undefined || !isGone)
  }

  // ── state ──

  protected override get openState(): 'open' | 'paused' {
    return this.#pausedAt === undefined ? 'open' : 'paused'
  }

  /** Told once when no server can be reached any more, and once when one can: not for every attempt in between. */
  #refresh(): void {
    const present = this.#present()
    const isUp = present.some((server) => server.isReady)
    if (isUp) {
      this.#hasFailed = false
      this.#lastError = undefined
    }
    if (isUp && this.#pausedAt !== undefined) {
      const pausedMillis = performance.now() - this.#pausedAt
      this.#pausedAt = undefined
      this.tell('resumed', { pool: this.name, pausedMillis, attempts: this.#failures })
      this.#failures = 0
    } else if (!isUp && this.#pausedAt === undefined && this.#hasFailed && this.state === 'open') {
      this.#pausedAt = performance.now()
      this.#failures = 1
      const error = this.#lastError
      const failure = error === undefined ? 'disconnect' : classifyMongo(error)
      this.tell('paused', { pool: this.name, failure, error })
    }
  }

  // ── watching ──

  override stats(): PoolStats {
    const { name, kind, state } = this
    const present = this.#present()
    const past = [...this.#servers.values()].filter((server) => !present.includes(server))
    const snapshots = (servers: readonly ServerCounts[]): PoolStats[] => servers.map((each) => this.#statsOf(each))
    const nothing = new Ledger().snapshot({ name, kind, state, max: 0, min: 0, generation: 0 })
    const stats = sumStats({ name, kind, state, max: Infinity }, snapshots(present), [nothing, ...snapshots(past)])
    const { max, min } = present.length === 0 ? this.#sizes : stats
    return {
      ...stats,
      max,
      min,
      utilization: stats.used / max,
      leaks: this.#leaks,
      wait: this.#times.wait.snapshot(stats.acquired - stats.acquiredAfterWait),
      use: this.#times.use.snapshot(),
      create: this.#times.create.snapshot(),
    }
  }

  /** The same for each server that is known now. */
  servers(): ServerStats[] {
    return this.#present().map((server) => ({ ...this.#statsOf(server), address: server.address }))
  }

  /** The driver's pools of the servers that are known now. */
  parts(): (readonly [address: string, part: { stats(): PoolStats }])[] {
    return this.#present().map((server) => [server.address, { stats: () => this.#statsOf(server) }])
  }

  #statsOf(server: ServerCounts): PoolStats {
    server.settle()
    const { max, min, generation, ledger } = server
    return ledger.snapshot({ name: this.name, kind: this.kind, state: this.state, max, min, generation })
  }

  /** The connections in use, longest first. */
  leases({ limit = 100 }: LookOptions = {}): LeaseInfo[] {
    return this.#present()
      .flatMap((server) => server.holders())
      .sort((one, other) => other.heldMillis - one.heldMillis)
      .slice(0, limit)
  }

  /** Those who wait for a connection, longest first. */
  waiters({ limit = 100 }: LookOptions = {}): WaiterInfo[] {
    return this.#present()
      .flatMap(({ ledger }) => ledger.waiters(limit))
      .sort((one, other) => other.waitedMillis - one.waitedMillis)
      .slice(0, limit)
  }

  /** The connections of all servers, the oldest first. */
  resources({ limit = 100 }: LookOptions = {}): ResourceInfo[] {
    return this.#present()
      .flatMap((server) => server.connections())
      .sort((one, other) => other.ageMillis - one.ageMillis)
      .slice(0, limit)
  }

  /** What the percentiles of {@link stats} are made of. */
  distributions(): Distributions {
    const { acquired, acquiredAfterWait } = this.stats()
    return this.#times.distributions(acquired - acquiredAfterWait)
  }

  protected override check(timeoutMillis: number): Verdict | Promise<Verdict> {
    if (this.state === 'paused')
      return ['fail', classifyMongo(this.#lastError) === 'auth' ? REFUSES_LOGIN : 'Server cannot be reached']
    return askHealth(this.#client, this.#present(), timeoutMillis)
  }

  // ── ending ──

  protected override async end(options: CloseOptions): Promise<Omit<CloseReport, 'pool' | 'durationMillis'>> {
    this.#refuses = true
    const report = await endInOrder({
      ...options,
      pool: this.name,
      client: this.#client,
      owner: this.#owner,
      servers: () => this.#present(),
      work: this.#work,
      letIn: () => {
        this.#refuses = false
      },
    })
    this.#stop()
    return report
  }

  override detach(): void {
    if (this.state === 'closed' || this.state === 'closing') return
    this.#stop()
    this.ownerClosed(0)
  }

  #stop(): void {
    for (const server of this.#present()) this.#forget(server)
    for (const undo of this.#undo.values()) undo()
    this.#undo.clear()
    this.#slow.stop()
    this.#work.stop()
    this.#pausedAt = undefined
  }
}

function closingError(pool: string): PoolClosedError {
  return new PoolClosedError(pool, `pool "${pool}" is closing; what runs may end, nothing new may begin`)
}

function checkOptions(options: MongoViewOptions, client: DriverClient): void {
  const name = typeof options.name === 'string' ? options.name : 'mongodb'
  for (const [option, value] of Object.entries(options)) {
    const rule = Object.hasOwn(RULES, option) ? RULES[option as keyof MongoViewOptions] : undefined
    if (rule === undefined) {
      const nearest = nearestName(option, Object.keys(RULES))
      const hint = nearest === undefined ? `known are ${Object.keys(RULES).join(', ')}` : `did you mean \`${nearest}\`?`
      throw new OptionError(name, option, `Unknown option \`${option}\`; ${hint}`)
    }
    if (value !== undefined) checkOption(name, option, value, rule)
  }
  const { slowMillis } = options
  if (slowMillis === undefined || slowMillis === Infinity || client.options.monitorCommands === true) return
  throw new OptionError(
    name,
    'slowMillis',
    'The driver tells of commands only where the client is made with `monitorCommands: true`; it was not',
  )
}
