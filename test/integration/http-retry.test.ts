import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startFaultProxy, startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { closeHttpPools, get, httpPoolOn } from '../support/http.ts'

let server: HttpServer
beforeAll(async () => {
  server = await startHttp()
})
afterEach(async () => {
  await closeHttpPools()
  await server.reset()
})
afterAll(async () => {
  await server.stop()
})

let last = 0
const withId = (): { readonly id: string; readonly headers: Record<string, string> } => {
  const id = `request ${++last}`
  return { id, headers: { 'x-request-id': id } }
}

describe('retries', () => {
  it('are off, unless they are asked for', async () => {
    const { id, headers } = withId()
    const { statusCode, body } = await httpPoolOn(server).request('/status?code=503&times=1', { headers })
    await body.dump()
    expect(statusCode).toBe(503)
    expect((await server.view()).ids[id]).toBe(1)
  })

  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'] as const)(
    'repeat %s until it works, as often as they may',
    async (method) => {
      const pool = httpPoolOn(server, { retry: { baseMillis: 5 } })
      const { id, headers } = withId()
      const { statusCode, body } = await pool.request('/status?code=503&times=2', { headers, method })
      await body.dump()
      expect(statusCode).toBe(200)
      expect((await server.view()).ids[id]).toBe(3)
      const never = withId()
      const last = await pool.request('/status?code=502', { headers: never.headers, method })
      await last.body.dump()
      expect(last.statusCode).toBe(502)
      expect((await server.view()).ids[never.id]).toBe(3)
      expect(pool.stats().used).toBe(0)
    },
  )

  it('repeat after 429, 500, 502, 503 and 504, and take every other answer for one', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 1, budget: 10 } })
    const attemptsAfter = async (code: number): Promise<readonly [answer: number, attempts: number]> => {
      const { id, headers } = withId()
      const { statusCode, body } = await pool.request(`/status?code=${code}&times=1`, { headers })
      await body.dump()
      return [statusCode, (await server.view()).ids[id] ?? 0]
    }
    for (const code of [429, 500, 502, 503, 504]) expect(await attemptsAfter(code), String(code)).toEqual([200, 2])
    for (const code of [400, 401, 403, 404, 408, 409, 410, 422, 425, 501, 505]) {
      expect(await attemptsAfter(code), String(code)).toEqual([code, 1])
    }
  })

  it.each(['POST', 'PATCH'] as const)('never repeat %s', async (method) => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 5 } })
    const { id, headers } = withId()
    const { statusCode, body } = await pool.request('/status?code=503&times=1', { headers, method, body: 'x' })
    await body.dump()
    expect(statusCode).toBe(503)
    await expect(
      get(pool, '/drop', { headers: { 'x-request-id': `${id} dropped` }, method, body: 'x' }),
    ).rejects.toThrow()
    expect((await server.view()).ids).toMatchObject({ [id]: 1, [`${id} dropped`]: 1 })
  })

  it('repeat what the network broke, also through fetch, and the last error is told', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 5 } })
    const { id, headers } = withId()
    const response = await pool.fetch('/drop?how=reset&times=2', { headers })
    expect(await response.json()).toMatchObject({ method: 'GET' })
    expect((await server.view()).ids[id]).toBe(3)
    await using proxy = await startFaultProxy(server)
    await proxy.set({ connect: 'refuse' })
    const down = httpPoolOn({ origin: `http://127.0.0.1:${proxy.port}` }, { retry: { baseMillis: 5 } })
    await expect(get(down, '/echo')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(down.origins()[`http://127.0.0.1:${proxy.port}`]).toMatchObject({ repeated: 2 })
  })

  it('wait as long as the server asks, and do not ask again where that is too long', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 5, maxMillis: 1_500 } })
    const { headers } = withId()
    const startedAt = performance.now()
    expect((await pool.request('/status?code=429&times=1&retryAfter=1', { headers })).statusCode).toBe(200)
    expect(performance.now() - startedAt).toBeGreaterThan(990)
    const { id, headers: others } = withId()
    const { statusCode, body } = await pool.request('/status?code=429&retryAfter=60', { headers: others })
    await body.dump()
    expect(statusCode).toBe(429)
    expect((await server.view()).ids[id]).toBe(1)
    const until = async (date: string): Promise<number | undefined> => {
      const asked = withId()
      const path = `/status?code=503&times=1&retryAfter=${encodeURIComponent(date)}`
      await get(pool, path, { headers: asked.headers })
      return (await server.view()).ids[asked.id]
    }
    expect(await until('Wed, 21 Oct 2015 07:28:00 GMT')).toBe(2)
    expect(await until(new Date(Date.now() + 60_000).toUTCString())).toBe(1)
  })

  it('run in the async context of their caller', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 5 }, max: 1 })
    const storage = new AsyncLocalStorage<string>()
    const traced: unknown[] = []
    const note = (): void => void traced.push(storage.getStore())
    subscribe('undici:request:create', note)
    const dropped = withId()
    await Promise.all([
      storage.run('one', () => get(pool, '/status?code=503&times=1', withId())),
      storage.run('two', () => get(pool, '/drop?how=reset&times=1', dropped)),
    ])
    unsubscribe('undici:request:create', note)
    expect(traced.sort()).toEqual(['one', 'one', 'two', 'two'])
  })

  it('send no stream a second time', async () => {
    const { Readable } = await import('node:stream')
    const pool = httpPoolOn(server, { retry: { baseMillis: 5 } })
    const { id, headers } = withId()
    const { statusCode, body } = await pool.request('/status?code=503&times=1', {
      method: 'PUT',
      headers,
      body: Readable.from(['once']),
    })
    await body.dump()
    expect(statusCode).toBe(503)
    expect((await server.view()).ids[id]).toBe(1)
  })

  it('stay within their budget when everything fails', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 1 }, max: 20 })
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        const { body } = await pool.request('/status?code=503')
        await body.dump()
      }),
    )
    const { requests } = await server.view()
    // Ten, and a tenth of what was asked beyond the first ten.
    expect(requests).toBeLessThanOrEqual(200 + 10 + 20)
    expect(requests).toBeGreaterThanOrEqual(210)
  })

  it('end at once when the caller aborts', async () => {
    const pool = httpPoolOn(server, { retry: { baseMillis: 60_000, maxMillis: 60_000 } })
    const controller = new AbortController()
    const waiting = get(pool, '/status?code=503', { signal: controller.signal })
    await waitFor(() => (pool.origins()[server.origin]?.repeated ?? 0) > 0, { what: 'it waits for its repetition' })
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })
})

