import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect } from 'vitest'
import { startFaultProxy, waitFor, type FaultProxy, type PostgresOptions } from '@millpond/rig'
import { PoolError, type PoolEventName } from 'millpond'
import type pg from 'pg'
import type { PgPoolOptions } from 'millpond/pg'
import { expectIdentities } from './identities.ts'
import { poolOn, startServer, type TestPool } from './pg.ts'
import { watchUncaught } from './uncaught.ts'

/** `npm run chaos` runs every scenario at its full length; `npm test` runs them shortened. */
export const FULL = process.env['CHAOS'] === 'full'

/** How long opening all connections may take: on a loaded machine each login costs a new process. */
const FILL_MILLIS = 30_000

/** A length, a count or a timeout of a scenario: of the full run, or of the quick one. */
export function pick<V>(full: V, quick: V): V {
  return FULL ? full : quick
}

/** Prints the figures of a scenario in one line, and keeps them where `CHAOS_FIGURES` names a file. */
export function figures(scenario: string, values: Readonly<Record<string, unknown>>): void {
  const shown = Object.entries(values).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? round(value) : String(value)}`,
  )
  console.log(`${scenario}: ${shown.join(' · ')}`)
  const file = process.env['CHAOS_FIGURES']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ scenario, ...values })}\n`)
}

const round = (value: number): number => Math.round(value * 10) / 10

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** What one caller saw, from asking to the answer. */
export interface Call {
  readonly askedAt: number
  /** Until it had a connection, or was refused one. */
  readonly acquireMillis: number
  readonly endedAt: number
  readonly outcome: 'ok' | 'no-connection' | 'query-failed'
  readonly code: string | undefined
  readonly error: unknown
  /** The backend that answered. */
  readonly pid: number | undefined
}

/** Callers of a pool, and everything that happened to them. */
export class Callers {
  readonly calls: Call[] = []
  readonly #pool: TestPool
  readonly #running = new Set<Promise<unknown>>()

  constructor(pool: TestPool) {
    this.#pool = pool
  }

  /** One caller: borrows, asks, gives back. Never rejects. */
  ask(sql = 'SELECT pg_backend_pid() AS pid'): Promise<Call> {
    const asked = this.#ask(sql)
    this.#running.add(asked)
    void asked.then(() => this.#running.delete(asked))
    return asked
  }

  async #ask(sql: string): Promise<Call> {
    const askedAt = performance.now()
    let acquireMillis = 0
    const note = (outcome: Call['outcome'], error?: unknown, pid?: number): Call => {
      const code = (error as { code?: string } | undefined)?.code
      const call = { askedAt, acquireMillis, endedAt: performance.now(), outcome, code, error, pid }
      this.calls.push(call)
      return call
    }
    let client: pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      acquireMillis = performance.now() - askedAt
      return note('no-connection', error)
    }
    acquireMillis = performance.now() - askedAt
    try {
      const { rows } = await client.query<{ pid?: number }>(sql)
      giveBack(client)
      return note('ok', undefined, rows[0]?.pid)
    } catch (error) {
      giveBack(client, error as Error)
      return note('query-failed', error)
    }
  }

  /** Asks every so many milliseconds, as requests come in, until the promise that it returns is called. */
  everyMillis(millis: number, sql?: string): () => Promise<void> {
    const timer = setInterval(() => void this.ask(sql), millis)
    return async () => {
      clearInterval(timer)
      await this.settled()
    }
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  of(outcome: Call['outcome']): Call[] {
    return this.calls.filter((call) => call.outcome === outcome)
  }

  get longestAcquireMillis(): number {
    return Math.max(0, ...this.calls.map(({ acquireMillis }) => acquireMillis))
  }

  /** How many saw each outcome. */
  tally(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { outcome, code } of this.calls) {
      const key = outcome === 'ok' ? 'ok' : (code ?? outcome)
      counts[key] = (counts[key] ?? 0) + 1
    }
    return counts
  }
}

/** A pool that closes has taken away what was not given back in its grace time. */
function giveBack(client: pg.PoolClient, error?: Error): void {
  try {
    client.release(error)
  } catch (refusal) {
    if (!PoolError.is(refusal, 'ERR_POOL_LEASE_RELEASED') || !refusal.message.includes('the pool closed')) throw refusal
  }
}

