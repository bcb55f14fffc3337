import axios from 'axios'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startHttp, waitFor, type HttpServer } from '@millpond/rig'
import { httpAgents, type HttpPoolOptions } from 'millpond/http'
import { closeHttpPools, get, httpPoolOn, type Echo } from '../support/http.ts'

const servers: Record<'https' | 'h2', HttpServer> = {} as never
beforeAll(async () => {
  ;[servers.https, servers.h2] = await Promise.all([
    startHttp({ protocol: 'https', clientCertificates: 2 }),
    startHttp({ protocol: 'h2', clientCertificates: 2 }),
  ])
})
afterEach(closeHttpPools)
afterAll(async () => {
  await Promise.all([servers.https.stop(), servers.h2.stop()])
})

const echo = async (pool: ReturnType<typeof httpPoolOn>): Promise<Echo> => JSON.parse(await get(pool, '/echo')) as Echo

describe.each(['https', 'h2'] as const)('TLS (%s)', (protocol) => {
  const poolWith = (tls: HttpPoolOptions['tls'], options: HttpPoolOptions = {}) =>
    httpPoolOn(servers[protocol], { tls, http2: protocol === 'h2', ...options })

  it('shows the certificate of the client, and the server takes nobody without one', async () => {
    const server = servers[protocol]
    const ca = server.certificate()
    const answer = await echo(poolWith({ ca, ...server.client(0) }))
    expect(answer).toMatchObject({ client: 'client-1', httpVersion: protocol === 'h2' ? '2.0' : '1.1' })
    expect(await echo(poolWith(() => Promise.resolve({ ca, ...server.client(1) })))).toMatchObject({
      client: 'client-2',
    })
    await expect(get(poolWith({ ca }), '/echo')).rejects.toBeInstanceOf(Error)
    const { key } = server.client(0)
    const mismatched = poolWith({ ca, cert: server.client(1).cert, key })
    const failure: unknown = await get(mismatched, '/echo').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' })
  })

  it('asks for the server by `servername`, whose certificate must be for that name', async () => {
    const server = servers[protocol]
    const known = { ca: server.certificate(), ...server.client(0) }
    expect(await echo(poolWith({ ...known, servername: 'localhost' }))).toMatchObject({ servername: 'localhost' })
    await expect(get(poolWith({ ...known, servername: 'other.test' }), '/echo')).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })

  it('takes what the function gives for every connect: a renewed client certificate is used without a restart', async () => {
    const server = servers[protocol]
    let present = 0
    const pool = poolWith(() => ({ ca: server.certificate(), ...server.client(present) }), { max: 1 })
    expect(await echo(pool)).toMatchObject({ client: 'client-1' })
    present = 1
    // What is open goes on with the old one until it is replaced.
    expect(await echo(pool)).toMatchObject({ client: 'client-1' })
    pool.connections().invalidate()
    expect(await echo(pool)).toMatchObject({ client: 'client-2' })
    expect(pool.stats()).toMatchObject({ created: 2, createErrors: 0 })
  })

  it('asks the function anew when the server has another certificate, and tells it why', async () => {
    const server = servers[protocol]
    let ca = server.certificate()
    const asked: unknown[] = []
    const pool = poolWith(({ attempt, lastError }) => {
      const { code } = (lastError ?? {}) as { readonly code?: string }
      asked.push([attempt, code])
      if (lastError !== undefined) ca = server.certificate()
      return { ca, ...server.client(0) }
    })
    await echo(pool)
    await server.renewCertificate()
    pool.connections().invalidate()
    const failure = (await get(pool, '/echo').catch((error: unknown) => error)) as { readonly code: string }
    expect(failure).toMatchObject({ pool: { name: expect.stringContaining(server.origin) as string } })
    await waitFor(() => echo(pool).then(() => true), { what: 'the pool has recovered' })
    expect(asked).toEqual([
      [1, undefined],
      [1, undefined],
      [2, failure.code],
    ])
  })
})

describe('TLS of the agents', () => {
  it('shows the certificate of the client', async () => {
    const server = servers.https
    const ca = server.certificate()
    const known = httpAgents({ ca, ...server.client(0) })
    const unknown = httpAgents({ ca })
    const { data } = await axios.get<Echo>(`${server.origin}/echo`, { httpsAgent: known.httpsAgent })
    expect(data).toMatchObject({ client: 'client-1' })
    await expect(axios.get(`${server.origin}/echo`, { httpsAgent: unknown.httpsAgent })).rejects.toMatchObject({
      code: expect.stringMatching(/^(ERR_SSL_|ECONNRESET|EPIPE)/) as string,
    })
    await Promise.all([known, unknown].map((each) => each.close({ timeoutMillis: 1 })))
  })
})
