import { describe, expect, it } from 'vitest'
import { definePool, Pool } from 'millpond'
import { FakeFactory } from 'millpond/testing'

describe('a defined pool', () => {
  it('is one, however often its module is evaluated', () => {
    const define = (): Pool<unknown> => definePool('once', () => new Pool(new FakeFactory()))
    expect(define()).toBe(define())
  })

  it('is another one when its configuration changes, and the old one is closed', async () => {
    const define = (max: number): Pool<unknown> =>
      definePool('sized', () => new Pool(new FakeFactory(), { max }), { max })
    const old = define(1)
    expect(define(1)).toBe(old)
    const fresh = define(2)
    expect(fresh).not.toBe(old)
    expect(fresh.stats().max).toBe(2)
    await old.close()
    expect(old.state).toBe('closed')
  })

  it('is made anew after it was closed', async () => {
    const define = (): Pool<unknown> => definePool('closed', () => new Pool(new FakeFactory()))
    const old = define()
    await old.close()
    expect(define()).not.toBe(old)
  })
})
