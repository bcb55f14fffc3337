import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { WaitQueue } from '../../../src/core/wait-queue.ts'
import { Waiter } from '../../../src/core/waiter.ts'
import { setUp } from '../../support/harness.ts'

const HOST = { waiterAborted: () => undefined, waiterExpired: () => undefined }
const TAKER = { gaveUp: false, took: () => undefined, gotNone: () => undefined }

function queueOf(...waiters: [priority: number, queuedAt: number][]): WaitQueue<unknown> {
  const queue = new WaitQueue<unknown>()
  for (const [priority, queuedAt] of waiters)
    queue.push(new Waiter<unknown>(HOST, queuedAt, 100, priority, undefined, TAKER))
  return queue
}

describe('the queue of those who wait', () => {
  it('is in the order in which they would be served, as many as are asked for', () => {
    const queue = queueOf([0, 1], [5, 2], [0, 3], [5, 4])
    const order = (limit: number): number[] => queue.inOrder(limit).map(({ queuedAt }) => queuedAt)
    expect([order(100), order(4), order(3), order(2), order(1), order(0)]).toEqual([
      [2, 4, 1, 3],
      [2, 4, 1, 3],
      [2, 4, 1],
      [2, 4],
      [2],
      [],
    ])
    expect(new WaitQueue().inOrder(5)).toEqual([])
  })

  it('knows who has waited longest, of whatever priority', () => {
    expect(queueOf([0, 1], [5, 2]).oldest()?.queuedAt).toBe(1)
    expect(queueOf([5, 1], [0, 2]).oldest()?.queuedAt).toBe(1)
    expect(queueOf([0, 3], [1, 2], [2, 4]).oldest()?.queuedAt).toBe(2)
    expect(new WaitQueue().oldest()).toBeUndefined()
    const left = queueOf([5, 1], [0, 2])
    left.remove(left.oldest() as Waiter<unknown>)
    expect(left.oldest()?.queuedAt).toBe(2)
    left.remove(left.oldest() as Waiter<unknown>)
    expect([left.oldest(), left.peek(), left.size, left.newestBelow(9)]).toEqual([undefined, undefined, 0, undefined])
  })

  it('makes room of the lowest priority only', () => {
    const queue = queueOf([0, 1], [0, 2], [5, 3])
    expect(queue.newestBelow(0)).toBeUndefined()
    expect(queue.newestBelow(1)?.queuedAt).toBe(2)
    expect(new WaitQueue().newestBelow(1)).toBeUndefined()
  })
})

describe('who waits', () => {
  it('keeps the process alive, and nobody else does', async () => {
    const { clock, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    expect(clock.pendingRefTimers).toBe(0)
    const waiting = ask()
    await clock.settle()
    expect(clock.pendingRefTimers).toBe(1)
    held?.release()
    await clock.settle()
    expect(clock.pendingRefTimers).toBe(0)
    waiting.lease?.release()
  })

  it('hears of its signal no more once it is served, or told that its time is over', async () => {
    const { clock, take, ask, pool } = setUp({ max: 1 })
    const [held] = await take(1)
    const { signal } = new AbortController()
    const late = new AbortController()
    ask({ signal: late.signal, timeoutMillis: 10 })
    await clock.advance(10)
    const waiting = ask({ signal: late.signal })
    const other = ask({ signal })
    await clock.settle()
    expect(getEventListeners(late.signal, 'abort')).toHaveLength(1)
    held?.release()
    await clock.settle()
    expect(getEventListeners(late.signal, 'abort')).toHaveLength(0)
    late.abort()
    expect(pool.stats()).toMatchObject({ timedOut: 1, aborted: 0, used: 1, waiting: 1 })
    waiting.lease?.release()
    await clock.settle()
    other.lease?.release()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})
