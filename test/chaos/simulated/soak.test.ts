import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Pool, type Lease } from 'millpond'
import { FakeError, FakeFactory, ManualClock, type FakeResource } from 'millpond/testing'
import { figures, pick } from '../../support/chaos.ts'
import { expectIdentities } from '../../support/identities.ts'
import { watchInvariants } from '../../support/invariants.ts'
import { after, seeded } from '../../support/simulation.ts'

const ACQUIRE_TIMEOUT = 5_000
/** A stall of the event loop extends a deadline by at most this. */
const LONGEST_EXTENSION = 1_000

/** A server that may be down, slow, silent, picky or full. */
class SimulatedServer {
  readonly clock: ManualClock
  readonly random: () => number
  down = false
  silent = false
  slow = false
  /** Share of steps that throw or hang. */
  faulty = 0
  grants = Infinity
  readonly #hung: ((error: unknown) => void)[] = []

  constructor(clock: ManualClock, random: () => number) {
    this.clock = clock
    this.random = random
  }

  async step(signal: AbortSignal | undefined, millis: number): Promise<void> {
    if (this.down) throw new FakeError('restart')
    if (this.silent || this.random() < this.faulty / 2) {
      await new Promise<void>((_, reject) => {
        this.#hung.push(reject)
        signal?.addEventListener('abort', () => reject(new FakeError('timeout')), { once: true })
      })
    }
    if (this.random() < this.faulty / 2) throw new FakeError('disconnect')
    await after(this.clock, millis * (this.slow ? 20 : 1) * (0.5 + this.random()))
  }

