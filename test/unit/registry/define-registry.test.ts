import { afterEach, describe, expect, it } from 'vitest'
import { definePool, defineRegistry, Pool } from 'millpond'
import { FakeFactory } from 'millpond/testing'

describe('the registry of a process', () => {
  afterEach(async () => {
    await defineRegistry().close()
  })

  it('is one, and set up once, however often its module is evaluated', () => {
    let setUps = 0
    const define = () => defineRegistry(() => setUps++)
    expect(define()).toBe(define())
    expect(setUps).toBe(1)
  })

  it('is made and set up anew after it was closed', async () => {
    const old = defineRegistry()
    await old.close()
    let setUps = 0
    expect(defineRegistry(() => setUps++)).not.toBe(old)
    expect(setUps).toBe(1)
  })

  it('takes a pool again when its module is evaluated again, and its successor after an edit', async () => {
    const evaluate = (max: number): Pool<unknown> =>
      defineRegistry().register(
        definePool('orders', () => new Pool(new FakeFactory(), { name: 'orders', max }), { max }),
        { required: true },
      )
    const first = evaluate(1)
    expect(evaluate(1)).toBe(first)
    const lease = await first.acquire()
    // The first one still has a lease out, and closes only when it is back.
    const second = evaluate(2)
    expect(second).not.toBe(first)
    expect([...defineRegistry()]).toEqual([second])
    lease.release()
    await first.close()
    expect(defineRegistry().get('orders')).toBe(second)
  })
})
