import { once } from 'node:events'
import { loadSync } from '@grpc/proto-loader'
import * as grpc from 'grpc-js-low'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RIG_PROTO, startGrpc, waitFor, type GrpcServer } from '@millpond/rig'
import { grpcPool } from 'millpond/grpc'
import type { EchoClient, EchoReply } from '../support/grpc.ts'

type LowClass = new (address: string, credentials: grpc.ChannelCredentials, options?: object) => EchoClient
const { Echo } = (
  grpc.loadPackageDefinition(loadSync(RIG_PROTO, { defaults: true })) as unknown as {
    millpond: { rig: { Echo: LowClass } }
  }
).millpond.rig

let server: GrpcServer
beforeAll(async () => {
  server = await startGrpc({ maxConcurrentStreams: 10 })
})
afterAll(async () => {
  await server.stop()
})

it('the lowest version of the driver that is supported makes all kinds of calls, drains, and recovers', async () => {
  const pool = grpcPool(Echo, server.target, grpc.credentials.createInsecure(), { streamsPerChannel: 10, retry: {} })
  const replies = await Promise.all(Array.from({ length: 30 }, () => pool.promises.unary({ sleepMillis: 50 })))
  expect(new Set(replies.map(({ peer }) => peer)).size).toBe(3)
  await expect(pool.promises.unary({ failCode: 5 })).rejects.toMatchObject({ code: 5 })
  const texts: string[] = []
  for await (const reply of pool.client.serverStream({ text: 's', count: 2 })) texts.push((reply as EchoReply).text)
  const bidi = pool.client.bidi()
  bidi.on('data', ({ text }: EchoReply) => texts.push(text))
  bidi.write({ text: 'b' })
  await waitFor(() => texts.length === 3, { what: 'the answer' })
  await server.drain()
  bidi.write({ text: 'c' })
  await waitFor(() => texts.length === 4, { what: 'the answer after the goodbye' })
  await Promise.all(Array.from({ length: 30 }, () => pool.promises.unary({})))
  bidi.end()
  await once(bidi, 'end')
  expect(texts).toEqual(['s 0', 's 1', 'b', 'c'])
  await server.kill()
  // A call that is sent into a connection as it dies is told of it.
  await waitFor(() => pool.stats().idle + pool.stats().used === 0, { what: 'the pool has noticed' })
  const waiting = pool.promises.unary({ text: 'back' })
  await server.start()
  expect((await waiting).text).toBe('back')
  expect(await pool.health()).toMatchObject({ status: 'pass' })
  expect((await pool.close()).forced).toBe(0)
})
