import { describe, expect, it, onTestFinished } from 'vitest'
import type { ManagedPool } from 'millpond'
import {
  advise,
  autosize,
  connectionsByErlangC,
  uslPeak,
  uslThroughput,
  type AdviceOptions,
  type Advisor,
} from 'millpond/sizing'
import { Observer } from '../../../src/sizing/observer.ts'
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

const viewOf = (pool: ManagedPool): ManagedPool => ({
  name: pool.name,
  kind: pool.kind,
  state: pool.state,
  stats: () => pool.stats(),
  health: () => pool.health(),
  close: () => pool.close(),
  on: () => undefined,
})

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
    // The time of a simulated use is rounded up to its steps, by about a tenth.
    const exact = connectionsByErlangC(11, 11, { waitMillis: 10, share: 0.01 })
    expect(Math.abs(recommended - exact)).toBeLessThanOrEqual(1)
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

  describe('of connections that carry several leases', () => {
    it('does not take a connection that has room for a full one', async () => {
      const load = new SimulatedLoad(LINEAR, {
        max: 2,
        leasesPerConnection: 10,
        arrivals: (random) => exponential(random, 2),
      })
      const advisor = watch(load.pool as Pool<never>, load.clock, { traceLength: 3_000 })
      await load.run(8_000)
      const { findings, fullShare, recommended, need, leasesPerConnection, busyP99 } = advisor.advice()
      expect([findings, fullShare, leasesPerConnection]).toEqual([[], 0, 10])
      expect(busyP99).toBeGreaterThan(5)
      expect(need.replay).toBeGreaterThan(5)
      expect(recommended).toBe(Math.ceil((need.replay ?? 0) / 10))
    })

    it('counts connections where it says how many there should be', async () => {
      const load = new SimulatedLoad(LINEAR, {
        max: 1,
        leasesPerConnection: 4,
        arrivals: (random) => exponential(random, 1),
      })
      const advisor = watch(load.pool as Pool<never>, load.clock, { traceLength: 5_000 })
      await load.run(8_000)
      const { findings, recommended, need } = advisor.advice()
      expect(findings.map(({ verdict }) => verdict)).toEqual(['UNDER'])
      expect(need.replay).toBeGreaterThan(10)
      expect(recommended).toBe(Math.ceil((need.replay ?? 0) / 4))
      expect(findings[0]?.why).toContain(`${recommended} connections would have been enough for this load, not 1.`)
    })

    it('finds the server’s knee in leases, and lets connections go only where that helps', async () => {
      const best = uslThroughput(SERVERS.strong, uslPeak(SERVERS.strong))
      const saturated = async (max: number, leasesPerConnection: number): Promise<ReturnType<Advisor['advice']>> => {
        let calls = 0
        const load = new SimulatedLoad(SERVERS.strong, {
          max,
          leasesPerConnection,
          arrivals: (random) =>
            exponential(random, 1_000 / (best * (Math.floor(calls++ / 2_000) % 2 === 0 ? 0.5 : 1.6))),
        })
        const advisor = watch(load.pool as Pool<never>, load.clock)
        await load.run(16_000, 2)
        return advisor.advice()
      }
      const many = await saturated(6, 10)
      expect(many.findings[0]?.why).toMatch(
        /^More than \d+ leases were out .* Reduce to 2; more connections make it worse\.$/,
      )
      expect(many.recommended).toBe(Math.ceil((many.knee?.connections ?? 0) / 10))
      const one = await saturated(1, 60)
      expect([one.findings[0]?.verdict, one.recommended]).toEqual(['SATURATED_SERVER', 1])
      expect(one.findings[0]?.why).toMatch(/let fewer callers in at a time\.$/)
    })

    it('remembers of each lease how long it has waited, whichever ends first', async () => {
      const { pool, clock, ask } = setUp({ max: 1, maxLeasesPerResource: 2 })
      const observer = new Observer(pool, 100, 20, clock)
      onTestFinished(() => observer.stop())
      const [first, second] = [await pool.acquire(), await pool.acquire()]
      const third = ask()
      await clock.advance(10)
      first.release()
      await clock.advance(0)
      const fourth = ask()
      await clock.advance(5)
      // The third has waited 10 ms, the fourth will have waited 5: the third ends last.
      second.release()
      await clock.advance(0)
      await clock.advance(1)
      fourth.lease?.release()
      await clock.advance(4)
      third.lease?.release()
      await clock.advance(0)
      const { arrivals, uses } = observer.trace()
      expect([...arrivals].map((at) => at - (arrivals[0] ?? 0))).toEqual([0, 0, 0, 10])
      expect([...uses].sort((a, b) => a - b)).toEqual([1, 10, 10, 15])
      await pool.close()
    })
  })

  it('asks of Redis’ lanes only the one that `max` is about', async () => {
    const { pool, clock } = setUp({ max: 3 })
    const whole = { ...viewOf(pool), name: 'cache', stats: () => ({ ...pool.stats(), max: 14 }), sizedPart: pool }
    const advisor = advise(whole, { clock })
    onTestFinished(() => advisor.stop())
    expect(advisor.advice().max).toBe(3)
    using tuner = autosize(whole, { alone: true, clock })
    expect(tuner.base).toBe(3)
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
