import { fork, type ChildProcess } from 'node:child_process'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { systemClock } from '../../src/core/clock.ts'
import { Callers, ChaosRig, countEvents, figures, pick, stopwatch } from '../support/chaos.ts'
import { destroyedIn } from '../support/identities.ts'
import { program } from '../support/program.ts'

describe('time', { timeout: 180_000 }, () => {
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

  it('C11: a wall clock that jumps by an hour, either way, or is slewed, costs nobody anything', async () => {
    let offset = 0
    let slewSince = Infinity
    const clock = {
      ...systemClock,
      wallNow: () => systemClock.wallNow() + offset + Math.max(0, systemClock.now() - slewSince) * 0.0005,
    }
    const pool = await rig.filled({ clock, maxLifetimeMillis: 1_800_000 })
    const counts = countEvents(pool, 'invalidated', 'frozen', 'acquireFailed', 'destroyed')
    const callers = new Callers(pool)
    const stop = callers.everyMillis(10)
    for (const jump of pick([-3_600_000, 3_600_000, 3_600_000, -7_200_000], [-3_600_000, 7_200_000])) {
      offset += jump
      await sleep(pick(3_000, 1_100))
    }
    slewSince = systemClock.now()
    await sleep(500)
    await stop()
    figures('C11 wall clock jumps', { ...callers.tally(), ...counts })
    expect(Object.keys(callers.tally())).toEqual(['ok'])
    expect(counts).toMatchObject({ invalidated: 0, acquireFailed: 0, destroyed: 0 })
    expect(pool.stats().created).toBe(20)
  })

  describe('C12: the process is stopped, and the server ends its idle connections meanwhile', () => {
    const stoppedMillis = pick(60_000, 2_200)
    let child: ChildProcess

    it.each(['with a goodbye', 'without a word'])('%s: nobody gets one of them', async (how) => {
      child = fork(await program('stopped-program'), [], {
        env: {
          ...process.env,
          DATABASE_URL: rig.server.connectionString.replace(`:${rig.server.port}/`, `:${rig.proxy.port}/`),
        },
      })
      try {
        const said: { ready?: true; calls?: number; failures?: string[]; pids?: number[]; frozen?: number }[] = []
        child.on('message', (message) => said.push(message as (typeof said)[number]))
        await waitFor(() => said.some(({ ready }) => ready), {
          what: 'the program has its pool',
          timeoutMillis: 60_000,
        })
        const before = (await rig.view.backends()).map(({ pid }) => pid)
        child.kill('SIGSTOP')
        await sleep(300)
        if (how === 'with a goodbye') await rig.view.terminate(({ state }) => state === 'idle')
        else for (const connection of rig.proxy.connections) connection.blackHole()
        await sleep(stoppedMillis)
        child.kill('SIGCONT')
        const result = await waitFor(() => said.find(({ calls }) => calls !== undefined), {
          what: 'the program has made its calls',
          timeoutMillis: 60_000,
        })
        const reused = (result.pids ?? []).filter((pid) => before.includes(pid))
        figures(`C12 stopped process, server ends idle ones ${how}`, {
          calls: result.calls,
          failures: result.failures?.length,
          'first failure': result.failures?.[0] ?? 'none',
          'old connections handed out': reused.length,
          'freezes noticed': result.frozen,
        })
        expect(before).toHaveLength(10)
        expect(result.failures).toEqual([])
        expect(reused).toEqual([])
      } finally {
        child.kill('SIGKILL')
        await waitFor(() => child.exitCode !== null || child.signalCode !== null, { what: 'the program has ended' })
        await rig.proxy.clear()
        await rig.view.terminate()
      }
    })
  })

  it('C13: an event loop that is blocked every second causes no false timeout and ends no healthy connection', async () => {
    // All deadlines are shorter than a stall, and longer than an honest answer takes on a loaded machine.
    const [stallMillis, deadlineMillis] = pick([200, 150], [800, 700])
    const pool = await rig.filled({
      max: 10,
      acquireTimeoutMillis: deadlineMillis,
      validateTimeoutMillis: deadlineMillis,
      validateAfterIdleMillis: 20,
      createTimeoutMillis: 5_000,
    })
    const counts = countEvents(pool, 'invalidated', 'destroyed', 'validated')
    const callers = new Callers(pool)
    const passed = stopwatch()
    const calls = pick(1_000, 200)
    let stalls = 0
    const block = setInterval(
      () => {
        stalls++
        const blocked = stopwatch()
        while (blocked() < stallMillis) Math.random()
      },
      pick(1_000, 1_300),
    )
    // Twenty at a time on ten connections: half of them wait, each for one short statement.
    while (callers.calls.length < calls || stalls < pick(5, 3)) {
      await Promise.all(Array.from({ length: 20 }, () => callers.ask('SELECT pg_sleep(0.005)')))
      await sleep(30)
    }
    clearInterval(block)
    const { acquired, timedOut } = pool.stats()
    figures('C13 blocked event loop', {
      ...callers.tally(),
      seconds: passed() / 1_000,
      stalls,
      acquired,
      'false timeouts': timedOut,
      ...counts,
    })
    expect(callers.tally()).toEqual({ ok: callers.calls.length })
    expect(counts).toMatchObject({ invalidated: 0, destroyed: 0 })
    expect(destroyedIn(pool.stats())).toBe(0)
  })

  it('C13: a timeout that a stall has made late says so', async () => {
    const pool = await rig.filled({ max: 1, acquireTimeoutMillis: 100 })
    const held = await pool.connect()
    const waiting = pool.connect().catch((error: unknown) => error)
    await sleep(10)
    const blocked = stopwatch()
    while (blocked() < 300) Math.random()
    const error = (await waiting) as { code: string; stallMillis: number; message: string }
    held.release()
    figures('C13 a late timeout', { stallMillis: error.stallMillis, message: error.message.slice(0, 140) })
    expect(error.code).toBe('ERR_POOL_ACQUIRE_TIMEOUT')
    expect(error.stallMillis).toBeGreaterThan(100)
    expect(error.message).toContain('event loop')
  })
})