/** How late this process itself was: what a deadline may be missed by is measured against it. */
export class LoopLag {
  readonly #delay = monitorEventLoopDelay({ resolution: 10 })

  constructor() {
    this.#delay.enable()
  }

  /** The longest turn so far, in milliseconds. */
  get millis(): number {
    return this.#delay.max / 1e6
  }

  /**
   * No deadline is missed by more: one loop turn, and one extension by the length of a stall. The quick run shares its
   * machine with other tests, whose servers keep this one's from answering for longer than any loop here can tell.
   */
  get allowance(): number {
    return 50 + 3 * this.millis + pick(0, 2_000)
  }

  reset(): void {
    this.#delay.reset()
  }

  stop(): void {
    this.#delay.disable()
  }
}

/** Counts events of a pool, by name. */
export function countEvents(pool: TestPool, ...names: PoolEventName[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) {
    counts[name] = 0
    pool.core.on(name, () => {
      counts[name] = (counts[name] ?? 0) + 1
    })
  }
  return counts
}

/** A server, a fault proxy before it, and a pool through the proxy; gone with {@link stop}, which checks what is left. */
export class ChaosRig {
  readonly server
  readonly view
  readonly proxy: FaultProxy
  /** Since the test began. */
  readonly lag = new LoopLag()
  readonly #stopServer: () => Promise<void>
  readonly #pools: TestPool[] = []
  #uncaught = watchUncaught()

  private constructor(started: Awaited<ReturnType<typeof startServer>>, proxy: FaultProxy) {
    this.server = started.server
    this.view = started.view
    this.proxy = proxy
    this.#stopServer = () => started.stop()
    this.lag.reset()
  }

  static async start(options: PostgresOptions = {}): Promise<ChaosRig> {
    const started = await startServer({ ...options, settings: { max_connections: 60, ...options.settings } })
    return new ChaosRig(started, await startFaultProxy(started.server))
  }

  /** A pool through the proxy. Callers wait for a server that is down, as behind the engine's own defaults. */
  pool(options: PgPoolOptions<typeof pg> = {}): TestPool {
    const pool = poolOn(
      { config: { ...this.server.config, port: this.proxy.port } },
      {
        max: 20,
        failFastWhenDown: false,
        // Longer than a loaded machine takes to open twenty; who tests the deadline sets one of its own.
        acquireTimeoutMillis: 10_000,
        idleTimeoutMillis: 600_000,
        ...options,
      },
    )
    this.#pools.push(pool)
    return pool
  }

  /** A pool with all its connections open, and idle. */
  async filled(options: PgPoolOptions<typeof pg> = {}): Promise<TestPool> {
    const pool = this.pool(options)
    await this.fill(pool)
    return pool
  }

  /** Has the pool open all that it may. */
  async fill(pool: TestPool, count = pool.stats().max): Promise<void> {
    const leases = await Promise.all(
      Array.from({ length: count }, () => pool.core.acquire({ timeoutMillis: FILL_MILLIS })),
    )
    for (const lease of leases) lease.release()
  }

  /** After each test: heals everything, closes its pools, and finds nothing left of them. */
  async reset(): Promise<void> {
    await this.proxy.clear()
    if (!this.server.isRunning) await this.server.start()
    for (const pool of this.#pools.splice(0)) {
      expectIdentities(pool.stats())
      await pool.close({ timeoutMillis: 500, waiters: 'reject' })
      const stats = pool.stats()
      expectIdentities(stats)
      expect({ total: stats.total, creating: stats.creating, zombies: stats.zombies, waiting: stats.waiting }).toEqual({
        total: 0,
        creating: 0,
        zombies: 0,
        waiting: 0,
      })
    }
    await waitFor(async () => (await this.view.count()) === 0, { what: 'the server holds no connection of the pool' })
    const { errors } = this.#uncaught
    expect(errors.splice(0)).toEqual([])
    this.lag.reset()
  }

  async stop(): Promise<void> {
    this.lag.stop()
    this.#uncaught.stop()
    await this.proxy.close()
    await this.#stopServer()
  }
}

/** A moment in milliseconds of `performance.now()`, and how long ago it was. */
export function stopwatch(): () => number {
  const startedAt = performance.now()
  return () => performance.now() - startedAt
}
