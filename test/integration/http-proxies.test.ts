import got from 'got'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { startFaultProxy, startHaproxy, startHttp, startNginx, tryStart, waitFor } from '@millpond/rig'
import { httpAgents } from 'millpond/http'
import { closeHttpPools, get, getAgain, httpPoolOn, keepRequesting } from '../support/http.ts'

/** Idle connections are cut after this, in milliseconds, without a word before. */
const CUT_MILLIS = 300

const rig = await tryStart('nginx and HAProxy', async () => {
  const backends = await Promise.all([startHttp(), startHttp(), startHttp()])
  const where = backends.map(({ port }) => `127.0.0.1:${port}`)
  const upstream = where[0] ?? ''
  const [nginx, other, haproxy] = await Promise.all([
    startNginx({ upstream, keepAliveRequests: 5, keepAliveTimeout: `${CUT_MILLIS}ms` }),
    startNginx({ upstream }),
    startHaproxy({ backends: where, keepAliveTimeout: `${CUT_MILLIS}ms` }),
  ])
  return { backends, nginx, other, haproxy }
})

const originOf = ({ port }: { readonly port: number }): string => `http://127.0.0.1:${port}`

describe.skipIf(rig === undefined)('behind nginx and HAProxy', () => {
  const { nginx, other, haproxy, backends } = rig ?? ({} as NonNullable<typeof rig>)
  afterEach(async () => {
    await closeHttpPools()
  })
  afterAll(async () => {
    await Promise.all([nginx, other, haproxy, ...backends].map((each) => each.stop()))
  })
  const requestsOf = async (index: number): Promise<number> => (await backends[index]?.view())?.requests ?? 0

  it('connections that nginx closes after five requests cost nothing', async () => {
    const pool = httpPoolOn({ origin: originOf(nginx) }, { max: 5 })
    await Promise.all(Array.from({ length: 300 }, () => get(pool, '/echo')))
    expect(pool.stats()).toMatchObject({ used: 0, createErrors: 0 })
    expect(pool.stats().created).toBeGreaterThanOrEqual(55)
  })

  it('connections that they close when idle cost nothing, just when they do', async () => {
    const pools = [nginx, haproxy].map((each) => httpPoolOn({ origin: originOf(each) }, { max: 4 }))
    const agents = httpAgents({ maxSockets: 4 })
    let repeated = 0
    const ask = (origin: string): Promise<unknown> => getAgain(origin + '/echo', agents, () => repeated++)
    for (const after of [-20, -5, 0, 5, 20]) {
      await new Promise((resolve) => setTimeout(resolve, CUT_MILLIS + after))
      await Promise.all([
        ...pools.flatMap((pool) => [get(pool, '/echo'), get(pool, '/echo'), get(pool, '/echo')]),
        ...[nginx, haproxy].flatMap((each) => [ask(originOf(each)), ask(originOf(each))]),
      ])
    }
    for (const pool of pools) expect(pool.stats().used).toBe(0)
    // Two sockets to each of two, five times: what was cut in the very moment is marked, and was asked for once more.
    expect(repeated).toBeLessThanOrEqual(20)
    expect(agents.stats()).toMatchObject({ requested: 20 + repeated, used: 0 })
    await agents.close({ timeoutMillis: 1 })
  })

  it.each(['SIGQUIT', 'SIGHUP'] as const)(
    'nginx drains under load (%s): no request is lost, no POST is sent twice',
    async (signal) => {
      await using front = await startFaultProxy(nginx)
      const pool = httpPoolOn({ origin: originOf(front) }, { max: 6 })
      const load = keepRequesting(() => get(pool, '/slow?millis=5'), 6)
      let posted = 0
      const posts = keepRequesting(async () => {
        const headers = { 'x-request-id': `${signal} ${++posted}` }
        await get(pool, '/slow?millis=5', { method: 'POST', body: 'once', headers })
      }, 2)
      await waitFor(() => load.succeeded > 60, { what: 'requests succeed' })
      if (signal === 'SIGHUP') nginx.reload()
      else {
        // As a deployment does it: what is new goes elsewhere, and the old one ends when it is done.
        front.setTarget(other)
        await nginx.end(signal)
        expect(nginx.isRunning).toBe(false)
      }
      const before = load.succeeded
      await waitFor(() => load.succeeded > before + 60, { what: 'requests succeed with the new one' })
      await Promise.all([load.stop(), posts.stop()])
      await nginx.start()
      expect(load.failures).toEqual([])
      const view = await backends[0]?.view()
      const counts = Object.entries(view?.ids ?? {}).filter(([id]) => id.startsWith(signal))
      expect(counts.length).toBeGreaterThanOrEqual(posts.succeeded)
      expect(counts.filter(([, count]) => count > 1)).toEqual([])
    },
  )

  it('agents lose no request that is repeated, when nginx drains under load', async () => {
    const agents = httpAgents({ maxSockets: 6 })
    const load = keepRequesting(
      () => got(`${originOf(nginx)}/slow?millis=5`, { agent: { http: agents.httpAgent }, retry: { backoffLimit: 10 } }),
      6,
    )
    for (let round = 1; round <= 2; round++) {
      await waitFor(() => load.succeeded > round * 40, { what: 'requests succeed' })
      nginx.reload()
    }
    const before = load.succeeded
    await waitFor(() => load.succeeded > before + 40, { what: 'requests succeed with the new one' })
    await load.stop()
    expect(load.failures).toEqual([])
    await waitFor(() => agents.stats().used === 0, { what: 'all are over' })
    await agents.close({ timeoutMillis: 1 })
  })

  it('nginx goes away and comes back', async () => {
    const pool = httpPoolOn({ origin: originOf(nginx) }, { max: 4, retry: { maxRetries: 4 } })
    await get(pool, '/echo')
    await nginx.end('SIGQUIT')
    await expect(get(pool, '/echo', { method: 'POST', body: 'x' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await nginx.start()
    await waitFor(() => get(pool, '/echo').then(() => true), { what: 'requests succeed' })
  })

  it('one of three backends drains, goes away and comes back: nobody notices', async () => {
    const [, second] = backends
    const pool = httpPoolOn({ origin: originOf(haproxy) }, { max: 6, retry: true })
    const load = keepRequesting(() => get(pool, '/slow?millis=2'), 6)
    const stateBecomes = async (state: string): Promise<void> => {
      await waitFor(async () => (await haproxy.states())['s1'] === state, { what: `HAProxy says ${state}` })
    }
    const goesOn = async (what: string): Promise<void> => {
      const before = load.succeeded
      await waitFor(() => load.succeeded > before + 50, { what: `requests succeed ${what}` })
    }
    await goesOn('with three')
    await haproxy.order('set server back/s1 state drain')
    await stateBecomes('DRAIN')
    await waitFor(async () => (await second?.view())?.active === 0, { what: 'what ran on it is over' })
    const drained = await requestsOf(1)
    await goesOn('without the one that drains')
    expect(await requestsOf(1)).toBe(drained)
    await haproxy.order('set server back/s1 state ready')
    await waitFor(async () => (await requestsOf(1)) > drained, { what: 'it is asked again' })
    await second?.kill()
    await stateBecomes('DOWN')
    await goesOn('with two')
    await second?.start()
    await stateBecomes('UP')
    await waitFor(async () => (await requestsOf(1)) > 0, { what: 'it is asked after it came back' })
    await load.stop()
    expect(load.failures).toEqual([])
  })

  it('HAProxy goes away in order (SIGUSR1) and comes back', async () => {
    const pool = httpPoolOn({ origin: originOf(haproxy) }, { max: 4 })
    const running = Promise.all([1, 2].map(() => get(pool, '/slow?millis=300')))
    await get(pool, '/echo')
    await haproxy.end('SIGUSR1')
    // It has answered what ran before it ended.
    expect(await running).toHaveLength(2)
    await expect(get(pool, '/echo')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await haproxy.start()
    await waitFor(() => get(pool, '/echo').then(() => true), { what: 'requests succeed' })
    expect(pool.stats()).toMatchObject({ used: 0, waiting: 0 })
  })
})
