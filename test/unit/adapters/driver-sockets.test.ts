import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { connectSocket } from '../../../src/adapters/mysql/socket.ts'
import { makeSocket } from '../../../src/adapters/pg/socket.ts'

const undo: (() => unknown)[] = []

afterEach(() => {
  for (const each of undo.splice(0)) each()
})

/** A server that greets whoever connects. */
async function greeter(path?: string): Promise<number> {
  const server = createServer((peer) => peer.end('hello')).listen(path ?? { port: 0, host: '127.0.0.1' })
  undo.push(() => server.close())
  await once(server, 'listening')
  return path === undefined ? (server.address() as AddressInfo).port : 0
}

async function greeting(socket: Socket): Promise<Buffer> {
  undo.push(() => socket.destroy())
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk
}

/** What Node's own sockets read has memory to itself; what is copied is in the pool of small buffers. */
const isCopied = ({ buffer }: Buffer): boolean => buffer === Buffer.from('small').buffer

describe('the socket of mysql2', () => {
  it('connects to the host, with the keep-alive of the settings', async () => {
    const port = await greeter()
    const keepAlive = vi.fn()
    const socket = connectSocket({
      config: { host: '127.0.0.1', port, enableKeepAlive: true, keepAliveInitialDelay: 30_000 },
    })
    // Asked of the system once it is connected, in seconds.
    const handle = (socket as unknown as { _handle: { setKeepAlive: unknown } })._handle
    handle.setKeepAlive = keepAlive
    const chunk = await greeting(socket)
    expect(chunk.toString()).toBe('hello')
    expect(isCopied(chunk)).toBe(true)
    // Newer versions of Node hand on more than was given.
    expect(keepAlive.mock.calls.map(([on, seconds]: unknown[]) => [on, seconds])).toEqual([[true, 30]])
  })

  it('connects without keep-alive where that is off', async () => {
    const port = await greeter()
    const keepAlive = vi.fn()
    const socket = connectSocket({ config: { host: '127.0.0.1', port, enableKeepAlive: false } })
    ;(socket as unknown as { _handle: { setKeepAlive: unknown } })._handle.setKeepAlive = keepAlive
    expect((await greeting(socket)).toString()).toBe('hello')
    expect(keepAlive).not.toHaveBeenCalled()
  })

  it.skipIf(process.platform === 'win32')('connects to a path, whatever host is given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millpond-socket-'))
    undo.push(() => rmSync(folder, { recursive: true }))
    const socketPath = join(folder, 'server.sock')
    await greeter(socketPath)
    const chunk = await greeting(connectSocket({ config: { host: 'nowhere.invalid', port: 1, socketPath } }))
    expect(chunk.toString()).toBe('hello')
  })
})

describe('the socket of pg', () => {
  it('is one that the driver connects, and leaves TLS to a socket of Node’s own', async () => {
    const port = await greeter()
    const chunks = []
    for (const ssl of [false, undefined, true, {}])
      chunks.push(await greeting(makeSocket({ ssl }).connect(port, '127.0.0.1')))
    expect(chunks.map(String)).toEqual(['hello', 'hello', 'hello', 'hello'])
    expect(chunks.map(isCopied)).toEqual([true, true, false, false])
  })
})
