import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CreateError, PoolClosedError, PoolDownError, type DestroyReason } from 'millpond'
import { FakeFactory } from 'millpond/testing'
import { isTold, marked, readCallers } from '../../../src/core/caller-mark.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { connectErrorOf, emitSafely, endsAbruptly, retrying } from '../../../src/core/drop-in.ts'
import { sizedPartOf, type ManagedPool } from '../../../src/core/managed-pool.ts'
import { countWaiting, currentScope, enclosingScope, runInScope, Scope } from '../../../src/core/nesting.ts'
import { engineOf } from '../../../src/core/pool.ts'
import type { Request } from '../../../src/core/request.ts'
import { Counters } from '../../../src/core/stats.ts'
import { setUp } from '../../support/harness.ts'

/** What the process keeps for all copies of the package; each test begins with nothing. */
const shared = globalThis as Record<symbol, unknown>
const KEYS = ['millpond.callerReaders', 'millpond.scopes'].map((name) => Symbol.for(name))
let kept: unknown[]
beforeEach(() => {
  kept = KEYS.map((key) => shared[key])
  for (const key of KEYS) shared[key] = undefined
})
afterEach(() => {
  for (const [index, key] of KEYS.entries()) shared[key] = kept[index]
})

describe('the end of a resource', () => {
  it('is abrupt where nobody could say goodbye any more', () => {
    const reasons = Object.keys(new Counters().destroyed) as DestroyReason[]
    expect(reasons.filter(endsAbruptly).sort()).toEqual(
      ['abandoned', 'broken', 'interrupted', 'late', 'lost', 'overused', 'reset', 'validate'].sort(),
    )
  })
})

describe('the error of a failed connect', () => {
  const cause = (): Error => new Error('connect ECONNREFUSED')

  it('is the cause of what a pool says of a server, with what the pool knows', () => {
    for (const error of [
      new CreateError('orders', 'not created', cause()),
      new PoolDownError('orders', 'it is down', 5, cause()),
    ]) {
      const own = connectErrorOf(error)
      expect(own).toBe(error.cause)
      expect(own).toMatchObject({ pool: { name: 'orders', code: error.code, message: error.message } })
      // The same error may end several acquires.
      expect(connectErrorOf(error)).toBe(own)
    }
  })

  it('is none of another error, nor of a cause that is no error', () => {
    const closed = Object.assign(new PoolClosedError('orders', 'it is closed'), { cause: cause() })
    expect(connectErrorOf(closed)).toBeUndefined()
    expect(connectErrorOf(new CreateError('orders', 'not created', 'no error'))).toBeUndefined()
    expect(connectErrorOf(new CreateError('orders', 'not created', { message: 'no error' }))).toBeUndefined()
  })
})

it('a listener that throws is warned of by name', async () => {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
  const emitter = Object.assign(new EventEmitter(), { name: 'things' })
  emitter.on('remove', () => {
    throw new Error('not mine')
  })
  emitSafely(emitter, 'remove')
  const { name, message } = await warned
  expect([name, message]).toEqual(['MillpondWarning', `pool "things": a listener of 'remove' threw: Error: not mine`])
})

it('what is tried again waits for twice as long each time, up to a limit, and not all at once', async () => {
  const delays: number[] = []
  const setTimer = vi.spyOn(systemClock, 'setTimer').mockImplementation((callback, delayMillis) => {
    delays.push(delayMillis)
    setImmediate(callback)
    return { ref: () => undefined, unref: () => undefined, cancel: () => undefined }
  })
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
  const failing = retrying(
    8,
    () => true,
    () => Promise.reject(new Error('deadlock')),
  )
  await expect(failing).rejects.toThrow('deadlock')
  random.mockRestore()
  setTimer.mockRestore()
  expect(delays).toEqual([5, 10, 20, 40, 80, 160, 320, 320])
})

it('a pool of which a part has the size is sized by that part', () => {
  const part = { name: 'part' } as ManagedPool
  const pool = { name: 'pool', sizedPart: part } as ManagedPool
  expect([sizedPartOf(pool), sizedPartOf(part)]).toEqual([part, part])
})

