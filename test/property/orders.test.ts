import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { Pool, type Lease, type PoolOptions } from 'millpond'
import { watchInvariants } from '../support/invariants.ts'

/** Everything that can come to its end in a situation; each is done once, in every order. */
interface Situation {
  readonly pool: Pool<FakeResource>
  readonly clock: ManualClock
  readonly factory: FakeFactory
  readonly leases: Lease<FakeResource>[]
  /** What the waiting callers got: a resource's number, or an error's code. */
  readonly got: (number | string)[]
  ask(timeoutMillis?: number, signal?: AbortSignal): void
}

type Completion = (situation: Situation) => unknown

interface Case {
  readonly name: string
  readonly options?: PoolOptions<FakeResource>
  /** Brings the situation about and names what is pending: at most six completions. */
  readonly arrange: (situation: Situation) => Promise<readonly Completion[]>
  /** What must hold in the end, whatever the order was. */
  readonly expect: (situation: Situation) => void
}

function* ordersOf<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length <= 1) {
    yield items
    return
  }
  for (const [index, first] of items.entries()) {
    for (const rest of ordersOf([...items.slice(0, index), ...items.slice(index + 1)])) yield [first, ...rest]
  }
}

const take = async ({ pool, leases, factory, clock }: Situation, count: number): Promise<void> => {
  const asked = Promise.all(Array.from({ length: count }, () => pool.acquire()))
  await clock.settle()
  for (const create of factory.creates.splice(0)) create.open()
  leases.push(...(await asked))
}

const release =
  (index: number): Completion =>
  ({ leases }) =>
    leases[index]?.released === false && leases[index].release()
const breakLease =
  (index: number): Completion =>
  ({ leases }) =>
    leases[index]?.released === false && leases[index].release(new FakeError('disconnect'))
const open: Completion = ({ factory }) => factory.creates.shift()?.open()
const failCreate =
  (failure: 'disconnect' | 'auth'): Completion =>
  ({ factory }) =>
    factory.creates.shift()?.fail(new FakeError(failure))
const pass: Completion = ({ clock }) => clock.advance(10)
const die =
  (index: number): Completion =>
  ({ factory }) =>
    factory.resources[index]?.die()

const CASES: readonly Case[] = [
  {
    name: 'three callers, two releases and a create: all are served once there are three',
    options: { max: 3 },
    arrange: async (s) => {
      await take(s, 2)
      for (let index = 0; index < 3; index++) s.ask()
      await s.clock.settle()
      return [release(0), release(1), open, pass]
    },
    expect: ({ got }) => expect(got.filter((each) => typeof each === 'number')).toHaveLength(3),
  },
  {
    name: 'an abort among releases takes nobody’s resource along',
    options: { max: 2 },
    arrange: async (s) => {
      await take(s, 2)
      const controller = new AbortController()
      s.ask(5_000, controller.signal)
      s.ask()
      return [release(0), release(1), () => controller.abort(new Error('aborted')), pass]
    },
    expect: ({ got, pool }) => {
      expect(got.filter((each) => typeof each === 'number').length).toBeGreaterThanOrEqual(1)
      expect(pool.stats()).toMatchObject({ waiting: 0, total: 2 })
    },
  },
  {
    name: 'a deadline among releases loses no resource',
    options: { max: 2 },
    arrange: async (s) => {
      await take(s, 2)
      s.ask(10)
      s.ask(10)
      return [release(0), release(1), pass, pass]
    },
    expect: ({ pool }) => expect(pool.stats()).toMatchObject({ waiting: 0, total: 2 }),
  },
  {
    name: 'creates that fail and succeed serve everybody in the end',
    options: { max: 3 },
    arrange: async (s) => {
      for (let index = 0; index < 3; index++) s.ask()
      await s.clock.settle()
      return [open, failCreate('disconnect'), open, pass, pass]
    },
    expect: ({ got }) => expect(got.filter((each) => typeof each === 'number').length).toBeGreaterThanOrEqual(2),
  },
  {
    name: 'wrong credentials fail nobody whom something open serves',
    options: { max: 2 },
    arrange: async (s) => {
      await take(s, 1)
      s.ask()
      await s.clock.settle()
      return [failCreate('auth'), release(0), pass]
    },
    expect: ({ got }) => expect(got.every((each) => typeof each === 'number')).toBe(true),
  },
  {
    name: 'an invalidation among everything hands out nothing stale',
    options: { max: 3 },
    arrange: async (s) => {
      await take(s, 2)
      s.ask()
      await s.clock.settle()
      return [open, release(0), ({ pool }) => pool.invalidate(), breakLease(1), pass]
    },
    expect: ({ got }) => expect(got).toHaveLength(1),
  },
  {
    name: 'a resize down ends with no more than it allows',
    options: { max: 4 },
    arrange: async (s) => {
      await take(s, 3)
      s.ask()
      await s.clock.settle()
      return [({ pool }) => pool.resize({ max: 2 }), release(0), release(1), open, release(2), pass]
    },
    expect: ({ pool, got }) => {
      expect(got).toHaveLength(1)
      expect(pool.stats().total).toBeLessThanOrEqual(2)
    },
  },
  {
    name: 'suspending and resuming loses nobody',
    options: { max: 2 },
    arrange: async (s) => {
      await take(s, 1)
      s.ask()
      await s.clock.settle()
      return [({ pool }) => pool.suspend(), ({ pool }) => pool.resume(), release(0), open, pass]
    },
    expect: (s) => {
      s.pool.resume()
      expect(s.pool.stats().total).toBeGreaterThanOrEqual(1)
    },
  },
  {
    name: 'deaths of idle, leased and coming ones leave the rest',
    options: { max: 3 },
    arrange: async (s) => {
      await take(s, 3)
      s.leases[0]?.release()
      return [die(0), die(1), release(1), release(2), pass]
    },
    expect: ({ pool }) => expect(pool.stats()).toMatchObject({ total: 1, idle: 1 }),
  },
  {
    name: 'closing among everything settles everybody',
    options: { max: 2 },
    arrange: async (s) => {
      await take(s, 1)
      s.ask()
      await s.clock.settle()
      return [
        ({ pool }) => void pool.close({ timeoutMillis: 50 }),
        release(0),
        open,
        pass,
        ({ clock }) => clock.advance(100),
      ]
    },
    expect: () => undefined,
  },
]

