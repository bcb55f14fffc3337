import type pg from 'pg'
import { PoolError } from '../../../src/core/errors.ts'
import { ACQUIRE_TIMEOUT, MAX, type Stage } from './stage.ts'
import { Stalls } from './stalls.ts'

const TICK_MILLIS = 20
/** A stall of the event loop extends a deadline by 1 s at the most; the rest is for a machine that others use too. */
const LATENESS = 1_000 + 1_000
/** What each call takes while there is too much to do, how long it may take, and how many times too many they are. */
const OVERLOAD = { workSeconds: 0.1, deadlineMillis: 500, factor: 3 }
const OVERLOAD_PER_TICK = (OVERLOAD.factor * MAX * TICK_MILLIS) / 1_000 / OVERLOAD.workSeconds

export interface LoadOptions {
  readonly stage: Stage
  readonly random: () => number
  readonly callsPerSecond: number
  readonly problems: string[]
}

/** Callers of a pool, who come evenly, in bursts, or faster than they can be served; and everything that they see. */
export class Load {
  readonly outcomes: Record<string, number> = {}
  longestAcquireMillis = 0
  readonly #stage: Stage
  readonly #random: () => number
  readonly #callsPerTick: number
  readonly #problems: string[]
  readonly #running = new Set<Promise<void>>()
  readonly #stalls = new Stalls(2 * TICK_MILLIS)
  /** Given along by half of the callers, as a service's own signal to end is: nothing may stay on it. */
  readonly #shared = new AbortController()
  readonly #timer: NodeJS.Timeout
  #flowing = true
  #overloaded = false
  #tokens = 0

  constructor({ stage, random, callsPerSecond, problems }: LoadOptions) {
    this.#stage = stage
    this.#random = random
    this.#callsPerTick = (callsPerSecond * TICK_MILLIS) / 1_000
    this.#problems = problems
    this.#timer = setInterval(() => this.#tick(), TICK_MILLIS)
  }

  get sharedSignal(): AbortSignal {
    return this.#shared.signal
  }

  #tick(): void {
    this.#stalls.tick()
    if (!this.#flowing) return
    this.#begin(this.#callsPerTick, () => this.#call())
    if (this.#overloaded) this.#begin(OVERLOAD_PER_TICK, () => this.#impatientCall())
  }

  burst(calls: number): void {
    this.#begin(calls, () => this.#call())
  }

  /** Three times as many callers as can be served, for as long as it takes. */
  async overload(meanwhile: () => Promise<void>): Promise<void> {
    this.#overloaded = true
    await meanwhile()
    this.#overloaded = false
  }

  /** Nobody asks any more, and whoever has asked has an answer. */
  async ebb(): Promise<void> {
    this.#flowing = false
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  flow(): void {
    this.#flowing = true
  }

  end(): void {
    clearInterval(this.#timer)
  }

  /** Callers of a pool that nothing happens to, as many at a time as it has connections: all of them must be served. */
  async calm(calls: number): Promise<void> {
    const { ok: before = 0 } = this.outcomes
    for (let begun = 0; begun < calls; begun += MAX)
      await Promise.all(Array.from({ length: MAX }, () => this.#ask((client) => this.#work(client, 1))))
    const served = (this.outcomes['ok'] ?? 0) - before
    if (served < calls) this.#problems.push(`${served} of ${calls} calls were served while nothing was wrong`)
  }

  #begin(calls: number, ask: () => Promise<void>): void {
    for (let left = calls; left > 0; left--) {
      if (left < 1 && this.#random() >= left) break
      const call = ask().catch((error: unknown) => {
        this.#problems.push(`a call did what no call may: ${String(error)}`)
      })
      this.#running.add(call)
      void call.finally(() => this.#running.delete(call))
    }
  }

  async #call(): Promise<void> {
    const luck = this.#random()
    if (luck >= 0.05) {
      await this.#ask((client) => this.#work(client, luck), luck < 0.5 ? this.#shared.signal : undefined)
      return
    }
    await this.#askFor(this.#random() * 100, (client) => this.#work(client, luck))
  }

  async #impatientCall(): Promise<void> {
    await this.#askFor(OVERLOAD.deadlineMillis, async (client) => {
      await client.query('SELECT pg_sleep($1)', [OVERLOAD.workSeconds])
    })
  }

  /** Gives up after so long. */
  async #askFor(millis: number, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
    const controller = new AbortController()
    const giveUp = setTimeout(() => controller.abort(new Error('gave up')), millis)
    await this.#ask(work, controller.signal)
    clearTimeout(giveUp)
  }

  async #ask(work: (client: pg.PoolClient) => Promise<void>, signal?: AbortSignal): Promise<void> {
    const askedAt = performance.now()
    let acquired = false
    try {
      await this.#stage.pool.use(
        async (client) => {
          acquired = true
          this.#acquired(askedAt)
          await work(client)
        },
        signal === undefined ? {} : { signal },
      )
      this.#note('ok')
    } catch (error) {
      if (!acquired) this.#acquired(askedAt)
      this.#checkRefusedWrite(error, askedAt)
      this.#note(acquired ? 'work failed' : PoolError.is(error) ? error.code : (error as Error).message)
    }
  }

  #note(outcome: string): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1
  }

  /** What this process itself stood still for is not the pool's. */
  #acquired(askedAt: number): void {
    const millis = performance.now() - askedAt - this.#stalls.since(askedAt)
    this.longestAcquireMillis = Math.max(this.longestAcquireMillis, millis)
    if (millis > ACQUIRE_TIMEOUT + LATENESS) this.#problems.push(`an acquire took ${Math.round(millis)} ms`)
  }

  #checkRefusedWrite(error: unknown, askedAt: number): void {
    const { code } = error as { code?: unknown }
    if (code === '25006' && askedAt > this.#stage.roleChangeKnownAt)
      this.#problems.push('a write went to the old primary when the pool knew that it was none any more')
  }

  /** Every answer is to the caller's own question, and nobody finds what another has left. */
  async #work(client: pg.PoolClient, luck: number): Promise<void> {
    const token = ++this.#tokens
    const { rows } = await client.query<{ token: number; path: string }>(
      "SELECT $1::int AS token, current_setting('search_path') AS path",
      [token],
    )
    if (rows[0]?.token !== token) this.#problems.push(`asked for ${token}, got ${JSON.stringify(rows)}`)
    if (rows[0]?.path !== '"$user", public') this.#problems.push(`found another borrower's setting: ${rows[0]?.path}`)
    if (luck < 0.1) await client.query('SET search_path = elsewhere')
    else if (luck < 0.2) await client.query('BEGIN')
    else if (luck < 0.25) await client.query('SELECT pg_sleep(0.2)')
    else if (luck < 0.27) await client.query('SELECT 1/0')
    else if (luck < 0.37) await client.query('INSERT INTO writes VALUES ($1)', [token])
  }
}
