import pg from 'pg'
import { sleep, startFaultProxy, startPostgres, waitFor, type FaultProxy, type PostgresServer } from '@millpond/rig'
import { pgPool } from '../../src/adapters/pg/index.ts'
import { PoolError } from '../../src/core/errors.ts'
import type { PoolStats } from '../../src/core/stats.ts'
import { seeded } from './simulation.ts'

export interface SoakOptions {
  readonly millis: number
  /** Least and most time between two faults. */
  readonly faultEveryMillis: readonly [number, number]
  /** Everything is brought to rest and counted this often. */
  readonly checkEveryMillis: number
  readonly callsPerSecond: number
  readonly seed: number
  readonly say: (line: string) => void
}

/** What is there while nothing is under way and nothing is open. */
export interface Rest {
  readonly minute: number
  readonly heapMegabytes: number
  /** Handles and timers that keep the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>
  readonly listeners: number
}

export interface SoakReport {
  readonly rests: readonly Rest[]
  readonly faults: Readonly<Record<string, number>>
  readonly outcomes: Readonly<Record<string, number>>
  readonly stats: PoolStats
  readonly longestAcquireMillis: number
  readonly heapMegabytesPerHour: number
  readonly problems: readonly string[]
}

const ACQUIRE_TIMEOUT = 2_000
const QUERY_TIMEOUT = 3_000
const MAX = 20
/** A stall of the event loop extends a deadline by this at the most; the rest is for a machine that others use too. */
const LATENESS = 1_000 + 1_000

/** A real server, a proxy with faults, a pool under load: for as long as it is told to. */
export class Soak {
  readonly #options: SoakOptions
  readonly #random: () => number
  readonly #problems: string[] = []
  readonly #outcomes: Record<string, number> = {}
  readonly #faultsSeen: Record<string, number> = {}
  readonly #running = new Set<Promise<void>>()
  #server!: PostgresServer
  #proxy!: FaultProxy
  #pool!: ReturnType<typeof pgPool<typeof pg>>
  #tokens = 0
  #longestAcquireMillis = 0
  #resting = false

  constructor(options: SoakOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
  }