  heal(): void {
    this.down = this.silent = this.slow = false
    this.faulty = 0
    this.grants = Infinity
    for (const reject of this.#hung.splice(0)) reject(new FakeError('disconnect'))
  }
}

describe('C24: a long time under random faults (simulated)', { timeout: 900_000, retry: 0 }, () => {
  it.each(pick([1, 2, 3], [1]))('adds up, keeps every deadline and leaves nothing (seed %i)', async (seed) => {
    const clock = new ManualClock()
    const random = seeded(seed)
    const server = new SimulatedServer(clock, random)
    const factory = new FakeFactory({ validates: true, resets: true })
    factory.onCreate = async ({ signal }) => {
      await server.step(signal, 20)
      if (factory.open >= server.grants) throw new FakeError('saturated')
    }
    factory.onValidate = (_, { signal }) => server.step(signal, 1)
    factory.onReset = (_, { signal }) => (random() < 0.1 ? server.step(signal, 1) : undefined)
    const pool = new Pool<FakeResource>(factory, {
      clock,
      random,
      max: 20,
      min: 2,
      maxOverflow: 2,
      acquireTimeoutMillis: ACQUIRE_TIMEOUT,
      idleTimeoutMillis: 60_000,
      maxLifetimeMillis: 600_000,
      maxUseMillis: 120_000,
      reclaimAbandoned: false,
      hooks: {
        onCreate: () => (random() < server.faulty / 2 ? Promise.reject(new Error('hook')) : undefined),
        afterRelease: () => (random() < server.faulty / 2 ? Promise.reject(new Error('hook')) : undefined),
      },
    })
    const watch = watchInvariants(pool)
    pool.on('failure', () => undefined)
    pool.on('overused', () => undefined)

    const outcomes: Record<string, number> = {}
    let [asked, settled, longest, heldTwice] = [0, 0, 0, 0]
    const holders = new Set<number>()
    const aborts: AbortController[] = []
    const call = async (): Promise<void> => {
      asked++
      const askedAt = clock.now()
      const controller = new AbortController()
      if (random() < 0.05) {
        aborts.push(controller)
        clock.setTimer(() => controller.abort(new Error('gave up')), random() * 500)
      }
      let lease: Lease<FakeResource>
      try {
        lease = await pool.acquire({ signal: controller.signal, priority: random() < 0.1 ? 1 : 0 })
      } catch (error) {
        settled++
        longest = Math.max(longest, clock.now() - askedAt)
        const code = (error as { code?: string }).code ?? 'gave up'
        outcomes[code] = (outcomes[code] ?? 0) + 1
        return
      }
      settled++
      longest = Math.max(longest, clock.now() - askedAt)
      outcomes['ok'] = (outcomes['ok'] ?? 0) + 1
      const { id, destroyed } = lease.resource
      if (holders.has(id) || destroyed !== undefined) heldTwice++
      holders.add(id)
      await after(clock, random() < 0.001 ? 200_000 : random() * 200)
      holders.delete(id)
      if (lease.released) return
      if (random() < 0.01) lease.release(new FakeError('disconnect'))
      else if (random() < 0.01) lease.destroy()
      else lease.release()
    }

    const faults: Record<string, () => void | Promise<void>> = {
      down: () => {
        server.down = true
        for (const resource of factory.resources)
          if (resource.destroyed === undefined) resource.die(new FakeError('restart'))
      },
      silent: () => void (server.silent = true),
      slow: () => void (server.slow = true),
      faulty: () => void (server.faulty = 0.02),
      saturated: () => void (server.grants = 8),
      'one dies': () =>
        factory.resources.find(({ destroyed }) => destroyed === undefined)?.die(new FakeError('disconnect')),
      'all idle die': () => {
        for (const resource of factory.resources) if (resource.destroyed === undefined) resource.die()
      },
      burst: () => {
        for (let caller = 0; caller < 300; caller++) void call()
      },
      stall: () => clock.stall(200 + random() * 3_000),
      freeze: () => clock.freeze(60_000),
      'wall clock': () => clock.jumpWallClock((random() - 0.5) * 7_200_000),
      invalidate: () => pool.invalidate({ interruptInUse: random() < 0.5, spreadMillis: random() < 0.5 ? 10_000 : 0 }),
      resize: () => pool.resize({ max: 5 + Math.floor(random() * 30) }),
      suspend: () => pool.suspend(),
    }
    const faultsSeen: Record<string, number> = {}
    const hours = pick(24, 0.5)
    const endAt = clock.now() + hours * 3_600_000
    let faultAt = clock.now() + 60_000
    let healAt = Infinity
    let frozenMillis = 0
    while (clock.now() < endAt) {
      await clock.advance(-Math.log(1 - random()) * 200)
      void call()
      if (clock.now() >= healAt) {
        healAt = Infinity
        server.heal()
        pool.resume()
      }
      if (clock.now() < faultAt) continue
      faultAt = clock.now() + 60_000 + random() * 240_000
      healAt = clock.now() + random() * 50_000
      const names = Object.keys(faults)
      const name = names[Math.floor(random() * names.length)] ?? ''
      faultsSeen[name] = (faultsSeen[name] ?? 0) + 1
      if (name === 'freeze') frozenMillis = 60_000
      await faults[name]?.()
      // The factory remembers all that it ever made; what is gone is not looked for again.
      const open = factory.resources.filter(({ destroyed }) => destroyed === undefined)
      if (watch.failure !== undefined) throw watch.failure
      expectIdentities(pool.stats())
      expect(pool.stats().total - pool.stats().closing).toBeLessThanOrEqual(open.length)
    }
    server.heal()
    pool.resume()
    // As it was, and as good as new.
    pool.resize({ max: 20 })
    await clock.advance(300_000)
    const again = Promise.all(Array.from({ length: 20 }, () => pool.acquire()))
    await clock.advance(2_000)
    for (const lease of await again) lease.release()
    const closed = pool.close()
    await clock.advance(20_000)
    const report = await closed
    const stats = pool.stats()
    figures(`C24 simulated soak, seed ${seed}`, {
      hours,
      faults: Object.values(faultsSeen).reduce((sum, count) => sum + count, 0),
      ...outcomes,
      created: stats.created,
      'longest acquire ms': longest,
      'given twice or dead': heldTwice,
    })
    if (watch.failure !== undefined) throw watch.failure
    expect(heldTwice).toBe(0)
    expect(settled).toBe(asked)
    expect(longest).toBeLessThanOrEqual(ACQUIRE_TIMEOUT + LONGEST_EXTENSION + Math.max(3_200, frozenMillis))
    expectIdentities(stats)
    expect(report.forced).toBe(0)
    expect(factory.open).toBe(0)
    expect(clock.pendingTimers).toBe(0)
    expect(aborts.reduce((sum, { signal }) => sum + getEventListeners(signal, 'abort').length, 0)).toBe(0)
    expect({ total: stats.total, creating: stats.creating, zombies: stats.zombies, waiting: stats.waiting }).toEqual({
      total: 0,
      creating: 0,
      zombies: 0,
      waiting: 0,
    })
  })
})
