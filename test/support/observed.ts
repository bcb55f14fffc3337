import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { PoolRegistry, type ManagedPool, type PoolStats } from 'millpond'
import { observe } from 'millpond/observe'
import { expectIdentities } from './identities.ts'
import type { Subject, SubjectOptions } from './observe.ts'

const ended: Subject[] = []
afterEach(async () => {
  // A pool from which a failed test has borrowed would wait for ever.
  const late = new Promise((resolve) => setTimeout(resolve, 5_000).unref())
  await Promise.race([late, Promise.all(ended.splice(0).map((subject) => subject.end().catch(() => undefined)))])
})

type Make = (options: SubjectOptions) => Subject

/** The view says what the pool itself says, and adds up. */
export function expectTruth(view: ManagedPool, subject: Subject): PoolStats {
  const stats = view.stats()
  expect(stats).toMatchObject(subject.counts())
  expectIdentities(stats)
  return stats
}

/** Whatever kind of pool it is: a view on it shows what a pool of ours would. */
export function isSeenAsOurs(
  name: string,
  make: Make,
  {
    hasTimeout,
    waitsInSight,
    hasCallbacks = false,
  }: { hasTimeout: boolean; waitsInSight: boolean; hasCallbacks?: boolean },
) {
  const start = (options: SubjectOptions): Subject => {
    const subject = make(options)
    ended.push(subject)
    return subject
  }

  describe(`a view on ${name}`, () => {
    it('counts right under contention, hand-offs to those who wait included', async () => {
      const subject = start({ max: 2 })
      const view = observe(subject.pool)
      const releases = [await subject.borrow(), await subject.borrow()]
      expect(expectTruth(view, subject)).toMatchObject({ used: 2, idle: 0, waiting: 0, max: 2 })
      const working = Promise.all(Array.from({ length: 6 }, () => subject.work(10)))
      await waitFor(() => view.stats().waiting === 6, { what: 'six wait' })
      await waitFor(() => view.stats().oldestWaiterMillis >= 30, { what: 'the first has waited for a while' })
      for (const release of releases) await release()
      await working
      await waitFor(() => view.stats().used === 0, { what: 'all are back' })
      const stats = expectTruth(view, subject)
      expect(stats).toMatchObject({ requested: 8, acquired: 8, waiting: 0, created: 2, total: 2 })
      expect(stats.acquiredAfterWait).toBe(8)
      // Three for each connection: the last of them waited for the other two, and for whoever held it before.
      expect(stats.wait.max).toBeGreaterThanOrEqual(40)
      expect(stats.use.count).toBe(8)
      expect(stats.use.max).toBeGreaterThanOrEqual(25)
      expect(stats.create.count).toBe(2)
    })

    it('takes over what is there when it comes late', async () => {
      const subject = start({ max: 2 })
      await Promise.all([subject.work(0), subject.work(0)])
      const release = await subject.borrow()
      const other = await subject.borrow()
      const waiting = subject.work(0)
      await new Promise((resolve) => setTimeout(resolve, 20))
      const view = observe(subject.pool)
      expect(expectTruth(view, subject)).toMatchObject({ used: 2, created: 2 })
      if (waitsInSight) expect(view.stats().waiting).toBe(1)
      await release()
      await other()
      await waiting
      await subject.work(0)
      await waitFor(() => view.stats().used === 0, { what: 'all are back' })
      expect(expectTruth(view, subject)).toMatchObject({ waiting: 0, total: 2 })
    })

    it.skipIf(!hasTimeout)('counts those who run out of time', async () => {
      const subject = start({ max: 1, waitMillis: 150 })
      const view = observe(subject.pool)
      const release = await subject.borrow()
      await expect(subject.borrow()).rejects.toThrow()
      expect(expectTruth(view, subject)).toMatchObject({ timedOut: 1, waiting: 0, used: 1 })
      await release()
      await subject.work(0)
      expect(view.stats()).toMatchObject({ requested: 3, acquired: 2 })
    })

    it('counts connects that fail, and is paused while there is no server', async () => {
      const subject = start({ max: 1, isBroken: true, waitMillis: 300 })
      const view = observe(subject.pool)
      const told: string[] = []
      view.on('paused', () => told.push('paused'))
      await expect(subject.work(0)).rejects.toThrow()
      const stats = view.stats()
      expectIdentities(stats)
      expect(stats.createErrors).toBeGreaterThanOrEqual(1)
      expect(stats).toMatchObject({ total: 0, acquired: 0, waiting: 0 })
      expect(view.state).toBe('paused')
      expect(told).toEqual(['paused'])
    })

    it.skipIf(!hasCallbacks)('calls back in the async context in which the pool alone would', async () => {
      const contextsOf = async ({ call }: Subject): Promise<[number, number | undefined][]> => {
        const context = new AsyncLocalStorage<number>()
        const seen: [number, number | undefined][] = []
        await Promise.all(
          [1, 2, 3].map((number) =>
            context.run(
              number,
              () =>
                new Promise<void>((resolve) => {
                  call?.(() => {
                    seen.push([number, context.getStore()])
                    resolve()
                  })
                }),
            ),
          ),
        )
        return seen
      }
      const alone = await contextsOf(start({ max: 1 }))
      const subject = start({ max: 1 })
      const view = observe(subject.pool)
      expect(await contextsOf(subject)).toEqual(alone)
      expect(alone.map(([caller]) => caller).sort()).toEqual([1, 2, 3])
      await waitFor(() => view.stats().used === 0, { what: 'all are back' })
      expect(view.stats()).toMatchObject({ acquired: 6, waiting: 0 })
    })

    it('is the same for the same pool, and leaves nothing when it goes', async () => {
      const subject = start({ max: 1 })
      const before = ownMethods(subject.pool)
      const view = observe(subject.pool)
      expect(observe(subject.pool)).toBe(view)
      await Promise.all([1, 2, 3].map(() => subject.work(1)))
      expect(view.stats().acquired).toBe(3)
      view.detach()
      expect(ownMethods(subject.pool)).toEqual(before)
      expect(view.state).toBe('closed')
      await subject.work(0)
      expect(view.stats().acquired).toBe(3)
      const again = observe(subject.pool)
      expect(again).not.toBe(view)
      expect(expectTruth(again, subject)).toMatchObject({ total: 1, idle: 1 })
    })

    it('reports who never gives back, and closes all the same', async () => {
      const subject = make({ max: 2 })
      const view = observe(subject.pool, { leakThresholdMillis: 50, name: 'orders' })
      const registry = new PoolRegistry()
      registry.register(view)
      const leaks: (string | undefined)[] = []
      view.on('leak', ({ stack }) => leaks.push(stack))
      await subject.work(0)
      await subject.borrow()
      await waitFor(() => leaks.length === 1, { what: 'it is reported' })
      expect(leaks[0]).toContain('support/observe')
      expect(view.stats().leaks).toBe(1)
      const report = await view.close({ timeoutMillis: 50 })
      expect(report).toMatchObject({ pool: 'orders', forced: 1 })
      expect(report.holders[0]?.stack).toContain('support/observe')
      expect(view.stats()).toMatchObject({ total: 0, used: 0, state: 'closed' })
      expect(registry.size).toBe(0)
    })
  })
}

/** What stands on the object itself, as functions: what was wrapped. */
function ownMethods(pool: object): string[] {
  const inner = (pool as { readonly pool?: object }).pool ?? pool
  return Reflect.ownKeys(inner)
    .filter((key) => typeof (inner as Record<PropertyKey, unknown>)[key] === 'function')
    .map(String)
    .sort()
}
