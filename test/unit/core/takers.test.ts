import { describe, expect, it } from 'vitest'
import { Lease, PoolError } from 'millpond'
import type { FakeResource } from 'millpond/testing'
import { readCallers } from '../../../src/core/caller-mark.ts'
import { claim } from '../../../src/core/pool.ts'
import { Waiter } from '../../../src/core/waiter.ts'
import { listen, setUp } from '../../support/harness.ts'

/** Takes note, as takers must. */
class Notes {
  gaveUp = false
  lease: Lease<FakeResource> | undefined
  error: unknown
  took(lease: Lease<FakeResource>): void {
    this.lease = lease
  }
  gotNone(error: unknown): void {
    this.error = error
  }
}

describe('who claims without a promise', () => {
  it('has what is free at once, and otherwise a place in the same queue as all others', async () => {
    const harness = setUp({ max: 1 })
    const { pool, clock } = harness
    const first = await pool.acquire()
    const asked = [harness.ask()]
    const notes = new Notes()
    expect(claim(pool, notes)).toBeInstanceOf(Waiter)
    asked.push(harness.ask())
    expect(pool.stats()).toMatchObject({ waiting: 3, requested: 4 })
    first.release()
    await clock.settle()
    expect([asked[0]?.settled, notes.lease]).toEqual([true, undefined])
    asked[0]?.lease?.release()
    expect(notes.lease).toBeInstanceOf(Lease)
    notes.lease?.release()
    await clock.settle()
    asked[1]?.lease?.release()
    const free = claim(pool, new Notes(), 'named')
    expect(free).toBeInstanceOf(Lease)
    expect((free as Lease<FakeResource>).label).toBe('named')
    ;(free as Lease<FakeResource>).release()
    expect(pool.stats()).toMatchObject({ requested: 5, acquired: 5, acquiredAfterWait: 4, waiting: 0 })
  })

  it('is told of its deadline, and of a pool that closes', async () => {
    const { pool, clock } = setUp({ max: 1, acquireTimeoutMillis: 100 })
    const held = await pool.acquire()
    const late = new Notes()
    claim(pool, late, 'late')
    await clock.advance(150)
    expect(PoolError.is(late.error, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    const closed = new Notes()
    claim(pool, closed)
    const closing = pool.close({ waiters: 'reject', timeoutMillis: 10 })
    expect(PoolError.is(closed.error, 'ERR_POOL_CLOSED')).toBe(true)
    expect(() => claim(pool, new Notes())).toThrow(/is closed/)
    held.release()
    await clock.advance(50)
    await closing
    expect(pool.stats()).toMatchObject({ requested: 4, acquired: 1, timedOut: 1, refused: 2, waiting: 0 })
  })

  it('waits as long as it says', async () => {
    const { pool, clock } = setUp({ max: 1, acquireTimeoutMillis: 100 })
    const held = await pool.acquire()
    const [short, long] = [new Notes(), new Notes()]
    claim(pool, short, undefined, undefined, undefined, 20)
    claim(pool, long, undefined, undefined, undefined, 200)
    expect(() => claim(pool, new Notes(), undefined, undefined, undefined, 0)).toThrow(/1 used/)
    await clock.advance(150)
    expect([PoolError.is(short.error, 'ERR_POOL_ACQUIRE_TIMEOUT'), long.error]).toEqual([true, undefined])
    await clock.advance(60)
    expect(PoolError.is(long.error, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    expect(() => claim(pool, new Notes(), undefined, undefined, undefined, -1)).toThrow(/`timeoutMillis`/)
    held.release()
    const free = claim(pool, new Notes(), undefined, undefined, undefined, 0)
    expect(free).toBeInstanceOf(Lease)
    ;(free as Lease<FakeResource>).release()
  })

  it('leaves the queue when it likes, and is refused where the queue is full or the priority is none', async () => {
    const { pool } = setUp({ max: 1, maxWaiting: 1 })
    const held = await pool.acquire()
    const notes = new Notes()
    const place = claim(pool, notes) as Waiter<FakeResource>
    expect(() => claim(pool, new Notes())).toThrow(/1 callers wait already/)
    expect(() => claim(pool, new Notes(), undefined, 1.5)).toThrow(/Expected `priority` to be an integer/)
    const reason = new Error('changed my mind')
    place.abort(reason)
    expect(notes.error).toBe(reason)
    held.release()
    expect(notes.lease).toBeUndefined()
    expect(pool.stats()).toMatchObject({ requested: 4, acquired: 1, aborted: 1, refused: 2, waiting: 0, idle: 1 })
  })

  it('is announced like others who wait', async () => {
    const harness = setUp({ max: 1 })
    const { pool, clock, events } = harness
    listen(harness, 'acquireStarted', 'acquired', 'released')
    const outcomes: boolean[] = []
    const end = readCallers({ read: () => 'somebody', fromMillis: 0 })
    pool.on('waited', ({ acquired }) => outcomes.push(acquired))
    const held = await pool.acquire()
    const [served, left] = [new Notes(), new Notes()]
    claim(pool, served)
    ;(claim(pool, left) as Waiter<FakeResource>).abort(new Error('gone'))
    held.release()
    served.lease?.release()
    await clock.settle()
    end()
    expect(outcomes.sort()).toEqual([false, true, true])
    expect(events).toEqual([
      'acquireStarted', 'acquired', 'acquireStarted', 'acquireStarted', 'released', 'acquired', 'released',
    ]) // prettier-ignore
  })

  it('counts as one who gave up where it has no use any more for what it gets', async () => {
    const { pool } = setUp({ max: 1 })
    const first = await pool.acquire()
    const queue = Array.from({ length: 40 }, () => new Notes())
    for (const notes of queue) claim(pool, notes, undefined, undefined, notes)
    first.release()
    for (const notes of queue.slice(0, 32)) {
      notes.gaveUp = true
      notes.lease?.release()
    }
    // First come, first served has served nobody: the newest is next.
    expect(queue.findIndex(({ lease }) => lease?.released === false)).toBe(39)
    for (let out = pool.leases().length; out > 0; out = pool.leases().length) {
      for (const { lease } of queue) if (lease?.released === false) lease.release()
    }
    expect(queue.every(({ lease }) => lease?.released)).toBe(true)
  })
})
