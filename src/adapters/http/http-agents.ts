import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { inspect } from 'node:util'
import type { CloseReport } from '../../core/close-report.ts'
import { addDistributions, type Distributions } from '../../core/distribution.ts'
import { PoolClosedError } from '../../core/errors.ts'
import type { PoolEventName, PoolEvents } from '../../core/events.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { CloseOptions, HealthCheck, InvalidateOptions, ManagedPool } from '../../core/managed-pool.ts'
import type { PoolStats } from '../../core/stats.ts'
import { sumStats } from '../../core/sum-stats.ts'
import type { AgentOriginStats } from './agent-ledger.ts'
import { resolveAgentOptions, type HttpAgentsOptions } from './agent-options.ts'
import { AgentPool, originsOf, pooledAgent, type AgentClass } from './pooled-agent.ts'

/** What an agent shows besides what Node's own does. */
export interface AgentExtras {
  /** The statistics of every origin that was asked for something. */
  stats(): Readonly<Record<string, AgentOriginStats>>
}

/** Two agents, and the pool that they are: with `...` in the options of a client, the agents alone. */
export interface HttpAgents extends ManagedPool, AsyncDisposable {
  readonly httpAgent: HttpAgent & AgentExtras
  readonly httpsAgent: HttpsAgent & AgentExtras
  /** The statistics of every origin, HTTP and HTTPS. */
  origins(): Readonly<Record<string, AgentOriginStats>>
  /**
   * Has every connection replaced: idle ones now, used ones when their request is over. Who waits is Node's own agents'
   * to decide: they cannot be suspended, nor resized.
   */
  invalidate(options?: InvalidateOptions): void
  /** What there is of each origin that was asked for something. */
  parts(): Iterable<readonly [origin: string, part: { stats(): PoolStats }]>
  /** What the percentiles of `stats()` are made of. */
  distributions(): Distributions
  /** Agents tell of `created`, `createFailed`, `destroyed`, `slow` and `closed`; Node’s own tell of nothing else. */
  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): unknown
  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): unknown
}

class AgentPair implements HttpAgents {
  readonly httpAgent: HttpAgent & AgentExtras
  readonly httpsAgent: HttpsAgent & AgentExtras
  readonly #pool: AgentPool
  #closing: Promise<CloseReport> | undefined

  constructor(given: HttpAgentsOptions) {
    const pool = new AgentPool(resolveAgentOptions(given))
    this.#pool = pool
    this.httpAgent = pooledAgent(HttpAgent as unknown as AgentClass, 'http:', pool) as HttpAgent & AgentExtras
    this.httpsAgent = pooledAgent(HttpsAgent as unknown as AgentClass, 'https:', pool) as unknown as HttpsAgent &
      AgentExtras
  }

  get name(): string {
    return this.#pool.options.name
  }
  get kind(): string {
    return 'http'
  }
  get state(): PoolState {
    return this.#pool.state
  }

  /** The sum over all origins of both agents. */
  stats(): PoolStats {
    const { name, kind, state } = this
    return sumStats({ name, kind, state, max: Infinity }, Object.values(originsOf(this.#pool)), this.#pool.past)
  }

  origins(): Readonly<Record<string, AgentOriginStats>> {
    return originsOf(this.#pool)
  }

  /** Asks nobody: agents have no origin of their own. It fails when the last connect to every origin has failed. */
  health(): Promise<HealthCheck> {
    const ledgers = [...this.#pool.ledgers.values()]
    const down = ledgers.filter(({ lastError, open }) => lastError !== undefined && open === 0).length
    const [status, message] =
      this.state !== 'open'
        ? (['fail', 'Agents are closed'] as const)
        : down === 0
          ? (['pass', 'Agents work'] as const)
          : ([
              down === ledgers.length ? 'fail' : 'warn',
              `${down} of ${ledgers.length} origins cannot be reached`,
            ] as const)
    return Promise.resolve({ status, pool: this.name, kind: this.kind, message, durationMillis: 0 })
  }

  invalidate(options?: InvalidateOptions): void {
    this.#pool.invalidate(options)
  }

  /** Requests that run get the grace time to end; who waits is told at once; nothing new begins. */
  close({ timeoutMillis = 10_000 }: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(timeoutMillis)
    return this.#closing
  }

  async #close(timeoutMillis: number): Promise<CloseReport> {
    const pool = this.#pool
    const startedAt = performance.now()
    const before = this.stats()
    pool.state = 'closing'
    const rejected = pool.queue.size
    pool.queue.failAll(() => new PoolClosedError(this.name, `pool "${this.name}" is closed`))
    for (const agent of pool.agents) {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
    }
    const left = (): number =>
      [...pool.ledgers.values()].reduce((sum, { open, connecting }) => sum + open + connecting, 0)
    const until = startedAt + timeoutMillis
    while (this.stats().used > 0 && performance.now() < until) await pause(Math.min(20, until - performance.now()))
    const forced = this.stats().used
    for (const agent of pool.agents) agent.destroy()
    for (let looks = 0; left() > 0 && looks < 100; looks++) await pause(10)
    pool.idle.stop()
    pool.state = 'closed'
    const report: CloseReport = {
      pool: this.name,
      closed: before.total,
      forced,
      pendingCreates: before.creating,
      rejected,
      holders: [],
      durationMillis: performance.now() - startedAt,
    }
    pool.tell('closed', report)
    pool.events.clear()
    return report
  }

  parts(): (readonly [origin: string, part: { stats(): PoolStats }])[] {
    return Object.entries(originsOf(this.#pool)).map(([origin, stats]) => [origin, { stats: () => stats }])
  }

  distributions(): Distributions {
    const { ledgers, pastTimes } = this.#pool
    return addDistributions([pastTimes, ...Array.from(ledgers.values(), (ledger) => ledger.distributions())])
  }

  on<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#pool.events.on(event, listener)
    return this
  }

  off<E extends PoolEventName>(event: E, listener: (event: PoolEvents[E]) => void): this {
    this.#pool.events.off(event, listener)
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Names and counts only: Node’s agents hold keys and headers. */
  [inspect.custom](): string {
    const { state, idle, used, creating, waiting } = this.stats()
    return `HttpAgents { name: '${this.name}', state: '${state}', idle: ${idle}, used: ${used}, creating: ${creating}, waiting: ${waiting} }`
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, millis)
  })
}

/**
 * Agents for whatever takes Node's own: axios, got, node-fetch, `http.request`.
 *
 * ```ts
 * const agents = httpAgents({ maxSockets: 100, maxFreeSockets: 10 })
 * const { httpAgent, httpsAgent } = agents
 * const api = axios.create({ baseURL: 'https://api.example.com', timeout: 30_000, httpAgent, httpsAgent })
 * ```
 *
 * @throws {OptionError} on a wrong value, or a name that Node's agents would take and ignore
 */
export function httpAgents(options: HttpAgentsOptions = {}): HttpAgents {
  return new AgentPair(options)
}