describe('behind a gate', () => {
  it('what is checked while it is idle goes back to where it was', async () => {
    const { pool, clock, take } = setUp(
      { max: 3, min: 3, keepAliveMillis: 1_000 },
      new FakeFactory({ validates: true }),
    )
    for (const lease of await take(3)) lease.release()
    engineOf(pool).inventory.gate(2)
    await clock.advance(5_000)
    const before = engineOf(pool)
      .inventory.available.coldestFirst()
      .map(({ id }) => id)
    expect(before).toHaveLength(3)
    expect(pool.stats().idle).toBe(3)
    expect((await pool.acquire({ label: 'warmest' })).resource.id).toBe(before.at(-1))
    for (const { resourceId } of pool.leases()) pool.takeAway(resourceId)
  })
})

describe('what is active where somebody begins to wait', () => {
  const request: Request = {
    label: 'GET /',
    stack: undefined,
    scope: undefined,
    signal: undefined,
    asker: undefined,
    waited: false,
    caller: undefined,
  }

  it('is nothing where nobody reads it', () => {
    expect([isTold(0), isTold(1e9), isTold(Infinity)]).toEqual([false, false, true])
    expect(marked(undefined)).toBeUndefined()
    expect(marked({ ...request })).toStrictEqual(request)
  })

  it('is what the last who reads has read, and told of from the shortest wait on', () => {
    const ends = [
      readCallers({ read: () => 'first', fromMillis: 20 }),
      readCallers({ read: () => 'second', fromMillis: 50 }),
    ]
    expect([19, 20].map(isTold)).toEqual([false, true])
    expect(marked({ ...request })).toStrictEqual({ ...request, caller: 'second' })
    expect(marked(undefined)).toStrictEqual({ ...request, label: undefined, caller: 'second' })
    ends[1]?.()
    expect(marked({ ...request })?.caller).toBe('first')
    ends[0]?.()
    expect(isTold(1e9)).toBe(false)
    expect(marked(undefined)).toBeUndefined()
  })

  it('is nothing where it cannot be read, or is not there', () => {
    const ends = [
      readCallers({ read: () => undefined, fromMillis: 0 }),
      readCallers({
        read: () => {
          throw new Error('no context')
        },
        fromMillis: 0,
      }),
    ]
    expect(marked(undefined)).toBeUndefined()
    expect(marked({ ...request })).toStrictEqual(request)
    ends[1]?.()
    expect(marked(undefined)).toBeUndefined()
    ends[0]?.()
  })
})

describe('scopes', () => {
  it('are those of the call that runs, and no other', async () => {
    expect(currentScope()).toBeUndefined()
    const outer = new Scope({}, undefined)
    const inner = new Scope({}, outer)
    await runInScope(outer, async () => {
      expect(currentScope()).toBe(outer)
      expect(runInScope(inner, () => currentScope())).toBe(inner)
      expect(currentScope()).toBe(outer)
      await Promise.resolve()
      expect(currentScope()).toBe(outer)
    })
    expect(currentScope()).toBeUndefined()
  })

  it('enclose each other: the nearest of a pool counts that is not over', () => {
    const [pool, other] = [{}, {}]
    const outermost = new Scope(pool, undefined)
    const middle = new Scope(other, outermost)
    const innermost = new Scope(pool, middle)
    expect(enclosingScope(innermost, pool)).toBe(innermost)
    expect(enclosingScope(innermost, other)).toBe(middle)
    innermost.over = true
    expect(enclosingScope(innermost, pool)).toBe(outermost)
    outermost.over = true
    expect(enclosingScope(innermost, pool)).toBeUndefined()
    expect(enclosingScope(innermost, {})).toBeUndefined()
    expect(enclosingScope(undefined, pool)).toBeUndefined()
  })

  it('wait with what waits in them', () => {
    const outer = new Scope({}, undefined)
    const inner = new Scope({}, outer)
    countWaiting(inner, 1)
    countWaiting(outer, 1)
    expect([outer.waiting, inner.waiting]).toEqual([2, 1])
    countWaiting(inner, -1)
    expect([outer.waiting, inner.waiting]).toEqual([1, 0])
    countWaiting(undefined, 1)
  })
})
