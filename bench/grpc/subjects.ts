import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { RIG_PROTO } from '@millpond/rig'
import { grpcPool } from 'millpond/grpc'

interface Request {
  readonly sleepMillis: number
}

interface Client extends grpc.Client {
  unary(request: Request, callback: (error: grpc.ServiceError | null, reply: object) => void): grpc.ClientUnaryCall
}

type ClientClass = new (target: string, credentials: grpc.ChannelCredentials, options?: object) => Client

const { Echo } = (
  grpc.loadPackageDefinition(loadSync(RIG_PROTO, { defaults: true })) as unknown as {
    millpond: { rig: { Echo: ClientClass } }
  }
).millpond.rig

/** One way to make calls: `call` makes one and resolves when it is answered. */
export interface Subject {
  call(request: Request): Promise<unknown>
  close(): unknown
}

const insecure = grpc.credentials.createInsecure()

function callOn(client: Client, request: Request): Promise<object> {
  return new Promise((resolve, reject) => {
    client.unary(request, (error, reply) => {
      if (error === null) resolve(reply)
      else reject(error)
    })
  })
}

/** Clients that take turns. */
function turns(clients: readonly Client[]): Subject {
  let next = 0
  return {
    call: (request) => callOn(clients[next++ % clients.length] as Client, request),
    close: () => {
      for (const client of clients) client.close()
    },
  }
}

const clients = (target: string, count: number, options: object): Client[] =>
  Array.from({ length: count }, () => new Echo(target, insecure, options))

export const SUBJECTS: Readonly<Record<string, (target: string) => Subject>> = {
  'one channel': (target) => turns(clients(target, 1, {})),
  '4 clients, as they are': (target) => turns(clients(target, 4, {})),
  '4 channels with connections of their own': (target) =>
    turns(clients(target, 4, { 'grpc.use_local_subchannel_pool': 1 })),
  millpond: (target) => {
    const pool = grpcPool(Echo, target, insecure)
    return { call: (request) => callOn(pool.client, request), close: () => pool.close() }
  },
  'millpond, promise form': (target) => {
    const pool = grpcPool(Echo, target, insecure)
    return { call: (request) => pool.promises.unary(request), close: () => pool.close() }
  },
}

export interface Scenario {
  readonly callers: number
  readonly sleepMillis: number
  readonly seconds: number
  /** Streams that the server allows on a connection. */
  readonly streamLimit?: number
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'calls of 200 ms, 500 callers, 100 streams a connection': {
    callers: 500,
    sleepMillis: 200,
    seconds: 3,
    streamLimit: 100,
  },
  'echo, 10 callers': { callers: 10, sleepMillis: 0, seconds: 2 },
  'echo, 100 callers': { callers: 100, sleepMillis: 0, seconds: 2 },
}
