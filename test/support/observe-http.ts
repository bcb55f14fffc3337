import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { HttpAgent as KeepAliveAgent } from 'agentkeepalive'
import * as undici from 'undici'
import type { HttpServer } from '@millpond/rig'
import type { Subject, SubjectOptions as PoolOptions } from './observe.ts'

export interface SubjectOptions extends PoolOptions {
  /** Sent with every request, where nobody should see it. */
  readonly secret?: string
}

type Server = Pick<HttpServer, 'origin' | 'certificate'>

/** What the pool itself says: connections in use and not in use, and requests that have none yet. */
export interface Truth {
  readonly used: number
  readonly idle: number
  readonly waiting: number
}

/** Something that keeps HTTP connections, and how a program uses it. */
export interface HttpSubject extends Subject {
  counts(): Truth
  /** Requests a path and reads the answer. */
  get(path: string): Promise<string>
}

const originOf = ({ origin }: Server, { isBroken }: SubjectOptions): string =>
  isBroken === true ? origin.replace(/:\d+$/, ':1') : origin

/** A request whose body does not end until it is released; it has a connection when its body is asked for. */
async function borrowBy(send: (body: Readable, began: () => void) => Promise<string>): Promise<() => Promise<string>> {
  let answer: Promise<string> | undefined
  const body = new Readable({ read: () => undefined })
  await new Promise<void>((resolve, reject) => {
    answer = send(body, resolve)
    answer.catch(reject)
  })
  return async () => {
    body.push(null)
    return (await answer) ?? ''
  }
}

/** What a dispatcher says of itself: an agent by origin. */
interface UndiciStats {
  readonly connected: number | boolean
  readonly pending: number
  readonly running: number
}

function undiciSubject(
  server: Server,
  options: SubjectOptions,
  make: (origin: string, options: { connections: number; connect: object; allowH2: boolean }) => undici.Dispatcher,
): HttpSubject {
  const origin = originOf(server, options)
  const connect = origin.startsWith('https') ? { ca: server.certificate() } : {}
  // One request on a connection, as is counted here: undici 8 speaks HTTP/2 unless it is told not to.
  const dispatcher = make(origin, { connections: options.max, connect, allowH2: false })
  const headers = options.secret === undefined ? {} : { authorization: `Bearer ${options.secret}` }
  const get = async (path: string): Promise<string> =>
    await (await undici.request(`${origin}${path}`, { dispatcher, headers })).body.text()
  return {
    pool: dispatcher,
    get,
    borrow: () =>
      borrowBy(async (body, began) => {
        body._read = began
        return await (await undici.request(`${origin}/echo`, { dispatcher, method: 'POST', body, headers })).body.text()
      }),
    work: (millis) => get(`/slow?millis=${millis}`),
    call: (callback) => {
      const ask = (then: () => void): void =>
        dispatcher.request({ origin, path: '/slow?millis=1', method: 'GET' }, (_error, { body }) => {
          body.resume().once('end', then)
        })
      ask(() => ask(callback))
    },
    counts: () => {
      const { stats } = dispatcher as unknown as { readonly stats: UndiciStats | Record<string, UndiciStats> }
      const all = 'running' in stats ? [stats as UndiciStats] : Object.values(stats)
      const sum = (of: (stats: UndiciStats) => number): number => all.reduce((total, each) => total + of(each), 0)
      const used = sum(({ running }) => running)
      // A connection that breaks is none any more, while its request is still told so.
      const idle = Math.max(0, sum(({ connected }) => Number(connected)) - used)
      return { used, idle, waiting: sum(({ pending }) => pending) }
    },
    end: () => dispatcher.destroy(),
  }
}

export const undiciAgentSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  undiciSubject(server, options, (_, own) => new undici.Agent(own))

export const undiciPoolSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  undiciSubject(server, options, (origin, own) => new undici.Pool(origin, own))

export const undiciClientSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  undiciSubject(server, options, (origin, { connect }) => new undici.Client(origin, { connect }))

export const balancedPoolSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  undiciSubject(server, options, (origin, own) => new undici.BalancedPool([origin], own))

export const roundRobinSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  undiciSubject(server, options, (origin, own) => new undici.RoundRobinPool(origin, own))

/** What Node's agents keep: sockets that are being connected are among the used. */
interface AgentLists {
  readonly sockets: NodeJS.ReadOnlyDict<{ readonly connecting: boolean; readonly secureConnecting?: boolean }[]>
  readonly freeSockets: NodeJS.ReadOnlyDict<unknown[]>
  readonly requests: NodeJS.ReadOnlyDict<unknown[]>
  destroy(): void
}

function agentSubject(server: Server, options: SubjectOptions, agent: AgentLists): HttpSubject {
  const origin = originOf(server, options)
  const { request } = origin.startsWith('https') ? https : http
  const headers = options.secret === undefined ? {} : { authorization: `Bearer ${options.secret}` }
  const send = (path: string, method: string, body: Readable | undefined, began: () => void): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request(
        `${origin}${path}`,
        { agent: agent as unknown as https.Agent, method, headers },
        (response) => {
          text(response).then(resolve, reject)
        },
      )
      sent.on('error', reject)
      if (body === undefined) sent.end()
      else sent.write('x', began)
      body?.pipe(sent)
    })
  const get = (path: string): Promise<string> => send(path, 'GET', undefined, () => undefined)
  return {
    pool: agent,
    get,
    borrow: () => borrowBy((body, began) => send('/echo', 'POST', body, began)),
    work: (millis) => get(`/slow?millis=${millis}`),
    call: (callback) => {
      const ask = (then: () => void): void => {
        const sent = request(`${origin}/slow?millis=1`, { agent: agent as unknown as https.Agent }, (response) => {
          response.resume().once('end', then)
        })
        sent.end()
      }
      ask(() => ask(callback))
    },
    counts: () => {
      const { sockets, freeSockets, requests } = agent
      const count = (lists: NodeJS.ReadOnlyDict<unknown[]>): number => Object.values(lists).flat().length
      const connecting = Object.values(sockets)
        .flatMap((list) => list ?? [])
        .filter((socket) => socket.connecting || socket.secureConnecting === true).length
      return { used: count(sockets) - connecting, idle: count(freeSockets), waiting: count(requests) + connecting }
    },
    end: () => {
      agent.destroy()
      return Promise.resolve()
    },
  }
}

export const httpAgentSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  agentSubject(server, options, new http.Agent({ keepAlive: true, maxSockets: options.max }))

export const httpsAgentSubject = (server: Server, options: SubjectOptions): HttpSubject => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: options.max, ca: server.certificate() })
  return agentSubject(server, options, agent)
}

export const keepAliveAgentSubject = (server: Server, options: SubjectOptions): HttpSubject =>
  agentSubject(server, options, new KeepAliveAgent({ maxSockets: options.max }))
