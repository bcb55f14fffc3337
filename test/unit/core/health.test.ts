import { describe, expect, it } from 'vitest'
import { FakeError, FakeFactory } from 'millpond/testing'
import { setUp } from '../../support/harness.ts'

describe('the health of a pool', () => {
  const answer = { pool: 'orders', kind: 'fake', durationMillis: 0 }

  it('is its state, where that says enough', async () => {
    const { pool, clock, factory, ask } = setUp({ name: 'orders', max: 1 })
    pool.suspend()
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'warn', message: 'Pool is suspended' })
    pool.resume()
    factory.onCreate = () => {
      throw new FakeError('restart')
    }
    ask({ timeoutMillis: 10 })
    await clock.advance(10)
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'fail', message: 'Server cannot be reached' })
    const held = pool.close({ timeoutMillis: 100 })
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'fail', message: 'Pool is closed' })
    await clock.advance(100)
    await held
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'fail', message: 'Pool is closed' })
  })

  it('is what an idle resource answers, in its time', async () => {
    const { pool, clock, factory } = setUp({ name: 'orders', max: 2 }, new FakeFactory({ validates: true }))
    ;(await pool.acquire()).release()
    factory.onValidate = () => new Promise((resolve) => clock.setTimer(resolve, 20))
    const passing = pool.health()
    await clock.advance(20)
    expect(await passing).toStrictEqual({ ...answer, status: 'pass', message: 'Pool is healthy', durationMillis: 20 })
    factory.onValidate = () => new Promise((resolve) => clock.setTimer(resolve, 1_500))
    const slow = pool.health()
    await clock.advance(999)
    const status = await Promise.race([slow, Promise.resolve('not yet')])
    expect(status).toBe('not yet')
    await clock.advance(1)
    expect(await slow).toMatchObject({ status: 'fail', message: 'A connection did not answer', durationMillis: 1_000 })
    await clock.advance(1_000)
    factory.onValidate = () => Promise.reject(new FakeError('disconnect'))
    expect(await pool.health()).toMatchObject({ status: 'fail', message: 'A connection did not answer' })
  })

  it('is good where nothing can be asked', async () => {
    const { pool, factory } = setUp({ name: 'orders' })
    ;(await pool.acquire()).release()
    expect(await pool.health()).toMatchObject({ status: 'pass', message: 'Pool is healthy' })
    expect(factory.createCalls).toBe(1)
  })

  it('is a warning where everything is in use, or will be', async () => {
    const { pool, factory, take, ask, clock } = setUp({ name: 'orders', max: 2 })
    const [held] = await take(1)
    factory.holdCreates()
    ask({ timeoutMillis: 10 })
    await clock.settle()
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'warn', message: 'Pool is saturated' })
    expect(pool.stats().waiting).toBe(1)
    await clock.advance(10)
    factory.creates.splice(0)[0]?.open()
    await clock.settle()
    held?.release()
  })

  it('is found by opening one where there is room, and given back', async () => {
    const { pool, factory, clock } = setUp({ name: 'orders', max: 2 })
    const labels: (string | undefined)[] = []
    pool.on('acquired', ({ label }) => labels.push(label))
    expect(await pool.health()).toStrictEqual({ ...answer, status: 'pass', message: 'Pool is healthy' })
    expect([factory.createCalls, pool.stats().idle, labels]).toEqual([1, 1, ['health check']])
    pool.invalidate()
    await clock.settle()
    factory.holdCreates()
    const failing = pool.health({ timeoutMillis: 70 })
    await clock.advance(70)
    expect(await failing).toStrictEqual({
      ...answer,
      status: 'fail',
      message: 'No connection could be opened',
      durationMillis: 70,
    })
  })
})
