import { sleep, waitFor } from '@millpond/rig'
import type { PoolStats } from '../../../src/core/stats.ts'
import { seeded } from '../simulation.ts'
import { RandomFaults } from './faults.ts'
import { Load } from './load.ts'
import {
  heapMegabytesPerHour,
  heapNow,
  listenersOf,
  listenersOfSignal,
  resourcesNow,
  whatGrew,
  type Rest,
} from './rest.ts'
import { MAX, MOST_ZOMBIES, Stage } from './stage.ts'

export interface SoakOptions {
  readonly millis: number
  /** Least and most time between two faults. */
  readonly faultEveryMillis: readonly [number, number]
  /** Everything is brought to rest and counted this often. */
  readonly checkEveryMillis: number
  readonly callsPerSecond: number
  /** How many come at once in a burst. */
  readonly burst: number
  /** Made at every rest while nothing is wrong: all must be served, and whatever each of them left behind would show. */
  readonly callsAtRest: number
  readonly seed: number
  readonly say: (line: string) => void
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

/** Real servers, a proxy with faults, a pool under load: for as long as it is told to. */
export class Soak {
  readonly #options: SoakOptions
  readonly #problems: string[] = []
  readonly #rests: Rest[] = []
  #stage!: Stage
  #load!: Load

  constructor(options: SoakOptions) {
    this.#options = options
  }

  async run(): Promise<SoakReport> {
    const { millis, seed, faultEveryMillis, callsPerSecond, burst } = this.#options
    const random = seeded(seed)
    this.#stage = await Stage.set(random, this.#problems)
    const stage = this.#stage
    this.#load = new Load({ stage, random, callsPerSecond, problems: this.#problems })
    const [least, most] = faultEveryMillis
    const faults = new RandomFaults({ stage, load: this.#load, random, leastBetweenMillis: least, burst })
    const startedAt = performance.now()
    const passed = (): number => performance.now() - startedAt
    let checkAt = Math.min(this.#options.checkEveryMillis, millis / 4)
    try {
      await sleep(Math.min(2_000, millis / 10))
      while (passed() < millis) {
        await faults.next()
        await sleep(Math.min(least + random() * (most - least), Math.max(0, millis - passed())))
        this.#checkStats()
        if (passed() < checkAt) continue
        await this.#rest(passed())
        checkAt = passed() + this.#options.checkEveryMillis
      }
      await this.#rest(passed())
    } finally {
      await this.#end()
    }
    return {
      rests: this.#rests,
      faults: faults.seen,
      outcomes: this.#load.outcomes,
      stats: stage.pool.stats(),
      longestAcquireMillis: this.#load.longestAcquireMillis,
      heapMegabytesPerHour: heapMegabytesPerHour(this.#rests),
      problems: [...this.#problems, ...whatGrew(this.#rests)],
    }
  }

  #checkStats(): void {
    const stats = this.#stage.pool.stats()
    const { requested, acquired, timedOut, aborted, refused, failed, waiting, created, total } = stats
    const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
    const settled = acquired + timedOut + aborted + refused + failed
    if (requested !== settled + waiting)
      this.#problems.push(`${requested} requested, ${settled} settled, ${waiting} wait`)
    if (created !== total + destroyed) this.#problems.push(`${created} created, ${total} open, ${destroyed} destroyed`)
    if (total + stats.creating > MAX) this.#problems.push(`${total} open and ${stats.creating} creating, of ${MAX}`)
    if (stats.zombies > MOST_ZOMBIES) this.#problems.push(`${stats.zombies} zombies`)
  }

  /** Brings everything to rest, no fault, no caller, no connection, and takes stock. */
  async #rest(passedMillis: number): Promise<void> {
    let perConnection = { client: 0, socket: 0 }
    await this.#load.ebb()
    try {
      await this.#recovered()
      perConnection = await this.#listenersOfOne()
      await this.#load.calm(this.#options.callsAtRest)
      await this.#emptied()
    } catch (error) {
      this.#problems.push(`${String(error)}: ${JSON.stringify(this.#stage.pool.stats())}`)
    }
    this.#checkStats()
    await sleep(50)
    const rest = this.#measure(passedMillis, perConnection)
    this.#rests.push(rest)
    this.#options.say(describeRest(rest, this.#stage.pool.stats()))
    this.#load.flow()
  }

  /** Works again, in full. */
  async #recovered(): Promise<void> {
    const { pool } = this.#stage
    await waitFor(
      () => {
        globalThis.gc?.()
        return pool.stats().used === 0
      },
      { what: 'every lease is back', timeoutMillis: 20_000, everyMillis: 100 },
    )
    await waitFor(() => pool.state === 'open' || pool.query('SELECT 1').then(() => true), {
      what: 'the pool has recovered',
      timeoutMillis: 20_000,
      everyMillis: 100,
    })
    await Promise.all(Array.from({ length: MAX }, () => pool.query('SELECT pg_sleep(0.05)')))
  }

  /** Of one open connection: what each borrowing left on it would add up. */
  async #listenersOfOne(): Promise<{ client: number; socket: number }> {
    return await this.#stage.pool.use((client) => {
      const { connection } = client as unknown as { connection: { stream: NodeJS.EventEmitter } }
      return { client: listenersOf(client), socket: listenersOf(connection.stream) }
    })
  }

  async #emptied(): Promise<void> {
    const { pool, proxy } = this.#stage
    pool.core.invalidate()
    await waitFor(
      () => {
        const { total, creating, zombies } = pool.stats()
        return total + creating + zombies === 0 && proxy.connections.length === 0
      },
      { what: 'every connection is closed', timeoutMillis: 20_000 },
    )
  }

  #measure(passedMillis: number, perConnection: { client: number; socket: number }): Rest {
    return {
      minute: passedMillis / 60_000,
      calls: this.#stage.pool.stats().requested,
      ...heapNow(),
      resources: resourcesNow(),
      listeners: {
        process: listenersOf(process),
        pool: listenersOf(this.#stage.pool),
        'shared signal': listenersOfSignal(this.#load.sharedSignal),
        ...perConnection,
      },
    }
  }

  async #end(): Promise<void> {
    const { pool, proxy, server } = this.#stage
    await proxy.clear()
    if (!server.isRunning) await server.start()
    await this.#load.ebb()
    this.#load.end()
    const report = await pool.close({ timeoutMillis: 5_000 })
    if (report.forced + report.pendingCreates > 0)
      this.#problems.push(`the close had to force: ${JSON.stringify(report)}`)
    this.#checkStats()
    await this.#stage.end()
  }
}

function describeRest({ minute, heapMegabytes, codeMegabytes, resources, listeners }: Rest, stats: PoolStats): string {
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', ')
  const counts = `acquired ${stats.acquired}, timed out ${stats.timedOut}, created ${stats.created}`
  return `minute ${minute.toFixed(1)}: heap ${heapMegabytes.toFixed(2)} MB and ${codeMegabytes.toFixed(2)} MB of code; at rest ${listed(resources)}; listeners: ${listed(listeners)}; ${counts}`
}
