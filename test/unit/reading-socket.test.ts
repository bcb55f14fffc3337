import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { readingSocket } from '../../src/core/reading-socket.ts'

let server: Server | undefined

afterEach(() => {
  server?.close()
})

/** A server that does this with whoever connects, and a socket to it. */
async function connected(serve: (peer: Socket) => void): Promise<Socket> {
  server = createServer(serve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = readingSocket().connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

/** Bytes of which no two neighbours of the same remainder are alike. */
function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff
  return bytes
}

describe('a reading socket', () => {
  it('hands on chunks that stay what they were when more is read', async () => {
    const socket = await connected((peer) => {
      peer.setNoDelay(true)
      peer.on('data', (asked) => peer.write(asked))
    })
    const kept: Buffer[] = []
    for (const text of ['first', 'second', 'third']) {
      socket.write(text)
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      kept.push(chunk)
    }
    expect(kept.map(String)).toEqual(['first', 'second', 'third'])
    socket.destroy()
  })

  it('keeps no more memory alive than came, but for Node’s pool of small buffers', async () => {
    const socket = await connected((peer) => peer.write('x'.repeat(10_000)))
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    const { buffer: pool } = Buffer.from('small')
    expect(chunk.buffer === pool || chunk.buffer.byteLength === chunk.length).toBe(true)
    socket.destroy()
  })

  it('brings everything, in order, to a reader that is slower than the server, and then the end', async () => {
    const sent = pattern(3_000_000)
    let wrote = false
    const socket = await connected((peer) => peer.end(sent, () => (wrote = true)))
    const came: Buffer[] = []
    const slow = new Writable({
      highWaterMark: 1_000,
      write(chunk: Buffer, _encoding, done) {
        came.push(chunk)
        void setImmediate().then(() => done())
      },
    })
    await pipeline(socket, slow)
    expect(Buffer.concat(came).equals(sent)).toBe(true)
    expect(wrote).toBe(true)
  })

  it('keeps the order for a reader that pauses at every chunk', async () => {
    const sent = pattern(3_000_000)
    const socket = await connected((peer) => peer.end(sent))
    const came: Buffer[] = []
    socket.on('data', (chunk: Buffer) => {
      came.push(chunk)
      socket.pause()
      void setImmediate().then(() => socket.resume())
    })
    await once(socket, 'end')
    expect(Buffer.concat(came).equals(sent)).toBe(true)
  })

  it('gives text to whoever sets an encoding after the first bytes, whole characters only', async () => {
    const text = 'é€😀'.repeat(100_000)
    const socket = await connected((peer) => {
      peer.write('x')
      peer.on('data', () => peer.end(text))
    })
    await once(socket, 'data')
    let came = ''
    socket.setEncoding('utf8')
    socket.on('data', (each: string) => (came += each))
    socket.write('more')
    await once(socket, 'end')
    expect(came === text).toBe(true)
  })

  it('gives the rest to whoever reads on in another way', async () => {
    const socket = await connected((peer) => {
      peer.setNoDelay(true)
      peer.write('1')
      peer.on('data', (asked) => (String(asked) === '3' ? peer.end(asked) : peer.write(asked)))
    })
    const told: string[] = []
    const listener = (chunk: Buffer): number => told.push(String(chunk))
    socket.on('data', listener)
    await once(socket, 'data')
    socket.write('2')
    await once(socket, 'data')
    socket.off('data', listener)
    socket.pause()
    socket.write('3')
    expect((await socket.toArray()).map(String)).toEqual(['3'])
    expect(told).toEqual(['1', '2'])
  })

  it('reads nothing while it is paused, so that the server has to wait', async () => {
    let peer: Socket | undefined
    const socket = await connected((each) => (peer = each))
    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
    socket.pause()
    const sent = pattern(20_000_000)
    peer?.end(sent)
    for (let turn = 0; turn < 200; turn++) await setImmediate()
    expect(bytes).toBe(0)
    // What the kernel does not hold is still the server's.
    expect(peer?.writableLength).toBeGreaterThan(0)
    socket.resume()
    await once(socket, 'close')
    expect(bytes).toBe(sent.length)
  })

  it('keeps what comes before anybody listens', async () => {
    const socket = await connected((peer) => peer.end('early'))
    while (socket.readableLength < 5) await setImmediate()
    const chunks = await socket.toArray()
    expect(chunks.map(String).join('')).toBe('early')
  })

  it('tells of a peer that is gone as any socket does', async () => {
    const socket = await connected((peer) => peer.on('data', () => peer.resetAndDestroy()))
    socket.resume()
    socket.write('go')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
  })
})
