import { describe, expect, it, onTestFinished } from 'vitest'
import { advise, connectionsByErlangC, uslPeak, uslThroughput, type AdviceOptions, type Advisor } from 'millpond/sizing'
import { engineOf, type Pool } from '../../../src/core/pool.ts'
import { exponential, SERVERS, SimulatedLoad } from '../../support/sizing.ts'
import { setUp } from '../../support/harness.ts'

/** Every connection gets as much done as if it were alone, 100 a second. */
const LINEAR = { gamma: 100, alpha: 0, beta: 0 }

function watch(pool: Pool<never>, clock: SimulatedLoad['clock'], options: AdviceOptions = {}): Advisor {
  const advisor = advise(pool, { clock, ...options })
  onTestFinished(() => advisor.stop())
  return advisor
}

const verdicts = (advisor: Advisor): string[] => advisor.advice().findings.map(({ verdict }) => verdict)

describe('an advisor', () => {
  it('says UNDER, with a size at which callers would not have waited', async () => {
    // On average 10 at work, and 6 connections: many callers time out.
    const load = new SimulatedLoad(LINEAR, { max: 6, arrivals: (random) => exponential(random, 1) })
    const advisor = watch(load.pool as Pool<never>, load.clock, { waitMillis: 10, traceLength: 10_000 })
    await load.run(13_000)
    const { findings, recommended, need, lateShare, fullShare, samples } = advisor.advice()
    expect(findings.map(({ verdict }) => verdict)).toEqual(['UNDER'])
    expect(findings[0]?.why).toMatch(
      /^\d+ % of the callers waited longer than 10 ms \(1\.0 % may\); \d+ connections would have been enough/,
    )
    expect([lateShare > 0.5, fullShare > 0.9, samples > 10_000]).toEqual([true, true, true])
    const exact = connectionsByErlangC(10, 10, { waitMillis: 10, share: 0.01 })
    // The time of a simulated use is rounded up to its steps, by about a tenth.
    expect(recommended).toBeGreaterThanOrEqual(exact - 1)
    expect(recommended).toBeLessThanOrEqual(exact + 4)
    expect(need.replay).toBe(recommended)
  })

  it('asks the formulas where it has seen too little for a replay, and says how sure it is', async () => {
    const load = new SimulatedLoad(LINEAR, { max: 20, arrivals: (random) => exponential(random, 2) })
    const advisor = watch(load.pool as Pool<never>, load.clock)
    await load.run(3_000)
    const { need, confidence, recommended, findings } = advisor.advice()
    expect([need.replay, confidence, findings]).toEqual([undefined, 'low', []])
    expect(recommended).toBe(Math.max(need.erlangC ?? 0, need.allenCunneen ?? 0))
  })

  it('says OVER only after the pool was half empty for long', async () => {
    const load = new SimulatedLoad(LINEAR, { max: 40, arrivals: (random) => exponential(random, 10) })
    const advisor = watch(load.pool as Pool<never>, load.clock, { overAfterMillis: 8_000 })
    await load.run(6_000, 4)
    expect(verdicts(advisor)).toEqual([])
    await load.run(4_000, 4)
    const { findings, recommended, busyP99 } = advisor.advice()
    expect(findings.map(({ verdict }) => verdict)).toEqual(['OVER'])
    expect(findings[0]?.why).toContain(`at most ${busyP99} of 40 connections were out`)
    expect(recommended).toBeLessThan(10)
  })

  it('says SATURATED_SERVER where more connections get no more done, and not UNDER', async () => {
    const best = uslThroughput(SERVERS.strong, uslPeak(SERVERS.strong))
    let calls = 0
    const load = new SimulatedLoad(SERVERS.strong, {
      max: 60,
      // Load that comes and goes, so that the server is seen at work with few and with many.
      arrivals: (random) => exponential(random, 1_000 / (best * (Math.floor(calls++ / 2_000) % 2 === 0 ? 0.5 : 1.6))),
    })
    const advisor = watch(load.pool as Pool<never>, load.clock)
    await load.run(20_000, 2)
    const { findings, knee, recommended, max } = advisor.advice()
    expect(findings[0]?.verdict).toBe('SATURATED_SERVER')
    expect(findings.map(({ verdict }) => verdict)).not.toContain('UNDER')
    expect(knee?.agree).toBe(true)
    expect([recommended, max]).toEqual([knee?.connections, 60])
    expect(uslThroughput(SERVERS.strong, recommended) / best).toBeGreaterThan(0.9)
  })

  it('says BUDGET where all instances together ask for more than the server has, and stays below', async () => {
    const { pool, clock } = setUp({ max: 40 })
    const advisor = watch(pool as unknown as Pool<never>, clock, { serverLimit: 100, instances: 5, serverCores: 8 })
    const { findings, recommended, budget, formula } = advisor.advice()
    expect(findings).toEqual([
      {
        verdict: 'BUDGET',
        why: '5 instances × max 40 are 200 connections, and the server has 97 for them: at most 19 each.',
        numbers: { instances: 5, max: 40, serverLimit: 100, reserved: 3, budget: 19 },
      },
    ])
    expect([budget, recommended, formula]).toEqual([19, 19, 3])
    await pool.close()
  })

  it('says LOCK_RISK where callers that hold a connection wait for another one', async () => {
    const { pool, clock } = setUp({ max: 2, nested: 'warn', acquireTimeoutMillis: 50 })
    const advisor = watch(pool as unknown as Pool<never>, clock)
    const nested = Promise.allSettled([1, 2].map(() => pool.use(() => pool.use(() => undefined))))
    await clock.advance(100)
    await nested
    const { findings, lockFloor } = advisor.advice()
    expect([findings[0]?.verdict, lockFloor]).toEqual(['LOCK_RISK', 3])
    await pool.close()
  })

  it('says LEASE_WASTE where nothing runs on a connection for most of the time it is held', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const advisor = watch(pool as unknown as Pool<never>, clock)
    for (let count = 0; count < 10; count++) {
      const lease = await pool.acquire()
      const { operations } = engineOf(pool)
      const startedAt = operations.now()
      await clock.advance(10)
      operations.ended({ describe: () => 'SELECT 1' }, startedAt, false)
      await clock.advance(90)
      lease.release()
    }
    const { findings, workShare } = advisor.advice()
    expect(workShare).toBeCloseTo(0.1, 6)
    expect(findings.map(({ verdict }) => verdict)).toEqual(['LEASE_WASTE'])
    await pool.close()
  })

  it('sees leases that do not come back, by Little’s law', async () => {
    const { pool, clock, take } = setUp({ max: 5 })
    const advisor = watch(pool as unknown as Pool<never>, clock)
    const [leaked] = await take(1)
    for (let count = 0; count < 20; count++) {
      const lease = await pool.acquire()
      await clock.advance(100)
      lease.release()
    }
    expect(advisor.advice().littleGap).toBeCloseTo(0.5, 1)
    leaked?.release()
    await pool.close()
  })

  it('leaves nothing on the pool when it stops', async () => {
    const { pool, clock } = setUp()
    const { events } = engineOf(pool)
    const advisor = advise(pool, { clock })
    expect(events.quiet).toBe(false)
    advisor.stop()
    expect([events.quiet, events.heard('slow'), events.heard('released')]).toEqual([true, false, false])
    await pool.close()
  })
})
