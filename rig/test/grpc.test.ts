import { execFileSync } from 'node:child_process'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { RIG_PROTO, sleep, startGrpc, waitFor, type GrpcServer } from '@millpond/rig'

const { Echo } = (
  grpc.loadPackageDefinition(loadSync(RIG_PROTO)) as unknown as { millpond: { rig: { Echo: unknown } } }
).millpond.rig as { Echo: grpc.ServiceClientConstructor }

type EchoClient = InstanceType<grpc.ServiceClientConstructor>

interface Reply {
  readonly text: string
  readonly count: number
  readonly serverPort: number
}

function unary(client: EchoClient, request: object, options: grpc.CallOptions = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    client['unary']?.(request, options, (error: Error | null, reply: Reply) => {
      if (error === null) resolve(reply)
      else reject(error)
    })
  })
}

describe('the gRPC server of the rig', () => {
  let server: GrpcServer
  const clients: EchoClient[] = []
  const client = (credentials = grpc.credentials.createInsecure(), target = server.target): EchoClient => {
    const made = new Echo(target, credentials, { 'grpc.use_local_subchannel_pool': 1 })
    clients.push(made)
    return made
  }

  beforeAll(async () => {
    server = await startGrpc({ maxConcurrentStreams: 3 })
  })
  afterEach(() => {
    for (const each of clients.splice(0)) each.close()
  })
  afterAll(async () => {
    await server.stop()
  })

  it('answers, late or with a failure, as it is asked', async () => {
    const one = client()
    expect(await unary(one, { text: 'hello' })).toMatchObject({ text: 'hello', serverPort: server.port })
    await expect(unary(one, { failCode: 5 })).rejects.toMatchObject({ code: 5, details: 'asked to fail with 5' })
    await expect(unary(one, { failCode: 14, failTimes: 1, text: 'twice' })).rejects.toMatchObject({ code: 14 })
    expect(await unary(one, { failCode: 14, failTimes: 1, text: 'twice' })).toMatchObject({ text: 'twice' })
    await expect(unary(one, { sleepMillis: 5_000 }, { deadline: Date.now() + 50 })).rejects.toMatchObject({ code: 4 })
  })

  it('lets no more streams onto a connection than its limit, and tells what it saw', async () => {
    await server.reset()
    const one = client()
    await Promise.all(Array.from({ length: 7 }, () => unary(one, { sleepMillis: 50 })))
    expect(await server.view()).toMatchObject({ calls: 7, mostActive: 3, mostActivePerConnection: 3, active: 0 })
    expect((await server.view()).peers).toHaveLength(1)
  })

  it('says goodbye to its connections, and lets their streams end', async () => {
    const one = client()
    const slow = unary(one, { text: 'slow', sleepMillis: 200 })
    await waitFor(async () => (await server.view()).active === 1, { what: 'the call is under way' })
    await server.drain(5_000)
    await waitFor(() => one.getChannel().getConnectivityState(false) === grpc.connectivityState.IDLE, {
      what: 'the client has heard of it',
    })
    expect(await slow).toMatchObject({ text: 'slow' })
    expect(await unary(one, { text: 'again' })).toMatchObject({ text: 'again' })
  })

  it('is silent while it is paused, and answers afterwards', async () => {
    const one = client()
    await unary(one, {})
    server.pause()
    let answered = false
    const answer = unary(one, {}).then(() => (answered = true))
    await sleep(200)
    expect(answered).toBe(false)
    server.resume()
    await answer
  })

  it('is killed, and starts again on its port', async () => {
    const one = client()
    await unary(one, {})
    await server.kill()
    await expect(unary(one, {})).rejects.toMatchObject({ code: 14 })
    await server.start()
    expect(await unary(client(), { text: 'back' })).toMatchObject({ text: 'back' })
  })

  it('serves TLS', async () => {
    await using secured = await startGrpc({ tls: true })
    const one = client(grpc.credentials.createSsl(secured.certificate()), secured.target)
    expect(await unary(one, { text: 'secret' })).toMatchObject({ text: 'secret' })
  })

  it('is gone when it is stopped', async () => {
    const other = await startGrpc()
    const { pid } = other
    await other.stop()
    expect(() => execFileSync('ps', ['-o', 'pid=', '-p', String(pid)])).toThrow()
  })
})
