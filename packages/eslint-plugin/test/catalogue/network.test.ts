// Each entry of the catalogue about HTTP and gRPC, tried on the client itself, against servers that count.
import http from 'node:http'
import http2, { type ServerHttp2Session } from 'node:http2'
import { createServer, Socket, type AddressInfo, type Server } from 'node:net'
import { createRequire } from 'node:module'
import * as grpc from '@grpc/grpc-js'
import * as undici from 'undici'
import { describe, expect, vi } from 'vitest'
import { delay, itLeavesNothingUntried, itTries, silentServer } from './tries.ts'

const grpcLow = createRequire(import.meta.url)('grpc-js-low') as typeof grpc
const silent = silentServer()

const within = { timeout: 10_000 }
const listen = async (server: Pick<Server, 'listen' | 'address'>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('undici', () => {
  itTries(
    'refuses %s: a client at once, a pool and an agent at the first request',
    { driver: 'undici', fault: 'refused' },
    async (option) => {
      const origin = `http://127.0.0.1:${silent.port()}`
      expect(() => new undici.Client(origin, { [option]: 1 })).toThrow(/unsupported/)
      for (const dispatcher of [new undici.Pool(origin, { [option]: 1 }), new undici.Agent({ [option]: 1 })]) {
        await expect(undici.request(origin, { dispatcher })).rejects.toThrow(/unsupported/)
        await dispatcher.destroy()
      }
    },
  )

  const SIZES = ['maxSockets', 'poolSize', 'max', 'connections']
  itTries(
    'opens as many connections as there are requests in spite of %s',
    { driver: 'undici', options: SIZES },
    async (option, { value = 1 }) => {
      const connectionsWith = async (options: object, wanted: number): Promise<number> => {
        const before = silent.sockets.size
        const pool = new undici.Pool(`http://127.0.0.1:${silent.port()}`, { bodyTimeout: 0, ...options })
        const requests = Array.from({ length: 4 }, () =>
          pool.request({ path: '/', method: 'GET' }).catch(() => undefined),
        )
        await vi.waitFor(() => { expect(silent.sockets.size).toBe(before + wanted) }, within) // prettier-ignore
        await delay(30)
        const count = silent.sockets.size - before
        await pool.destroy()
        await Promise.all(requests)
        await vi.waitFor(() => { expect(silent.sockets.size).toBe(before) }, within) // prettier-ignore
        return count
      }
      expect(await connectionsWith({ connections: 1 }, 1)).toBe(1)
      expect(await connectionsWith({ [option]: value }, 4)).toBe(4)
    },
  )

  itTries('waits on in spite of %s', { driver: 'undici', options: ['timeout'] }, async (option) => {
    const attempt = async (options: object): Promise<string> => {
      const pool = new undici.Pool(`http://127.0.0.1:${silent.port()}`, options)
      const answer = pool.request({ path: '/', method: 'GET' }).then(() => 'answered', () => 'gave up') // prettier-ignore
      const outcome = await Promise.race([answer, delay('timeout' in options ? 1_500 : 10_000)])
      await pool.destroy()
      await answer
      return outcome
    }
    // undici looks at its deadlines about once a second.
    expect(await Promise.all([attempt({ headersTimeout: 50 }), attempt({ [option]: 50 })])).toEqual(['gave up', 'nothing yet']) // prettier-ignore
  })
})

describe('http.Agent', () => {
  itTries('has no bound in spite of %s', { driver: 'http-agent', options: ['maxsockets', 'maxConnections'] }, async (option) => {
    const connectionsWith = async (options: object, wanted: number): Promise<number> => {
      const before = silent.sockets.size
      const agent = new http.Agent(options)
      const requests = [1, 2, 3].map(() => http.get({ port: silent.port(), host: '127.0.0.1', agent }).on('error', () => undefined))
      await vi.waitFor(() => { expect(silent.sockets.size).toBe(before + wanted) }, within)
      await delay(30)
      const count = silent.sockets.size - before
      for (const request of requests) request.destroy()
      agent.destroy()
      await vi.waitFor(() => { expect(silent.sockets.size).toBe(before) }, within)
      return count
    }
    expect(await connectionsWith({ maxSockets: 1 }, 1)).toBe(1)
    expect(await connectionsWith({ [option]: 1 }, 3)).toBe(3)
  }) // prettier-ignore

  const TIMES = ['keepAliveTimeout', 'freeSocketTimeout', 'idleTimeout']
  itTries('keeps a free socket in spite of %s', { driver: 'http-agent', options: TIMES }, async (option) => {
    const server = http.createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end('a'))
    const port = await listen(server)
    const freeAfter = async (options: object): Promise<number> => {
      const agent = new http.Agent({ keepAlive: true, ...options })
      await new Promise<void>((resolve, reject) => {
        http
          .get({ port, host: '127.0.0.1', agent }, (response) => response.resume().on('end', resolve))
          .on('error', reject)
      })
      const free = (): number => Object.values(agent.freeSockets).flat().length
      if ('timeout' in options)
        await vi.waitFor(() => { expect(free()).toBe(0) }, within) // prettier-ignore
      else await delay(150)
      const count = free()
      agent.destroy()
      return count
    }
    expect(await freeAfter({ timeout: 30 })).toBe(0)
    expect(await freeAfter({ [option]: 30 })).toBe(1)
    server.closeAllConnections()
    server.close()
  })
})

