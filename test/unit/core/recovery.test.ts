import { describe, expect, it } from 'vitest'
import { Recovery } from '../../../src/core/recovery.ts'
import type { FailureClass } from 'millpond'
import { FakeError } from 'millpond/testing'

const REFUSED = new FakeError('restart', 'connect ECONNREFUSED')
/** In the middle of every random delay: 0.6 of the longest. */
const recovery = (maxConnecting = 8): Recovery => new Recovery(maxConnecting, () => 0.5)

describe('probing', () => {
  it('begins with the first failure, doubles its delay with each, up to five seconds, and ends with a success', () => {
    const pool = recovery()
    expect(pool.allowedConcurrency(0)).toBe(8)
    const delays: number[] = []
    let now = 0
    for (let attempt = 0; attempt < 8; attempt++) {
      pool.started(now)
      pool.failed(now, now, 'restart', REFUSED)
      delays.push(Math.round(pool.nextAttemptAt - now))
      expect([now, pool.nextAttemptAt - 1, pool.nextAttemptAt].map((at) => pool.allowedConcurrency(at))).toEqual([
        0, 0, 1,
      ])
      now = pool.nextAttemptAt
    }
    expect(delays).toEqual([120, 240, 480, 960, 1_920, 3_000, 3_000, 3_000])
    // The first attempt was no probe yet.
    expect(pool).toMatchObject({ probing: true, failures: 8, attempts: 7, lastError: REFUSED, lastFailure: 'restart' })
    pool.succeeded(10, 1)
    expect(pool).toMatchObject({ probing: false, failures: 0, lastError: undefined, lastFailure: undefined })
    expect(pool.allowedConcurrency(now)).toBe(2)
  })

  it('counts creates that were under way together as one', () => {
    const pool = recovery()
    for (let create = 0; create < 8; create++) pool.started(0)
    for (let create = 0; create < 8; create++) pool.failed(5 + create, 0, 'restart', REFUSED)
    expect(pool.failures).toBe(1)
    expect(pool.nextAttemptAt).toBeCloseTo(5 + 120)
    // One that began when the first had failed is another.
    pool.failed(20, 5, 'restart', REFUSED)
    expect(pool.failures).toBe(2)
  })

  it('counts its attempts anew in the next outage', () => {
    const pool = recovery()
    for (const at of [0, 1_000, 2_000]) {
      pool.started(at)
      pool.failed(at, at, 'restart', REFUSED)
    }
    expect(pool.attempts).toBe(2)
    pool.succeeded(5, 1)
    pool.started(9_000)
    pool.failed(9_000, 9_000, 'restart', REFUSED)
    expect(pool.attempts).toBe(0)
  })

  it('is hopeless where asking again with the same will not help, as long as that is the last word', () => {
    for (const failure of ['auth', 'tls', 'config'] as const) {
      const pool = recovery()
      expect(pool.hopeless).toBe(false)
      pool.failed(0, 0, failure, REFUSED)
      expect(pool.hopeless, failure).toBe(true)
      pool.failed(1_000, 1_000, 'timeout', REFUSED)
      expect(pool.hopeless).toBe(false)
    }
    const pool = recovery()
    pool.failed(0, 0, 'auth', REFUSED)
    pool.succeeded(5, 1)
    expect(pool.hopeless).toBe(false)
    pool.saturated(5, 1, REFUSED)
    expect(pool).toMatchObject({ hopeless: false, lastFailure: 'saturated', lastError: REFUSED })
  })

  it('is pulled forward to a second after the last attempt, and never put off', () => {
    const pool = recovery()
    pool.pullForward()
    expect(pool.allowedConcurrency(0)).toBe(8)
    for (let at = 0; at < 8; at++) pool.failed(at, at, 'timeout', REFUSED)
    pool.started(100)
    pool.failed(100, 100, 'timeout', REFUSED)
    expect(pool.nextAttemptAt).toBeCloseTo(3_100)
    pool.pullForward()
    expect(pool.nextAttemptAt).toBeCloseTo(100 + 1_000 + 10)
    pool.started(1_110)
    pool.failed(1_110, 1_110, 'timeout', REFUSED)
    const due = pool.nextAttemptAt
    pool.pullForward()
    expect(pool.nextAttemptAt).toBeLessThan(due)
    const early = recovery()
    early.started(0)
    early.failed(0, 0, 'timeout', REFUSED)
    early.pullForward()
    expect(early.nextAttemptAt).toBeCloseTo(120)
  })

  it('is pulled forward further where the last attempt was refused at once: to a share of the outage so far', () => {
    const delayAt = (millis: number, failure: FailureClass, tookMillis = 1): number => {
      const pool = recovery()
      pool.started(0)
      pool.failed(0, 0, 'disconnect', REFUSED)
      for (let attempt = 0; attempt < 6; attempt++) pool.failed(1, 1, 'disconnect', REFUSED)
      pool.started(millis - tookMillis)
      pool.failed(millis, millis - tookMillis, failure, REFUSED)
      pool.pullForward()
      return Math.round(pool.nextAttemptAt - (millis - tookMillis))
    }
    // 0.9 of a 32nd, at least 100 ms, at most a second.
    expect([2_000, 3_200, 6_400, 32_000, 60_000].map((millis) => delayAt(millis, 'restart'))).toEqual([
      90, 90, 180, 900, 900,
    ])
    expect(delayAt(6_400, 'disconnect', 100)).toBe(180)
    // What took its time has reached somebody, and an address that is not known may be known in a second.
    expect(delayAt(6_400, 'disconnect', 101)).toBe(1_010)
    for (const failure of ['timeout', 'dns', 'saturated'] as const) expect(delayAt(6_400, failure)).toBe(1_010)
  })

  it('is pulled forward no further for what was opened and ended before anybody had it: that was no refusal', () => {
    const pool = recovery()
    for (let now = 0; now < 4; now++) pool.stillborn(now, now, 'disconnect', REFUSED)
    pool.started(1_000)
    pool.stillborn(1_000, 999, 'disconnect', REFUSED)
    pool.pullForward()
    expect(pool.nextAttemptAt).toBeCloseTo(1_000 + 1_010)
  })

  it('also follows what was opened and ended before anybody had it, ever more seldom until somebody had one', () => {
    const pool = recovery()
    const delays: number[] = []
    for (let now = 0; delays.length < 4; now += 1_000) {
      // It opened, and so ended the probing; then its first check failed.
      pool.succeeded(5, 1)
      pool.stillborn(now, now - 5, 'disconnect', REFUSED)
      delays.push(Math.round(pool.nextAttemptAt - now))
    }
    expect(delays).toEqual([120, 240, 480, 960])
    // Each counts, also of those that were opened together.
    pool.stillborn(4_500, 2_000, 'disconnect', REFUSED)
    expect(Math.round(pool.nextAttemptAt - 4_500)).toBe(1_920)
    pool.succeeded(5, 1)
    pool.lent()
    pool.stillborn(9_000, 8_995, 'disconnect', REFUSED)
    expect(pool.nextAttemptAt).toBeCloseTo(9_120)
  })
})

