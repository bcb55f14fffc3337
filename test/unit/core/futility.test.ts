import { describe, expect, it } from 'vitest'
import type { Lease, Pool } from 'millpond'
import type { FakeResource } from 'millpond/testing'
import { Futility } from '../../../src/core/futility.ts'
import { setUp } from '../../support/harness.ts'

/** As many as decide: each has gone by the time that it gives its lease back. */
async function comeAndGo(pool: Pool<FakeResource>): Promise<void> {
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      const abort = new AbortController()
      const lease = await pool.acquire({ signal: abort.signal })
      abort.abort()
      lease.release()
    }),
  )
}

/** Serves who waits, in turn; each holds its lease for a moment, in which it gives up or does not. */
describe('first come, first served', () => {
  it('holds while those who are served still want what they get', async () => {
    const { served } = await run({ gaveUp: false })
    expect(served).toEqual([...served].sort((a, b) => a - b))
  })

  it('gives way to the newest when most have given up by the time they are done', async () => {
    const { served } = await run({ gaveUp: true })
    expect(served.slice(0, 32)).toEqual([...served.slice(0, 32)].sort((a, b) => a - b))
    const after = served.slice(32)
    expect(after.slice(0, 15)).toEqual(Array.from({ length: 15 }, (_, index) => 99 - index))
    // One turn of sixteen is still the oldest's.
    expect(after[15]).toBe(32)
  })

  it('never gives way to somebody whose time is over: that one is told so', async () => {
    const { pool, clock, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    const gone = comeAndGo(pool)
    const patient = ask({ timeoutMillis: 60_000 })
    // So many expire in several turns of the event loop. Between two of them the newest, who was served, gives back.
    const newest = { lease: undefined as Lease<FakeResource> | undefined }
    const late = Array.from({ length: 1_200 }, () =>
      pool.acquire({ timeoutMillis: 10 }).then(
        (lease) => (newest.lease = lease),
        () => {
          if (newest.lease?.released === false) newest.lease.release()
        },
      ),
    )
    held?.release()
    await gone
    await clock.advance(10)
    await Promise.all(late)
    expect(pool.stats()).toMatchObject({ timedOut: 1_199, used: 1, waiting: 0 })
    expect(patient.lease).toBeDefined()
    patient.lease?.release()
  })

  it('comes back when the queue is empty', async () => {
    const { served, again } = await run({ gaveUp: true })
    expect(served).toHaveLength(100)
    expect(await again()).toEqual([0, 1, 2, 3])
  })
})

describe('the last 32 outcomes', () => {
  const after = (...outcomes: readonly boolean[]): Futility => {
    const futility = new Futility()
    for (const gaveUp of outcomes) futility.note(gaveUp)
    return futility
  }
  /** Takes a turn, and tells whose it was. */
  const isNewests = (futility: Futility): boolean => {
    const { servesNewest } = futility
    futility.turn()
    return servesNewest
  }
  const times = (count: number, gaveUp: boolean): boolean[] => Array.from({ length: count }, () => gaveUp)

  it('decide when more than half of them gave up, and not before there are so many', () => {
    expect(after(...times(31, true)).servesNewest).toBe(false)
    expect(after(...times(32, true)).servesNewest).toBe(true)
    expect(after(...times(16, false), ...times(16, true)).servesNewest).toBe(false)
    expect(after(...times(15, false), ...times(17, true)).servesNewest).toBe(true)
    expect(after(...times(40, false), ...times(17, true)).servesNewest).toBe(true)
  })

  it('do not decide on an answer that was wanted, nor take back what they decided before the queue is empty', () => {
    expect(after(...times(31, true), false).servesNewest).toBe(false)
    const futility = after(...times(32, true), ...times(60, false), true)
    expect(futility.servesNewest).toBe(true)
    futility.over()
    expect(futility.servesNewest).toBe(false)
  })

  it('leave every sixteenth turn to the oldest', () => {
    const futility = after(...times(32, true))
    const turns = Array.from({ length: 48 }, () => isNewests(futility))
    expect(turns.flatMap((newest, turn) => (newest ? [] : [turn + 1]))).toEqual([16, 32, 48])
  })

  it('are not counted again by whoever only looks who would be next', async () => {
    const { pool, clock, take, ask } = setUp({ max: 1 })
    const [held] = await take(1)
    const gone = comeAndGo(pool)
    const waiting = Array.from({ length: 20 }, () => ask())
    held?.release()
    await gone
    for (let served = 2; served <= 16; served++) {
      // Nothing is free: what changes meanwhile serves nobody.
      for (let change = 0; change < 5; change++) pool.resize({ max: 1 })
      waiting.find(({ lease }) => lease?.released === false)?.lease?.release()
      await clock.settle()
    }
    // Fifteen turns were the newest's, from the last to the sixth of twenty; the sixteenth was the oldest's.
    expect(waiting.flatMap(({ lease }, index) => (lease === undefined ? [] : [index]))).toEqual([
      0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    ])
    for (let served = 0; served < 6; served++) {
      waiting.find(({ lease }) => lease?.released === false)?.lease?.release()
      await clock.settle()
    }
  })

  it('leave the oldest ever fewer turns while it has gone whenever it had one, and more again when it has not', () => {
    const futility = after(...times(32, true))
    const gaps = (gaveUp: boolean, count: number): number[] =>
      Array.from({ length: count }, () => {
        let turns = 1
        while (isNewests(futility)) turns++
        futility.note(gaveUp)
        return turns
      })
    // What the first turn led to is known at the second, and decides how far off the third one is.
    expect(gaps(true, 7)).toEqual([16, 16, 32, 64, 128, 256, 256])
    expect(gaps(false, 7)).toEqual([256, 256, 128, 64, 32, 16, 16])
    futility.over()
    for (const gaveUp of times(32, true)) futility.note(gaveUp)
    expect(gaps(false, 2)).toEqual([16, 16])
  })
})

async function run({ gaveUp }: { gaveUp: boolean }): Promise<{ served: number[]; again: () => Promise<number[]> }> {
  const { pool, clock, take } = setUp({ max: 1 })
  const [held] = await take(1)
  const serveAll = async (count: number, givesUp: boolean): Promise<number[]> => {
    const served: number[] = []
    const all = Array.from({ length: count }, async (_, index) => {
      const abort = new AbortController()
      const lease = await pool.acquire({ signal: abort.signal })
      served.push(index)
      await clock.settle()
      if (givesUp) abort.abort()
      lease.release()
    })
    if (held?.released === false) held.release()
    await Promise.all(all)
    return served
  }
  const served = await serveAll(100, gaveUp)
  return {
    served,
    async again() {
      const [blocker] = await take(1)
      const order = serveAll(4, false)
      blocker?.release()
      return await order
    },
  }
}
