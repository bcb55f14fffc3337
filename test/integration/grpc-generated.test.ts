import { once } from 'node:events'
import { createRequire } from 'node:module'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { startGrpc, waitFor, type GrpcServer } from '@millpond/rig'
import { grpcPool, type GrpcPool } from 'millpond/grpc'
import type * as Services from '../fixtures/grpc-clients/grpc-tools/rig_grpc_pb.js'
import type * as Messages from '../fixtures/grpc-clients/grpc-tools/rig_pb.js'
import { EchoClient, EchoRequest, type EchoReply } from '../fixtures/grpc-clients/ts-proto/rig.ts'

// Written for CommonJS.
const load = createRequire(new URL('../fixtures/grpc-clients/grpc-tools/', import.meta.url))
const messages = load('./rig_pb.js') as typeof Messages
const services = load('./rig_grpc_pb.js') as typeof Services
type ToolsRequest = Messages.EchoRequest
type ToolsReply = Messages.EchoReply
type ToolsClient = Services.EchoClient

let server: GrpcServer
beforeAll(async () => {
  server = await startGrpc()
})
afterAll(async () => {
  await server.stop()
})

const insecure = grpc.credentials.createInsecure()

describe('a client of ts-proto', () => {
  const request = (text: string, others: Partial<EchoRequest> = {}): EchoRequest =>
    EchoRequest.fromPartial({ text, ...others })

  it('makes all kinds of calls, with its types', async () => {
    await using pool = grpcPool(EchoClient, server.target, insecure, { streamsPerChannel: 2 })
    expectTypeOf(pool).toEqualTypeOf<GrpcPool<EchoClient>>()
    expectTypeOf(pool.client).toEqualTypeOf<EchoClient>()
    expectTypeOf<keyof typeof pool.promises>().toEqualTypeOf<'unary'>()
    const { client, promises } = pool

    const reply = await promises.unary(request('promised'), { timeoutMillis: 5_000 })
    expectTypeOf(reply).toEqualTypeOf<EchoReply>()
    expect(reply).toMatchObject({ text: 'promised', serverPort: server.port })
    await expect(promises.unary(request('fails', { failCode: 5 }))).rejects.toMatchObject({ code: 5 })
    const called = await new Promise<EchoReply>((resolve, reject) => {
      client.unary(request('called back'), new grpc.Metadata(), (error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      })
    })
    expect(called.text).toBe('called back')

    const texts: string[] = []
    for await (const each of client.serverStream(request('s', { count: 2 }))) texts.push((each as EchoReply).text)
    const joined = await new Promise<EchoReply>((resolve, reject) => {
      const call = client.clientStream((error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      })
      call.write(request('a'))
      call.end(request('b'))
    })
    expect(joined).toMatchObject({ text: 'a b', count: 2 })
    const both = client.bidi()
    both.on('data', ({ text }: EchoReply) => texts.push(text))
    both.write(request('x'))
    both.end(request('y'))
    await once(both, 'end')
    expect(texts).toEqual(['s 0', 's 1', 'x', 'y'])

    const many = await Promise.all(Array.from({ length: 6 }, () => promises.unary(request('', { sleepMillis: 50 }))))
    expect(new Set(many.map(({ peer }) => peer)).size).toBe(3)
    await waitFor(() => pool.stats().leases === 0, { what: 'all are over' })
  })
})

describe('a client of grpc-tools', () => {
  const request = (text: string): ToolsRequest => {
    const made = new messages.EchoRequest()
    made.setText(text)
    return made
  }

  it('makes all kinds of calls, with its types', async () => {
    await using pool = grpcPool(services.EchoClient, server.target, insecure, { streamsPerChannel: 2 })
    expectTypeOf(pool).toEqualTypeOf<GrpcPool<ToolsClient>>()
    expectTypeOf(pool.client).toEqualTypeOf<ToolsClient>()
    expectTypeOf<keyof typeof pool.promises>().toEqualTypeOf<'unary'>()
    const { client, promises } = pool

    const reply = await promises.unary(request('promised'), { timeoutMillis: 5_000 })
    expectTypeOf(reply).toEqualTypeOf<ToolsReply>()
    expect([reply.getText(), reply.getServerPort()]).toEqual(['promised', server.port])
    const failing = request('fails')
    failing.setFailCode(5)
    await expect(promises.unary(failing)).rejects.toMatchObject({ code: 5 })
    // What its own serialiser refuses comes as the driver's error, and keeps no channel.
    await expect(promises.unary({ text: 'no message' } as never)).rejects.toMatchObject({ code: 13 })
    const called = await new Promise<ToolsReply>((resolve, reject) => {
      client.unary(request('called back'), new grpc.Metadata(), (error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      })
    })
    expect(called.getText()).toBe('called back')

    const texts: string[] = []
    const two = request('s')
    two.setCount(2)
    for await (const each of client.serverStream(two)) texts.push((each as ToolsReply).getText())
    const joined = await new Promise<ToolsReply>((resolve, reject) => {
      const call = client.clientStream((error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      })
      call.write(request('a'))
      call.end(request('b'))
    })
    expect([joined.getText(), joined.getCount()]).toEqual(['a b', 2])
    const both = client.bidi()
    both.on('data', (each: ToolsReply) => texts.push(each.getText()))
    both.write(request('x'))
    both.end(request('y'))
    await once(both, 'end')
    expect(texts).toEqual(['s 0', 's 1', 'x', 'y'])
    await waitFor(() => pool.stats().leases === 0, { what: 'all are over' })
  })
})