describe('the window after an outage', () => {
  const recovered = (firstMillis: number): Recovery => {
    const pool = recovery(4)
    pool.succeeded(20, 1)
    pool.failed(0, 0, 'restart', REFUSED)
    pool.succeeded(firstMillis, 1)
    return pool
  }

  it('grows with every create that is quick, and shrinks with every slow one, down to one', () => {
    const pool = recovered(20)
    const sizes = [20, 20, 500, 500, 500, 500, 20].map((millis) => {
      pool.succeeded(millis, 1)
      return pool.allowedConcurrency(0)
    })
    expect(sizes).toEqual([3, 4, 4, 4, 4, 4, 4])
    const slow = recovered(500)
    expect(slow.allowedConcurrency(0)).toBe(1)
    expect(
      [500, 500, 20, 500, 20, 20].map((millis) => {
        slow.succeeded(millis, 1)
        return slow.allowedConcurrency(0)
      }),
    ).toEqual([1, 1, 2, 1, 2, 3])
  })

  it('takes for slow what takes more than 100 ms and three times the usual', () => {
    expect([100, 101].map((millis) => recovered(millis).allowedConcurrency(0))).toEqual([2, 1])
    const usuallySlow = recovery(4)
    usuallySlow.succeeded(200, 1)
    usuallySlow.failed(0, 0, 'restart', REFUSED)
    usuallySlow.succeeded(600, 1)
    expect(usuallySlow.allowedConcurrency(0)).toBe(2)
  })

  it('learns the usual time while the server is in good order, a tenth of every difference, and not while it recovers', () => {
    const pool = recovery(4)
    expect(pool.usualMillis).toBeUndefined()
    pool.succeeded(100, 1)
    pool.succeeded(200, 1)
    expect(pool.usualMillis).toBeCloseTo(110)
    pool.succeeded(60, 1)
    expect(pool.usualMillis).toBeCloseTo(105)
    pool.failed(0, 0, 'restart', REFUSED)
    pool.succeeded(900, 1)
    pool.succeeded(900, 1)
    expect(pool.usualMillis).toBeCloseTo(105)
  })
})

describe('a server that takes no more', () => {
  it('is held to what it granted, and asked for one more every ten seconds', () => {
    const pool = recovery()
    expect([pool.grantedLimit(0), pool.nextGrantAt(0)]).toEqual([Infinity, Infinity])
    pool.saturated(1_000, 12, REFUSED)
    expect([1_000, 10_999, 11_000, 21_000].map((now) => pool.grantedLimit(now))).toEqual([12, 12, 13, 14])
    expect([1_000, 10_999, 11_000].map((now) => pool.nextGrantAt(now))).toEqual([11_000, 11_000, 21_000])
    expect(pool.allowedConcurrency(1_000)).toBe(8)
  })

  it('is taken at its word when it grants more, and not when something less is opened again', () => {
    const pool = recovery()
    pool.saturated(0, 12, REFUSED)
    pool.succeeded(5, 9)
    expect(pool.grantedLimit(0)).toBe(12)
    pool.succeeded(5, 13)
    expect(pool.grantedLimit(0)).toBe(13)
  })
})
