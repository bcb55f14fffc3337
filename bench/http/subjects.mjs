/** Ways to ask an HTTP server, each with at most CONNECTIONS connections: `work` asks once and reads the answer. */
import { Agent, request as nodeRequest } from 'node:http'
import AgentKeepAlive from 'agentkeepalive'
import axios from 'axios'
import * as undici from 'undici'
import { httpAgents, httpPool } from '../../dist/adapters/http/index.js'

export const CONNECTIONS = 50

const agentOptions = { keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS }

function withAxios(origin, httpAgent) {
  const client = axios.create({ baseURL: origin, httpAgent })
  return { work: async () => (await client.get('/bytes?n=150')).data, close: () => httpAgent.destroy() }
}

function withNode(origin, agent) {
  const { hostname, port } = new URL(origin)
  const options = { agent, hostname, port, path: '/bytes?n=150' }
  const work = () =>
    new Promise((resolve, reject) => {
      nodeRequest(options, (response) => {
        response.setEncoding('utf8')
        let text = ''
        response.on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve(text))
      })
        .on('error', reject)
        .end()
    })
  return { work, close: () => agent.destroy() }
}

/** The least code that is safe: what a program writes that uses the pool's own options. */
const ours = (origin) => httpPool(undici, { origin, max: CONNECTIONS })

export const SUBJECTS = {
  'axios, http.Agent': (origin) => withAxios(origin, new Agent(agentOptions)),
  'axios, agentkeepalive': (origin) => withAxios(origin, new AgentKeepAlive(agentOptions)),
  'axios, millpond agents': (origin) => withAxios(origin, httpAgents(agentOptions).httpAgent),
  'http.request, http.Agent': (origin) => withNode(origin, new Agent(agentOptions)),
  'http.request, agentkeepalive': (origin) => withNode(origin, new AgentKeepAlive(agentOptions)),
  'http.request, millpond agents': (origin) => withNode(origin, httpAgents(agentOptions).httpAgent),
  fetch: (origin) => ({ work: async () => (await fetch(`${origin}/bytes?n=150`)).text(), close() {} }),
  'undici.fetch, undici.Pool': (origin) => {
    const dispatcher = new undici.Pool(origin, { connections: CONNECTIONS })
    return {
      work: async () => (await undici.fetch(`${origin}/bytes?n=150`, { dispatcher })).text(),
      close: () => dispatcher.close(),
    }
  },
  'millpond fetch': (origin) => {
    const pool = ours(origin)
    return { work: async () => (await pool.fetch('/bytes?n=150')).text(), close: () => pool.close() }
  },
  'undici.request': (origin) => {
    const dispatcher = new undici.Agent({ connections: CONNECTIONS })
    return {
      work: async () => (await undici.request(`${origin}/bytes?n=150`, { dispatcher })).body.text(),
      close: () => dispatcher.close(),
    }
  },
  'undici.Pool': (origin) => {
    const pool = new undici.Pool(origin, { connections: CONNECTIONS })
    return {
      work: async () => (await pool.request({ path: '/bytes?n=150', method: 'GET' })).body.text(),
      close: () => pool.close(),
    }
  },
  'millpond request': (origin) => {
    const pool = ours(origin)
    return { work: async () => (await pool.request('/bytes?n=150')).body.text(), close: () => pool.close() }
  },
}

const pair = (theirs, ours, operations) => ({
  ours: ({ origin }) => SUBJECTS[ours](origin),
  theirs: ({ origin }) => SUBJECTS[theirs](origin),
  callers: [10, 100],
  operations,
})

/** Who is compared with whom: ours with what it is in place of. */
export const PAIRS = {
  'undici.Pool → request': pair('undici.Pool', 'millpond request', 12_000),
  'undici.fetch on undici.Pool → fetch': pair('undici.fetch, undici.Pool', 'millpond fetch', 3_000),
  'http.request on http.Agent → on the agents': pair(
    'http.request, http.Agent',
    'http.request, millpond agents',
    8_000,
  ),
  'axios on http.Agent → on the agents': pair('axios, http.Agent', 'axios, millpond agents', 1_500),
}
