import { describe, expect, it, vi } from 'vitest'
import type { PoolOptions } from 'millpond'
import { FakeError, FakeFactory, type FakeResource } from 'millpond/testing'
import { setUp, type Harness } from '../../support/harness.ts'

/** A pool whose failures are noted, by who failed. */
function noting(options: PoolOptions<FakeResource>, factory: FakeFactory): Harness & { readonly failures: string[] } {
  const harness = setUp(options, factory)
  const failures: string[] = []
  harness.pool.on('failure', ({ from }) => failures.push(from))
  return { ...harness, failures }
}

/** An adapter that has nothing to say about errors. */
function silent(steps: ConstructorParameters<typeof FakeFactory>[0]): FakeFactory {
  return Object.assign(new FakeFactory(steps), { classify: undefined })
}

describe('between two borrowers, a resource', () => {
  it('goes through hooks whose result is no promise, whatever it is', async () => {
    for (const odd of [null, 0, { then: true }]) {
      const hook = (): undefined => odd as unknown as undefined
      const { pool, clock, failures } = noting(
        { hooks: { onCreate: hook, beforeAcquire: hook, afterRelease: hook } },
        new FakeFactory(),
      )
      ;(await pool.acquire()).release()
      await clock.settle()
      expect(pool.stats().idle).toBe(1)
      expect(failures).toEqual([])
    }
  })

  it('is prepared once for those who share it', async () => {
    const prepared: number[] = []
    const { pool, take } = setUp({
      max: 1,
      maxLeasesPerResource: 2,
      hooks: { beforeAcquire: ({ id }) => void prepared.push(id) },
    })
    const [first, second] = await take(2)
    expect(prepared).toEqual([1])
    expect(pool.stats()).toMatchObject({ used: 1, leases: 2 })
    first?.release()
    second?.release()
  })

  it('is reset only where that is needed, also where a hook runs', async () => {
    const factory = new FakeFactory({ resets: true })
    let dirty = false
    Object.assign(factory, { needsReset: () => dirty })
    const after: number[] = []
    const { pool, clock } = setUp({ hooks: { afterRelease: ({ id }) => void after.push(id) } }, factory)
    ;(await pool.acquire()).release()
    await clock.settle()
    expect([factory.resetCalls, after]).toEqual([0, [1]])
    dirty = true
    ;(await pool.acquire()).release()
    await clock.settle()
    expect([factory.resetCalls, after]).toEqual([1, [1, 1]])
  })

  it('is reset always where the adapter cannot say whether it needs it, which is no failure', async () => {
    const factory = new FakeFactory({ resets: true })
    const { pool, clock, failures } = noting({}, factory)
    ;(await pool.acquire()).release()
    await clock.settle()
    expect([factory.resetCalls, failures]).toEqual([1, []])
  })

  it('ends where its reset takes too long: the event says so, and nobody is told of a failing hook', async () => {
    const factory = new FakeFactory({ resets: true })
    factory.onReset = () => new Promise(() => undefined)
    const { pool, clock, failures } = noting({ resetTimeoutMillis: 100 }, factory)
    const destroyed: unknown[] = []
    pool.on('destroyed', ({ reason, error }) => destroyed.push([reason, String(error)]))
    ;(await pool.acquire()).release()
    await clock.advance(100)
    expect(destroyed).toEqual([['reset', 'StepTimeoutError: reset took longer than 100 ms']])
    expect(failures).toEqual([])
  })

  it('that fails its hook says nothing of the others, and is told of as that', async () => {
    const hook = ({ id }: FakeResource): void => {
      if (id === 1) throw new Error('a bug of the hook')
    }
    const factory = silent({ validates: true })
    const { take, clock, pool, failures } = noting({ max: 2, hooks: { afterRelease: hook } }, factory)
    const [first, second] = await take(2)
    second?.release()
    await clock.settle()
    first?.release()
    await clock.settle()
    expect(failures).toEqual(['a hook'])
    expect(pool.stats()).toMatchObject({ idle: 1, destroyed: { hook: 1 } })
    expect(factory.validateCalls).toBe(0)
  })

  it('that cannot be reset is taken for lost: another one has to prove that the server is there', async () => {
    const factory = silent({ validates: true, resets: true })
    const { take, clock, pool, failures } = noting({ max: 2 }, factory)
    const [first, second] = await take(2)
    first?.release()
    await clock.settle()
    factory.onReset = () => {
      throw new Error('no answer')
    }
    second?.release()
    await clock.settle()
    expect(factory.validateCalls).toBe(1)
    expect(pool.stats()).toMatchObject({ idle: 1, destroyed: { reset: 1 } })
    expect(failures).toEqual([])
  })

  it('is still told of by a warning where its adapter fails and nobody listens', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const factory = new FakeFactory()
    factory.isBroken = () => {
      throw new Error('a bug of the adapter')
    }
    const { pool, clock } = setUp({ name: 'orders' }, factory)
    ;(await pool.acquire()).release()
    await clock.settle()
    expect(warn.mock.calls).toEqual([
      ['pool "orders": isBroken failed: Error: a bug of the adapter', 'MillpondWarning'],
    ])
    warn.mockRestore()
  })
})

describe('a shrinking pool', () => {
  it('ends no resource twice that dies while another one is ended', async () => {
    const { pool, take, clock, factory } = setUp({ max: 4 })
    for (const lease of await take(4)) lease.release()
    factory.onDestroy = ({ id }) => {
      if (id === 1) factory.resources[1]?.die(new FakeError('query'))
    }
    pool.resize({ max: 1 })
    await clock.settle()
    expect(pool.stats()).toMatchObject({ idle: 1, destroyed: { lost: 1, surplus: 2 } })
  })
})
