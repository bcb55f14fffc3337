import { describe, expect, it } from 'vitest'
import { resolveDashboardOptions } from '../../../src/dashboard/options.ts'

describe('the options of the dashboard', () => {
  it('are off in production unless asked, and on elsewhere', () => {
    const before = process.env['NODE_ENV']
    try {
      process.env['NODE_ENV'] = 'production'
      expect(resolveDashboardOptions({}).enabled).toBe(false)
      expect(resolveDashboardOptions({ enabled: true }).enabled).toBe(true)
      delete process.env['NODE_ENV']
      expect(resolveDashboardOptions({}).enabled).toBe(true)
    } finally {
      if (before === undefined) delete process.env['NODE_ENV']
      else process.env['NODE_ENV'] = before
    }
  })

  it('ask who may look before anybody but this machine can', () => {
    expect(() => resolveDashboardOptions({ hosts: ['pools.internal'] })).toThrow(/give `authorize`/)
    const { hosts } = resolveDashboardOptions({ hosts: ['Pools.internal'], authorize: () => true })
    expect([...hosts]).toEqual(['localhost', '127.0.0.1', '[::1]', 'pools.internal'])
  })

  it('refuse what they do not know, with the nearest name, and what makes no sense', () => {
    expect(() => resolveDashboardOptions({ action: true } as never)).toThrow(/did you mean `actions`/)
    expect(() => resolveDashboardOptions({ intervalMillis: 5 })).toThrow(/at least 100 milliseconds, got 5/)
    expect(() => resolveDashboardOptions({ actions: 'yes' as never })).toThrow(/Expected `actions` to be a boolean/)
  })

  it('show no password of an address that is wrong', () => {
    const attempt = (): unknown => resolveDashboardOptions({ instances: ['ftp://someone:very-secret@host/'] })
    expect(attempt).toThrow(/http\(s\) addresses/)
    expect(attempt).not.toThrow(/very-secret/)
  })

  it('take addresses with and without a slash at their end', () => {
    const { instances } = resolveDashboardOptions({
      instances: ['http://a/pools', { url: 'http://b/', headers: { authorization: 'x' } }],
    })
    expect(instances.map(({ url }) => url)).toEqual(['http://a/pools/', 'http://b/'])
  })
})
