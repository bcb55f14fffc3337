import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sleep, waitFor } from '@millpond/rig'
import { Callers, ChaosRig, figures, pick, stopwatch } from '../support/chaos.ts'
import { destroyedIn, expectIdentities } from '../support/identities.ts'
import { program } from '../support/program.ts'
import { seeded } from '../support/simulation.ts'

const GRACE = pick(3_000, 300)
/** The engine's own patience with a goodbye. */
const DESTROY_TIMEOUT = 2_000

describe('C21: closing in the middle of it', { timeout: 240_000 }, () => {
  let rig: ChaosRig
  const random = seeded(21)

  beforeAll(async () => {
    rig = await ChaosRig.start()
  })
  afterEach(async () => {
    await rig.reset()
  })
  afterAll(async () => {
    await rig.stop()
  })

  const faults: Record<string, () => Promise<void>> = {
    'the server was killed': async () => await rig.server.kill(),
    'the server is being restarted': async () => {
      await rig.server.kill()
      await sleep(random() * 300)
      await rig.server.start()
    },
    'everything fell silent': async () => await rig.proxy.blackHole(),
    'connects get no answer': async () => await rig.proxy.set({ connect: 'silence' }),
    'the pool is overloaded': () => Promise.resolve(),
  }

  it.each(Object.keys(faults))(
    '%s: it resolves within its grace time and one goodbye, and leaves nothing',
    async (name) => {
      const durations: number[] = []
      const reports: unknown[] = []
      for (let round = 0; round < pick(5, 2); round++) {
        const pool = rig.pool({ max: 8, acquireTimeoutMillis: 4_000, createTimeoutMillis: 3_000 })
        const callers = new Callers(pool)
        const stop = callers.everyMillis(5, 'SELECT pg_sleep(0.03)')
        if (round % 2 === 0) await sleep(random() * 150)
        const fault = faults[name]?.()
        await sleep(random() * 400)
        const stuck = pool.stats().used > 0 && round % 2 === 0 ? undefined : pool.connect().catch(() => undefined)
        const closing = stopwatch()
        const report = await pool.close({ timeoutMillis: GRACE, waiters: round % 2 === 0 ? 'serve' : 'reject' })
        durations.push(closing())
        reports.push({
          closed: report.closed,
          forced: report.forced,
          rejected: report.rejected,
          pendingCreates: report.pendingCreates,
        })
        await fault
        await stop()
        await stuck
        const stats = pool.stats()
        expectIdentities(stats)
        expect(stats).toMatchObject({ total: 0, creating: 0, waiting: 0, used: 0, leases: 0 })
        expect(stats.created).toBe(destroyedIn(stats))
        expect(callers.calls.filter(({ endedAt, askedAt }) => endedAt < askedAt)).toEqual([])
        await rig.proxy.clear()
        if (!rig.server.isRunning) await rig.server.start()
      }
      await waitFor(async () => (await rig.view.count()) === 0, { what: 'the server holds nothing of it' })
      figures(`C21 close while ${name}`, {
        'durations ms': durations.map(Math.round).join(' '),
        reports: JSON.stringify(reports),
      })
      expect(Math.max(...durations)).toBeLessThanOrEqual(GRACE + DESTROY_TIMEOUT + 100 + rig.lag.allowance)
    },
  )

  it('a program whose pool was closed in an outage ends by itself', async () => {
    const closing = fork(await program('closing-program'), {
      silent: true,
      env: {
        ...process.env,
        DATABASE_URL: rig.server.connectionString.replace(`:${rig.server.port}/`, `:${rig.proxy.port}/`),
      },
    })
    const said = Promise.all([text(closing.stdout as Readable), text(closing.stderr as Readable)])
    const ended = once(closing, 'exit') as Promise<[code: number | null, signal: string | null]>
    // It has to end by itself: what is killed here has not, and its signal says so.
    const watchdog = setTimeout(() => closing.kill('SIGKILL'), 60_000)
    await Promise.race([once(closing, 'message'), ended])
    await rig.proxy.blackHole()
    if (closing.connected) closing.send('silent')
    const [code, signal] = await ended
    clearTimeout(watchdog)
    const [output, errors] = await said
    expect({ code, signal }, errors).toEqual({ code: 0, signal: null })
    const { listeners, handles } = JSON.parse(output) as { listeners: number; handles: string[] }
    figures('C21 a program ends by itself', { listeners, handles: handles.join() || 'none' })
    expect(listeners).toBeLessThanOrEqual(0)
    expect(handles.filter((handle) => !/^(PipeWrap|TTYWrap|Pipe|FSEvent)/.test(handle))).toEqual([])
  })
})
