import { AsyncLocalStorage } from 'node:async_hooks'
import { Agent, get as nodeGet, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { inspect } from 'node:util'
import axios from 'axios'
import got from 'got'
import nodeFetch from 'node-fetch'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort, startFaultProxy, startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { PoolError } from 'millpond'
import { httpAgents, type HttpAgents, type HttpAgentsOptions } from 'millpond/http'
import type { Echo } from '../support/http.ts'
import { Desk } from '../support/steering.ts'

let server: HttpServer
beforeAll(async () => {
  server = await startHttp()
})
const made: HttpAgents[] = []
function make(options: HttpAgentsOptions = {}): HttpAgents {
  const agents = httpAgents(options)
  made.push(agents)
  return agents
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((agents) => agents.close({ timeoutMillis: 1 })))
  await server.reset()
})
afterAll(async () => {
  await server.stop()
})

/** Requests with Node's own client and reads the answer. */
function get({ httpAgent }: HttpAgents, path: string, options: object = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    nodeGet(server.origin + path, { agent: httpAgent, ...options }, (response) => {
      response.resume().once('end', () => resolve(response))
    }).once('error', reject)
  })
}

describe('the agents', () => {
  it('have their connections replaced from the dashboard, the idle now and the used when they are free', async () => {
    const agents = make()
    using desk = new Desk(agents)
    expect((await desk.see()).actions).toEqual(['invalidate'])
    await Promise.all([get(agents, '/echo'), get(agents, '/echo')])
    const trickling = get(agents, '/trickle?n=5&millis=50')
    await waitFor(() => agents.stats().used === 1, { what: 'one is used' })
    await desk.act('invalidate')
    await waitFor(() => agents.stats().destroyed.stale === 1, { what: 'the idle one is closed' })
    expect(agents.stats().used).toBe(1)
    await trickling
    await waitFor(() => agents.stats().destroyed.stale === 2, { what: 'the used one is closed' })
    await get(agents, '/echo')
    expect(agents.stats().created).toBe(3)
  })

  it('are Node’s own, and axios, got and node-fetch take them as they are', async () => {
    await using secured = await startHttp({ protocol: 'https' })
    const agents = make({ ca: secured.certificate() })
    const { httpAgent, httpsAgent } = agents
    expect(httpAgent).toBeInstanceOf(Agent)
    expect(httpsAgent).toBeInstanceOf(HttpsAgent)
    for (const { origin } of [server, secured]) {
      expect((await axios.get<Echo>(`${origin}/echo`, { httpAgent, httpsAgent })).data.method).toBe('GET')
      expect(await got(`${origin}/echo`, { agent: { http: httpAgent, https: httpsAgent } }).json()).toMatchObject({
        method: 'GET',
      })
      const agent = origin.startsWith('https') ? httpsAgent : httpAgent
      expect(await (await nodeFetch(`${origin}/echo`, { agent })).json()).toMatchObject({ method: 'GET' })
    }
    expect(Object.keys(agents.origins()).sort()).toEqual([server.origin, secured.origin].sort())
    expect(httpAgent.stats()).toMatchObject({ [server.origin]: { acquired: 3, created: 1 } })
    expect(httpsAgent.stats()).toMatchObject({ [secured.origin]: { acquired: 3, created: 1 } })
    expect(agents.stats()).toMatchObject({ kind: 'http', acquired: 6, created: 2 })
  })

  it('make the guide’s axios instance: base URL, timeout and pool', async () => {
    const { httpAgent, httpsAgent } = make({
      keepAlive: true,
      maxSockets: 100,
      maxFreeSockets: 10,
      timeout: 30_000,
      keepAliveTimeout: 30_000,
    })
    const apiClient = axios.create({ baseURL: server.origin, httpAgent, httpsAgent, timeout: 30_000 })
    const getUser = async (userId: number): Promise<Echo> => (await apiClient.get<Echo>(`/users/${userId}`)).data
    const users = await Promise.all(Array.from({ length: 150 }, (_, id) => getUser(id)))
    expect(users.map(({ url }) => url)).toEqual(Array.from({ length: 150 }, (_, id) => `/users/${id}`))
    const { mostActive, opened } = await server.view()
    expect(Math.max(mostActive, opened)).toBeLessThanOrEqual(100)
    await waitFor(() => Object.values(httpAgent.freeSockets).flat().length === 10, { what: 'ten idle ones are kept' })
    // What the guide's monitor and its shutdown touch.
    expect([httpAgent.requests, httpAgent.sockets]).toEqual([{}, {}])
    httpAgent.destroy()
    httpsAgent.destroy()
    await waitFor(async () => (await server.view()).open === 0, { what: 'nothing is left' })
  })

  it('are spread into what axios is made with', async () => {
    const apiClient = axios.create({ baseURL: server.origin, ...make({ maxSockets: 1 }) })
    await Promise.all([apiClient.get('/echo'), apiClient.get('/echo'), apiClient.get('/echo')])
    expect((await server.view()).opened).toBe(1)
  })
})

