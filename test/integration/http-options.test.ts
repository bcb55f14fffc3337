import * as undici from 'undici'
import { describe, expect, it } from 'vitest'
import { PoolError } from 'millpond'
import { httpPool, type HttpPoolOptions } from 'millpond/http'

const refusal = (options: object): string => {
  try {
    httpPool(undici, options as HttpPoolOptions)
  } catch (error) {
    expect(PoolError.is(error, 'ERR_POOL_OPTION')).toBe(true)
    return (error as Error).message
  }
  return expect.unreachable('it was taken')
}

describe('options', () => {
  it('are undici’s own, under its names and with its meaning', async () => {
    await using pool = httpPool(undici, {
      origin: 'http://127.0.0.1:1/',
      connections: 7,
      headersTimeout: 0,
      bodyTimeout: 1_000,
      keepAliveTimeout: 5_000,
      clientTtl: null,
      maxRequestsPerClient: null,
      connect: { keepAlive: false },
      maxHeaderSize: 10_000,
    })
    expect(pool.connections().stats()).toMatchObject({ max: 7, name: 'http http://127.0.0.1:1', kind: 'http' })
    await using unlimited = httpPool(undici, { origin: 'http://127.0.0.1:1', connections: 0 })
    expect(unlimited.connections().stats().max).toBe(Infinity)
  })

  it.each([
    [{ maxSockets: 10 }, /There is no option `maxSockets` here: it is `max`/],
    [{ timeout: 10 }, /`headersTimeoutMillis`, `bodyTimeoutMillis`, or `timeoutMillis` of a request/],
    [{ pipelining: 10 }, /a connection has one request at a time/],
    [{ hooks: {} }, /listen to `created`/],
    [{ maxOrigin: 10 }, /Unknown option `maxOrigin`; did you mean `maxOrigins`\?/],
    [{ max: 0 }, /Expected `max` to be an integer ≥ 1 or Infinity, got 0/],
    [{ max: 1, connections: 1 }, /`connections` and `max` are two names for one thing/],
    [{ bodyTimeoutMillis: 0 }, /Expected `bodyTimeoutMillis` to be a number of milliseconds > 0 or Infinity, got 0/],
    [{ tls: 7 }, /Expected `tls` to be an object, got 7/],
    [{ origin: 'localhost' }, /Expected `origin` to be a URL such as/],
    [{ origin: 'ftp://localhost' }, /begin with http:\/\/ or https:\/\//],
    [{ origin: 'http://localhost/api' }, /without a path/],
    [{ retry: { maxRetries: 0 } }, /Expected `retry.maxRetries` to be an integer ≥ 1, got 0/],
    [{ retry: { statuses: [200] } }, /an array of statuses from 400 on/],
    [{ circuit: { failureRate: 2 } }, /a number above 0, at most 1/],
  ])('refuse %j', (options, message) => {
    expect(refusal(options)).toMatch(message)
  })

  it('never quote a password', () => {
    expect(refusal({ origin: 'http://user:pass word@:' })).not.toContain('pass word')
    expect(refusal({ origin: 'http://user:password@localhost' })).not.toContain('password@')
  })

  it('come with the module itself', () => {
    expect(() => httpPool({} as typeof undici)).toThrow(/Expected `undici` to be the module itself/)
  })
})
