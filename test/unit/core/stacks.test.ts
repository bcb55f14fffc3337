import { afterEach, describe, expect, it } from 'vitest'
import { PoolError } from 'millpond'
import { withoutStack } from '../../../src/core/errors.ts'
import { acquiredHere, callersStack, leaseInfo } from '../../../src/core/report.ts'

const { stackTraceLimit } = Error

afterEach(() => {
  Error.stackTraceLimit = stackTraceLimit
})

const framesOf = (error: Error): number => (error.stack ?? '').split('\n').length - 1

function beneath<R>(depth: number, make: () => R): R {
  return depth === 0 ? make() : beneath(depth - 1, make)
}

describe('the place where a lease was acquired', () => {
  it('is kept with as many frames as are usual beside our own', () => {
    Error.stackTraceLimit = 5
    const error = beneath(40, acquiredHere)
    expect(error.message).toBe('acquired')
    expect(framesOf(error)).toBe(17)
    expect(Error.stackTraceLimit).toBe(5)
  })

  it('is not kept where no stacks are wanted', () => {
    Error.stackTraceLimit = 0
    expect(framesOf(beneath(40, acquiredHere))).toBe(0)
    expect(Error.stackTraceLimit).toBe(0)
  })

  it('is told from whoever asked on, without our own frames', () => {
    const theirs = '    at handler (/app/src/handler.ts:3:9)\n    at async serve (/app/src/core/report.ts:8:1)'
    const stack = (...own: string[]): string => ['Error: acquired', ...own, theirs].join('\n')
    const own = '    at Pool.acquire (/app/node_modules/millpond/dist/core/pool.js:22:1)'
    for (const first of [
      '    at acquiredHere (/app/node_modules/millpond/dist/core/report.js:1:11)',
      '    at /app/node_modules/millpond/dist/core/report.js:1:11',
      '    at acquiredHere (/app/node_modules/millpond/dist/core/report.cjs:100:1)',
      '    at acquiredHere (/app/node_modules/millpond/dist/core/report.mts:1:1)',
    ])
      expect(callersStack(stack(first, own))).toBe(`Error: acquired\n${theirs}`)
    const windows = '    at acquiredHere (C:\\app\\millpond\\core\\report.js:1:1)'
    expect(callersStack(stack(windows, '    at x (C:\\app\\millpond\\adapters\\pg.js:1:1)'))).toBe(
      `Error: acquired\n${theirs}`,
    )
  })

  it('is left as it is where it says nothing of us, or of nobody else', () => {
    expect(callersStack(undefined)).toBeUndefined()
    for (const stack of [
      'Error: acquired',
      'Error: acquired\n    at handler (/app/x.js:1:1)',
      'Error: acquired\n    at x (/app/core/report.js:1:1:x)',
      'Error: acquired\n    at x (/app/core/report.xs:1:1)',
      'Error: acquired\n    at x (/app/core/reportXjs:1:1)',
      'Error: acquired\n    at acquiredHere (/m/core/report.js:1:1)\n    at acquire (/m/core/pool.js:1:1)',
    ])
      expect(callersStack(stack)).toBe(stack)
  })
})

describe('who holds a lease', () => {
  it('has held it for no less than no time', () => {
    const holder = { label: 'GET /', stack: 'Error' }
    expect(leaseInfo(7, holder, 100, 130)).toStrictEqual({
      resourceId: 7,
      label: 'GET /',
      heldMillis: 30,
      stack: 'Error',
    })
    expect(leaseInfo(7, holder, 100, 90).heldMillis).toBe(0)
  })
})

describe('an error that is made without a stack', () => {
  it('has none, and the next one does again, also where making it fails', () => {
    expect(framesOf(withoutStack(() => new Error('quick')))).toBe(0)
    expect(Error.stackTraceLimit).toBe(stackTraceLimit)
    const failing = (): never => {
      throw new Error('of the making')
    }
    expect(() => withoutStack(failing)).toThrow('of the making')
    expect(Error.stackTraceLimit).toBe(stackTraceLimit)
  })
})

describe('an error of a pool', () => {
  it('is recognised by its brand and its code, also one of another copy', () => {
    const brand = Symbol.for('millpond.PoolError')
    const foreign = { code: 'ERR_POOL_CLOSED', [brand]: true }
    expect(PoolError.is(foreign)).toBe(true)
    expect(PoolError.is(foreign, 'ERR_POOL_CLOSED')).toBe(true)
    expect(PoolError.is(foreign, 'ERR_POOL_DOWN')).toBe(false)
    for (const other of [undefined, null, 7, 'ERR_POOL_CLOSED', { code: 'ERR_POOL_CLOSED' }, () => undefined])
      expect(PoolError.is(other)).toBe(false)
  })
})
