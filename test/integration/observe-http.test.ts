import http from 'node:http'
import { AsyncLocalStorage } from 'node:async_hooks'
import * as undici from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { PoolRegistry } from 'millpond'
import { observe } from 'millpond/observe'
import { expectIdentities } from '../support/identities.ts'
import {
  balancedPoolSubject,
  httpAgentSubject,
  httpsAgentSubject,
  keepAliveAgentSubject,
  roundRobinSubject,
  undiciAgentSubject,
  undiciClientSubject,
  undiciPoolSubject,
  type HttpSubject,
} from '../support/observe-http.ts'
import { expectTruth, isSeenAsOurs } from '../support/observed.ts'

let server: HttpServer
let secure: HttpServer
beforeAll(async () => {
  ;[server, secure] = await Promise.all([startHttp(), startHttp({ protocol: 'h2' })])
})
afterAll(async () => {
  await Promise.all([server.stop(), secure.stop()])
})

const inSight = { hasTimeout: false, waitsInSight: true, hasCallbacks: true }
isSeenAsOurs("undici's Agent", (options) => undiciAgentSubject(server, options), inSight)
isSeenAsOurs("undici's Pool", (options) => undiciPoolSubject(server, options), inSight)
isSeenAsOurs("undici's RoundRobinPool", (options) => roundRobinSubject(server, options), inSight)
isSeenAsOurs("undici's BalancedPool", (options) => balancedPoolSubject(server, options), inSight)
isSeenAsOurs("undici's Pool over TLS", (options) => undiciPoolSubject(secure, options), inSight)
isSeenAsOurs('http.Agent', (options) => httpAgentSubject(server, options), inSight)
isSeenAsOurs('https.Agent', (options) => httpsAgentSubject(secure, options), inSight)
isSeenAsOurs('agentkeepalive', (options) => keepAliveAgentSubject(server, options), inSight)

const KINDS: readonly (readonly [string, (max: number) => HttpSubject])[] = [
  ["undici's Agent", (max) => undiciAgentSubject(server, { max })],
  ["undici's Client", (max) => undiciClientSubject(server, { max })],
  ['http.Agent', (max) => httpAgentSubject(server, { max })],
  ['agentkeepalive', (max) => keepAliveAgentSubject(server, { max })],
]

describe.each(KINDS)('%s', (_, make) => {
  it('has as many connections as the server counts, whatever the requests do', async () => {
    await server.reset()
    const subject = make(4)
    const view = observe(subject.pool)
    const paths = ['/echo', '/bytes?n=100000', '/slow?millis=3', '/close?how=reset', '/goodbye', '/drop?how=fin']
    const all = Array.from({ length: 120 }, (__, number) => subject.get(paths[number % paths.length] ?? '/'))
    const look = (): void => {
      // An agent forgets an origin's pool while that still closes a connection.
      if (subject.pool instanceof undici.Agent) expectIdentities(view.stats())
      else expectTruth(view, subject)
    }
    await Promise.all(all.map((request) => request.then(look, look)))
    await waitFor(() => view.stats().used === 0, { what: 'all are over' })
    const stats = expectTruth(view, subject)
    expect(stats).toMatchObject({ requested: 120, waiting: 0 })
    // Who waits at a connection that breaks while nothing runs on it, undici fails without ever beginning.
    expect(stats.acquired + stats.failed).toBe(120)
    expect(stats.acquired).toBeGreaterThanOrEqual(60)
    const seen = await waitFor(
      async () => {
        const counts = await server.view()
        return counts.open === view.stats().total ? counts : undefined
      },
      { what: 'the server has seen all that were closed' },
    )
    expect(view.stats().created).toBe(seen.opened)
    expect(seen.mostActive).toBeLessThanOrEqual(4)
    await view.close()
    await waitFor(async () => (await server.view()).open === 0, { what: 'none is left' })
  })

  it('is as it was when nobody watches any more', async () => {
    const subject = make(2)
    await subject.get('/echo')
    const before = fingerprint(subject.pool)
    const view = observe(subject.pool)
    await Promise.all([1, 2, 3].map(() => subject.get('/echo')))
    view.detach()
    // One more connection than before, of the same kind.
    await Promise.all([1, 2, 3].map(() => subject.get('/echo')))
    expect(fingerprint(subject.pool)).toEqual(before)
    await subject.end()
  })

  it('lets what runs end, and refuses what is new, while the view closes it', async () => {
    const subject = make(1)
    const view = observe(subject.pool)
    const running = subject.work(80)
    const waiting = subject.work(10)
    const closing = view.close()
    await expect(subject.get('/echo')).rejects.toMatchObject({ code: 'ERR_POOL_CLOSED' })
    await Promise.all([running, waiting])
    expect(await closing).toMatchObject({ forced: 0, rejected: 0 })
    expect(view.stats()).toMatchObject({ acquired: 2, refused: 1, total: 0 })
  })

  it('ends what does not end, and whoever waits for it, when the time is over', async () => {
    const subject = make(1)
    const view = observe(subject.pool)
    const running = subject.get('/slow').catch((error: unknown) => error)
    const waiting = subject.get('/slow').catch((error: unknown) => error)
    await waitFor(() => view.stats().used === 1, { what: 'the first one runs' })
    expect(await view.close({ timeoutMillis: 30 })).toMatchObject({ forced: 1, rejected: 1 })
    expect(await running).toBeInstanceOf(Error)
    expect(await waiting).toBeInstanceOf(Error)
  })
})

