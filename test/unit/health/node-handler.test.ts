import { createServer, request as httpRequest, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { toNodeHandler } from '../../../src/health/node-handler.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return (server.address() as AddressInfo).port
}

/** What is answered to raw bytes. */
async function say(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('toNodeHandler', () => {
  it('answers what is no request of the Web standard, instead of throwing into the server', async () => {
    const port = await serve(toNodeHandler(() => new Response('fine')))
    for (const head of ['TRACE / HTTP/1.1', 'GET http://a:b@x/ HTTP/1.1', 'GET http://[ HTTP/1.1'])
      expect(await say(port, head), head).toMatch(/^HTTP\/1\.1 500 /)
    expect(await say(port, 'GET / HTTP/1.1')).toContain('fine')
  })

  it('takes the body that a parser in front has read already', async () => {
    const handler = toNodeHandler(async (request) => new Response(await request.text()))
    const port = await serve((request, response) => {
      request.resume().once('end', () => handler(Object.assign(request, { body: { read: 'before' } }), response))
    })
    const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{"read":"before"}' })
    expect(await answer.json()).toEqual({ read: 'before' })
  })

  it('tells the source of a stream when the reader goes away, also before the stream began', async () => {
    const cancelled: string[] = []
    const endless = (name: string): ReadableStream =>
      new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(1_000)), cancel: () => void cancelled.push(name) })
    let arrived = (): void => undefined
    const asked = new Promise<void>((resolve) => (arrived = resolve))
    const port = await serve(
      toNodeHandler(async (request) => {
        if (!request.url.endsWith('/late')) return new Response(endless('soon'))
        arrived()
        await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
        return new Response(endless('late'))
      }),
    )
    const late = httpRequest({ port, host: '127.0.0.1', path: '/late' })
    late.on('error', () => undefined).end()
    await asked
    late.destroy()
    await new Promise<void>((resolve) => {
      httpRequest({ port, host: '127.0.0.1', path: '/soon' }, (answer) =>
        answer.once('data', () => {
          answer.destroy()
          resolve()
        }),
      ).end()
    })
    while (cancelled.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(cancelled.sort()).toEqual(['late', 'soon'])
  })
})
