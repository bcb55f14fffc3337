import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { RIG_PROTO, sleep } from '@millpond/rig'
import { grpcPool, type GrpcPool, type GrpcPoolOptions } from 'millpond/grpc'

export interface EchoRequest {
  readonly text?: string
  readonly sleepMillis?: number
  readonly failCode?: number
  readonly failTimes?: number
  readonly count?: number
  readonly padding?: number
}

export interface EchoReply {
  readonly text: string
  readonly serverPort: number
  readonly peer: string
  readonly count: number
  readonly metadata: readonly string[]
  readonly padding: Buffer
}

/** The client as a generator would write its types. */
export interface EchoClient extends grpc.Client {
  unary(request: EchoRequest, callback: grpc.requestCallback<EchoReply>): grpc.ClientUnaryCall
  unary(request: EchoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<EchoReply>): grpc.ClientUnaryCall
  unary(
    request: EchoRequest,
    metadata: grpc.Metadata,
    options: Partial<grpc.CallOptions>,
    callback: grpc.requestCallback<EchoReply>,
  ): grpc.ClientUnaryCall
  serverStream(request: EchoRequest, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<EchoReply>
  serverStream(
    request: EchoRequest,
    metadata?: grpc.Metadata,
    options?: Partial<grpc.CallOptions>,
  ): grpc.ClientReadableStream<EchoReply>
  clientStream(callback: grpc.requestCallback<EchoReply>): grpc.ClientWritableStream<EchoRequest>
  clientStream(
    metadata: grpc.Metadata,
    callback: grpc.requestCallback<EchoReply>,
  ): grpc.ClientWritableStream<EchoRequest>
  bidi(options?: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<EchoRequest, EchoReply>
  bidi(metadata: grpc.Metadata, options?: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<EchoRequest, EchoReply>
}

export type EchoClass = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: Partial<grpc.ClientOptions>,
) => EchoClient

const loaded = grpc.loadPackageDefinition(loadSync(RIG_PROTO, { defaults: true })) as unknown as {
  millpond: { rig: { Echo: EchoClass } }
}

export const { Echo } = loaded.millpond.rig

const pools: GrpcPool<EchoClient>[] = []

/** A pool that {@link closePools} closes. */
export function poolOn(
  { target }: { readonly target: string },
  options: GrpcPoolOptions<EchoClass> = {},
  credentials = grpc.credentials.createInsecure(),
): GrpcPool<EchoClient> {
  const pool = grpcPool(Echo, target, credentials, options)
  pools.push(pool)
  return pool
}

export async function closePools(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.close({ timeoutMillis: 0.1, waiters: 'reject' })))
}

/** Warnings of the process while the callback runs, and until they are delivered. */
export async function warningsOf(callback: () => unknown): Promise<string[]> {
  const warnings: string[] = []
  const note = ({ message }: Error): void => void warnings.push(message)
  process.on('warning', note)
  await callback()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  return warnings
}

/** A call that failed, and whether its answer had begun: then the driver cannot make it again. */
export type CutCall = grpc.ServiceError & { readonly begun?: boolean }

/** Makes a unary call; what it fails with tells whether its answer had begun. */
export function callAndTell(pool: GrpcPool<EchoClient>, request: EchoRequest): Promise<EchoReply | undefined> {
  return new Promise((resolve, reject) => {
    let begun = false
    const call = pool.client.unary(request, (error, reply) => {
      if (error === null) resolve(reply)
      else reject(Object.assign(error, { begun }))
    })
    call.once('metadata', () => (begun = true))
  })
}

/** Calls one after the other from several callers, until it is stopped; tells how many succeeded, and what failed. */
export function keepCalling(
  pool: GrpcPool<EchoClient>,
  callers: number,
  sleepMillis = 1,
  call: typeof callAndTell = (on, request) => on.promises.unary(request),
) {
  const failures: unknown[] = []
  let succeeded = 0
  let isOver = false
  const caller = async (): Promise<void> => {
    while (!isOver) {
      await call(pool, { sleepMillis }).then(
        () => succeeded++,
        async (error: unknown) => {
          failures.push(error)
          // A pool that refuses at once must not keep the loop from everything else.
          await sleep(1)
        },
      )
    }
  }
  const done = Promise.all(Array.from({ length: callers }, caller))
  return {
    failures,
    get succeeded() {
      return succeeded
    },
    async stop() {
      isOver = true
      await done
    },
  }
}