/** What is of the object itself and of those inside: keys, functions, listeners. */
function fingerprint(pool: object, depth = 0): unknown {
  const own = pool as Record<PropertyKey, unknown> & { listenerCount?(event: string): number }
  const keys = Reflect.ownKeys(pool).filter((key) => key !== 'destroy' || typeof own[key] === 'function')
  const listeners = ['free', 'connect', 'disconnect', 'connectionError', 'drain'].map((event) =>
    own.listenerCount?.(event),
  )
  const inside = keys
    .filter((key) => String(key) === 'Symbol(clients)')
    .flatMap((key) => {
      const value = own[key] as Map<string, { dispatcher?: object }> | object[]
      return Array.isArray(value) ? value : Array.from(value.values(), (kept) => kept.dispatcher ?? kept)
    })
  return {
    // undici makes some when it first needs them.
    keys: keys.map(String).filter((key) => !/closed|queue|socket|ttl|idx|http context/i.test(key)),
    methods: keys.filter((key) => typeof own[key] === 'function').map((key) => [String(key), own[key]]),
    listeners,
    inside: depth > 3 ? [] : inside.slice(0, 1).map((each) => fingerprint(each, depth + 1)),
  }
}

it('several may use a connection of HTTP/2, each of which is counted', async () => {
  const { origin } = secure
  const pool = new undici.Pool(origin, {
    connections: 1,
    allowH2: true,
    pipelining: 8,
    connect: { ca: secure.certificate() },
  })
  const view = observe(pool)
  await (await pool.request({ path: '/echo', method: 'GET' })).body.dump()
  const requests = Array.from({ length: 8 }, async () =>
    (await pool.request({ path: '/slow?millis=60', method: 'GET' })).body.text(),
  )
  await waitFor(() => view.stats().leases > 1, { what: 'several run at a time' })
  expect(view.stats()).toMatchObject({ used: 1, total: 1, max: 1 })
  expect(view.leases().length).toBe(view.stats().leases)
  await Promise.all(requests)
  expect(view.stats()).toMatchObject({ used: 0, leases: 0, idle: 1, acquired: 9, created: 1 })
  expect(view.stats().use.count).toBe(9)
  await view.close()
})

it('what is behind the global fetch is seen, and says what each origin does', async () => {
  const view = observe(fetch, { name: 'outgoing' })
  const registry = new PoolRegistry()
  registry.register(view)
  const before = view.stats()
  await Promise.all([1, 2, 3].map(async () => await (await fetch(`${server.origin}/slow?millis=20`)).text()))
  const after = view.stats()
  expect(after.acquired - before.acquired).toBe(3)
  // Node's copy takes note of a connection a few promises after its connector does.
  expect(after.created).toBeGreaterThan(before.created)
  expect(after.create.count).toBe(after.created - before.created)
  expect(view.origins()[server.origin]).toMatchObject({ used: 0, acquired: 3, origin: server.origin })
  expect(Array.from(view.parts(), ([origin]) => origin)).toContain(server.origin)
  expect(registry.get('outgoing')?.stats().acquired).toBe(after.acquired)
  view.detach()
  await (await fetch(`${server.origin}/echo`)).text()
  expect(view.stats().acquired).toBe(after.acquired)
})

