import type pg from 'pg'
import type { PgPoolExtras } from 'millpond/pg'
import { sleep } from '@millpond/rig'

export type LoadedPool = pg.Pool & PgPoolExtras<pg.PoolClient>

/** What a caller does with its lease. Nothing is read from a disk. */
export interface Mix {
  readonly title: string
  work(client: pg.PoolClient, random: () => number): Promise<unknown>
}

const compute = (client: pg.PoolClient, rows: number): Promise<unknown> =>
  client.query('SELECT sum(sqrt(i)) FROM generate_series(1, $1::int) AS i', [rows])

/** Seven of ten small, one of twenty twenty-five times as large. */
const rowsOf = (random: () => number): number => {
  const chance = random()
  return chance < 0.7 ? 8_000 : chance < 0.95 ? 30_000 : 200_000
}

export const MIXES: Readonly<Record<string, Mix>> = {
  locking: {
    title: 'Statements of 10 ms that need one of four things each, which PostgreSQL gives to one at a time',
    work: (client, random) =>
      client.query('SELECT pg_advisory_xact_lock($1::int), pg_sleep(0.01)', [Math.floor(4 * random())]),
  },
  computing: {
    title: 'Statements that compute, small ones and large ones',
    work: (client, random) => compute(client, rowsOf(random)),
  },
  waiting: {
    title: 'Two statements that compute, and 8 ms between them in which the lease does nothing on the server',
    work: async (client, random) => {
      await compute(client, rowsOf(random))
      await sleep(8)
      await compute(client, rowsOf(random))
    },
  },
}

/** Callers who ask again as soon as they have been served; how many there are can be changed. */
export class Callers {
  readonly #pool: LoadedPool
  readonly #mix: Mix
  readonly #random: () => number
  readonly #running = new Set<Promise<void>>()
  #wanted = 0
  served = 0

  constructor(pool: LoadedPool, mix: Mix, random: () => number) {
    this.#pool = pool
    this.#mix = mix
    this.#random = random
  }

  set count(wanted: number) {
    this.#wanted = wanted
    while (this.#running.size < wanted) {
      const caller = this.#run()
      this.#running.add(caller)
      void caller.finally(() => this.#running.delete(caller))
    }
  }

  async #run(): Promise<void> {
    // Whoever is one too many goes after what it is at.
    while (this.#running.size <= this.#wanted) {
      await this.#pool.use((client) => this.#mix.work(client, this.#random), { timeoutMillis: 60_000 })
      this.served++
    }
  }

  async stop(): Promise<void> {
    this.#wanted = 0
    await Promise.all(this.#running)
  }
}

/** Served per second by this pool, asked by `callers` at a time; what happens in the first moments does not count. */
export async function throughputOf(
  pool: LoadedPool,
  mix: Mix,
  { callers, millis, random }: { readonly callers: number; readonly millis: number; readonly random: () => number },
): Promise<number> {
  const load = new Callers(pool, mix, random)
  load.count = callers
  await sleep(250)
  const [before, startedAt] = [load.served, performance.now()]
  await sleep(millis)
  const rate = ((load.served - before) * 1_000) / (performance.now() - startedAt)
  await load.stop()
  return rate
}
