import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findPython, startHaproxy, startHttp, startNginx, tryStart, waitFor, type HttpServer } from '@millpond/rig'
import { tempFolder, removeFolder } from '../src/child.ts'

let server: HttpServer
beforeAll(async () => {
  server = await startHttp({ keepAliveMillis: 0 })
})
beforeEach(async () => {
  await server.reset()
})
afterAll(async () => {
  await server.stop()
})

function ask(origin: string, path: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(origin + path, { agent, headers: { 'x-request-id': 'asked' } }, (response) => {
      response.resume().once('end', () => resolve(response))
    }).once('error', reject)
  })
}

describe('the HTTP server', () => {
  it('answers, counts what it sees, and ends connections as it is asked to', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect((await ask(server.origin, '/echo', agent)).statusCode).toBe(200)
    expect((await ask(server.origin, '/status?code=429&times=1&retryAfter=7', agent)).headers['retry-after']).toBe('7')
    expect((await ask(server.origin, '/status?code=429&times=1', agent)).statusCode).toBe(200)
    expect(await server.view()).toMatchObject({
      requests: 3,
      opened: 1,
      open: 1,
      ids: { asked: 3 },
      methods: { GET: 3 },
    })
    await expect(ask(server.origin, '/drop?how=reset', agent)).rejects.toMatchObject({ code: 'ECONNRESET' })
    await ask(server.origin, '/close?how=fin', agent)
    await waitFor(async () => (await server.view()).open === 0, { what: 'it has closed' })
    agent.destroy()
  })

  it('goes away and comes back on its port; drains', async () => {
    const agent = new Agent({ keepAlive: true })
    await ask(server.origin, '/echo', agent)
    await server.drain()
    await waitFor(async () => (await server.view()).open === 0, { what: 'what was idle is closed' })
    expect((await ask(server.origin, '/echo', agent)).headers.connection).toBe('close')
    await server.restart('kill')
    expect((await ask(server.origin, '/echo', agent)).headers.connection).toBe('keep-alive')
    agent.destroy()
  })
})

const proxies = await tryStart('nginx and HAProxy', async () => {
  const upstream = await startHttp()
  const where = `127.0.0.1:${upstream.port}`
  return {
    upstream,
    nginx: await startNginx({ upstream: where, keepAliveRequests: 3 }),
    haproxy: await startHaproxy({ backends: [where, where] }),
  }
})

describe.skipIf(proxies === undefined)('nginx', () => {
  it('closes a connection after so many requests', async () => {
    const { nginx } = proxies ?? expect.unreachable()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const said = []
    for (let count = 0; count < 4; count++) {
      said.push((await ask(`http://127.0.0.1:${nginx.port}`, '/echo', agent)).headers.connection)
    }
    expect(said).toEqual(['keep-alive', 'keep-alive', 'close', 'keep-alive'])
    agent.destroy()
  })
})

describe.skipIf(proxies === undefined)('HAProxy', () => {
  afterAll(async () => {
    await Promise.all(Object.values(proxies ?? {}).map((each) => each.stop()))
  })

  it('takes turns with its backends, and does what its administrator orders', async () => {
    const { haproxy } = proxies ?? expect.unreachable()
    expect(await haproxy.states()).toEqual({ s0: 'UP', s1: 'UP' })
    await haproxy.order('disable server back/s1')
    expect(await haproxy.states()).toMatchObject({ s1: 'MAINT' })
    const agent = new Agent()
    expect((await ask(`http://127.0.0.1:${haproxy.port}`, '/echo', agent)).statusCode).toBe(200)
  })
})

const python = await tryStart('Python with requests (Debian: python3-requests)', () =>
  Promise.resolve().then(() => findPython('requests')),
)

describe.skipIf(python === undefined)('a client in Python', () => {
  const run = promisify(execFile)
  const client = fileURLToPath(new URL('./http_client.py', import.meta.url))
  const expected = {
    echo: 'from Python',
    bytes: 100_000,
    trickle: '0\n1\n2\n',
    retried: 200,
    closed: [200, 200, 200],
    dropped: 'ConnectionError',
    slow: 'ReadTimeout',
  }

  it('sees the rig’s HTTP server as others do, with and without TLS', async () => {
    const { stdout } = await run(python ?? '', [client, server.origin], { timeout: 60_000 })
    expect(JSON.parse(stdout)).toEqual(expected)
    await using secured = await startHttp({ protocol: 'https' })
    const folder = tempFolder('python')
    const file = join(folder, 'ca.crt')
    writeFileSync(file, secured.certificate())
    const { stdout: overTls } = await run(python ?? '', [client, secured.origin, file], { timeout: 60_000 })
    removeFolder(folder)
    expect(JSON.parse(overTls)).toEqual(expected)
  })
})
