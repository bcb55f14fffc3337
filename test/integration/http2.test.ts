import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { closeHttpPools, get, httpPoolOn, keepRequesting, type Echo } from '../support/http.ts'

let server: HttpServer
beforeAll(async () => {
  server = await startHttp({ protocol: 'h2' })
})
afterEach(async () => {
  await closeHttpPools()
  await server.reset()
})
afterAll(async () => {
  await server.stop()
})

const tls = (): { ca: Buffer } => ({ ca: server.certificate() })

describe('HTTP/2', () => {
  it('has many requests on one connection, as many as may be, and then another', async () => {
    const pool = httpPoolOn(server, { http2: true, streamsPerConnection: 10, tls, max: 3 })
    const answers = await Promise.all(Array.from({ length: 30 }, () => get(pool, '/slow?millis=300')))
    expect(answers.map((text) => (JSON.parse(text) as Echo).httpVersion)).toEqual(Array(30).fill('2.0'))
    expect(await server.view()).toMatchObject({ opened: 3, mostActive: 30 })
    expect(pool.stats()).toMatchObject({ created: 3, used: 0, leases: 0 })
    const lease = await pool.connections().acquire()
    expect(lease.resource.protocol).toBe('HTTP/2')
    lease.release()
  })

  it('has no more on a connection than the server allows, once it has said so: the others wait in the pool', async () => {
    await using strict = await startHttp({ protocol: 'h2', maxConcurrentStreams: 5 })
    const pool = httpPoolOn(strict, { http2: true, tls: () => ({ ca: strict.certificate() }), max: 2 })
    await get(pool, '/echo')
    await waitFor(() => pool.connections().options.maxLeasesPerResource === 5, { what: 'the limit is known' })
    const answers = Array.from({ length: 20 }, () => get(pool, '/slow?millis=300'))
    await waitFor(() => pool.stats().leases === 10, { what: 'two connections are full' })
    expect(pool.stats()).toMatchObject({ used: 2, waiting: 10 })
    await Promise.all(answers)
    expect(await strict.view()).toMatchObject({ opened: 2, mostActive: 10 })
  })

  it('runs POSTs side by side too, each sent once', async () => {
    const pool = httpPoolOn(server, { http2: true, tls, max: 1 })
    const ids = Array.from({ length: 12 }, (_, index) => `post ${index}`)
    await Promise.all(
      ids.map((id) => get(pool, '/slow?millis=200', { method: 'POST', body: 'x', headers: { 'x-request-id': id } })),
    )
    const view = await server.view()
    expect(view).toMatchObject({ opened: 1, mostActive: 12 })
    expect(view.ids).toEqual(Object.fromEntries(ids.map((id) => [id, 1])))
  })

  it('sends bodies and reads them, by request and by fetch', async () => {
    const pool = httpPoolOn(server, { http2: true, tls })
    const { body } = await pool.request('/echo', { method: 'POST', body: 'over HTTP/2' })
    expect(await body.json()).toMatchObject({ body: 'over HTTP/2', httpVersion: '2.0' })
    const response = await pool.fetch('/echo', { method: 'PUT', body: 'fetched' })
    expect(await response.json()).toMatchObject({ body: 'fetched' })
    expect((await get(pool, '/bytes?n=300000')).length).toBe(300_000)
  })

  it('is left for HTTP/1.1 where the server does not speak it', async () => {
    await using old = await startHttp({ protocol: 'https' })
    const pool = httpPoolOn(old, { http2: true, tls: () => ({ ca: old.certificate() }), max: 4 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(pool, '/echo')))
    expect(answers.map((text) => (JSON.parse(text) as Echo).httpVersion)).toEqual(Array(20).fill('1.1'))
    expect(pool.origins()[old.origin]).toMatchObject({ max: 4 })
    // Without being asked for it, it is not spoken.
    const plain = httpPoolOn(server, { tls })
    expect(JSON.parse(await get(plain, '/echo'))).toMatchObject({ httpVersion: '1.1' })
  })

  it('an abort ends one request, not its connection', async () => {
    const pool = httpPoolOn(server, { http2: true, tls, max: 1 })
    const other = get(pool, '/slow?millis=200')
    await expect(pool.request('/slow', { timeoutMillis: 50 })).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(JSON.parse(await other)).toMatchObject({ httpVersion: '2.0' })
    expect((await server.view()).opened).toBe(1)
  })

  it('a goodbye (GOAWAY) costs answers that have begun, which cannot be asked for again, and nothing else', async () => {
    const pool = httpPoolOn(server, { http2: true, tls, max: 2, retry: true })
    const callers = 10
    let [number, cut] = [0, 0]
    const load = keepRequesting(async () => {
      const { body } = await pool.request(number++ % 2 === 0 ? '/slow?millis=5' : '/trickle?pieces=2&millis=5')
      // undici 7 ends the connection under them.
      await body.text().catch(() => cut++)
    }, callers)
    // The budget for retries is a tenth of what was asked: enough for ten that meet two goodbyes each.
    await waitFor(() => load.succeeded > 300, { what: 'requests succeed' })
    expect(cut).toBe(0)
    await server.drain()
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 50, { what: 'requests succeed on another connection' })
    await load.stop()
    expect(load.failures).toEqual([])
    expect(cut).toBeLessThanOrEqual(callers)
  })

  it('a POST is sent once, whatever ends its connection', async () => {
    const pool = httpPoolOn(server, { http2: true, tls, max: 2, retry: true })
    let posted = 0
    const load = keepRequesting(async () => {
      const headers = { 'x-request-id': `post ${++posted}` }
      await get(pool, '/slow?millis=20', { method: 'POST', body: 'once', headers })
    }, 10)
    const goesOn = async (what: string): Promise<void> => {
      const before = load.succeeded
      await waitFor(() => load.succeeded > before + 20, { what: `POSTs succeed ${what}` })
    }
    await goesOn('at first')
    for (const end of [() => server.drain(), () => server.cutAll('reset'), () => server.cutAll('fin')]) {
      await end()
      await goesOn('on another connection')
    }
    await load.stop()
    const { ids } = await server.view()
    expect(Object.keys(ids).length).toBeGreaterThanOrEqual(load.succeeded)
    expect(Object.entries(ids).filter(([, count]) => count > 1)).toEqual([])
    // Whoever made one that was cut is told: nobody else can know whether it was done.
    expect(load.failures.length).toBeGreaterThan(0)
    expect(load.succeeded + load.failures.length).toBe(posted)
  })
})
