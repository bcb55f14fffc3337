import { getEventListeners } from 'node:events'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { Pool, PoolError, type PoolEvents, type ResourceFactory } from 'millpond'
import { Callers, ChaosRig, figures, percentile, pick, stopwatch } from '../support/chaos.ts'
import { expectIdentities } from '../support/identities.ts'
import { watchInvariants } from '../support/invariants.ts'
import { seeded } from '../support/simulation.ts'

describe('borrowers who misbehave', { timeout: 120_000 }, () => {
  let rig: ChaosRig

  beforeAll(async () => {
    rig = await ChaosRig.start()
  })
  afterEach(async () => {
    await rig.reset()
  })
  afterAll(async () => {
    await rig.stop()
  })

  describe('C14: one borrower in a hundred never gives back', () => {
    it('every leak is reported in time, with the line that leaks', async () => {
      const leakThresholdMillis = pick(2_000, 300)
      const pool = rig.pool({ max: 20, leakThresholdMillis })
      const leaks: { readonly leak: PoolEvents['leak']; readonly at: number }[] = []
      pool.core.on('leak', (leak) => leaks.push({ leak, at: performance.now() }))
      pool.core.on('leakReturned', () => undefined)
      const leaked: { readonly at: number; release(): void }[] = []
      async function thisFunctionLeaks(): Promise<void> {
        const client = await pool.connect()
        leaked.push({ at: performance.now(), release: () => client.release() })
      }
      for (let call = 1; call <= 1_000; call++) {
        if (call % 100 === 0) await thisFunctionLeaks()
        else await pool.query('SELECT 1')
      }
      await waitFor(() => leaks.length >= leaked.length, {
        what: 'all are reported',
        timeoutMillis: 3 * leakThresholdMillis + 5_000,
      })
      const lateness = leaks.map(({ at }, index) => at - (leaked[index]?.at ?? 0))
      figures('C14 leaks of 1 %', {
        leaked: leaked.length,
        reported: leaks.length,
        'with the right stack': leaks.filter(({ leak }) => leak.stack?.includes('thisFunctionLeaks')).length,
        'latest report after ms': Math.max(...lateness),
      })
      expect(leaks).toHaveLength(10)
      expect(leaks.every(({ leak }) => leak.stack?.includes('thisFunctionLeaks') === true)).toBe(true)
      expect(Math.max(...lateness)).toBeLessThanOrEqual(leakThresholdMillis + 1_000 + rig.lag.allowance)
      for (const { release } of leaked) release()
    })

    it('what was forgotten and collected is reclaimed, and the capacity is back', async () => {
      const pool = rig.pool({ max: 10, reclaimAbandoned: true, leakThresholdMillis: 100 })
      let abandoned = 0
      pool.core.on('abandoned', () => abandoned++)
      pool.core.on('leak', () => undefined)
      for (let leak = 0; leak < 10; leak++) await forget(pool)
      expect(pool.stats().used).toBe(10)
      await waitFor(
        async () => {
          ;(globalThis as { gc?: () => void }).gc?.()
          await sleep(20)
          return pool.stats().destroyed.abandoned === 10
        },
        { what: 'all are reclaimed', timeoutMillis: 15_000 },
      )
      await rig.fill(pool, 10)
      figures('C14 reclaimed leases', { abandoned, 'capacity afterwards': pool.stats().idle })
      expect(abandoned).toBe(10)
      expect(pool.stats().idle).toBe(10)
    })
  })

  it('C15: a thousand acquires given up after 0 to 50 ms, with connects of 150 ms, open five connections', async () => {
    await rig.proxy.set({ connectDelayMillis: 150 })
    const pool = rig.pool({ max: 5 })
    const acceptedBefore = rig.proxy.accepted
    const random = seeded(15)
    const signals: AbortSignal[] = []
    const outcomes: Record<string, number> = {}
    await Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => {
        await sleep(index / 2)
        const controller = new AbortController()
        signals.push(controller.signal)
        setTimeout(() => controller.abort(new Error('gave up')), random() * 50)
        const outcome = await pool.core.acquire({ signal: controller.signal }).then(
          (lease) => {
            lease.release()
            return 'served'
          },
          (error: Error) => error.message,
        )
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      }),
    )
    await waitFor(() => pool.stats().creating === 0, { what: 'the connects have ended' })
    const listeners = signals.reduce((sum, signal) => sum + getEventListeners(signal, 'abort').length, 0)
    const { created, aborted, acquired } = pool.stats()
    figures('C15 given up', { ...outcomes, created, aborted, acquired, 'abort listeners left': listeners })
    expect(created).toBeLessThanOrEqual(5)
    expect(rig.proxy.accepted - acceptedBefore).toBe(created)
    // On a machine with more to do, everybody may have given up before the connects have ended.
    expect(outcomes['served'] ?? 0).toBe(acquired)
    expect(outcomes['gave up']).toBe(aborted)
    expect(listeners).toBe(0)
    expectIdentities(pool.stats())
  })

  describe('C19: ten tasks on ten connections each want a second one', () => {
    const nest = async (
      nested: 'throw' | 'warn',
      timeoutMillis: number,
    ): Promise<{ errors: unknown[]; millis: number; deadlocks: number }> => {
      const pool = rig.pool({ max: 10, nested, acquireTimeoutMillis: timeoutMillis })
      pool.core.on('nested', () => undefined)
      await rig.fill(pool, 10)
      const started = stopwatch()
      let millis = Infinity
      const errors: unknown[] = []
      await Promise.all(
        Array.from({ length: 10 }, () =>
          pool
            .use(async (client) => {
              await client.query('SELECT 1')
              return await pool.use((inner) => inner.query('SELECT 2'))
            })
            .catch((error: unknown) => {
              millis = Math.min(millis, started())
              errors.push(error)
            }),
        ),
      )
      return { errors, millis, deadlocks: pool.stats().deadlocks }
    }

    it("is told at once with `nested: 'throw'`, and the others then go on", async () => {
      const { errors, millis, deadlocks } = await nest('throw', 10_000)
      figures('C19 nested, throw', { 'told after ms': millis, 'failed tasks': errors.length, deadlocks })
      expect(errors).toHaveLength(1)
      expect(PoolError.is(errors[0], 'ERR_POOL_DEADLOCK')).toBe(true)
      expect(millis).toBeLessThanOrEqual(50 + rig.lag.allowance)
    })

    it('is named within one timeout otherwise', async () => {
      const { errors, millis, deadlocks } = await nest('warn', pick(5_000, 800))
      figures('C19 nested, warn', { 'told after ms': millis, 'failed tasks': errors.length, deadlocks })
      expect(deadlocks).toBeGreaterThanOrEqual(1)
      expect(errors[0]).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT', report: { diagnosis: 'nested-acquire' } })
      expect(millis).toBeLessThanOrEqual(pick(5_000, 800) + rig.lag.allowance)
    })
  })

  describe('C23: steps that throw or hang, one in a hundred, delay callers by one step’s time at the most', () => {
    const stepMillis = pick(1_000, 500)
    const rounds = pick(1_000, 80)

    /** Steps that misbehave now and then, the same ones in every run, counted by name. */
    function disturbance(): { readonly faults: Record<string, number>; step(name: string): Promise<void> | undefined } {
      const random = seeded(23)
      const faults: Record<string, number> = {}
      return {
        faults,
        step(name) {
          const luck = random()
          if (luck >= 0.01) return undefined
          faults[name] = (faults[name] ?? 0) + 1
          if (luck < 0.005) throw new Error(`${name} threw`)
          return new Promise(() => undefined)
        },
      }
    }

    function expectOnTime(waits: readonly number[]): void {
      expect(percentile(waits, 0.99)).toBeLessThanOrEqual(stepMillis + 50 + rig.lag.allowance)
    }

    it('what a user hands to the adapter', async () => {
      const { faults, step } = disturbance()
      const pool = rig.pool({
        max: 10,
        maxLifetimeMillis: 4_000,
        createTimeoutMillis: stepMillis,
        resetTimeoutMillis: stepMillis,
        acquireTimeoutMillis: 10 * stepMillis,
        // Runs as a part of every connect, and of every reset of a session that was changed.
        onConnect: () => step('onConnect'),
      })
      const callers = new Callers(pool)
      for (let round = 0; round < rounds; round++) {
        await Promise.all(
          Array.from({ length: 12 }, (_, index) =>
            callers.ask(index % 2 === 0 ? "SET work_mem = '5MB'" : 'SELECT pg_backend_pid() AS pid'),
          ),
        )
      }
      const waits = callers.calls.map(({ acquireMillis }) => acquireMillis)
      figures('C23 onConnect that fails', {
        ...callers.tally(),
        ...faults,
        'acquire p99 ms': percentile(waits, 0.99),
        'longest acquire ms': Math.max(...waits),
        'destroyed by reset': pool.stats().destroyed.reset,
        'create errors': pool.stats().createErrors,
      })
      expect(faults['onConnect']).toBeGreaterThan(0)
      expect(Object.keys(callers.tally())).toEqual(['ok'])
      expectOnTime(waits)
    })

    it('every step of an adapter, and every hook', async () => {
      const { faults, step } = disturbance()
      const factory: ResourceFactory<pg.Client> = {
        kind: 'disturbed',
        async create() {
          await step('create')
          const client = new pg.Client({ ...rig.server.config, port: rig.proxy.port })
          client.on('error', () => undefined)
          await client.connect()
          return client
        },
        async validate(client) {
          await step('validate')
          await client.query('SELECT 1')
        },
        async reset(client) {
          await step('reset')
          await client.query('DISCARD ALL')
        },
        async destroy(client) {
          // Gone from the server whatever becomes of the step.
          await client.end()
          await step('destroy')
        },
      }
      const pool = new Pool(factory, {
        max: 10,
        validateAfterIdleMillis: 0,
        maxLifetimeMillis: 4_000,
        createTimeoutMillis: stepMillis,
        validateTimeoutMillis: stepMillis,
        resetTimeoutMillis: stepMillis,
        hookTimeoutMillis: stepMillis,
        destroyTimeoutMillis: stepMillis,
        acquireTimeoutMillis: 10 * stepMillis,
        hooks: {
          onCreate: () => step('onCreate'),
          beforeAcquire: () => step('beforeAcquire'),
          afterRelease: () => step('afterRelease'),
        },
      })
      const watch = watchInvariants(pool)
      // Every step that throws where nobody waits for it is told.
      pool.on('failure', () => undefined)
      const waits: number[] = []
      const outcomes: Record<string, number> = {}
      const ask = async (): Promise<void> => {
        const asked = stopwatch()
        const outcome = await pool.acquire().then(
          async (lease) => {
            waits.push(asked())
            await lease.resource.query('SELECT 1')
            lease.release()
            return 'ok'
          },
          (error: Error) => error.message,
        )
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      }
      // Each by itself: nobody waits for another's hung step to ask again.
      const callers = Array.from({ length: 12 }, async () => {
        for (let round = 0; round < rounds; round++) await ask()
      })
      await Promise.all(callers)
      const stats = pool.stats()
      await pool.close({ timeoutMillis: stepMillis })
      figures('C23 every step and hook', {
        ...outcomes,
        ...faults,
        'acquire p99 ms': percentile(waits, 0.99),
        'longest acquire ms': Math.max(...waits),
        'destroyed by validate': stats.destroyed.validate,
        'by reset': stats.destroyed.reset,
        'by a hook': stats.destroyed.hook,
        'create errors': stats.createErrors,
      })
      for (const name of ['validate', 'reset', 'beforeAcquire', 'afterRelease'])
        expect(faults[name], name).toBeGreaterThan(0)
      expect(watch.failure).toBeUndefined()
      expect(outcomes).toEqual({ ok: rounds * 12 })
      expectIdentities(pool.stats())
      expect(pool.stats()).toMatchObject({ total: 0, creating: 0, used: 0 })
      // Creates that hang for ever and heed no signal stay visible, up to `maxConnecting` of them.
      expect(pool.stats().zombies).toBeLessThanOrEqual(8)
      expectOnTime(waits)
    })
  })
})

/** Borrows, and forgets everything about it. */
async function forget(pool: { connect(): Promise<unknown> }): Promise<void> {
  await pool.connect()
}
