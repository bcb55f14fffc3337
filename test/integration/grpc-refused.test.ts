import { createServer, constants, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { waitFor } from '@millpond/rig'
import { closePools, poolOn, type EchoReply } from '../support/grpc.ts'

interface Answering {
  readonly target: string
  /** Streams that came, and what was sent on those that were answered, as it came. */
  readonly came: { streams: number; readonly served: Buffer[] }
}

const servers: Http2Server[] = []
afterEach(async () => {
  await closePools()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

/** A server of HTTP/2 without gRPC in it, which refuses streams as a server does that has said goodbye. */
async function startRefusing(refusals: number, headers: object = {}, trailers: object = {}): Promise<Answering> {
  const came: Answering['came'] = { streams: 0, served: [] }
  const server = createServer()
  servers.push(server)
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined)
    came.streams++
    if (came.streams <= refusals) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      return
    }
    void serve(stream)
  })
  // Requests and replies begin with the same field, so that what was sent is what is answered.
  const serve = async (stream: ServerHttp2Stream): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const sent = Buffer.concat(chunks)
    came.served.push(sent)
    const plain = { ':status': 200, 'content-type': 'application/grpc' }
    if (Object.keys(headers).length > 0) {
      stream.respond({ ...plain, ...headers }, { endStream: true })
      return
    }
    stream.respond(plain, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', ...trailers }))
    stream.end(sent)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { target: `127.0.0.1:${(server.address() as AddressInfo).port}`, came }
}

describe('a call that the server refuses without beginning on it', () => {
  // The driver makes it twice on one channel, then the pool has three more.
  it.each([1, 2, 3, 7])('is made again, up to seven times (%i)', async (refusals) => {
    const { target, came } = await startRefusing(refusals)
    const pool = poolOn({ target })
    expect(await pool.promises.unary({ text: 'again' })).toMatchObject({ text: 'again' })
    expect(came.streams).toBe(refusals + 1)
    expect(came.served).toHaveLength(1)
    expect(pool.stats()).toMatchObject({ leases: 0, acquired: Math.floor(refusals / 2) + 1 })
  })

  it('fails when it has been refused for long enough, and says so as the driver does', async () => {
    const { target, came } = await startRefusing(Infinity)
    const pool = poolOn({ target })
    await expect(pool.promises.unary({})).rejects.toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: 'Stream refused by server',
    })
    expect(came.streams).toBe(8)
    expect(pool.stats().leases).toBe(0)
  })

  it('reads a stream of answers', async () => {
    const { target } = await startRefusing(3)
    const texts: string[] = []
    for await (const each of poolOn({ target }).client.serverStream({ text: 'one' }))
      texts.push((each as EchoReply).text)
    expect(texts).toEqual(['one'])
  })

  it('sends a stream of messages whole and in order, each told to have been sent once', async () => {
    const { target, came } = await startRefusing(5)
    const { client } = poolOn({ target })
    const reply = new Promise<EchoReply | undefined>((resolve, reject) => {
      const call = client.clientStream((error, answer) => (error === null ? resolve(answer) : reject(error)))
      void (async () => {
        for (const word of ['first', 'second', 'third', 'fourth'])
          await new Promise((told) => call.write({ text: word }, told))
        // Some of it is sent while the call is made again.
        await waitFor(() => came.streams > 3, { what: 'it was refused' })
        for (const word of ['fifth', 'last']) await new Promise((told) => call.write({ text: word }, told))
        call.end()
      })()
    })
    // A server that answers a call with several replies has broken its word: here it shows what came.
    await expect(reply).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED })
    expect(words(came.served[0])).toEqual(['first', 'second', 'third', 'fourth', 'fifth', 'last'])
  })

  it('sends and reads in both directions', async () => {
    const { target, came } = await startRefusing(4)
    const call = poolOn({ target }).client.bidi()
    const texts: string[] = []
    call.on('data', ({ text: each }: EchoReply) => texts.push(each))
    for (const word of ['a', 'b', 'c']) call.write({ text: word })
    call.end()
    await once(call, 'end')
    expect(texts).toEqual(['a', 'b', 'c'])
    expect(came.streams).toBe(5)
  })

  it('is not made again with more sent than is kept', async () => {
    const { target, came } = await startRefusing(Infinity)
    const large = 'x'.repeat(1_100_000)
    await expect(poolOn({ target }).promises.unary({ text: large })).rejects.toMatchObject({ code: 14 })
    expect(came.streams).toBeLessThanOrEqual(2)
  })

  it('is not made again once it is cancelled, or its time is over', async () => {
    const { target, came } = await startRefusing(Infinity)
    const pool = poolOn({ target })
    await pool.ready()
    const call = pool.client.bidi()
    const failed = once(call, 'error')
    call.write({ text: 'x' })
    await waitFor(() => came.streams > 0, { what: 'it was refused' })
    call.cancel()
    expect((await failed)[0]).toMatchObject({ code: expect.toSatisfy((code) => code === 1 || code === 14) as number })
    const { streams } = came
    await expect(pool.promises.unary({}, { timeoutMillis: 0 })).rejects.toMatchObject({ code: 4 })
    expect(came.streams).toBe(streams)
    expect(pool.stats().leases).toBe(0)
  })
})

it('an answer of the server’s in the same words is an answer, and its call is made once', async () => {
  const words = { 'grpc-status': '14', 'grpc-message': 'Stream refused by server' }
  const { target, came } = await startRefusing(0, words)
  await expect(poolOn({ target }).promises.unary({})).rejects.toMatchObject({ details: 'Stream refused by server' })
  const late = await startRefusing(0, {}, words)
  await expect(poolOn(late).promises.unary({})).rejects.toMatchObject({ details: 'Stream refused by server' })
  expect([came.streams, late.came.streams]).toEqual([1, 1])
})

/** The texts of messages in gRPC's frames, each shorter than 128 bytes. */
function words(sent: Buffer | undefined): string[] {
  const found: string[] = []
  for (let at = 0, rest = sent ?? Buffer.alloc(0); at < rest.length;) {
    const length = rest.readUInt32BE(at + 1)
    found.push(rest.toString('utf8', at + 7, at + 5 + length))
    at += 5 + length
  }
  return found
}
