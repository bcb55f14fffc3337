/** Compiled, never run: what users of `grpcPool` see of their own client's types. */
import * as grpc from '@grpc/grpc-js'
import type { PoolStats } from 'millpond'
import { grpcPool, type GrpcPool } from 'millpond/grpc'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types differ']): void => undefined

interface User {
  id: number
  name: string
}
interface GetUser {
  id: number
}

/** As grpc-tools and ts-proto write it. */
interface UserServiceClient extends grpc.Client {
  getUser(request: GetUser, callback: (error: grpc.ServiceError | null, response: User) => void): grpc.ClientUnaryCall
  getUser(
    request: GetUser,
    metadata: grpc.Metadata,
    callback: (error: grpc.ServiceError | null, response: User) => void,
  ): grpc.ClientUnaryCall
  getUser(
    request: GetUser,
    metadata: grpc.Metadata,
    options: Partial<grpc.CallOptions>,
    callback: (error: grpc.ServiceError | null, response: User) => void,
  ): grpc.ClientUnaryCall
  listUsers(request: GetUser, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<User>
  addUsers(callback: (error: grpc.ServiceError | null, response: User) => void): grpc.ClientWritableStream<User>
  addUsers(
    metadata: grpc.Metadata,
    options: Partial<grpc.CallOptions>,
    callback: (error: grpc.ServiceError | null, response: User) => void,
  ): grpc.ClientWritableStream<User>
  talk(): grpc.ClientDuplexStream<User, User>
}
declare const UserServiceClient: {
  new (address: string, credentials: grpc.ChannelCredentials, options?: Partial<grpc.ClientOptions>): UserServiceClient
  service: grpc.ServiceDefinition
}

export const users = grpcPool(UserServiceClient, 'dns:///users:50051', grpc.credentials.createInsecure(), {
  maxChannels: 5,
  streamsPerChannel: 50,
  idleTimeoutMillis: 60_000,
  retry: { maxAttempts: 3 },
  'grpc.keepalive_time_ms': 400_000,
  interceptors: [(options, nextCall) => new grpc.InterceptingCall(nextCall(options))],
})

export async function keepsTypes(): Promise<void> {
  same<typeof users, GrpcPool<UserServiceClient>>()
  same<typeof users.client, UserServiceClient>()
  const client: grpc.Client = users.client
  client.close()
  users.client.getUser({ id: 1 }, (error, user) => {
    same<typeof error, grpc.ServiceError | null>()
    same<typeof user, User>()
  })
  const user = await users.promises.getUser({ id: 1 }, { timeoutMillis: 500, signal: AbortSignal.timeout(1_000) })
  same<typeof user, User>()
  await users.promises.getUser({ id: 1 }, { metadata: new grpc.Metadata(), deadline: new Date(), label: 'one' })
  for await (const each of users.client.listUsers({ id: 1 })) void each
  same<keyof typeof users.promises, 'getUser'>()
  same<ReturnType<typeof users.stats>, PoolStats>()
  same<Awaited<ReturnType<typeof users.use<number>>>, number>()
  await users.use((one) => {
    same<typeof one, UserServiceClient>()
  })
  // @ts-expect-error: an id is a number
  await users.promises.getUser({ id: 'one' })
  // @ts-expect-error: streams have no promise form
  void users.promises.listUsers
  // @ts-expect-error: nor have the client's own methods
  void users.promises.makeUnaryRequest
  // @ts-expect-error: a number of channels
  grpcPool(UserServiceClient, 'users:50051', grpc.credentials.createInsecure(), { maxChannels: 'five' })
  // @ts-expect-error: a misspelt option
  grpcPool(UserServiceClient, 'users:50051', grpc.credentials.createInsecure(), { maxChanels: 5 })
  // @ts-expect-error: credentials of the driver
  grpcPool(UserServiceClient, 'users:50051', 'insecure')
}

/** As `proto-loader-gen-types` writes it: each method in two spellings, the shortest overload last. */
interface GeneratedClient extends grpc.Client {
  GetUser(
    argument: GetUser,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<User>,
  ): grpc.ClientUnaryCall
  GetUser(argument: GetUser, metadata: grpc.Metadata, callback: grpc.requestCallback<User>): grpc.ClientUnaryCall
  GetUser(argument: GetUser, options: grpc.CallOptions, callback: grpc.requestCallback<User>): grpc.ClientUnaryCall
  GetUser(argument: GetUser, callback: grpc.requestCallback<User>): grpc.ClientUnaryCall
  AddUsers(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<User>,
  ): grpc.ClientWritableStream<User>
  AddUsers(callback: grpc.requestCallback<User>): grpc.ClientWritableStream<User>
}
declare const Generated: new (...args: ConstructorParameters<typeof grpc.Client>) => GeneratedClient

export async function keepsTypesOfGeneratedClients(): Promise<void> {
  const pool = grpcPool(Generated, 'users:50051', grpc.credentials.createInsecure())
  const user = await pool.promises.GetUser({ id: 1 })
  same<typeof user, User>()
  same<keyof typeof pool.promises, 'GetUser'>()
}

export async function takesLoadedClients(): Promise<void> {
  const { Echo } = grpc.loadPackageDefinition({}) as unknown as { Echo: grpc.ServiceClientConstructor }
  const pool = grpcPool(Echo, 'echo:50051', grpc.credentials.createInsecure(), { max: 3 })
  pool.client['unary']?.({}, () => undefined)
  const reply: unknown = await pool.promises['unary']?.({ text: 'hello' })
  void reply
}
