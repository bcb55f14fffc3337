import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Readable, Writable } from 'node:stream'
import { inspect } from 'node:util'
import * as undici from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort, startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { PoolError } from 'millpond'
import { httpPool } from 'millpond/http'
import { closeHttpPools, get, httpPoolOn, type Echo } from '../support/http.ts'
import { expectSteered } from '../support/steering.ts'

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

describe('a request', () => {
  it('is undici’s, by path or by URL, and its connection is used again', async () => {
    const pool = httpPoolOn(server)
    const { statusCode, headers, body } = await pool.request('/echo?a=1', {
      method: 'POST',
      headers: { 'x-test': 'yes' },
      body: 'hello',
    })
    expect([statusCode, headers['content-type']]).toEqual([200, 'application/json'])
    expect(await body.json()).toMatchObject({ method: 'POST', url: '/echo?a=1', body: 'hello' })
    const { body: second } = await pool.request(new URL(`${server.origin}/echo`))
    expect(((await second.json()) as Echo).method).toBe('GET')
    expect(pool.stats()).toMatchObject({ kind: 'http', created: 1, acquired: 2, used: 0, idle: 1 })
  })

  it('is steered from the dashboard, of all origins together', async () => {
    const pool = httpPoolOn(server, { max: 2 })
    await expectSteered({ pool, use: () => get(pool, '/echo'), hold: () => get(pool, '/slow') })
    await using other = await startHttp()
    pool.suspend()
    const late = get(pool, `${other.origin}/echo`)
    await waitFor(() => pool.stats().waiting === 1, { what: 'also an origin that comes later is suspended' })
    expect((await pool.health()).message).toBe('Pool group is suspended')
    pool.resume()
    await late
    expect(pool.takeAway(1, other.origin)).toBe(false)
  })

  it('is fetched, with redirects, bodies and labels', async () => {
    const pool = httpPoolOn(server)
    const response = await pool.fetch('/echo', { method: 'PUT', body: 'fetched', label: 'profile page', priority: 1 })
    expect(await response.json()).toMatchObject({ method: 'PUT', body: 'fetched' })
    await expect(pool.fetch('/echo', { signal: AbortSignal.abort(new Error('not now')) })).rejects.toThrow('not now')
    expect(pool.stats()).toMatchObject({ acquired: 1, used: 0 })
  })

  it('goes through a dispatcher, for undici’s other methods, its functions and its interceptors', async () => {
    const pool = httpPoolOn(server, { interceptors: [undici.interceptors.responseError()] })
    const chunks: Buffer[] = []
    await pool.dispatcher.stream({ origin: server.origin, path: '/bytes?n=3', method: 'GET' }, () => {
      return new Writable({ write: (chunk: Buffer, _, done) => done((chunks.push(chunk), null)) })
    })
    const { body } = await undici.request(`${server.origin}/bytes?n=5`, { dispatcher: pool.dispatcher })
    for await (const chunk of body) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('xxxxxxxx')
    await expect(pool.request('/status?code=404')).rejects.toMatchObject({ statusCode: 404 })
    await waitFor(() => pool.stats().used === 0, { what: 'all leases are back' })
  })

  it('with a body that streams works both ways', async () => {
    const pool = httpPoolOn(server)
    const { body } = await pool.request('/echo', {
      method: 'POST',
      body: Readable.from(['one ', 'two']),
    })
    expect(((await body.json()) as Echo).body).toBe('one two')
  })

  it('has its whole time limited, waiting and body included', async () => {
    const pool = httpPoolOn(server)
    await expect(pool.request('/slow', { timeoutMillis: 50 })).rejects.toMatchObject({ name: 'TimeoutError' })
    const { body } = await pool.request('/stall', { timeoutMillis: 200 })
    await expect(body.text()).rejects.toMatchObject({ name: 'TimeoutError' })
    await waitFor(() => pool.stats().used === 0, { what: 'the connection is given back' })
  })

  it('without an origin needs a whole URL, and never shows one that is wrong', async () => {
    const pool = httpPoolOn({})
    expect(() => pool.request('/echo?token=secret')).toThrow(/Expected a whole URL/)
    expect(() => pool.request('/echo?token=secret')).not.toThrow(/secret/)
    expect(await get(pool, `${server.origin}/bytes?n=1`)).toBe('x')
  })
})

