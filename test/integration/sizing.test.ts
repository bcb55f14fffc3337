// Sizing on a real PostgreSQL: that what is said makes sense and stays in its bounds. How good it is, is measured by
// `npm run bench:sizing`: a machine that does other things at the same time is no place to assert a throughput.
import pg from 'pg'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { sleep, startPostgres, waitFor, type PostgresServer } from '@millpond/rig'
import { pgPool } from 'millpond/pg'
import { advise, autosize } from 'millpond/sizing'
import { ManualClock } from 'millpond/testing'
import { describePostgres, postgresMajor } from '../support/pg.ts'

describePostgres('sizing on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ major: postgresMajor })
  })
  afterAll(async () => {
    await server.stop()
  })

  const poolOf = (max: number) => {
    const pool = pgPool(pg, { ...server.config, max, min: max, application_name: 'ours' })
    onTestFinished(() => pool.end())
    return pool
  }

  /** Callers who compute a little on the server, until they are told to stop. */
  function callers(pool: ReturnType<typeof poolOf>): { set(count: number): void; stop(): Promise<void> } {
    let wanted = 0
    const running = new Set<Promise<void>>()
    const run = async (): Promise<void> => {
      while (running.size <= wanted) await pool.query('SELECT sum(sqrt(i)) FROM generate_series(1, 2000) AS i')
    }
    return {
      set(count) {
        wanted = count
        while (running.size < count) {
          const caller = run()
          running.add(caller)
          void caller.finally(() => running.delete(caller))
        }
      },
      async stop() {
        wanted = 0
        await Promise.all(running)
      },
    }
  }

  it('is advised within bounds, by what was seen, with reasons that hold', async () => {
    const pool = poolOf(12)
    await pool.ready()
    const advisor = advise(pool, { serverLimit: 100, instances: 4, serverCores: 2 })
    onTestFinished(() => advisor.stop())
    const load = callers(pool)
    for (const count of [2, 24, 6, 24, 1, 16, 24, 4, 24, 9]) {
      load.set(count)
      await sleep(200)
    }
    const advice = advisor.advice()
    await load.stop()
    expect(advice.samples).toBeGreaterThan(50)
    expect(advice.recommended).toBeGreaterThanOrEqual(1)
    expect(advice.recommended).toBeLessThanOrEqual(24)
    expect([advice.max, advice.budget, advice.formula, advice.leasesPerConnection]).toEqual([12, 24, 1, 1])
    expect(advice.recommendedMin).toBeLessThanOrEqual(advice.recommended)
    expect(advice.confidence).toBe('low')
    expect(advice.workShare).toBeGreaterThan(0)
    expect(advice.workShare).toBeLessThanOrEqual(1)
    for (const { verdict, why, numbers } of advice.findings) {
      // Nobody nests, nobody was idle for a day, and four of 12 fit into 100.
      expect(['UNDER', 'SATURATED_SERVER', 'LEASE_WASTE']).toContain(verdict)
      expect(why).toMatch(/\d/)
      expect(Object.values(numbers).every(Number.isFinite)).toBe(true)
    }
    expect(advice.knee === undefined || advice.knee.connections <= 12).toBe(true)
  })

  it('says BUDGET, and stays below it, where the server has too few for all', async () => {
    const pool = poolOf(30)
    const advisor = advise(pool, { serverLimit: 100, instances: 4 })
    onTestFinished(() => advisor.stop())
    await Promise.all(Array.from({ length: 30 }, () => pool.query('SELECT 1')))
    const { findings, recommended } = advisor.advice()
    expect(findings[0]?.verdict).toBe('BUDGET')
    expect(recommended).toBeLessThanOrEqual(24)
  })

  it('is not tuned while a stranger has a connection to the server, and is once it has gone', async () => {
    const pool = poolOf(6)
    await pool.ready()
    const [stranger, asking] = [
      new pg.Client({ ...server.config, application_name: 'a stranger' }),
      new pg.Client({ ...server.config, application_name: 'ours' }),
    ]
    await Promise.all([stranger.connect(), asking.connect()])
    onTestFinished(() => asking.end())
    let asked = 0
    const others = async (): Promise<number> => {
      asked++
      const { rows } = await asking.query<{ others: number }>(
        `SELECT count(*)::int AS others FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'ours'`,
      )
      return rows[0]?.others ?? 1
    }
    expect(() => autosize(pool)).toThrow('Say `alone: true`')
    const clock = new ManualClock()
    using tuner = autosize(pool, { others, clock, min: 2, max: 5, start: 4 })
    await waitFor(() => asked === 1, { what: 'the first question' })
    const load = callers(pool)
    load.set(12)
    await waitFor(() => pool.stats().leases === 6, { what: 'every connection to be out' })
    expect([tuner.limit, tuner.moves.length]).toEqual([Infinity, 0])
    await stranger.end()
    await clock.advance(5_000)
    await waitFor(() => tuner.limit <= 5, { what: 'the first block' })
    expect(tuner.limit).toBeGreaterThanOrEqual(2)
    // Only leases are held back: connections stay open.
    await waitFor(() => pool.stats().leases <= tuner.limit, { what: 'leases to come back' })
    expect(pool.stats().total).toBe(6)
    tuner.stop()
    expect(tuner.limit).toBe(Infinity)
    await load.stop()
  })
})
