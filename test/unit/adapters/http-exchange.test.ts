import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import * as undici from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { sleep } from '@millpond/rig'
import { httpPool, type HttpPool, type HttpPoolOptions } from 'millpond/http'
import type { DispatchOptions, LegacyHandler } from '../../../src/adapters/http/driver.ts'

/** What becomes of the next requests: a status, or an error before or after anything was written. */
type Outcome = number | 'gone' | 'reset' | 'throws'
const outcomes: Outcome[] = []
const seen: string[] = []

class ScriptedClient extends EventEmitter {
  dispatch({ path }: DispatchOptions, handler: LegacyHandler): boolean {
    const outcome = outcomes.shift() ?? 200
    seen.push(`${path} ${outcome}`)
    if (outcome === 'throws') throw new Error('the driver is broken')
    setImmediate(() => {
      if (outcome !== 'gone') handler.onConnect(() => undefined)
      if (typeof outcome === 'string') {
        handler.onError(Object.assign(new Error(outcome), { code: 'ECONNRESET' }))
        return
      }
      handler.onHeaders(outcome, [], () => undefined, '')
      handler.onComplete([])
    })
    return false
  }

  destroy(): Promise<void> {
    return Promise.resolve()
  }
}

const scripted = {
  ...undici,
  Client: ScriptedClient,
  buildConnector: () => (_: unknown, connected: (error: null, socket: Socket) => void) => {
    const socket = new Socket()
    queueMicrotask(() => connected(null, socket))
    return socket
  },
} as unknown as typeof undici

const pools: HttpPool<typeof undici>[] = []
function make(options: HttpPoolOptions): HttpPool<typeof undici> {
  const pool = httpPool(scripted, { origin: 'http://scripted.test', ...options })
  pools.push(pool)
  return pool
}
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close({ timeoutMillis: 10, waiters: 'reject' })))
  outcomes.length = 0
  seen.length = 0
})

async function ask(pool: HttpPool<typeof undici>, path: string): Promise<number> {
  const { statusCode, body } = await pool.request(path)
  await body.dump()
  return statusCode
}

describe('an exchange', () => {
  it('that the circuit lets through gets another connection where the first is gone', async () => {
    const pool = make({ max: 1, circuit: { minRequests: 2, openMillis: 500 } })
    outcomes.push(500, 500, 'gone', 'reset', 200)
    expect([await ask(pool, '/1'), await ask(pool, '/2')]).toEqual([500, 500])
    await expect(ask(pool, '/3')).rejects.toMatchObject({ code: 'ERR_POOL_DOWN' })
    await sleep(510)
    expect(await ask(pool, '/probe')).toBe(200)
    expect(seen).toEqual(['/1 500', '/2 500', '/probe gone', '/probe reset', '/probe 200'])
    expect(pool.origins()['http://scripted.test']).toMatchObject({ circuit: 'closed', sentAgain: 2 })
  })

  it('keeps no connection when the driver throws', async () => {
    const pool = make({ max: 1 })
    outcomes.push('throws')
    await expect(ask(pool, '/1')).rejects.toThrow('the driver is broken')
    expect(await ask(pool, '/2')).toBe(200)
    expect(pool.stats()).toMatchObject({ used: 0, waiting: 0, acquired: 2 })
  })

  it('is over once, whether it is aborted before, between or after it has its connection', async () => {
    const pool = make({ max: 1 })
    const controllers = Array.from({ length: 6 }, () => new AbortController())
    const all = controllers.map(({ signal }, index) =>
      pool.request(`/${index}`, { signal }).then(
        async ({ body }) => body.dump().then(() => 'answered'),
        (error: unknown) => (error as Error).message,
      ),
    )
    controllers[3]?.abort(new Error('before'))
    await new Promise((resolve) => setImmediate(resolve))
    controllers[1]?.abort(new Error('meanwhile'))
    const results = await Promise.all(all)
    expect(results.filter((result) => result === 'answered').length).toBeGreaterThanOrEqual(4)
    expect(results[3]).toBe('before')
    const { requested, acquired, aborted, used, waiting } = pool.stats()
    expect([requested, used, waiting]).toEqual([acquired + aborted, 0, 0])
  })
})
