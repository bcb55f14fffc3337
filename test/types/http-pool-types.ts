/** Compiled, not run: what the types of `millpond/http` allow, and what they refuse. */
import axios from 'axios'
import type { Agent } from 'node:http'
import type { Agent as HttpsAgent } from 'node:https'
import * as undici from 'undici'
import { httpAgents, httpPool, type OriginStats } from 'millpond/http'

const pool = httpPool(undici, {
  origin: 'https://api.example.com',
  max: 20,
  retry: { maxRetries: 3 },
  circuit: true,
  tls: async ({ attempt }) => ({ ca: await Promise.resolve(String(attempt)) }),
  keepAliveMaxTimeout: 1_000,
  interceptors: [undici.interceptors.redirect({ maxRedirections: 2 })],
})

export async function keepsTypes(): Promise<void> {
  const { statusCode, headers, body }: undici.Dispatcher.ResponseData<unknown> = await pool.request('/users', {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: '{}',
    timeoutMillis: 1_000,
    label: 'users',
    priority: 1,
  })
  const response: undici.Response = await pool.fetch('/users', { redirect: 'manual', timeoutMillis: 1_000 })
  const dispatcher: undici.Dispatcher = pool.dispatcher
  await dispatcher.stream({ path: '/', method: 'GET' }, () => process.stdout)
  const origins: Readonly<Record<string, OriginStats>> = pool.origins()
  console.log(statusCode.toFixed(), headers['etag'], await body.json(), response.ok, origins)
  const lease = await pool.connections().acquire()
  const protocol: 'HTTP/1.1' | 'HTTP/2' = lease.resource.protocol
  console.log(protocol)
}

export async function refuses(): Promise<void> {
  // @ts-expect-error there is no such option
  httpPool(undici, { maxSockets: 10 })
  // @ts-expect-error a wrong type
  httpPool(undici, { retry: { maxRetries: 'many' } })
  // @ts-expect-error the module is missing
  httpPool({})
  // @ts-expect-error the pool is the dispatcher
  await pool.request('/', { dispatcher: new undici.Agent() })
  // @ts-expect-error no method of HTTP
  await pool.request('/', { method: 7 })
}

export function agents(): void {
  const { httpAgent, httpsAgent } = httpAgents({ maxSockets: 100, maxFreeSockets: 10, ca: 'certificate' })
  const node: [Agent, HttpsAgent] = [httpAgent, httpsAgent]
  axios.create({ ...httpAgents(), baseURL: 'http://localhost' })
  console.log(node, httpAgent.stats())
  // @ts-expect-error that is agentkeepalive's
  httpAgents({ freeSocketTimeout: 4_000 })
}
