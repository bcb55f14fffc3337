import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { PoolError, type Lease } from 'millpond'
import type { FakeResource } from 'millpond/testing'
import { Borrower } from '../../../src/core/borrower.ts'
import { claim } from '../../../src/core/pool.ts'
import { Waiter } from '../../../src/core/waiter.ts'
import { setUp } from '../../support/harness.ts'

const context = new AsyncLocalStorage<string>()

/** Notes what it hears, and in whose async context. */
class Notes extends Borrower<FakeResource> {
  readonly heard: unknown[] = []
  lease: Lease<FakeResource> | undefined
  protected lent(lease: Lease<FakeResource>, isLate: boolean): void {
    this.lease = lease
    this.heard.push(isLate ? 'late' : 'at once', context.getStore())
  }
  protected refused(error: unknown): void {
    this.heard.push(PoolError.is(error) ? error.code : error, context.getStore())
  }
  protected inWords(error: unknown): unknown {
    if (error instanceof Error) error.message = `in other words: ${error.message}`
    return error
  }
}

describe('a borrower', () => {
  it('goes on at once with what is free, and otherwise when it is there, in the async context of the call', async () => {
    const { pool, clock } = setUp({ max: 1 })
    ;(await pool.acquire()).release()
    const [first, second] = [new Notes(), new Notes()]
    context.run('first', () => first.borrowFrom(pool))
    expect(first.heard).toEqual(['at once', 'first'])
    context.run('second', () => second.borrowFrom(pool))
    context.run('first', () => first.lease?.release())
    // Not inside the pool's loop.
    expect(second.heard).toEqual([])
    await clock.settle()
    expect(second.heard).toEqual(['late', 'second'])
    second.lease?.release()
    expect(pool.stats()).toMatchObject({ requested: 3, acquired: 3, acquiredAfterWait: 2, waiting: 0 })
  })

  it('that asks in a way of its own, and keeps no context, goes on without one', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const held = await pool.acquire()
    const borrower = new Notes()
    expect(claim(pool, borrower)).toBeInstanceOf(Waiter)
    held.release()
    await clock.settle()
    expect(borrower.heard).toEqual(['late', undefined])
    borrower.lease?.release()
  })

  it('is refused in the words of the driver, never during the call', async () => {
    const { pool, clock } = setUp({ max: 1, maxWaiting: 1, acquireTimeoutMillis: 100 })
    const held = await pool.acquire()
    const [late, crowded] = [new Notes(), new Notes()]
    context.run('late', () => late.borrowFrom(pool))
    context.run('crowded', () => crowded.borrowFrom(pool))
    expect(crowded.heard).toEqual([])
    await clock.settle()
    expect(crowded.heard).toEqual(['ERR_POOL_OVERLOADED', 'crowded'])
    await clock.advance(150)
    expect(late.heard).toEqual(['ERR_POOL_ACQUIRE_TIMEOUT', 'late'])
    held.release()
  })

  it('hears of a lease that was taken away before it could go on', async () => {
    const { pool, clock } = setUp({ max: 1 })
    const held = await pool.acquire()
    const resourceId = pool.resources()[0]?.resourceId ?? 0
    const robbed = new Notes()
    context.run('robbed', () => robbed.borrowFrom(pool))
    held.release()
    expect(pool.takeAway(resourceId)).toBe(true)
    await clock.settle()
    expect(robbed.heard).toEqual(['ERR_POOL_LEASE_RELEASED', 'robbed'])
  })
})
