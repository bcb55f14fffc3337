/** The same client, watched and not: `work` asks once and reads the answer. */
import { Agent, request } from 'node:http'
import KeepAliveAgent from 'agentkeepalive'
import pg from 'pg'
import * as undici from 'undici'
import { observe } from '../../dist/observe/index.js'

const CONNECTIONS = 10
const agentOptions = { keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS }

/** @typedef {{ origin: string, connectionString: string }} Target */
/** @typedef {{ pool: object, work(): Promise<unknown>, close(): unknown }} Subject */

/** @param {Agent} agent */
function withNode(agent, /** @type {Target} */ { origin }) {
  const { hostname, port } = new URL(origin)
  const options = { agent, hostname, port, path: '/bytes?n=150' }
  const work = () =>
    new Promise((resolve, reject) => {
      request(options, (response) => response.resume().once('end', resolve))
        .once('error', reject)
        .end()
    })
  return { pool: agent, work, close: () => agent.destroy() }
}

/** @param {undici.Dispatcher} dispatcher */
const withUndici = (dispatcher, /** @type {Target} */ { origin }) => ({
  pool: dispatcher,
  work: async () => await (await undici.request(`${origin}/bytes?n=150`, { dispatcher })).body.dump(),
  close: () => dispatcher.destroy(),
})

/** @type {Record<string, (target: Target) => Subject>} */
const SUBJECTS = {
  'undici.Pool': (target) => withUndici(new undici.Pool(target.origin, { connections: CONNECTIONS }), target),
  'undici.Agent': (target) => withUndici(new undici.Agent({ connections: CONNECTIONS }), target),
  'http.Agent': (target) => withNode(new Agent(agentOptions), target),
  agentkeepalive: (target) => withNode(/** @type {any} */ (new KeepAliveAgent(agentOptions)), target),
  'pg.Pool': ({ connectionString }) => {
    const pool = new pg.Pool({ connectionString, max: CONNECTIONS })
    return { pool, work: () => pool.query('SELECT 1'), close: () => pool.end() }
  },
}

/** Whoever is watched against whoever is not, with as many callers as connections, and with twice as many. */
export const PAIRS = Object.fromEntries(
  Object.entries(SUBJECTS).map(([name, make]) => [
    name,
    {
      theirs: make,
      ours: (/** @type {Target} */ target) => {
        const subject = make(target)
        observe(subject.pool)
        return subject
      },
      callers: [CONNECTIONS, 2 * CONNECTIONS],
      operations: 500,
    },
  ]),
)
