import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { Callers, ChaosRig, countEvents, figures, pick } from '../support/chaos.ts'
import { pidOf, type TestPool } from '../support/pg.ts'

const ALARMS = ['invalidated', 'paused', 'deadlock', 'saturated'] as const

/** What looks like an outage and is none: it costs itself only. */
describe('false alarms', { timeout: 120_000 }, () => {
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

  const quiet = (counts: Record<string, number>): void => {
    expect(counts).toEqual({ invalidated: 0, paused: 0, deadlock: 0, saturated: 0 })
  }
  const pidsOf = async (): Promise<Set<number>> => new Set((await rig.view.backends()).map(({ pid }) => pid))
  const refusals = (pool: TestPool): number => {
    const { timedOut, refused, failed, aborted } = pool.stats()
    return timedOut + refused + failed + aborted
  }

  it.each(['in use', 'idle'])(
    'pg_terminate_backend on one of twenty, %s: one error at the most, and no other close',
    async (which) => {
      const pool = await rig.filled()
      const counts = countEvents(pool, ...ALARMS)
      const callers = new Callers(pool)
      const before = await pidsOf()
      const gate = await pool.connect()
      await gate.query('SELECT pg_advisory_lock(1)')
      const working = Array.from({ length: 18 }, () => callers.ask('SELECT pg_advisory_xact_lock_shared(1)'))
      await waitFor(async () => (await rig.view.backends()).filter(({ state }) => state === 'active').length === 18, {
        what: 'eighteen statements run',
      })
      const holder = await pidOf(gate)
      const victim = (await rig.view.backends()).find(
        ({ pid, state }) => pid !== holder && state === (which === 'idle' ? 'idle' : 'active'),
      )
      await rig.view.terminate(victim?.pid ?? 0)
      await waitFor(() => pool.stats().total === 19, { what: 'the pool has heard of it' })
      await gate.query('SELECT pg_advisory_unlock_all()')
      gate.release()
      await Promise.all(working)
      for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 20 }, () => callers.ask()))
      const after = await pidsOf()
      const kept = [...before].filter((pid) => after.has(pid)).length
      figures(`one of 20 terminated, ${which}`, { ...callers.tally(), kept, ...counts })
      expect(callers.of('query-failed')).toHaveLength(which === 'idle' ? 0 : 1)
      expect(callers.of('no-connection')).toEqual([])
      expect(kept).toBe(19)
      quiet(counts)
    },
  )

  it('a load balancer that cuts idle connections one after the other: no error, no invalidation', async () => {
    const pool = rig.pool()
    // One after the other, so that the proxy's first is the pool's coldest.
    const leases: { release(): void }[] = []
    while (leases.length < 20) leases.push(await pool.core.acquire())
    for (const lease of leases) lease.release()
    const counts = countEvents(pool, ...ALARMS)
    const callers = new Callers(pool)
    for (let cut = 0; cut < 12; cut++) {
      // The longest idle ones; the one in use is at the other end of the list.
      const asked = Array.from({ length: 5 }, () => callers.ask())
      rig.proxy.connections[0]?.cut(cut % 2 === 0 ? 'fin' : 'reset')
      await Promise.all(asked)
      await waitFor(() => pool.stats().destroyed.lost === cut + 1, { what: 'the pool has heard of it' })
      for (let call = 0; call < pick(30, 5); call++) await callers.ask()
    }
    figures('idle connections cut by a load balancer', {
      ...callers.tally(),
      lost: pool.stats().destroyed.lost,
      ...counts,
    })
    expect(Object.keys(callers.tally())).toEqual(['ok'])
    expect(pool.stats().destroyed.lost).toBe(12)
    quiet(counts)
  })

  it.each(['any', 'read-write'] as const)(
    '25006 inside a READ ONLY transaction, for a pool that wants %s: an error of the work',
    async (wanted) => {
      const pool = await rig.filled({ targetSessionAttrs: wanted })
      const counts = countEvents(pool, ...ALARMS)
      const before = await pidsOf()
      const codes: (string | undefined)[] = []
      for (let round = 0; round < 10; round++) {
        await pool
          .transaction((client) => client.query('CREATE TABLE never (id int)'), { readOnly: true })
          .catch((error: { code?: string }) => codes.push(error.code))
        const client = await pool.connect()
        await client.query('BEGIN READ ONLY')
        const failure = await client.query('CREATE TABLE never (id int)').catch((error: unknown) => error)
        client.release(failure as Error)
        codes.push((failure as { code?: string }).code)
        await pool.query('SELECT 1')
      }
      const after = await pidsOf()
      figures(`25006 in a READ ONLY transaction, wanted ${wanted}`, {
        errors: codes.length,
        generation: pool.stats().generation,
        ...counts,
      })
      expect(codes).toEqual(Array.from({ length: 20 }, () => '25006'))
      quiet(counts)
      expect([...before].filter((pid) => after.has(pid))).toHaveLength(20)
      expect(pool.stats().generation).toBe(0)
    },
  )

  it('one slow statement: the others are served, and nothing is taken for dead', async () => {
    const pool = await rig.filled({ max: 5, acquireTimeoutMillis: pick(1_000, 10_000) })
    const counts = countEvents(pool, ...ALARMS)
    const callers = new Callers(pool)
    const slow = callers.ask(`SELECT pg_sleep(${pick(8, 2)})`)
    const stop = callers.everyMillis(pick(5, 15))
    await slow
    await stop()
    figures('one slow statement', { ...callers.tally(), 'longest acquire ms': callers.longestAcquireMillis, ...counts })
    expect(Object.keys(callers.tally())).toEqual(['ok'])
    expect(pool.stats().created).toBe(5)
    quiet(counts)
  })

  it('Promise.all on a pool of one: everybody is served, in order', async () => {
    const pool = rig.pool({ max: 1, nested: 'throw' })
    const counts = countEvents(pool, ...ALARMS)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => pool.query<{ index: number }>('SELECT $1::int AS index', [index])),
    )
    const inside = await pool.use((client) =>
      Promise.all(
        Array.from({ length: 20 }, (_, index) => client.query<{ index: number }>('SELECT $1::int AS index', [index])),
      ),
    )
    const tasks = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        pool.use((client) => client.query<{ index: number }>('SELECT $1::int AS index', [index])),
      ),
    )
    figures('Promise.all on a pool of one', {
      answers: answers.length + inside.length + tasks.length,
      refusals: refusals(pool),
      ...counts,
    })
    expect(answers.map(({ rows }) => rows[0]?.index)).toEqual(Array.from({ length: 200 }, (_, index) => index))
    expect(refusals(pool)).toBe(0)
    expect(pool.stats().created).toBe(1)
    quiet(counts)
  })

  it('siblings inside one `use` that share its pool, and callbacks that wait in turn, are no deadlock', async () => {
    const pool = rig.pool({ max: 3, nested: 'throw' })
    const counts = countEvents(pool, ...ALARMS)
    // One callback holds one and asks for two: enough is free.
    const results = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        await sleep(index * 3)
        return await pool.query<{ index: number }>('SELECT $1::int AS index, pg_sleep(0.01)', [index])
      }),
    )
    await pool.use(async () => {
      await Promise.all([pool.query('SELECT pg_sleep(0.01)'), pool.query('SELECT pg_sleep(0.01)')])
      await Promise.all(Array.from({ length: 6 }, () => pool.query('SELECT pg_sleep(0.01)')))
    })
    figures('nested within capacity', { answers: results.length, refusals: refusals(pool), ...counts })
    expect(refusals(pool)).toBe(0)
    quiet(counts)
  })
})