async function play(each: Case, order: (situation: Situation) => Promise<readonly Completion[]>): Promise<void> {
  const clock = new ManualClock()
  const factory = new FakeFactory({ validates: true })
  const pool = new Pool(factory, { clock, random: () => 0.5, reclaimAbandoned: false, ...each.options })
  const watch = watchInvariants(pool)
  const got: (number | string)[] = []
  const later: Lease<FakeResource>[] = []
  let asked = 0
  const situation: Situation = {
    pool,
    clock,
    factory,
    leases: [],
    got,
    ask(timeoutMillis = 5_000, signal) {
      asked++
      pool.acquire({ timeoutMillis, signal }).then(
        (lease) => {
          expect(lease.resource.destroyed).toBeUndefined()
          got.push(lease.resource.id)
          later.push(lease)
          // Whoever gets something gives it back in the next turn.
          clock.afterTurn(() => {
            if (!lease.released) lease.release()
          })
        },
        (error: { code?: string; message: string }) => got.push(error.code ?? error.message),
      )
    },
  }
  factory.holdCreates()
  for (const completion of await order(situation)) {
    await completion(situation)
    await clock.settle()
    if (watch.failure !== undefined) throw watch.failure
  }
  pool.resume()
  for (const lease of situation.leases) if (!lease.released) lease.release()
  for (let round = 0; round < 8; round++) {
    factory.creates.shift()?.open()
    await clock.advance(300)
  }
  each.expect(situation)
  const closed = pool.close({ timeoutMillis: 10 })
  await clock.advance(3_000)
  for (const create of factory.creates.splice(0)) create.open()
  await clock.advance(20_000)
  await closed
  if (watch.failure !== undefined) throw watch.failure
  expect(got).toHaveLength(asked)
  expect(factory.open).toBe(0)
  expect(clock.pendingTimers).toBe(0)
}

describe('pending completions, in every order', { retry: 0 }, () => {
  it.each(CASES)('$name', async (each) => {
    // How many there are is known once the situation stands; every order then begins anew.
    let indexes: number[] = []
    await play(each, async (situation) => {
      const completions = await each.arrange(situation)
      indexes = completions.map((_, index) => index)
      return completions
    })
    for (const order of ordersOf(indexes)) {
      try {
        await play(each, async (situation) => {
          const completions = await each.arrange(situation)
          return order.map((index) => completions[index] as Completion)
        })
      } catch (error) {
        throw new Error(`in the order ${order.join(', ')}: ${(error as Error).message}`, { cause: error })
      }
    }
  })
})
