import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { Callers, ChaosRig, countEvents, figures, pick, stopwatch } from '../support/chaos.ts'
import type { TestPool } from '../support/pg.ts'

const TIMEOUT = pick(5_000, 1_500)
const VALIDATE_TIMEOUT = pick(5_000, 1_000)
const KEEP_ALIVE = pick(20_000, 1_000)
const LONGEST_PROBE_DELAY = 5_000

describe('a network that falls silent', { timeout: 300_000 }, () => {
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

  /** From now on nobody answers; tells how long the pool takes to notice. */
  async function fallSilent(pool: TestPool): Promise<number> {
    const sinceSilence = stopwatch()
    await rig.proxy.blackHole()
    await waitFor(() => pool.stats().generation > 0, {
      what: 'the silence is noticed',
      timeoutMillis: 3 * KEEP_ALIVE + 20_000,
    })
    return sinceSilence()
  }

  it('C4: a black hole on all connections keeps no caller beyond its deadline, is noticed without traffic, and leaks no slot', async () => {
    const pool = await rig.filled({
      min: 20,
      keepAliveMillis: KEEP_ALIVE,
      validateTimeoutMillis: VALIDATE_TIMEOUT,
      createTimeoutMillis: pick(10_000, 1_000),
      query_timeout: TIMEOUT,
      acquireTimeoutMillis: TIMEOUT,
    })
    const callers = new Callers(pool)
    const inTheHole = Array.from({ length: 5 }, () => callers.ask('SELECT pg_sleep(0.2)'))
    await sleep(50)
    const noticedMillis = await fallSilent(pool)
    await Promise.all(inTheHole)
    const stop = callers.everyMillis(100)
    await sleep(pick(60_000, 2_000))
    await rig.proxy.clear()
    const healedAt = performance.now()
    await waitFor(() => callers.of('ok').some(({ askedAt, endedAt }) => endedAt > healedAt && askedAt > 0), {
      what: 'the first success',
      timeoutMillis: 20_000,
    })
    const firstSuccess = performance.now() - healedAt
    await stop()
    await waitFor(() => pool.stats().zombies + pool.stats().closing === 0, { what: 'nothing hangs' })
    await rig.fill(pool)
    figures('C4 black hole on all', {
      'noticed without traffic ms': noticedMillis,
      'longest acquire ms': callers.longestAcquireMillis,
      'first success after healing ms': firstSuccess,
      'failed statements': callers.of('query-failed').length,
      attempts: pool.stats().createErrors,
      'loop lag ms': rig.lag.millis,
    })
    expect(callers.longestAcquireMillis).toBeLessThanOrEqual(TIMEOUT + rig.lag.allowance)
    // One keep-alive (± 20 %) times out, then the witness; each may begin a round late.
    expect(noticedMillis).toBeLessThanOrEqual(1.2 * KEEP_ALIVE + 2 * VALIDATE_TIMEOUT + 2_000 + rig.lag.allowance)
    expect(firstSuccess).toBeLessThanOrEqual(LONGEST_PROBE_DELAY + 1_000 + rig.lag.allowance)
    expect(callers.of('query-failed').length).toBeLessThanOrEqual(5)
  })

  it('C4: the keep-alive alone finds out about a silence while nobody asks for anything', async () => {
    const pool = await rig.filled({
      min: 20,
      keepAliveMillis: KEEP_ALIVE,
      validateTimeoutMillis: VALIDATE_TIMEOUT,
      createTimeoutMillis: pick(10_000, 1_000),
    })
    const asked = pool.stats().requested
    const events: string[] = []
    pool.core.on('validated', ({ error }) => events.push(error === undefined ? 'answered' : 'unanswered'))
    pool.core.on('invalidated', ({ reason }) => events.push(`invalidated (${reason})`))
    const noticedMillis = await fallSilent(pool)
    const { requested, used } = pool.stats()
    await rig.proxy.clear()
    await waitFor(() => pool.stats().total === 20 && pool.state === 'open', {
      what: 'all are open again',
      timeoutMillis: 6 * LONGEST_PROBE_DELAY,
    })
    const told = events.slice(0, events.findIndex((event) => event.startsWith('invalidated')) + 1)
    figures('C4 black hole while nobody asks', {
      'noticed after ms': noticedMillis,
      'what told': told.join(', '),
      'asked meanwhile': requested - asked,
    })
    expect({ requested, used }).toEqual({ requested: asked, used: 0 })
    // One was silent, and so was the witness; nothing else can have told.
    expect(told.filter((event) => event === 'unanswered').length).toBeGreaterThanOrEqual(2)
    expect(told.at(-1)).toMatch(/^invalidated/)
    expect(noticedMillis).toBeLessThanOrEqual(1.2 * KEEP_ALIVE + 2 * VALIDATE_TIMEOUT + 2_000 + rig.lag.allowance)
  })

  it('C5: a black hole on one of twenty costs one statement at the most, and no other connection', async () => {
    const pool = await rig.filled({ validateTimeoutMillis: VALIDATE_TIMEOUT, query_timeout: TIMEOUT })
    const counts = countEvents(pool, 'invalidated', 'paused')
    const callers = new Callers(pool)
    const before = new Set((await rig.view.backends()).map(({ pid }) => pid))
    rig.proxy.connections[7]?.blackHole()
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 20 }, () => callers.ask()))
    const kept = new Set(
      callers
        .of('ok')
        .map(({ pid }) => pid ?? 0)
        .filter((pid) => before.has(pid)),
    ).size
    figures('C5 black hole on one of 20', { ...callers.tally(), ...counts, kept, created: pool.stats().created })
    expect(callers.of('query-failed').length).toBeLessThanOrEqual(1)
    expect(callers.of('no-connection')).toEqual([])
    expect(counts).toEqual({ invalidated: 0, paused: 0 })
    expect(kept).toBe(19)
    expect(pool.stats().created).toBe(21)
  })

  describe('C7: idle connections are ended from outside', () => {
    // Far enough apart that a machine at work elsewhere does not make the keep-alive come too late.
    const [idleMillis, keepAliveMillis] = pick([30_000, 20_000], [2_500, 400])

    it('by the server, who says so: a keep-alive prevents it', async () => {
      const pool = await rig.filled({ min: 20, keepAliveMillis, options: `-c idle_session_timeout=${idleMillis}` })
      const callers = new Callers(pool)
      await sleep(1.5 * idleMillis)
      await Promise.all(Array.from({ length: 40 }, () => callers.ask()))
      const { created, destroyed } = pool.stats()
      figures('C7 idle kill by the server, with a keep-alive', { ...callers.tally(), lost: destroyed.lost, created })
      expect(callers.tally()).toEqual({ ok: 40 })
      expect(created).toBe(20)
    })

    it('by the server, who says so: without a keep-alive it costs nobody an error either', async () => {
      const options = `-c idle_session_timeout=${pick(30_000, 500)}`
      const pool = await rig.filled({ keepAliveMillis: Infinity, options })
      const callers = new Callers(pool)
      // The first that ends has another one checked, which begins its time anew.
      await waitFor(() => pool.stats().total === 0, { what: 'the server has ended all', timeoutMillis: 120_000 })
      const { created } = pool.stats()
      await Promise.all(Array.from({ length: 40 }, () => callers.ask()))
      const { created: afterwards, destroyed } = pool.stats()
      figures('C7 idle kill by the server, without a keep-alive', {
        ...callers.tally(),
        lost: destroyed.lost,
        created: afterwards,
      })
      expect(callers.tally()).toEqual({ ok: 40 })
      expect(destroyed.lost).toBeGreaterThanOrEqual(created)
    })

    it('by a NAT gateway, silently: a keep-alive prevents it', async () => {
      await rig.proxy.set({ forgetIdleMillis: idleMillis })
      const pool = await rig.filled({ min: 20, keepAliveMillis, validateTimeoutMillis: VALIDATE_TIMEOUT })
      const callers = new Callers(pool)
      await sleep(1.5 * idleMillis)
      await Promise.all(Array.from({ length: 40 }, () => callers.ask()))
      figures('C7 NAT drop, with a keep-alive', { ...callers.tally(), created: pool.stats().created })
      expect(callers.tally()).toEqual({ ok: 40 })
      expect(pool.stats().created).toBe(20)
    })

    it('by a NAT gateway, silently, without a keep-alive or a check: costs one statement, and that one warns of all others', async () => {
      const pool = await rig.filled({
        keepAliveMillis: Infinity,
        validateAfterIdleMillis: Infinity,
        validateTimeoutMillis: VALIDATE_TIMEOUT,
        query_timeout: TIMEOUT,
        acquireTimeoutMillis: 10_000,
      })
      const counts = countEvents(pool, 'invalidated', 'validated')
      const callers = new Callers(pool)
      for (const connection of rig.proxy.connections) connection.blackHole()
      for (let round = 0; round < 40; round++) await callers.ask()
      await waitFor(() => counts['invalidated'] === 1, { what: 'the witness has been silent too' })
      const { longestAcquireMillis } = callers
      figures('C7 NAT drop, without a keep-alive', {
        ...callers.tally(),
        ...counts,
        'longest acquire ms': longestAcquireMillis,
      })
      expect(callers.tally()).toEqual({ 'query-failed': 1, ok: 39 })
      // Nobody waited for one check after the other: the first that failed spoke for all.
      expect(longestAcquireMillis).toBeLessThanOrEqual(3 * VALIDATE_TIMEOUT + 1_000 + rig.lag.allowance)
    })
  })
})