  async run(): Promise<SoakReport> {
    const { millis, say } = this.#options
    // What the server logs is kept by the rig: it would count as growth.
    this.#server = await startPostgres({
      settings: { log_connections: 'off', log_min_messages: 'panic', max_connections: 60 },
    })
    this.#proxy = await startFaultProxy(this.#server, this.#random)
    this.#pool = this.#makePool()
    const rests: Rest[] = []
    const startedAt = performance.now()
    const passed = (): number => performance.now() - startedAt
    const load = setInterval(() => this.#offer(), 20)
    let checkAt = Math.min(this.#options.checkEveryMillis, millis / 4)
    try {
      await sleep(Math.min(2_000, millis / 10))
      while (passed() < millis) {
        await this.#oneFault()
        const [least, most] = this.#options.faultEveryMillis
        await sleep(Math.min(least + this.#random() * (most - least), Math.max(0, millis - passed())))
        this.#checkStats()
        if (passed() < checkAt) continue
        checkAt = passed() + this.#options.checkEveryMillis
        rests.push(await this.#rest(passed()))
        say(describeRest(rests.at(-1) as Rest, this.#pool.stats()))
      }
      rests.push(await this.#rest(passed()))
      say(describeRest(rests.at(-1) as Rest, this.#pool.stats()))
    } finally {
      clearInterval(load)
      await this.#end()
    }
    return this.#report(rests)
  }

  #makePool(): ReturnType<typeof pgPool<typeof pg>> {
    const pool = pgPool(pg, {
      ...this.#server.config,
      port: this.#proxy.port,
      max: MAX,
      acquireTimeoutMillis: ACQUIRE_TIMEOUT,
      createTimeoutMillis: 2_000,
      validateTimeoutMillis: 500,
      validateAfterIdleMillis: 2_000,
      resetTimeoutMillis: 1_000,
      idleTimeoutMillis: 20_000,
      maxLifetimeMillis: 60_000,
      reclaimAbandoned: true,
      failFastWhenDown: false,
      query_timeout: QUERY_TIMEOUT,
    })
    pool.core.on('abandoned', () => undefined)
    pool.core.on('failure', ({ from, error }) => {
      // A goodbye over a silent network takes its time.
      if (from !== 'destroy') this.#problems.push(`${from} failed: ${String(error)}`)
    })
    return pool
  }

  // ── load ──

  #offer(): void {
    if (this.#resting) return
    const expected = this.#options.callsPerSecond / 50
    for (let left = expected; left > 0; left--) {
      if (left < 1 && this.#random() >= left) break
      const call = this.#call().catch((error: unknown) => {
        this.#problems.push(`a call did what no call may: ${String(error)}`)
      })
      this.#running.add(call)
      void call.finally(() => this.#running.delete(call))
    }
  }

  #note(outcome: string): void {
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1
  }

  async #call(): Promise<void> {
    const luck = this.#random()
    const askedAt = performance.now()
    const controller = new AbortController()
    const giveUp =
      luck < 0.05 ? setTimeout(() => controller.abort(new Error('gave up')), this.#random() * 100) : undefined
    let acquired = false
    try {
      await this.#pool.use(
        async (client) => {
          acquired = true
          this.#acquiredAfter(performance.now() - askedAt)
          await this.#work(client, luck)
        },
        { signal: controller.signal },
      )
      this.#note('ok')
    } catch (error) {
      if (!acquired) this.#acquiredAfter(performance.now() - askedAt)
      this.#note(acquired ? 'work failed' : PoolError.is(error) ? error.code : (error as Error).message)
    } finally {
      clearTimeout(giveUp)
    }
  }

  #acquiredAfter(millis: number): void {
    this.#longestAcquireMillis = Math.max(this.#longestAcquireMillis, millis)
    if (millis > ACQUIRE_TIMEOUT + LATENESS) this.#problems.push(`an acquire took ${Math.round(millis)} ms`)
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
  }

  // ── faults ──

  readonly #faults: Readonly<Record<string, () => Promise<void> | void>> = {
    'reset all': () => this.#proxy.cutAll('reset'),
    'end all': () => this.#proxy.cutAll('fin'),
    'cut one': () => this.#someConnection()?.cut('reset'),
    'silence one': () => this.#someConnection()?.blackHole(),
    'refuse connects': () => this.#during({ connect: 'refuse' }),
    'black hole': async () => {
      await this.#proxy.blackHole()
      await sleep(this.#duration())
    },
    'slow network': () => this.#during({ down: { latencyMillis: 30, jitterMillis: 25 } }),
    'slow connects': () => this.#during({ connectDelayMillis: 300 }),
    'connects get no answer': () => this.#during({ connect: (count) => (count % 3 === 0 ? 'silence' : 'accept') }),
    'cut in the middle of replies': () => this.#during({ down: { cutAfterBytes: 400 } }),
    'few connections granted': () => this.#during({ maxConnections: 8 }),
    'kill the server': async () => {
      await this.#server.kill()
      await sleep(this.#duration() / 2)
      await this.#server.start()
    },
    'restart the server': () => this.#server.restart('fast'),
    'stop the server for a while': async () => {
      this.#server.pause()
      await sleep(this.#duration())
      this.#server.resume()
    },
    'block the event loop': () => {
      const until = performance.now() + 300
      while (performance.now() < until) Math.random()
    },
    'a burst of callers': () => {
      for (let caller = 0; caller < 20; caller++) this.#offer()
    },
    'forget leases': () => forget(this.#pool),
    invalidate: () => this.#pool.core.invalidate({ interruptInUse: this.#random() < 0.3 }),
    resize: async () => {
      this.#pool.core.resize({ max: 3 })
      await sleep(this.#duration() / 2)
      this.#pool.core.resize({ max: MAX })
    },
  }

  #duration(): number {
    const [least] = this.#options.faultEveryMillis
    return Math.min(10_000, least) * (0.2 + 0.8 * this.#random())
  }

  #someConnection(): FaultProxy['connections'][number] | undefined {
    const { connections } = this.#proxy
    return connections[Math.floor(this.#random() * connections.length)]
  }

  async #during(faults: Parameters<FaultProxy['set']>[0]): Promise<void> {
    await this.#proxy.set(faults)
    await sleep(this.#duration())
  }

  async #oneFault(): Promise<void> {
    const names = Object.keys(this.#faults)
    const name = names[Math.floor(this.#random() * names.length)] ?? ''
    this.#faultsSeen[name] = (this.#faultsSeen[name] ?? 0) + 1
    await this.#faults[name]?.()
    await this.#proxy.clear()
  }

  // ── what must hold ──

  #checkStats(): void {
    const stats = this.#pool.stats()
    const { requested, acquired, timedOut, aborted, refused, failed, waiting, created, total } = stats
    const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
    const settled = acquired + timedOut + aborted + refused + failed
    if (requested !== settled + waiting)
      this.#problems.push(`${requested} requested, ${settled} settled, ${waiting} wait`)
    if (created !== total + destroyed) this.#problems.push(`${created} created, ${total} open, ${destroyed} destroyed`)
    if (total + stats.creating > MAX) this.#problems.push(`${total} open and ${stats.creating} creating, of ${MAX}`)
    if (stats.zombies > 16) this.#problems.push(`${stats.zombies} zombies`)
  }

  /** Brings everything to rest: no fault, no caller, no connection. */
  async #rest(passedMillis: number): Promise<Rest> {
    this.#resting = true
    try {
      while (this.#running.size > 0) await Promise.all(this.#running)
      await waitFor(
        () => {
          globalThis.gc?.()
          return this.#pool.stats().used === 0
        },
        { what: 'every lease is back', timeoutMillis: 20_000, everyMillis: 100 },
      )
      // Works again, in full, before it is emptied.
      await waitFor(() => this.#pool.state === 'open' || this.#pool.query('SELECT 1').then(() => true), {
        what: 'the pool has recovered',
        timeoutMillis: 20_000,
        everyMillis: 100,
      })
      await Promise.all(Array.from({ length: MAX }, () => this.#pool.query('SELECT pg_sleep(0.05)')))
      this.#pool.core.invalidate()
      await waitFor(
        () => {
          const { total, creating, zombies } = this.#pool.stats()
          return total + creating + zombies === 0 && this.#proxy.connections.length === 0
        },
        { what: 'every connection is closed', timeoutMillis: 20_000 },
      )
      this.#checkStats()
      await sleep(50)
      return this.#measure(passedMillis)
    } catch (error) {
      this.#problems.push(`${String(error)}: ${JSON.stringify(this.#pool.stats())}`)
      return this.#measure(passedMillis)
    } finally {
      this.#resting = false
    }
  }

  #measure(passedMillis: number): Rest {
    globalThis.gc?.()
    globalThis.gc?.()
    const resources: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
    const listeners = process.eventNames().reduce((sum, event) => sum + process.listenerCount(event), 0)
    return {
      minute: passedMillis / 60_000,
      heapMegabytes: process.memoryUsage().heapUsed / 2 ** 20,
      resources,
      listeners,
    }
  }

  async #end(): Promise<void> {
    await this.#proxy.clear()
    if (!this.#server.isRunning) await this.#server.start()
    const report = await this.#pool.close({ timeoutMillis: 5_000 })
    if (report.forced + report.pendingCreates > 0)
      this.#problems.push(`the close had to force: ${JSON.stringify(report)}`)
    this.#checkStats()
    await Promise.all(this.#running)
    await this.#proxy.close()
    await this.#server.stop()
  }

  #report(rests: readonly Rest[]): SoakReport {
    const [first, last] = [rests[0] as Rest, rests.at(-1) as Rest]
    for (const { resources, listeners, minute } of rests) {
      for (const kind of new Set([...Object.keys(first.resources), ...Object.keys(resources)])) {
        const [before = 0, now = 0] = [first.resources[kind], resources[kind]]
        // Timers of this program itself come and go by one or two.
        if (now - before > (kind === 'Timeout' || kind === 'Immediate' ? 2 : 0))
          this.#problems.push(`minute ${minute.toFixed(1)}: ${now} ${kind} at rest, ${before} at first`)
      }
      if (listeners > first.listeners)
        this.#problems.push(`${listeners} listeners of the process, ${first.listeners} at first`)
    }
    const heapMegabytesPerHour = slope(rests) * 60
    if (last.minute - first.minute >= 20 && heapMegabytesPerHour >= 1)
      this.#problems.push(`the heap grows by ${heapMegabytesPerHour.toFixed(2)} MB an hour`)
    return {
      rests,
      faults: this.#faultsSeen,
      outcomes: this.#outcomes,
      stats: this.#pool.stats(),
      longestAcquireMillis: this.#longestAcquireMillis,
      heapMegabytesPerHour,
      problems: this.#problems,
    }
  }
}

/** Borrows twice, and forgets about it. */
async function forget(pool: { connect(): Promise<unknown> }): Promise<void> {
  for (let lease = 0; lease < 2; lease++) await pool.connect().catch(() => undefined)
}

/** Megabytes a minute (least squares), the first quarter left out as warm-up. */
function slope(rests: readonly Rest[]): number {
  const points = rests.slice(Math.floor(rests.length / 4))
  const meanX = points.reduce((sum, { minute }) => sum + minute, 0) / points.length
  const meanY = points.reduce((sum, { heapMegabytes }) => sum + heapMegabytes, 0) / points.length
  const above = points.reduce((sum, { minute, heapMegabytes }) => sum + (minute - meanX) * (heapMegabytes - meanY), 0)
  const below = points.reduce((sum, { minute }) => sum + (minute - meanX) ** 2, 0)
  return below === 0 ? 0 : above / below
}

function describeRest({ minute, heapMegabytes, resources, listeners }: Rest, stats: PoolStats): string {
  const kinds = Object.entries(resources).map(([kind, count]) => `${count} ${kind}`)
  const counts = `acquired ${stats.acquired}, timed out ${stats.timedOut}, created ${stats.created}`
  return `minute ${minute.toFixed(1)}: heap ${heapMegabytes.toFixed(2)} MB; at rest ${kinds.join(', ')}; ${listeners} listeners; ${counts}`
}
