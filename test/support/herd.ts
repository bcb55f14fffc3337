import { Pool } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { after, seeded } from './simulation.ts'

export const POOLS = 100
export const SIZE = 10
export const LOGINS_PER_SECOND = 50
/** The least time in which the server can take everybody back. */
export const OPTIMUM_MILLIS = (POOLS * SIZE * 1_000) / LOGINS_PER_SECOND

export interface Member {
  readonly factory: FakeFactory
  readonly pool: Pool<FakeResource>
}

/**
 * A hundred pools of ten on one server that takes one login at a time; a login that its client gave up costs the server
 * its time all the same.
 */
export class Herd {
  readonly clock = new ManualClock()
  readonly members: readonly Member[]
  /** Attempts of each pool while the server was down. */
  readonly attempts: number[] = Array.from({ length: POOLS }, () => 0)
  /** When any pool tried to connect, since the outage began. */
  readonly attemptsAt: number[] = []
  /** Logins that the server took for clients who had gone. */
  wasted = 0
  backAt = 0
  readonly #first: (number | undefined)[] = []
  #state: 'before' | 'down' | 'back' = 'before'
  #busyUntil = 0

  constructor(seed: number) {
    this.members = Array.from({ length: POOLS }, (_, index) => this.#member(seed, index))
  }

  /** After the server has come back, for each pool. */
  get firstMillis(): number[] {
    return Array.from({ length: POOLS }, (_, index) => this.#first[index] ?? Infinity)
  }

  #member(seed: number, index: number): Member {
    const { clock } = this
    const factory = new FakeFactory()
    factory.onCreate = async ({ signal }) => {
      if (this.#state === 'before') {
        await after(clock, 20)
        return
      }
      this.attemptsAt.push(clock.now())
      if (this.#state === 'down') {
        this.attempts[index] = (this.attempts[index] ?? 0) + 1
        await after(clock, 1)
        throw new FakeError('restart')
      }
      this.#busyUntil = Math.max(this.#busyUntil, clock.now()) + 1_000 / LOGINS_PER_SECOND
      await after(clock, this.#busyUntil - clock.now())
      if (signal.aborted) this.wasted++
      this.#first[index] ??= clock.now() - this.backAt
    }
    const pool = new Pool<FakeResource>(factory, {
      clock,
      random: seeded(seed * 1_000 + index),
      max: SIZE,
      min: SIZE,
      createTimeoutMillis: 5_000,
      acquireTimeoutMillis: 300_000,
      idleTimeoutMillis: Infinity,
      reclaimAbandoned: false,
    })
    return { factory, pool }
  }

  async fill(): Promise<void> {
    await Promise.all([...this.members.map(({ pool }) => pool.ready()), this.clock.advance(1_000)])
  }

  /** The server is gone, and with it every connection. */
  down(): void {
    this.#state = 'down'
    for (const { factory } of this.members)
      for (const resource of factory.resources) resource.die(new FakeError('restart'))
  }

  back(): void {
    this.#state = 'back'
    this.backAt = this.clock.now()
  }

  /** How many connections these have open. */
  open(members: readonly Member[] = this.members): number {
    return members.reduce((sum, { pool }) => sum + pool.stats().idle + pool.stats().used, 0)
  }

  async close(): Promise<void> {
    const closed = Promise.all(this.members.map(({ pool }) => pool.close({ timeoutMillis: 100 })))
    await this.clock.advance(5_000)
    await closed
  }
}
