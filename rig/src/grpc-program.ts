/** The program of the rig's gRPC server: a process of its own, steered over HTTP by the one that started it. */
import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { HealthImplementation } from 'grpc-health-check'
import { takeOrders } from './control.ts'
import type { GrpcProgramOptions, GrpcView } from './grpc.ts'
import { sleep } from './wait.ts'

interface EchoRequest {
  readonly text: string
  readonly sleepMillis: number
  readonly failCode: number
  readonly failTimes: number
  readonly count: number
  readonly padding: number
}

type AnyCall =
  | grpc.ServerUnaryCall<EchoRequest, unknown>
  | grpc.ServerReadableStream<EchoRequest, unknown>
  | grpc.ServerWritableStream<EchoRequest, unknown>
  | grpc.ServerDuplexStream<EchoRequest, unknown>

const options = JSON.parse(process.argv[2] ?? '{}') as GrpcProgramOptions

/** What the server has seen since it started, or since the last reset. */
let view = emptyView()
const active = new Map<string, number>()
const attempts = new Map<string, number>()

function emptyView(): GrpcView {
  return { calls: 0, active: 0, mostActive: 0, mostActivePerConnection: 0, cancelled: 0, peers: [], userAgents: [] }
}

function begin(call: AnyCall): () => void {
  const peer = call.getPeer()
  const onThis = (active.get(peer) ?? 0) + 1
  active.set(peer, onThis)
  const userAgent = String(call.metadata.get('user-agent')[0])
  view = {
    ...view,
    calls: view.calls + 1,
    active: view.active + 1,
    mostActive: Math.max(view.mostActive, view.active + 1),
    mostActivePerConnection: Math.max(view.mostActivePerConnection, onThis),
    peers: view.peers.includes(peer) ? view.peers : [...view.peers, peer],
    userAgents: view.userAgents.includes(userAgent) ? view.userAgents : [...view.userAgents, userAgent],
  }
  const emitter: EventEmitter = call
  emitter.on('cancelled', () => {
    view = { ...view, cancelled: view.cancelled + 1 }
  })
  let over = false
  return () => {
    if (over) return
    over = true
    active.set(peer, (active.get(peer) ?? 1) - 1)
    view = { ...view, active: Math.max(0, view.active - 1) }
  }
}

/** Whether this request is to fail, and with what. */
function failureOf({ text, failCode, failTimes }: EchoRequest): grpc.ServiceError | undefined {
  if (failCode === 0) return undefined
  const attempt = (attempts.get(text) ?? 0) + 1
  attempts.set(text, attempt)
  if (failTimes > 0 && attempt > failTimes) return undefined
  const error = new Error(`asked to fail with ${failCode}`) as grpc.ServiceError
  return Object.assign(error, { code: failCode, details: error.message })
}

function reply(call: AnyCall, text: string, { padding = 0, count = 0 } = {}): object {
  return {
    text,
    serverPort: options.port,
    peer: call.getPeer(),
    count,
    metadata: call.metadata.get('x-test').map(String),
    padding: Buffer.alloc(padding),
  }
}

const echo: grpc.UntypedServiceImplementation = {
  unary(call: grpc.ServerUnaryCall<EchoRequest, unknown>, callback: grpc.sendUnaryData<unknown>) {
    const end = begin(call)
    const { request } = call
    call.on('cancelled', end)
    const answer = (): void => {
      end()
      const failure = failureOf(request)
      if (failure === undefined) callback(null, reply(call, request.text, request))
      else callback(failure)
    }
    if (request.sleepMillis > 0) setTimeout(answer, request.sleepMillis)
    else answer()
  },
  async serverStream(call: grpc.ServerWritableStream<EchoRequest, unknown>) {
    const end = begin(call)
    call.on('cancelled', end)
    const { request } = call
    for (let index = 0; index < request.count && !call.cancelled; index++) {
      if (request.sleepMillis > 0) await sleep(request.sleepMillis)
      call.write(reply(call, `${request.text} ${index}`, { padding: request.padding, count: index }))
    }
    end()
    const failure = failureOf(request)
    if (failure === undefined) call.end()
    else call.emit('error', failure)
  },
  clientStream(call: grpc.ServerReadableStream<EchoRequest, unknown>, callback: grpc.sendUnaryData<unknown>) {
    const end = begin(call)
    call.on('cancelled', end)
    const texts: string[] = []
    call.on('data', ({ text }: EchoRequest) => texts.push(text))
    call.on('end', () => {
      end()
      callback(null, reply(call, texts.join(' '), { count: texts.length }))
    })
  },
  bidi(call: grpc.ServerDuplexStream<EchoRequest, unknown>) {
    const end = begin(call)
    call.on('cancelled', end)
    call.on('data', (request: EchoRequest) => {
      const failure = failureOf(request)
      if (failure === undefined) call.write(reply(call, request.text, { padding: request.padding }))
      else call.emit('error', failure)
    })
    call.on('end', () => {
      end()
      call.end()
    })
    call.on('error', end)
  },
}

const definition = loadSync(fileURLToPath(new URL('../proto/rig.proto', import.meta.url)), { defaults: true })
const server = new grpc.Server({
  ...(options.maxConcurrentStreams === undefined
    ? {}
    : { 'grpc.max_concurrent_streams': options.maxConcurrentStreams }),
  ...(options.maxConnectionAgeMillis === undefined
    ? {}
    : {
        'grpc.max_connection_age_ms': options.maxConnectionAgeMillis,
        'grpc.max_connection_age_grace_ms': options.maxConnectionAgeGraceMillis ?? 60_000,
      }),
})
server.addService(definition['millpond.rig.Echo'] as grpc.ServiceDefinition, echo)
const health = new HealthImplementation({ '': 'SERVING' })
if (options.health) health.addToServer(server)

const address = `127.0.0.1:${options.port}`
const credentials =
  options.key === undefined || options.certificate === undefined
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(null, [
        { private_key: readFileSync(options.key), cert_chain: readFileSync(options.certificate) },
      ])

const orders: Readonly<Record<string, (value: string) => unknown>> = {
  view: () => view,
  reset: () => {
    view = { ...emptyView(), active: view.active }
    attempts.clear()
  },
  // GOAWAY on every connection; streams under way may end within the time.
  drain: (graceMillis) => server.drain(address, Number(graceMillis)),
  health: (value) => {
    const [service = '', status = 'SERVING'] = value.split('=')
    health.setStatus(service, status as 'SERVING' | 'NOT_SERVING')
  },
  // An orderly end: no new streams, the old ones may end.
  shutdown: () => {
    server.tryShutdown(() => process.exit(0))
  },
}

server.bindAsync(address, credentials, (error) => {
  if (error !== null) throw error
  takeOrders(orders)
})
