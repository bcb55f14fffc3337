import { afterEach, expect } from 'vitest'
import { Pool, type Lease, type PoolEventName, type PoolOptions } from 'millpond'
import { FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { watchInvariants } from './invariants.ts'

export interface Harness {
  readonly clock: ManualClock
  readonly factory: FakeFactory
  readonly pool: Pool<FakeResource>
  /** Names of the events heard so far, in order. */
  readonly events: string[]
  /** Acquires, and tells what came of it. */
  ask(options?: Parameters<Pool<FakeResource>['acquire']>[0]): Asked
  /** As many leases, one after the other. */
  take(count: number): Promise<Lease<FakeResource>[]>
}

export interface Asked {
  lease: Lease<FakeResource> | undefined
  error: unknown
  readonly settled: boolean
  code(): string | undefined
}

const harnesses: {
  pool: Pool<FakeResource>
  clock: ManualClock
  factory: FakeFactory
  watch: { failure: Error | undefined }
}[] = []

/** A pool on a manual clock, whose invariants are checked after every dispatch and which leaves nothing after the test. */
export function setUp(options: PoolOptions<FakeResource> = {}, factory = new FakeFactory()): Harness {
  const clock = new ManualClock()
  const pool = new Pool(factory, { clock, random: () => 0.5, reclaimAbandoned: false, ...options })
  const watch = watchInvariants(pool)
  harnesses.push({ pool, clock, factory, watch })
  const events: string[] = []
  return {
    clock,
    factory,
    pool,
    events,
    ask(given) {
      const asked: Asked & { settled: boolean } = {
        lease: undefined,
        error: undefined,
        settled: false,
        code: () => (asked.error as { code?: string } | undefined)?.code,
      }
      pool.acquire(given).then(
        (lease) => {
          asked.lease = lease
          asked.settled = true
        },
        (error: unknown) => {
          asked.error = error
          asked.settled = true
        },
      )
      return asked
    },
    async take(count) {
      const leases: Lease<FakeResource>[] = []
      for (let index = 0; index < count; index++) leases.push(await pool.acquire())
      return leases
    },
  }
}

/** Notes the events of these names. */
export function listen({ pool, events }: Harness, ...names: PoolEventName[]): void {
  for (const name of names) pool.on(name, () => events.push(name))
}

afterEach(async () => {
  for (const { pool, clock, factory, watch } of harnesses.splice(0)) {
    const closed = pool.close({ timeoutMillis: 10, waiters: 'reject' })
    await clock.advance(5_000)
    for (const create of factory.creates.splice(0)) create.fail(new Error('the test is over'))
    await clock.advance(20_000)
    await closed
    if (watch.failure !== undefined) throw watch.failure
    expect(factory.open).toBe(0)
    expect(clock.pendingTimers).toBe(0)
    const { total, creating, zombies, waiting } = pool.stats()
    expect({ total, creating, zombies, waiting }).toEqual({ total: 0, creating: 0, zombies: 0, waiting: 0 })
  }
})