describe('the circuit', () => {
  it('opens when most requests fail, tells so at once, and closes when one works', async () => {
    const pool = httpPoolOn(server, { circuit: { minRequests: 5, openMillis: 200 } })
    for (let count = 0; count < 5; count++) await get(pool, '/status?code=500')
    expect(pool.origins()[server.origin]).toMatchObject({ circuit: 'open', circuitOpened: 1 })
    await expect(get(pool, '/echo')).rejects.toMatchObject({
      code: 'ERR_POOL_DOWN',
      retryAfterMillis: expect.any(Number) as number,
    })
    expect((await server.view()).requests).toBe(5)
    await waitFor(() => get(pool, '/echo').then(() => true), { what: 'one is let through, and works' })
    expect(pool.origins()[server.origin]).toMatchObject({ circuit: 'closed' })
    await get(pool, '/echo')
  })

  it('opens again when the one that it lets through fails', async () => {
    const pool = httpPoolOn(server, { circuit: { minRequests: 2, openMillis: 100 } })
    await get(pool, '/status?code=500')
    await get(pool, '/status?code=500')
    await waitFor(() => get(pool, '/status?code=500').then(() => true), { what: 'one is let through' })
    expect(pool.origins()[server.origin]).toMatchObject({ circuit: 'open', circuitOpened: 2 })
  })

  it('counts no abort of the caller’s, and is that of one origin', async () => {
    await using other = await startHttp()
    const pool = httpPoolOn({}, { circuit: { minRequests: 2 } })
    for (let count = 0; count < 3; count++) {
      await expect(get(pool, `${server.origin}/slow`, { signal: AbortSignal.timeout(20) })).rejects.toThrow()
    }
    expect(pool.origins()[server.origin]).toMatchObject({ circuit: 'closed' })
    for (let count = 0; count < 2; count++) await get(pool, `${server.origin}/status?code=500`)
    await expect(get(pool, `${server.origin}/echo`)).rejects.toMatchObject({ code: 'ERR_POOL_DOWN' })
    expect(JSON.parse(await get(pool, `${other.origin}/echo`))).toMatchObject({ method: 'GET' })
  })
})
