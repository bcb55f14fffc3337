import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { waitFor } from '@millpond/rig'
import {
  dashboard,
  serveDashboard,
  toNodeHandler,
  type AuditEntry,
  type Hello,
  type PoolDetail,
  type Tick,
} from 'millpond/dashboard'
import { messagesOf, Pools } from '../support/dashboard.ts'

const ask = (path: string, init?: RequestInit & { host?: string }): Request =>
  new Request(`http://${init?.host ?? '127.0.0.1:1'}${path}`, init)

describe('the dashboard', () => {
  let pools: Pools
  const closers: (() => unknown)[] = []

  beforeEach(() => {
    pools = new Pools()
  })
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
    await pools.stop()
  })

  function open(options: Parameters<typeof dashboard>[1] = {}): ReturnType<typeof dashboard> {
    const handler = dashboard(pools.registry, { instance: 'here', intervalMillis: 100, ...options })
    closers.push(() => handler.close())
    return handler
  }

  describe('who may look', () => {
    it('nobody in production, unless it was asked for', async () => {
      expect((await open({ enabled: false })(ask('/pools/'))).status).toBe(404)
      expect((await open()(ask('/pools/'))).status).toBe(200)
    })

    it('nobody under a name that is not this machine’s or among `hosts`', async () => {
      expect((await open()(ask('/snapshot', { host: 'evil.example' }))).status).toBe(421)
      const handler = open({ hosts: ['pools.internal'], authorize: () => true })
      for (const host of ['pools.internal:8080', 'localhost', '127.0.0.1:9', '[::1]:9'])
        expect((await handler(ask('/snapshot', { host }))).status, host).toBe(200)
    })

    it('only whom `authorize` lets, and nobody when it fails', async () => {
      const handler = open({ authorize: (request) => request.headers.get('authorization') === 'Bearer token' })
      expect((await handler(ask('/'))).status).toBe(403)
      expect((await handler(ask('/', { headers: { authorization: 'Bearer token' } }))).status).toBe(200)
      const failing = open({ authorize: () => Promise.reject(new Error('very-secret')) })
      const refused = await failing(ask('/snapshot'))
      expect(refused.status).toBe(403)
      expect(await refused.text()).not.toContain('very-secret')
    })

    it('with a policy that lets nothing from elsewhere run or be shown in a frame', async () => {
      const { headers } = await open()(ask('/'))
      expect(headers.get('content-security-policy')).toMatch(
        /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/,
      )
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    })
  })

  it('answers where it is mounted, with and without the slash', async () => {
    const handler = open()
    expect((await handler(ask('/admin/pools/'))).headers.get('content-type')).toContain('text/html')
    expect((await handler(ask('/admin/pools/app.js'))).headers.get('content-type')).toContain('javascript')
    const moved = await handler(ask('/admin/pools'))
    expect([moved.status, moved.headers.get('location')]).toEqual([308, 'pools/'])
    expect((await handler(ask('/admin/pools/', { method: 'DELETE' }))).status).toBe(405)
  })

  it('streams every pool: its past first, then what changes, those that come and those that go', async () => {
    const orders = pools.add('orders', { required: true })
    pools.work(orders)
    const handler = open()
    await waitFor(() => orders.stats().acquired > 20, { what: 'some work is done' })
    const stream = messagesOf(await handler(ask('/events')))
    const hello = (await stream.next()).value as { event: string; data: Hello }
    expect(hello.event).toBe('hello')
    expect(hello.data.pools.map(({ key, required }) => [key, required])).toEqual([['here/orders', true]])
    expect(hello.data.pools[0]?.history.times.length).toBeGreaterThan(0)
    const late = pools.add('late')
    const seen = ['orders']
    const waits: number[] = []
    for await (const { event, data } of stream) {
      expect(event).toBe('tick')
      const { pools: views } = data as Tick
      const names = views.map(({ stats }) => stats.name).join()
      if (seen.at(-1) !== names) seen.push(names)
      for (const { recent, stats } of views) {
        expect(stats.requested).toBe(
          stats.acquired + stats.timedOut + stats.aborted + stats.refused + stats.failed + stats.waiting,
        )
        if (stats.name === 'orders') waits.push(recent.use.count)
      }
      if (names === 'orders,late') await late.close()
      if (seen.length === 3) break
    }
    expect(seen).toEqual(['orders', 'orders,late', 'orders'])
    expect(waits.at(-1)).toBeGreaterThan(0)
  })

  it('tells who holds, who waits, what happened and what is slow, and no secret', async () => {
    const pool = pools.add('orders', { max: 1 })
    const handler = open()
    const held = await pool.acquire({ label: 'report' })
    const waiting = pool.acquire({ label: 'order', priority: 3 })
    await handler(ask('/snapshot'))
    pool.operations.ended({ describe: () => 'SELECT ?' }, pool.operations.now() - 2_000, false)
    pool.operations.ended({ describe: () => 'SELECT ?' }, pool.operations.now() - 4_000, false)
    pool.resize({ max: 2 })
    const text = await (await handler(ask('/pool?key=here/orders'))).text()
    const detail = JSON.parse(text) as PoolDetail
    expect(detail.leases[0]).toMatchObject({ label: 'report', resourceId: 1 })
    expect(detail.leases[0]?.stack).toContain('dashboard.test.ts')
    expect(detail.slow).toMatchObject([{ operation: 'SELECT ?', count: 2 }])
    expect(detail.slow[0]?.maxMillis).toBeGreaterThanOrEqual(4_000)
    expect(detail.events.map(({ text: said }) => said)).toContain('resized to min 0, max 2')
    expect(detail.settings).toContainEqual({ name: 'acquireTimeoutMillis', value: '5.0 s', source: undefined })
    expect(detail.settings).toContainEqual({ name: 'max', value: '2', source: undefined })
    expect(detail.actions).toEqual([])
    expect(text).not.toContain('very-secret')
    held.release()
    ;(await waiting).release()
    expect((await handler(ask('/pool?key=here/nothing'))).status).toBe(404)
  })

  it('says again and again in one line, with how often', async () => {
    const pool = pools.add('orders', { max: 1 })
    const handler = open()
    const held = await pool.acquire()
    for (let call = 0; call < 20; call++) await pool.acquire({ timeoutMillis: 1 }).catch(() => undefined)
    const { events } = (await (await handler(ask('/pool?key=here/orders'))).json()) as PoolDetail
    const failed = events.filter(({ name }) => name === 'acquireFailed')
    expect(failed.reduce((sum, { times }) => sum + times, 0)).toBe(20)
    expect(failed.length).toBeLessThan(5)
    held.release()
  })

  describe('actions', () => {
    const post = (body: object, headers: Record<string, string> = {}): Request =>
      ask('/actions', {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'x-millpond-action': (body as { action?: string }).action ?? '', ...headers },
      })

    it('are refused where they were not asked for', async () => {
      const pool = pools.add('orders')
      const refused = await open()(post({ key: 'here/orders', action: 'suspend' }))
      expect(refused.status).toBe(403)
      expect(pool.state).toBe('open')
    })

    it('do what they say, and are told to `audit`', async () => {
      const pool = pools.add('orders')
      const audited: AuditEntry[] = []
      const handler = open({ actions: true, audit: (entry) => audited.push(entry) })
      const act = async (body: object): Promise<number> => (await handler(post({ key: 'here/orders', ...body }))).status
      expect(await act({ action: 'resize', min: 1, max: 7 })).toBe(200)
      expect(pool.stats()).toMatchObject({ min: 1, max: 7 })
      expect(await act({ action: 'suspend' })).toBe(200)
      expect(pool.state).toBe('suspended')
      expect(await act({ action: 'resume' })).toBe(200)
      expect(pool.state).toBe('open')
      const lease = await pool.acquire()
      expect(await act({ action: 'kill', resourceId: 999 })).toBe(409)
      expect(await act({ action: 'kill', resourceId: 1 })).toBe(200)
      expect(lease.signal.aborted).toBe(true)
      expect(() => lease.resource).toThrow()
      expect(await act({ action: 'invalidate' })).toBe(200)
      expect(pool.stats().generation).toBe(1)
      expect(await act({ action: 'resize', min: 9, max: 2 })).toBe(409)
      expect(audited.map(({ action, ok }) => `${action} ${ok}`)).toEqual([
        'resize true',
        'suspend true',
        'resume true',
        'kill false',
        'kill true',
        'invalidate true',
        'resize false',
      ])
      expect(audited.at(-1)?.message).toMatch(/Expected `min` to be at most `max`/)
    })

    it('come from the page alone, not from another one that a browser has open', async () => {
      const pool = pools.add('orders')
      const handler = open({ actions: true, audit: () => undefined })
      const body = { key: 'here/orders', action: 'suspend' }
      for (const headers of [
        { 'x-millpond-action': '' },
        { 'x-millpond-action': 'resume' },
        { origin: 'http://evil.example' },
        { origin: 'null' },
      ])
        expect((await handler(post(body, headers as Record<string, string>))).status).toBe(403)
      expect(pool.state).toBe('open')
      expect((await handler(post(body, { origin: 'http://127.0.0.1:1' }))).status).toBe(200)
    })

    it('are refused in any other form', async () => {
      pools.add('orders')
      const handler = open({ actions: true, audit: () => undefined })
      for (const body of [{}, { key: 'here/orders', action: 'drop' }, { key: 1, action: 'suspend' }])
        expect((await handler(post(body, { 'x-millpond-action': 'suspend' }))).status).toBe(400)
      expect((await handler(post({ key: 'here/orders', action: 'drop' }))).status).toBe(403)
      expect((await handler(post({ key: 'here/gone', action: 'suspend' }))).status).toBe(404)
      expect((await handler(post({ key: 'x'.repeat(20_000), action: 'suspend' }))).status).toBe(413)
      expect((await handler(ask('/actions'))).status).toBe(405)
    })

    it('are not even read where they do not come from the page, and no further than is allowed', async () => {
      pools.add('orders')
      let bytes = 0
      let isCancelled = false
      const send = (headers: Record<string, string>, host = '127.0.0.1:1'): Request => {
        bytes = 0
        const body = new ReadableStream<Uint8Array>(
          {
            pull(controller) {
              if (bytes > 1_000_000) controller.close()
              else controller.enqueue(new Uint8Array(1_000).fill(32))
              bytes += 1_000
            },
            cancel: () => void (isCancelled = true),
          },
          { highWaterMark: 0 },
        )
        return ask('/actions', { method: 'POST', host, headers, body, duplex: 'half' })
      }
      const suspend = { 'x-millpond-action': 'suspend' }
      const readOnly = open()
      const strict = open({ actions: true, authorize: () => false })
      const handler = open({ actions: true, audit: () => undefined })
      for (const [answer, status] of [
        [readOnly(send(suspend)), 403],
        [strict(send(suspend)), 403],
        [handler(send(suspend, 'evil.example')), 421],
        [handler(send({ ...suspend, origin: 'http://evil.example' })), 403],
        [handler(send({})), 403],
      ] as const) {
        expect((await answer).status).toBe(status)
        expect(bytes).toBe(0)
      }
      expect((await handler(send(suspend))).status).toBe(413)
      expect(bytes).toBeLessThan(20_000)
      expect(isCancelled).toBe(true)
    })
  })

  it('answers nobody once it is closed, also whom it was about to let in', async () => {
    pools.add('orders')
    let letIn: (() => void) | undefined
    const handler = open({ authorize: () => new Promise((resolve) => (letIn = () => resolve(true))) })
    const late = handler(ask('/events'))
    const decide = await waitFor(() => letIn, { what: 'it is asked who may look' })
    handler.close()
    decide()
    expect((await late).status).toBe(503)
    const other = open()
    other.close()
    for (const path of ['/', '/events', '/snapshot', '/pool?key=here/orders'])
      expect((await other(ask(path))).status, path).toBe(503)
  })

  describe('of several processes', () => {
    it('shows and steers the pools of the others, and says who does not answer', async () => {
      const other = new Pools()
      const remote = other.add('stock')
      const served = await serveDashboard(other.registry, {
        instance: 'there',
        intervalMillis: 100,
        actions: true,
        audit: () => undefined,
        authorize: (request) => request.headers.get('authorization') === 'Bearer of the other',
      })
      closers.push(
        () => served.close(),
        () => other.stop(),
      )
      pools.add('orders')
      const handler = open({
        actions: true,
        instances: [{ url: served.url, headers: { authorization: 'Bearer of the other' } }, 'http://127.0.0.1:1/'],
      })
      const stream = messagesOf(await handler(ask('/events')))
      let tick: Tick | undefined
      for await (const { data } of stream) {
        tick = data as Tick
        if (tick.pools.length === 2 && tick.instances.some(({ problem }) => problem !== undefined)) break
      }
      expect(tick?.pools.map(({ key }) => key)).toEqual(['here/orders', 'there/stock'])
      expect(tick?.instances).toEqual([
        { name: 'here', reachable: true },
        { name: 'there', reachable: true },
        { name: '127.0.0.1:1', reachable: false, problem: 'cannot be reached' },
      ])
      const detail = (await (await handler(ask('/pool?key=there/stock'))).json()) as PoolDetail
      expect(detail.actions).toContain('suspend')
      const done = await handler(
        ask('/actions', {
          method: 'POST',
          body: JSON.stringify({ key: 'there/stock', action: 'suspend' }),
          headers: { 'x-millpond-action': 'suspend' },
        }),
      )
      expect([done.status, remote.state]).toEqual([200, 'suspended'])
    })

    it('says so when one answers with what is no answer, or goes away', async () => {
      const other = new Pools()
      other.add('stock')
      const real = dashboard(other.registry, { instance: 'there', intervalMillis: 100 })
      // A proxy in between that has a page for everything but what it knows.
      const proxy = createServer((request, response) => {
        if (request.url === '/snapshot') toNodeHandler(real)(request, response)
        else response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Please log in</h1>')
      })
      await new Promise<void>((resolve) => {
        proxy.listen(0, '127.0.0.1', resolve)
      })
      closers.push(
        () => proxy.close(),
        () => real.close(),
        () => other.stop(),
      )
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/`
      const handler = open({ instances: [url], actions: true })
      for await (const { data } of messagesOf(await handler(ask('/events')))) {
        if ((data as Tick).pools.length === 1) break
      }
      const detail = await handler(ask('/pool?key=there/stock'))
      expect([detail.status, await detail.json()]).toEqual([
        502,
        { ok: false, message: 'there answers with status 200 and no JSON' },
      ])
      const suspend = { method: 'POST', body: JSON.stringify({ key: 'there/stock', action: 'suspend' }) }
      const act = (): Promise<Response> =>
        handler(ask('/actions', { ...suspend, headers: { 'x-millpond-action': 'suspend' } }))
      expect((await act()).status).toBe(502)
      proxy.closeAllConnections()
      await new Promise((resolve) => {
        proxy.close(resolve)
      })
      const gone = await act()
      expect([gone.status, await gone.json()]).toEqual([502, { ok: false, message: 'there cannot be reached' }])
    })
  })

  describe('on a server of its own', () => {
    it('listens for others only where it is told who may look', async () => {
      await expect(serveDashboard(pools.registry, { host: '0.0.0.0', actions: true })).rejects.toThrow(
        /give `authorize`/,
      )
    })

    it('looks at nothing where it could not listen', async () => {
      const first = await serveDashboard(pools.registry)
      closers.push(() => first.close())
      const watched = pools.add('orders')
      const asked = vi.spyOn(watched, 'stats')
      const port = Number(new URL(first.url).port)
      await expect(serveDashboard(pools.registry, { port, intervalMillis: 100 })).rejects.toThrow(/EADDRINUSE/)
      await first.close()
      asked.mockClear()
      await new Promise((resolve) => setTimeout(resolve, 250))
      expect(asked).not.toHaveBeenCalled()
    })

    it('listens on the loopback interface, lets a viewer go who does not read, and leaves nothing', async () => {
      const pool = pools.add('orders')
      for (let each = 0; each < 20; each++) pools.add(`p${each}`)
      const served = await serveDashboard(pools.registry, { intervalMillis: 100 })
      expect(served.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
      const response = await fetch(`${served.url}events`)
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      expect(((await messagesOf(response).next()).value as { event: string }).event).toBe('hello')
      // One that never reads.
      const silent = httpRequest(`${served.url}events`, (answer) => answer.pause())
      silent.on('error', () => undefined).end()
      await waitFor(async () => (await fetch(`${served.url}snapshot`)).ok, { what: 'others are answered' })
      silent.destroy()
      await served.close()
      await expect(fetch(served.url)).rejects.toThrow()
      expect(pool.state).toBe('open')
    })
  })
})
