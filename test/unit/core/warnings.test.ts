import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { setUp } from '../../support/harness.ts'

/** What a pool tells the process when nobody listens to the event. */
describe('where nobody listens, the process is warned', () => {
  const warnings: string[] = []
  const note = (warning: Error): void => {
    if (warning.name === 'MillpondWarning') warnings.push(warning.message)
  }
  let printers: NodeJS.WarningListener[]

  beforeEach(() => {
    printers = process.listeners('warning')
    process.removeAllListeners('warning')
    process.on('warning', note)
    warnings.length = 0
  })
  afterEach(() => {
    process.off('warning', note)
    for (const printer of printers) process.on('warning', printer)
  })
  /** Warnings come on the next tick. */
  const heard = async (): Promise<string[]> => {
    await new Promise((resolve) => setImmediate(resolve))
    return warnings
  }

  it('of a leak, with who holds it, how long, and the line that acquired it; and when it comes back', async () => {
    const { pool, clock } = setUp({ name: 'orders', leakThresholdMillis: 100 })
    const lease = await pool.acquire({ label: 'GET /orders' })
    await clock.advance(200)
    lease.release()
    const [leak = '', returned = ''] = await heard()
    expect(leak).toMatch(
      /^pool "orders": the lease "GET \/orders" is out and was not released \(held for 1\d\d ms\)\nacquired\n {4}at /,
    )
    expect(leak).toContain('warnings.test.ts')
    expect(returned).toContain('came back late after it was reported as a leak (held for 200 ms)')
  })

  it('of a lease that was out too long, without a stack where none was kept', async () => {
    const { pool, clock } = setUp({ name: 'orders', maxUseMillis: 100 })
    await pool.acquire()
    await clock.advance(200)
    expect(await heard()).toEqual([
      expect.stringMatching(
        /^pool "orders": a lease was out longer than `maxUseMillis`; its resource is taken away \(held for 1\d\d ms\)$/,
      ),
    ])
  })

  it('of a listener that throws, also the one of failures itself', async () => {
    const { pool } = setUp({ name: 'orders' })
    const fail = (): never => {
      throw new Error('a bug of the listener')
    }
    pool.on('acquired', fail)
    ;(await pool.acquire()).release()
    expect(await heard()).toEqual([`pool "orders": a listener of 'acquired' threw: Error: a bug of the listener`])
    pool.on('failure', fail)
    ;(await pool.acquire()).release()
    expect((await heard()).at(-1)).toBe(`pool "orders": a listener of 'failure' threw: Error: a bug of the listener`)
  })
})
