import { describe, expect, it } from 'vitest'
import { Pool } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { watchInvariants } from '../support/invariants.ts'

const OUTCOMES = ['ok', 'error', 'slow', 'hang'] as const
type Outcome = (typeof OUTCOMES)[number]

const STAGES = ['create', 'validate', 'reset', 'before', 'after'] as const
type Gates = Readonly<Record<(typeof STAGES)[number], Outcome>>

/** How long a slow step takes, and what every step is allowed. */
const SLOW_MILLIS = 30
const LIMIT_MILLIS = 100

function* allGates(): Generator<Gates> {
  for (let number = 0; number < 4 ** STAGES.length; number++) {
    yield Object.fromEntries(
      STAGES.map((stage, index) => [stage, OUTCOMES[Math.floor(number / 4 ** index) % 4]]),
    ) as unknown as Gates
  }
}

/**
 * Eight acquires, cancelled after 0 to 7 turns of the microtask queue, and eight after 0 to 7 turns of the event loop,
 * through steps that succeed, fail, dawdle or hang.
 */
async function pass(gates: Gates): Promise<void> {
  const clock = new ManualClock()
  const factory = new FakeFactory({ validates: true, resets: true })
  const step = async (outcome: Outcome): Promise<void> => {
    if (outcome === 'error') throw new FakeError('query')
    if (outcome === 'slow') await new Promise<void>((resolve) => clock.setTimer(resolve, SLOW_MILLIS))
    if (outcome === 'hang') await new Promise<void>((resolve) => clock.setTimer(resolve, 100 * LIMIT_MILLIS))
  }
  factory.onCreate = () => step(gates.create)
  factory.onValidate = () => step(gates.validate)
  factory.onReset = () => step(gates.reset)
  const pool = new Pool<FakeResource>(factory, {
    clock,
    random: () => 0.5,
    max: 2,
    acquireTimeoutMillis: 400,
    createTimeoutMillis: LIMIT_MILLIS,
    validateTimeoutMillis: LIMIT_MILLIS,
    resetTimeoutMillis: LIMIT_MILLIS,
    hookTimeoutMillis: LIMIT_MILLIS,
    destroyTimeoutMillis: LIMIT_MILLIS,
    validateAfterIdleMillis: 0,
    hooks: { beforeAcquire: () => step(gates.before), afterRelease: () => step(gates.after) },
  })
  const watch = watchInvariants(pool)
  pool.on('failure', () => undefined)

  let settled = 0
  /** How many got something that was gone already. */
  let dead = 0
  const work: Promise<void>[] = []
  const ask = async (signal: AbortSignal): Promise<void> => {
    try {
      const lease = await pool.acquire({ signal })
      if (lease.resource.destroyed !== undefined) dead++
      await new Promise<void>((resolve) => clock.setTimer(resolve, 1))
      lease.release()
    } catch {
      // cancelled, timed out, or refused: which one depends on the gates
    } finally {
      settled++
    }
  }
  for (const turn of [() => Promise.resolve(), () => clock.advance(1)]) {
    const controllers = Array.from({ length: 8 }, () => new AbortController())
    for (const { signal } of controllers) work.push(ask(signal))
    for (const controller of controllers) {
      controller.abort(new Error('cancelled'))
      await turn()
    }
  }
  // Those who are not cancelled meet the same steps.
  const patient = pool.acquire().then(
    (lease) => lease.release(),
    () => undefined,
  )
  await clock.advance(1_000)
  await Promise.all([...work, patient])
  expect({ settled, dead }).toEqual({ settled: 16, dead: 0 })
  const closed = pool.close({ timeoutMillis: 10 })
  await clock.advance(200 * LIMIT_MILLIS)
  await closed
  if (watch.failure !== undefined) throw watch.failure
  const { total, creating, zombies, waiting } = pool.stats()
  expect({ total, creating, zombies, waiting }).toEqual({ total: 0, creating: 0, zombies: 0, waiting: 0 })
  expect(factory.open).toBe(0)
  expect(clock.pendingTimers).toBe(0)
}

describe('steps that succeed, fail, dawdle or hang', { retry: 0 }, () => {
  it('lose no slot and leak nothing, in all 1,024 combinations', { timeout: 240_000 }, async () => {
    for (const gates of allGates()) {
      try {
        await pass(gates)
      } catch (error) {
        throw new Error(`with ${JSON.stringify(gates)}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    }
  })
})
