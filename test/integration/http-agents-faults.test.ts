import axios, { type AxiosError } from 'axios'
import got from 'got'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startFaultProxy, startHttp, waitFor, type FaultProxy, type HttpServer } from '@millpond/rig'
import { httpAgents, type HttpAgents, type HttpAgentsOptions } from 'millpond/http'
import { getAgain, keepRequesting, nodeGet } from '../support/http.ts'

let server: HttpServer
let proxy: FaultProxy
let origin: string
beforeAll(async () => {
  server = await startHttp()
  proxy = await startFaultProxy(server)
  origin = `http://127.0.0.1:${proxy.port}`
})
const made: HttpAgents[] = []
function make(options: HttpAgentsOptions = {}): HttpAgents {
  const agents = httpAgents(options)
  made.push(agents)
  return agents
}
afterEach(async () => {
  await proxy.clear()
  await Promise.all(made.splice(0).map((agents) => agents.close({ timeoutMillis: 1 })))
  await server.reset()
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

/** What adds up whatever happens. */
function expectSums(agents: HttpAgents): void {
  const { requested, acquired, timedOut, aborted, refused, failed, waiting, ...stats } = agents.stats()
  expect(acquired + timedOut + aborted + refused + failed + waiting).toBe(requested)
  expect(stats).toMatchObject({ used: 0, creating: 0 })
  const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
  expect(stats.created).toBe(stats.total + destroyed)
}

describe('sockets that are cut under load', () => {
  it('cost no request that got repeats by itself, and leave nothing behind', async () => {
    const agents = make({ maxSockets: 8 })
    const load = keepRequesting(
      () =>
        got(`${origin}/slow?millis=2`, { agent: { http: agents.httpAgent }, retry: { limit: 5, backoffLimit: 10 } }),
      8,
    )
    for (let round = 1; round <= 4; round++) {
      await waitFor(() => load.succeeded > round * 30, { what: 'requests succeed' })
      proxy.cutAll(round % 2 === 0 ? 'reset' : 'fin')
    }
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 30, { what: 'requests succeed on other sockets' })
    await load.stop()
    expect(load.failures).toEqual([])
    await waitFor(() => agents.stats().used === 0, { what: 'all are over' })
    expectSums(agents)
  })

  it('fail what ran on them with Node’s own error, once, and nothing else: axios repeats nothing, nor do they', async () => {
    const agents = make({ maxSockets: 4 })
    let sent = 0
    const load = keepRequesting(async () => {
      const headers = { 'x-request-id': `request ${++sent}` }
      await axios.post(`${origin}/slow?millis=5`, 'once', { httpAgent: agents.httpAgent, headers })
    }, 4)
    await waitFor(() => load.succeeded > 30, { what: 'requests succeed' })
    proxy.cutAll('reset')
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 30, { what: 'requests succeed on other sockets' })
    await load.stop()
    expect(load.failures.length).toBeGreaterThan(0)
    expect(load.failures.length).toBeLessThanOrEqual(4)
    for (const error of load.failures) {
      expect(error).toMatchObject({ code: expect.toBeOneOf(['ECONNRESET', 'EPIPE']) as string })
    }
    const { ids } = await server.view()
    expect(Object.entries(ids).filter(([, count]) => count > 1)).toEqual([])
    expectSums(agents)
  })

  it.each(['fin', 'reset'] as const)(
    'that the server closed after its answer (%s) are marked as used ones',
    async (how) => {
      const agents = make({ maxSockets: 4 })
      let repeated = 0
      const callers = Array.from({ length: 4 }, async () => {
        for (let count = 0; count < 20; count++)
          await getAgain(`${server.origin}/close?how=${how}`, agents, () => repeated++)
      })
      await Promise.all(callers)
      await waitFor(() => agents.stats().total === 0, { what: 'all have heard that they are closed' })
      // So that whoever repeats by that mark loses nothing.
      expect(agents.stats()).toMatchObject({ acquired: 80 + repeated, failed: 0 })
      expectSums(agents)
    },
  )
})