describe('a request that waits for a socket', () => {
  it('has a deadline, which says why', async () => {
    const agents = make({ maxSockets: 1, acquireTimeoutMillis: 80 })
    const held = get(agents, '/slow?millis=400')
    const error: unknown = await get(agents, '/echo?token=secret').catch((reason: unknown) => reason)
    expect(PoolError.is(error, 'ERR_POOL_ACQUIRE_TIMEOUT')).toBe(true)
    expect(String(error)).toMatch(/no connection to .* was free within \d+ ms \(1 used/)
    expect(String(error)).not.toContain('secret')
    const { origin } = server
    await expect(axios.get(`${origin}/echo`, { httpAgent: agents.httpAgent })).rejects.toMatchObject({
      code: 'ERR_POOL_ACQUIRE_TIMEOUT',
    })
    expect(agents.httpAgent.requests).toEqual({})
    await held
    expect(agents.stats()).toMatchObject({ requested: 3, acquired: 1, timedOut: 2, waiting: 0 })
  })

  it('is left at once by who aborts', async () => {
    const agents = make({ maxSockets: 1 })
    const held = get(agents, '/slow?millis=300')
    const controller = new AbortController()
    const { signal } = controller
    const waiting = [
      get(agents, '/echo', { signal }),
      axios.get(`${server.origin}/echo`, { httpAgent: agents.httpAgent, signal }),
    ].map((each: Promise<unknown>) => each.catch((error: unknown) => error))
    await waitFor(() => agents.stats().waiting === 2, { what: 'two wait' })
    controller.abort()
    const errors = await Promise.all(waiting)
    expect(errors.map((error) => (error as { code: string }).code)).toEqual(['ABORT_ERR', 'ERR_CANCELED'])
    expect(agents.httpAgent.requests).toEqual({})
    expect(agents.stats()).toMatchObject({ aborted: 2, waiting: 0 })
    await held
    expect((await server.view()).requests).toBe(1)
  })

  it('is one of so many as may wait, and runs in its own async context', async () => {
    const agents = make({ maxSockets: 1, maxWaiting: 2 })
    const storage = new AsyncLocalStorage<number>()
    const seen = [1, 2, 3].map((number) =>
      storage.run(
        number,
        () =>
          new Promise<(number | undefined)[]>((resolve, reject) => {
            const request = nodeGet(`${server.origin}/echo`, { agent: agents.httpAgent }, (response) => {
              const answered = storage.getStore()
              response.resume().once('end', () => resolve([answered, storage.getStore()]))
            })
            request.on('error', reject)
          }),
      ),
    )
    await expect(get(agents, '/echo')).rejects.toMatchObject({ code: 'ERR_POOL_OVERLOADED' })
    expect(await Promise.all(seen)).toEqual([1, 2, 3].map((number) => [number, number]))
    expect(agents.stats()).toMatchObject({ refused: 1, acquired: 3 })
    expect(agents.stats().acquiredAfterWait).toBeGreaterThanOrEqual(2)
  })
})

describe('a socket', () => {
  it('closes when it was idle long enough, or is too old', async () => {
    const agents = make({ idleTimeoutMillis: 60 })
    await get(agents, '/echo')
    expect(agents.stats()).toMatchObject({ total: 1 })
    await waitFor(() => agents.stats().total === 0, { what: 'the idle one is closed' })
    expect(agents.stats().destroyed).toMatchObject({ idle: 1 })
    const old = make({ maxLifetimeMillis: 20 })
    await get(old, '/slow?millis=30')
    await get(old, '/slow?millis=30')
    await waitFor(() => old.stats().total === 0, { what: 'the old ones are closed' })
    expect(old.stats()).toMatchObject({ created: 2, destroyed: { lifetime: 2 } })
  })

  it('that could not be opened is told as Node tells it, and counted', async () => {
    const agents = make()
    const port = await freePort()
    const { httpAgent } = agents
    await expect(axios.get(`http://127.0.0.1:${port}/`, { httpAgent })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await waitFor(() => agents.stats().createErrors === 1, { what: 'it is counted' })
    expect(agents.stats()).toMatchObject({ requested: 1, failed: 1, total: 0 })
    expect(await agents.health()).toMatchObject({ status: 'fail' })
  })

  it('whose handshake nobody answers is given up in time', async () => {
    await using proxy = await startFaultProxy(server)
    await proxy.blackHole()
    const { httpsAgent } = make({ createTimeoutMillis: 200 })
    await expect(axios.get(`https://127.0.0.1:${proxy.port}/`, { httpsAgent })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    })
  })
})

describe('their pool', () => {
  it('adds up, closes in order, and shows no secret', async () => {
    const agents = make({ maxSockets: 3, key: undefined, passphrase: 'the-secret' })
    await Promise.all(
      Array.from({ length: 20 }, () => get(agents, '/echo', { headers: { authorization: 'the-secret' } })),
    )
    const running = get(agents, '/slow?millis=1000')
    await waitFor(async () => (await server.view()).active === 1, { what: 'a request runs' })
    const { requested, acquired, timedOut, aborted, refused, failed, waiting, total, idle, used } = agents.stats()
    expect([requested, total]).toEqual([acquired + timedOut + aborted + refused + failed + waiting, idle + used])
    const shown = inspect([agents, agents.stats(), agents.origins(), await agents.health()], {
      depth: 8,
      showHidden: true,
    })
    expect(shown).not.toContain('the-secret')
    const report = await agents.close()
    expect((await running).statusCode).toBe(200)
    expect(report).toMatchObject({ pool: 'http-agents', forced: 0 })
    await expect(get(agents, '/echo')).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    expect(agents.stats()).toMatchObject({ total: 0, state: 'closed' })
    expect(agents.close()).toBe(agents.close())
  })

  it('refuses what Node would take and ignore', () => {
    expect(() => httpAgents({ freeSocketTimeout: 1 } as object)).toThrow(/it is `idleTimeoutMillis`/)
    expect(() => httpAgents({ maxSocket: 1 } as object)).toThrow(/did you mean `maxSockets`/)
    expect(() => httpAgents({ keepAlive: false })).toThrow(/a connection for every request/)
    expect(() => httpAgents({ maxSockets: 0 })).toThrow(/Expected `maxSockets` to be an integer ≥ 1 or Infinity, got 0/)
  })
})

describe('watched agents', () => {
  it('tell of connections and of slow requests, in the context of whoever made them', async () => {
    const agents = make({ name: 'partners', maxSockets: 1, slowMillis: 120 })
    const context = new AsyncLocalStorage<string>()
    const told: unknown[] = []
    agents.on('created', ({ pool, resourceId }) => told.push(['created', pool, resourceId]))
    agents.on('destroyed', ({ reason, uses }) => told.push(['destroyed', reason, uses]))
    const slow: unknown[] = []
    agents.on('slow', ({ pool, operation, failed, waitMillis, useMillis }) =>
      slow.push([context.getStore(), pool, operation, failed, waitMillis > useMillis]),
    )
    await get(agents, '/echo')
    await Promise.all([
      context.run('first', () => get(agents, '/slow?millis=200&token=secret')),
      context.run('second', () => get(agents, '/users/42')),
      context.run('third', () => get(agents, '/slow', { signal: AbortSignal.timeout(400) }).catch(() => undefined)),
    ])
    await get(agents, '/trickle?pieces=3&millis=80')
    await waitFor(() => slow.length === 3, { what: 'three are told' })
    expect(slow.sort()).toEqual([
      ['first', 'partners', 'GET /slow', false, false],
      ['second', 'partners', 'GET /users/?', false, true],
      ['third', 'partners', 'GET /slow', true, expect.any(Boolean)],
    ])
    const { wait, use } = agents.distributions()
    expect([wait.count, use.count]).toEqual([agents.stats().wait.count, agents.stats().use.count])
    expect(Array.from(agents.parts(), ([origin]) => origin)).toEqual([server.origin])
    await agents.close({ timeoutMillis: 1_000 })
    expect(told[0]).toEqual(['created', `partners ${server.origin}`, 1])
    expect(told.filter((each) => (each as string[])[0] === 'destroyed')).toHaveLength(agents.stats().created)
  })
})