/** A server of HTTP/2 that counts connections and pings, and answers each call when it is told to. */
class CountingServer {
  readonly #server = http2.createServer()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #streams: http2.ServerHttp2Stream[] = []
  sessions = 0
  pings = 0
  port = 0

  async start(): Promise<this> {
    this.#server.on('session', (session) => {
      this.sessions++
      this.#sessions.add(session)
      session.on('ping', () => this.pings++)
      session.on('error', () => undefined)
    })
    this.#server.on('stream', (stream) => {
      stream.on('error', () => undefined)
      this.#streams.push(stream)
    })
    this.port = await listen(this.#server)
    return this
  }

  get calls(): number {
    return this.#streams.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

describe.each([
  { name: 'grpc-js', module: grpc },
  { name: 'grpc-js, the lowest', module: grpcLow },
])('$name', ({ module }) => {
  // It prints what the tests bring about.
  module.setLogVerbosity(module.logVerbosity.NONE)
  const clientOf = (target: number | string, options: object = {}): grpc.Client =>
    new module.Client(
      typeof target === 'number' ? `127.0.0.1:${target}` : target,
      module.credentials.createInsecure(),
      // Or a connection of another test would do.
      { 'grpc.use_local_subchannel_pool': 1, ...options },
    )
  const ready = (client: grpc.Client): Promise<void> =>
    new Promise((resolve, reject) => {
      client.waitForReady(Date.now() + 10_000, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  /** A call that is never answered. */
  const call = (client: grpc.Client): grpc.ClientUnaryCall => {
    const bytes = (value: Buffer): Buffer => value
    return client.makeUnaryRequest('/a.A/a', bytes, bytes, Buffer.alloc(0), () => undefined)
  }

  const KEEPALIVE = { 'grpc.keepalive_time_ms': 20, 'grpc.keepalive_timeout_ms': 5_000 }
  /** How many pings come while one call is under way, or none. */
  async function pingsWith(options: object, atLeast: number, calling = true): Promise<number> {
    await using server = await new CountingServer().start()
    const client = clientOf(server.port, { ...KEEPALIVE, ...options })
    await ready(client)
    if (calling) call(client)
    if (atLeast > 0)
      await vi.waitFor(() => { expect(server.pings).toBeGreaterThanOrEqual(atLeast) }, within) // prettier-ignore
    else await delay(200)
    client.close()
    return server.pings
  }

  const PINGS = [
    'grpc.http2.min_time_between_pings_ms',
    'grpc.http2.max_pings_without_data',
    'grpc.http2.min_ping_interval_without_data_ms',
  ]
  itTries('goes on to ping in spite of %s', { driver: 'grpc', options: PINGS }, async (option) => {
    expect(await pingsWith({ [option]: option.endsWith('_ms') ? 60_000 : 1 }, 3)).toBeGreaterThanOrEqual(3)
    expect(await pingsWith({ 'grpc.keepalive_time_ms': 60_000 }, 0)).toBe(0)
  })

  itTries('takes %s for no', { driver: 'grpc', options: ['grpc.keepalive_permit_without_calls'] }, async (option) => {
    expect(await pingsWith({ [option]: 1 }, 1, false)).toBeGreaterThanOrEqual(1)
    expect(await pingsWith({ [option]: true }, 0, false)).toBe(0)
  })

  itTries('stays with one server in spite of %s', { driver: 'grpc', options: ['grpc.lb_policy_name'] }, async (option) => {
    const sessionsWith = async (options: object, wanted: number): Promise<number> => {
      await using one = await new CountingServer().start()
      await using other = await new CountingServer().start()
      const client = clientOf(`ipv4:127.0.0.1:${one.port},127.0.0.1:${other.port}`, options)
      const sum = (): number => one.sessions + other.sessions
      client.getChannel().getConnectivityState(true)
      await vi.waitFor(() => { expect(sum()).toBe(wanted) }, within)
      await delay(50)
      client.close()
      return sum()
    }
    const service = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] })
    expect(await sessionsWith({ 'grpc.service_config': service }, 2)).toBe(2)
    expect(await sessionsWith({ [option]: 'round_robin' }, 1)).toBe(1)
  }) // prettier-ignore

  itTries('has one connection in spite of %s', { driver: 'grpc', options: ['grpc.max_connection_pool'] }, async (option) => {
    await using server = await new CountingServer().start()
    const client = clientOf(server.port, { [option]: 5 })
    await ready(client)
    for (let count = 0; count < 20; count++) call(client)
    await vi.waitFor(() => { expect(server.calls).toBe(20) }, within)
    expect(server.sessions).toBe(1)
    client.close()
  }) // prettier-ignore

  itTries('does not try again sooner by %s', { driver: 'grpc', options: ['grpc.min_reconnect_backoff_ms'] }, async (option) => {
    const attemptsWith = async (options: object, enough: number): Promise<number> => {
      // Where nobody listens any more, so that each attempt is refused.
      const server = createServer()
      const port = await listen(server)
      await new Promise((resolve) => server.close(resolve))
      const connect = vi.spyOn(Socket.prototype, 'connect')
      const attempts = (): number => connect.mock.calls.filter((given) => JSON.stringify(given).includes(String(port))).length
      const client = clientOf(port, options)
      // Who asks for it makes the channel try, as soon as its pause is over.
      const asking = setInterval(() => void client.getChannel().getConnectivityState(true), 10)
      if (enough > 1) await vi.waitFor(() => { expect(attempts()).toBeGreaterThanOrEqual(enough) }, within)
      // The first pause is a second, a fifth more or less.
      else await delay(500)
      clearInterval(asking)
      const count = attempts()
      client.close()
      connect.mockRestore()
      return count
    }
    expect(await attemptsWith({ 'grpc.initial_reconnect_backoff_ms': 20, 'grpc.max_reconnect_backoff_ms': 40 }, 4)).toBeGreaterThanOrEqual(4)
    expect(await attemptsWith({ [option]: 20 }, 1)).toBe(1)
  }) // prettier-ignore

  itTries('lets no second server onto its port by %s', { driver: 'grpc', options: ['grpc.so_reuseport'] }, async (option) => {
    const [one, other] = [new module.Server({ [option]: 1 }), new module.Server({ [option]: 1 })]
    const bind = (server: grpc.Server, port: number): Promise<number> =>
      new Promise((resolve, reject) => {
        server.bindAsync(`127.0.0.1:${port}`, module.ServerCredentials.createInsecure(), (error, bound) => {
          if (error === null) resolve(bound)
          else reject(error)
        })
      })
    const port = await bind(one, 0)
    await expect(bind(other, port)).rejects.toThrow(/EADDRINUSE|No address added/)
    one.forceShutdown()
    other.forceShutdown()
  }) // prettier-ignore

  const LIMITS = ['grpc.max_receive_message_length', 'grpc.max_send_message_length']
  itTries('has no bound by %s', { driver: 'grpc', options: LIMITS }, async (option) => {
    const bytes = (value: Buffer): Buffer => value
    const server = new module.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
    const method = { path: '/a.A/a', requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes }
    const answer: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, done) => { done(null, request) }
    server.addService({ a: method }, { a: answer })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', module.ServerCredentials.createInsecure(), (error, bound) => { if (error === null) resolve(bound); else reject(error) })
    })
    const size = 5 * 1024 * 1024 // above the 4 MiB that hold without the option
    const echo = (options: object): Promise<string> => {
      const client = clientOf(port, options)
      return new Promise((resolve) => {
        client.makeUnaryRequest('/a.A/a', bytes, bytes, Buffer.alloc(size), (error, value) => {
          client.close()
          resolve(error === null ? `${value?.length ?? 0} bytes` : module.status[error.code])
        })
      })
    }
    const open = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
    expect(await echo({ ...open, [option]: 1_000_000 })).toBe('RESOURCE_EXHAUSTED')
    expect(await echo({ ...open, [option]: -1 })).toBe(`${size} bytes`)
    server.forceShutdown()
  }) // prettier-ignore
})

itLeavesNothingUntried('network.test.ts')