describe('a server that drains', () => {
  it('has its sockets left, and loses no request that is repeated', async () => {
    await using old = await startHttp()
    const agents = make({ maxSockets: 6 })
    proxy.setTarget(old)
    const load = keepRequesting(() => getAgain(`${origin}/slow?millis=2`, agents, () => undefined), 6)
    await waitFor(() => load.succeeded > 30, { what: 'requests succeed' })
    proxy.setTarget(server)
    await old.drain()
    await waitFor(async () => (await old.view()).open === 0, { what: 'the old server is left' })
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 30, { what: 'requests succeed on the new one' })
    await load.stop()
    expect(load.failures).toEqual([])
    expectSums(agents)
  })
})

describe('a black hole on an open socket', () => {
  const clients: readonly [string, (agents: HttpAgents) => Promise<unknown>, object][] = [
    [
      'axios with its `timeout`',
      ({ httpAgent }) => axios.get(`${origin}/echo`, { httpAgent, timeout: 200 }),
      { code: 'ECONNABORTED' } satisfies Partial<AxiosError>,
    ],
    [
      'got with its `timeout`',
      ({ httpAgent }) =>
        got(`${origin}/echo`, { agent: { http: httpAgent }, timeout: { request: 200 }, retry: { limit: 0 } }),
      { code: 'ETIMEDOUT' },
    ],
    [
      'Node’s client with a signal',
      ({ httpAgent }) => nodeGet(`${origin}/echo`, httpAgent, { signal: AbortSignal.timeout(200) }),
      { code: 'ABORT_ERR' },
    ],
  ]
  it.each(clients)('is left in time by %s, and nobody gets that socket again', async (_, ask, error) => {
    const agents = make({ maxSockets: 2 })
    await ask(agents)
    expect(agents.stats()).toMatchObject({ created: 1, idle: 1 })
    proxy.connections.at(-1)?.blackHole()
    await expect(ask(agents)).rejects.toMatchObject(error)
    await waitFor(() => agents.stats().total === 0, { what: 'its socket is closed' })
    await ask(agents)
    expect(agents.stats()).toMatchObject({ created: 2, idle: 1 })
    expectSums(agents)
  })

  it('keeps those who wait for a socket no longer than their deadline', async () => {
    const agents = make({ maxSockets: 1, acquireTimeoutMillis: 100 })
    const { httpAgent } = agents
    await nodeGet(`${origin}/echo`, httpAgent)
    proxy.connections.at(-1)?.blackHole()
    const swallowed = axios.get(`${origin}/echo`, { httpAgent, timeout: 400 }).catch((reason: unknown) => reason)
    await waitFor(() => agents.stats().used === 1, { what: 'one has the socket' })
    const waiting = [1, 2].map(() => axios.get(`${origin}/echo`, { httpAgent, timeout: 10_000 }))
    const outcomes = await Promise.allSettled(waiting)
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'ERR_POOL_ACQUIRE_TIMEOUT' } })
    expect(await swallowed).toMatchObject({ code: 'ECONNABORTED' })
    await nodeGet(`${origin}/echo`, httpAgent)
    expectSums(agents)
  })
})

describe('what the server says of its patience', () => {
  it('is heeded less a second: the socket is left before the server closes it', async () => {
    await using impatient = await startHttp({ keepAliveMillis: 2_000 })
    const agents = make()
    const { headers } = await nodeGet(`${impatient.origin}/echo`, agents.httpAgent)
    expect(headers['keep-alive']).toBe('timeout=2')
    await waitFor(() => agents.stats().total === 0, { what: 'the socket is closed' })
    // By the agent, 29 s before its own limit; what the server closes is `lost`.
    expect(agents.stats().destroyed).toMatchObject({ idle: 1, lost: 0 })
    expectSums(agents)
  })
})