it('a balanced pool is broken down by upstream, and what waits for any is seen as well', async () => {
  const other = await startHttp()
  const pool = new undici.BalancedPool([server.origin, other.origin], { connections: 1 })
  const view = observe(pool)
  const requests = Array.from({ length: 6 }, async () =>
    (await pool.request({ path: '/slow?millis=40', method: 'GET' })).body.text(),
  )
  await waitFor(() => view.stats().used === 2, { what: 'both work' })
  expect(view.stats()).toMatchObject({ used: 2, waiting: 4, max: 2 })
  await Promise.all(requests)
  const { [server.origin]: one, [other.origin]: two } = view.origins()
  expect(one?.created).toBe(1)
  expect(two?.created).toBe(1)
  expect(view.stats()).toMatchObject({ acquired: 6, waiting: 0, used: 0 })
  await view.close()
  await other.stop()
})

it('requests that are given up while they wait are counted as such, and keep their context', async () => {
  const pool = new undici.Pool(server.origin, { connections: 1 })
  const view = observe(pool)
  const abort = new AbortController()
  const held = pool.request({ path: '/slow?millis=50', method: 'GET' })
  const given = pool.request({ path: '/echo', method: 'GET', signal: abort.signal }).then(
    () => 'answered',
    (error: unknown) => (error as Error).name,
  )
  abort.abort()
  const storage = new AsyncLocalStorage<number>()
  // After an `await` of its own, a function has its context back from the language; a callback has it from its caller.
  const own = storage.run(
    7,
    () =>
      new Promise<(number | undefined)[]>((resolve) => {
        pool.request({ path: '/echo', method: 'GET' }, (_error, { body }) => {
          const answered = storage.getStore()
          body.resume().once('end', () => resolve([answered, storage.getStore()]))
        })
      }),
  )
  await (await held).body.text()
  expect(await given).toBe('AbortError')
  expect(await own).toEqual([7, 7])
  expect(view.stats()).toMatchObject({ requested: 3, acquired: 2, aborted: 1, waiting: 0 })
  await view.close()
})

it('of an agent of Node, a request that is destroyed while it waits or connects counts as given up', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const view = observe(agent)
  const held = new Promise((resolve) => http.get(`${server.origin}/slow?millis=60`, { agent }, resolve))
  const queued = http.get(`${server.origin}/echo`, { agent })
  const ended = new Promise((resolve) => queued.once('error', resolve))
  queued.destroy(new Error('no more'))
  ;((await held) as http.IncomingMessage).resume()
  await ended
  await waitFor(() => view.stats().waiting === 0, { what: 'nobody waits' })
  expect(view.stats()).toMatchObject({ requested: 2, acquired: 1, aborted: 1 })
  await view.close()
})

it('an owner who ends a dispatcher ends the view', async () => {
  const agent = new undici.Agent()
  const view = observe(agent)
  const registry = new PoolRegistry()
  registry.register(view)
  await (await undici.request(`${server.origin}/echo`, { dispatcher: agent })).body.text()
  await agent.close()
  expect(view.state).toBe('closed')
  expect(registry.size).toBe(0)
  expect(view.stats()).toMatchObject({ total: 0, acquired: 1, created: 1 })
})

it('origins that are spelt differently are one', async () => {
  const agent = new undici.Agent()
  const view = observe(agent)
  await (await undici.request(`${server.origin}/echo`, { dispatcher: agent })).body.text()
  await (await undici.request(new URL('/echo', server.origin), { dispatcher: agent })).body.text()
  expect(Object.keys(view.origins())).toEqual([server.origin])
  await view.close()
})
