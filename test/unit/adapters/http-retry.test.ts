import { describe, expect, it } from 'vitest'
import { PoolClosedError } from 'millpond'
import {
  isIdempotent,
  isReplayable,
  isTransient,
  pauseMillis,
  resolveRetry,
  RetryBudget,
  retryAfterMillis,
  type RetryOptions,
  type RetrySettings,
} from '../../../src/adapters/http/retry.ts'

const settings = (given: RetryOptions | true): RetrySettings => resolveRetry('api', given) ?? expect.unreachable()

describe('the settings', () => {
  it('are off, or the defaults, or what is given', () => {
    expect([resolveRetry('api', undefined), resolveRetry('api', false)]).toEqual([undefined, undefined])
    const statuses = new Set([429, 500, 502, 503, 504])
    expect(settings(true)).toEqual({ maxRetries: 2, baseMillis: 100, maxMillis: 5_000, statuses, budget: 0.1 })
    expect(settings({ maxRetries: 4, statuses: [503] })).toMatchObject({ maxRetries: 4, statuses: new Set([503]) })
  })
})

describe('the pause before a repetition', () => {
  const usual = settings({ baseMillis: 100, maxMillis: 1_000 })
  it.each<[attempt: number, asked: number | undefined, random: number, pause: number | undefined]>([
    // Twice as long as the one before, up to the cap, and anything between nothing and that.
    [0, undefined, 1, 100],
    [1, undefined, 1, 200],
    [2, undefined, 1, 400],
    [3, undefined, 1, 800],
    [4, undefined, 1, 1_000],
    [1_100, undefined, 1, 1_000],
    [0, undefined, 0, 0],
    [2, undefined, 0.25, 100],
    [4, undefined, 0.5, 500],
    // No less than the server asks for, and jitter on top of it, so that not all come back at the same moment.
    [0, 300, 0, 300],
    [0, 300, 0.5, 350],
    [2, 300, 1, 700],
    [3, 900, 1, 1_000],
    [0, 0, 1, 100],
    [0, 1_000, 0, 1_000],
    // More than the cap is not waited for.
    [0, 1_001, 0, undefined],
    [5, 60_000, 0.5, undefined],
  ])('at attempt %i, asked for %s ms, with %f of luck, is %s ms', (attempt, asked, random, pause) => {
    expect(pauseMillis(usual, attempt, asked, () => random)).toBe(pause)
  })

  it('by the defaults is up to 100, 200, 400 … 5,000 ms', () => {
    const most = Array.from({ length: 9 }, (_, attempt) => pauseMillis(settings(true), attempt, undefined, () => 1))
    expect(most).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000])
  })
})

describe('what the server asks for by Retry-After', () => {
  const now = Date.parse('2026-11-06T08:49:07Z')
  it.each<[value: string | undefined, millis: number | undefined]>([
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5_000],
    // The three forms of a date that HTTP has, the first one in use.
    ['Fri, 06 Nov 2026 08:49:37 GMT', 30_000],
    ['Friday, 06-Nov-26 08:49:37 GMT', 30_000],
    ['Fri, 06 Nov 2026 08:49:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is %s ms', (value, millis) => {
    expect(retryAfterMillis(value, now)).toBe(millis)
  })
})

describe('what may be repeated', () => {
  it('are requests that do the same when they are made twice, with a body that can be sent twice', () => {
    const methods = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'CONNECT', 'get']
    expect(methods.filter(isIdempotent)).toEqual(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
    for (const body of [undefined, null, '', 'text', Buffer.from('x'), new Uint8Array(1), new ArrayBuffer(1)]) {
      expect(isReplayable(body)).toBe(true)
    }
    const once = (function* () {
      yield 'once'
    })()
    for (const body of [once, new ReadableStream(), new FormData(), { pipe: () => undefined }]) {
      expect(isReplayable(body)).toBe(false)
    }
  })

  it('is what the network broke, not what the caller or the pool did', () => {
    const withCode = (code: unknown): Error => Object.assign(new Error('failed'), { code })
    const broken = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT'] // prettier-ignore
    for (const code of broken) expect(isTransient(withCode(code)), code).toBe(true)
    const others = ['UND_ERR_ABORTED', 'UND_ERR_INVALID_ARG', 'UND_ERR_BODY_TIMEOUT', 'CERT_HAS_EXPIRED', 7, undefined]
    for (const code of others) expect(isTransient(withCode(code)), String(code)).toBe(false)
    for (const error of [new PoolClosedError('api', 'closed'), null, 'ECONNRESET'])
      expect(isTransient(error)).toBe(false)
  })
})

describe('the budget', () => {
  const taken = (budget: RetryBudget, now: number): number => {
    let count = 0
    while (count < 1_000 && budget.take(now)) count++
    return count
  }

  it('is ten, and a tenth of the requests beyond the first ten', () => {
    const budget = new RetryBudget(0.1)
    expect(taken(budget, 0)).toBe(10)
    for (let count = 0; count < 110; count++) budget.requested(0)
    expect(taken(budget, 0)).toBe(10)
    expect(taken(budget, 0)).toBe(0)
  })

  it('is full again when ten seconds are over', () => {
    const budget = new RetryBudget(0)
    for (let count = 0; count < 500; count++) budget.requested(0)
    expect([taken(budget, 0), taken(budget, 5_000), taken(budget, 30_000)]).toEqual([10, 0, 10])
  })
})