describe('the queue', () => {
  it('holds no more than `max` connections open, serves in order, and ends at its deadline', async () => {
    const pool = httpPoolOn(server, { max: 2, acquireTimeoutMillis: 100 })
    const held = await Promise.all([pool.request('/stall'), pool.request('/stall')])
    const error = await pool.request('/echo').catch((reason: unknown) => reason)
    expect(PoolError.is(error, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    expect(String(error)).toContain('2')
    const fetched = await pool.fetch('/echo').catch((reason: unknown) => reason)
    expect(PoolError.is((fetched as Error).cause, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    for (const { body } of held) body.destroy()
    expect((await server.view()).mostActive).toBe(2)
  })

  it('is left at once by who aborts, by request, fetch and stream alike', async () => {
    const pool = httpPoolOn(server, { max: 1 })
    const held = await pool.request('/stall')
    const controller = new AbortController()
    const { signal } = controller
    const waiting = [
      pool.request('/echo', { signal }),
      pool.fetch('/echo', { signal }),
      pool.dispatcher.request({ origin: server.origin, path: '/echo', method: 'GET', signal }),
    ].map((each: Promise<unknown>) => each.catch((error: unknown) => error))
    await waitFor(() => pool.stats().waiting === 3, { what: 'three wait' })
    const reason = new Error('changed my mind')
    controller.abort(reason)
    expect(await Promise.all(waiting)).toEqual([reason, reason, reason])
    expect(pool.stats()).toMatchObject({ waiting: 0, aborted: 3 })
    held.body.destroy()
  })

  it('is bounded', async () => {
    const pool = httpPoolOn(server, { max: 1, maxWaiting: 1 })
    const held = await pool.request('/stall')
    const waiting = get(pool, '/echo')
    await expect(pool.request('/echo')).rejects.toMatchObject({ code: 'ERR_POOL_OVERLOADED', reason: 'queue-full' })
    held.body.destroy()
    await waiting
  })

  it('keeps the async context of who waits, in what calls back and for who traces undici', async () => {
    const pool = httpPoolOn(server, { max: 1 })
    const storage = new AsyncLocalStorage<string>()
    const heard: Record<string, unknown[]> = {}
    const note = (where: string): void => void (heard[where] ??= []).push(storage.getStore())
    const trace = (): void => note('traced')
    subscribe('undici:request:create', trace)
    const held = await pool.request('/stall')
    const options = { origin: server.origin, path: '/echo', method: 'GET' } as const
    const waiting = [
      storage.run('request', () => get(pool, '/echo')),
      storage.run('fetch', () => pool.fetch('/echo').then((response) => response.text())),
      storage.run('stream', () =>
        pool.dispatcher.stream(options, () => {
          note('factory')
          return new Writable({ write: (_, __, done) => done() })
        }),
      ),
      storage.run('pipeline', async () => {
        const piped = pool.dispatcher.pipeline(options, ({ body }) => {
          note('handler')
          return body
        })
        await piped.end().resume().toArray()
      }),
      new Promise((resolve) => {
        storage.run('callback', () => {
          pool.dispatcher.request(options, (_, data) => {
            note('called back')
            resolve(data?.body.dump())
          })
        })
      }),
    ]
    await waitFor(() => pool.stats().waiting === 5, { what: 'five wait' })
    held.body.destroy()
    await Promise.all(waiting)
    unsubscribe('undici:request:create', trace)
    expect(heard).toEqual({
      traced: [undefined, 'request', 'fetch', 'stream', 'pipeline', 'callback'],
      factory: ['stream'],
      handler: ['pipeline'],
      'called back': ['callback'],
    })
  })
})

describe('a body', () => {
  it('holds the connection to its end, not only to the headers', async () => {
    const pool = httpPoolOn(server, { max: 1 })
    const { body } = await pool.request('/trickle?pieces=3&millis=20')
    expect(pool.stats().used).toBe(1)
    const next = get(pool, '/echo')
    expect(pool.stats().waiting).toBe(1)
    await body.text()
    await next
    expect((await server.view()).mostActive).toBe(1)
  })

  it.each(['request', 'fetch'] as const)('that nobody reads is found, given up and told of (%s)', async (how) => {
    const pool = httpPoolOn(server, { max: 1, bodyTimeoutMillis: 200 })
    const warnings: string[] = []
    const note = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', note)
    const forgotten: unknown = await pool[how]('/bytes?n=1000000', { label: 'report' })
    expect(pool.stats().used).toBe(1)
    // Without that, it would be a deadlock.
    expect(JSON.parse(await get(pool, '/echo'))).toMatchObject({ method: 'GET' })
    await waitFor(() => warnings.length > 0, { what: 'a warning' })
    process.off('warning', note)
    expect(warnings).toEqual([expect.stringMatching(/a body was not read \(report\)/) as string])
    expect(pool.origins()[server.origin]).toMatchObject({ unreadBodies: 1 })
    expect(forgotten).toBeDefined()
  })

  it('that is read slowly is left alone', async () => {
    const pool = httpPoolOn(server, { bodyTimeoutMillis: 300 })
    const { body } = await pool.request('/bytes?n=400000')
    let bytes = 0
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
    expect(bytes).toBe(400_000)
    expect(pool.origins()[server.origin]).toMatchObject({ unreadBodies: 0 })
  })
})

describe('several origins', () => {
  let other: HttpServer
  beforeAll(async () => {
    other = await startHttp()
  })
  afterEach(async () => {
    await other.reset()
  })
  afterAll(async () => {
    await other.stop()
  })

  it('have a pool each, with statistics of their own, and as many as may be', async () => {
    const pool = httpPoolOn({}, { maxOrigins: 1 })
    await get(pool, `${server.origin}/echo`)
    expect(Object.keys(pool.origins())).toEqual([server.origin])
    await get(pool, `${other.origin}/echo`)
    await get(pool, `${other.origin}/echo`)
    expect(pool.origins()).toMatchObject({ [other.origin]: { origin: other.origin, acquired: 2, created: 1 } })
    expect(Object.keys(pool.origins())).toEqual([other.origin])
    expect(pool.stats()).toMatchObject({ acquired: 3, created: 2 })
    await waitFor(async () => (await server.view()).open === 0, { what: 'the first pool is closed' })
  })

  it('share `maxTotal`: who was asked for longest ago makes room, unless it is in use', async () => {
    const pool = httpPoolOn({}, { max: 2, maxTotal: 3 })
    await get(pool, `${server.origin}/echo`)
    const held = await Promise.all([1, 2].map(() => pool.request(`${other.origin}/stall`)))
    expect(Object.keys(pool.origins())).toEqual([other.origin])
    await waitFor(async () => (await server.view()).open === 0, { what: 'the first pool is closed' })
    await expect(get(pool, `${server.origin}/echo`)).rejects.toMatchObject({ code: 'ERR_POOL_OVERLOADED' })
    // One more to an origin that has its pool waits, as ever.
    const waiting = get(pool, `${other.origin}/echo`)
    expect(pool.stats()).toMatchObject({ used: 2, waiting: 1, max: 3 })
    for (const { body } of held) body.destroy()
    await waiting
    await waitFor(() => pool.stats().used === 0, { what: 'nothing runs' })
    await get(pool, `${server.origin}/echo`)
    expect(Object.keys(pool.origins())).toEqual([server.origin])
    expect((await server.view()).open + (await other.view()).open).toBeLessThanOrEqual(3)
  })

  it('that nobody asks for any more lose their pool, and count on', async () => {
    const pool = httpPoolOn({}, { idleOriginMillis: 60 })
    const held = await pool.request(`${other.origin}/stall`)
    await get(pool, `${server.origin}/echo`)
    await waitFor(() => !(server.origin in pool.origins()), { what: 'the idle one has none' })
    await waitFor(async () => (await server.view()).open === 0, { what: 'its connection is closed' })
    expect(pool.origins()).toMatchObject({ [other.origin]: { used: 1 } })
    held.body.destroy()
    await waitFor(() => Object.keys(pool.origins()).length === 0, { what: 'none has one' })
    expect(pool.stats()).toMatchObject({ acquired: 2, created: 2, total: 0 })
  })
})

describe('a pool', () => {
  it('tells whether its origin works, opens connections in advance, and closes in order', async () => {
    const pool = httpPoolOn(server)
    expect(await pool.health()).toMatchObject({ status: 'pass', kind: 'http' })
    await pool.ready()
    const running = get(pool, '/slow?millis=100')
    await waitFor(async () => (await server.view()).active === 1, { what: 'a request runs' })
    const report = await pool.close()
    expect(JSON.parse(await running)).toMatchObject({ method: 'GET' })
    expect(report).toMatchObject({ pool: 'http', forced: 0 })
    await expect(pool.request('/echo')).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    await waitFor(async () => (await server.view()).open === 0, { what: 'no connection is left' })
    const down = httpPoolOn({ origin: `http://127.0.0.1:${await freePort()}` })
    expect(await down.health()).toMatchObject({ status: 'fail' })
  })

  it('is resized while requests run: none is cut, and those who wait are served', async () => {
    const pool = httpPoolOn(server, { max: 1, maxTotal: 8 })
    const running = [1, 2, 3].map(() => pool.request('/stall'))
    await waitFor(() => pool.stats().waiting === 2, { what: 'two to wait' })
    pool.resize({ max: 3 })
    const answers = await Promise.all(running)
    pool.resize({ max: 1 })
    expect((await server.view()).active).toBe(3)
    expect(pool.connections().stats()).toMatchObject({ used: 3, max: 1 })
    for (const { body } of answers) body.destroy()
    await waitFor(() => pool.stats().used === 0, { what: 'the connections to be given back' })
    expect(await get(pool, '/echo')).toContain('GET')
    expect(pool.stats().total).toBeLessThanOrEqual(1)
    expect(() => pool.resize({ max: 9 })).toThrow(
      'Expected `max` to be at most 8, as 1 origins share `maxTotal` (8), got 9',
    )
    expect(() => pool.resize({ min: 2 })).toThrow('Expected `min` to be at most `max` (1), got 2')
    expect(pool.connections('http://other.invalid').stats().max).toBe(1)
  })

  it('names an origin without what else is written with it', async () => {
    const pool = httpPoolOn({})
    const { port } = server
    const { body } = await pool.dispatcher.request({
      origin: `http://user:the-secret@127.0.0.1:${port}/`,
      path: '/echo',
      method: 'GET',
    })
    await body.dump()
    expect(Object.keys(pool.origins())).toEqual([server.origin])
    await expect(pool.dispatcher.request({ origin: 'the-secret', path: '/', method: 'GET' })).rejects.toThrow(
      /Expected `origin` to be a URL/,
    )
  })

  it('shows no secret, whatever it is asked', async () => {
    const pool = httpPoolOn(server, { tls: { key: 'the-secret' } })
    const headers = { authorization: 'Bearer the-secret' }
    const held = await pool.request('/stall?token=the-secret', { headers })
    const shown = [
      inspect(pool, { depth: 10, showHidden: true }),
      inspect(pool.connections(), { depth: 10, showHidden: true }),
      JSON.stringify([pool.stats(), pool.origins(), await pool.health()]),
    ]
    const full = httpPoolOn(server, { max: 1, acquireTimeoutMillis: 20, trackStacks: true })
    const first = await full.request('/stall?token=the-secret', { headers })
    const error: unknown = await full.request('/echo?token=the-secret', { headers }).catch((reason: unknown) => reason)
    shown.push(inspect(error, { depth: 10 }))
    expect(shown.join('\n')).not.toContain('the-secret')
    held.body.destroy()
    first.body.destroy()
    expect(() => httpPool(undici, { origin: 'http://user:the-secret@127.0.0.1' })).toThrow(/without user and password/)
  })
})
