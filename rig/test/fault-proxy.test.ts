import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep, startFaultProxy, waitFor, type FaultProxy } from '@millpond/rig'

describe('the fault proxy', () => {
  let echo: Server
  let proxy: FaultProxy
  const clients: Socket[] = []

  beforeEach(async () => {
    echo = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.pipe(socket)
    })
    echo.listen(0, '127.0.0.1')
    await once(echo, 'listening')
    proxy = await startFaultProxy({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port }, () => 0.5)
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await proxy.close()
    echo.close()
  })

  async function client(): Promise<Socket> {
    const socket = connect(proxy.port, proxy.host)
    clients.push(socket)
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }

  async function roundTrip(socket: Socket, text = 'hello'): Promise<string> {
    socket.write(text)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString()
  }

  it('passes everything on without faults', async () => {
    expect(await roundTrip(await client())).toBe('hello')
    expect(proxy.connections).toHaveLength(1)
    expect(proxy.accepted).toBe(1)
  })

  it('refuses connections, and takes them again on the same port', async () => {
    const { port } = proxy
    await proxy.set({ connect: 'refuse' })
    const refused = connect(port, proxy.host)
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
    await proxy.clear()
    expect(proxy.port).toBe(port)
    expect(await roundTrip(await client())).toBe('hello')
  })

  it('resets or ends new connections', async () => {
    await proxy.set({ connect: 'reset' })
    const reset = connect(proxy.port, proxy.host)
    const [error] = (await once(reset, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    await proxy.set({ connect: 'fin' })
    const ended = connect(proxy.port, proxy.host).resume()
    await once(ended, 'end')
  })

  it('cuts live connections with a reset or a FIN', async () => {
    const [one, two] = [await client(), await client()]
    const failed = once(one, 'error')
    await waitFor(() => proxy.connections.length === 2, { what: 'both are connected' })
    proxy.connections[0]?.cut('reset')
    const [error] = (await failed) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    const ended = once(two.resume(), 'end')
    proxy.cutAll('fin')
    await ended
  })

  it('swallows what is sent into a black hole, and delivers it when it ends', async () => {
    const socket = await client()
    await roundTrip(socket)
    await proxy.blackHole()
    let answered = false
    const answer = roundTrip(socket).then((text) => {
      answered = true
      return text
    })
    await sleep(100)
    expect(answered).toBe(false)
    await proxy.clear()
    expect(await answer).toBe('hello')
  })

  it('swallows one connection and spares the others', async () => {
    const [one, two] = [await client(), await client()]
    await roundTrip(one)
    await roundTrip(two)
    proxy.connections.find(({ clientPort }) => clientPort === one.localPort)?.blackHole()
    let answered = false
    void roundTrip(one).then(() => {
      answered = true
    })
    expect(await roundTrip(two)).toBe('hello')
    await sleep(50)
    expect(answered).toBe(false)
  })

  it('gives new connections no answer in a silence', async () => {
    await proxy.set({ connect: 'silence' })
    const socket = await client()
    let heard = false
    socket.on('data', () => (heard = true))
    socket.write('hello')
    await sleep(50)
    expect(heard).toBe(false)
  })

  it('delays each direction by itself', async () => {
    const socket = await client()
    await roundTrip(socket)
    await proxy.set({ down: { latencyMillis: 80, jitterMillis: 10 } })
    const startedAt = performance.now()
    await roundTrip(socket)
    expect(performance.now() - startedAt).toBeGreaterThan(75)
  })

  it('passes only so many bytes a second', async () => {
    const socket = await client()
    await proxy.set({ up: { bytesPerSecond: 10_000 } })
    const startedAt = performance.now()
    expect(await roundTrip(socket, 'x'.repeat(1_000))).toHaveLength(1_000)
    expect(performance.now() - startedAt).toBeGreaterThan(95)
  })

  it('resets a connection after so many bytes', async () => {
    const socket = await client()
    await proxy.set({ down: { cutAfterBytes: 3 } })
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.write('hello')
    // `once` would reject with the reset, of which newer versions of Node tell.
    await new Promise((resolve) => socket.once('close', resolve))
    expect(text.length).toBeLessThanOrEqual(3)
  })

  it('takes no more connections than it may', async () => {
    await roundTrip(await client())
    await proxy.set({ maxConnections: 1 })
    const second = connect(proxy.port, proxy.host)
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
  })

  it('treats each new connection as a function says', async () => {
    await proxy.set({ connect: (count) => (count === 2 ? 'reset' : 'accept') })
    expect(await roundTrip(await client())).toBe('hello')
    const second = connect(proxy.port, proxy.host)
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    expect(await roundTrip(await client())).toBe('hello')
  })

  it('lets a new connection reach the server later, and loses nothing of it', async () => {
    await proxy.set({ connectDelayMillis: 60 })
    const startedAt = performance.now()
    expect(await roundTrip(await client())).toBe('hello')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(55)
  })

  it('forgets a connection on which nothing passes, and only that', async () => {
    await proxy.set({ forgetIdleMillis: 150 })
    const [idle, busy] = [await client(), await client()]
    await roundTrip(idle)
    for (let round = 0; round < 10; round++) {
      await roundTrip(busy)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    let heard = false
    idle.on('data', () => (heard = true))
    idle.write('lost')
    expect(await roundTrip(busy)).toBe('hello')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(heard).toBe(false)
    expect(idle.destroyed).toBe(false)
  })
})
