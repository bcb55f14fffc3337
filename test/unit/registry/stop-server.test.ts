import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { stopServer } from 'millpond'
import { ManualClock } from 'millpond/testing'

const ends: (() => unknown)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A server that keeps connections for a minute, and a client that would. */
async function start(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const agent = new Agent({ keepAlive: true })
  ends.push(
    () => agent.destroy(),
    () => server.closeAllConnections(),
  )
  const { port } = server.address() as AddressInfo
  const ask = async (): Promise<number> => {
    const request = get({ port, host: '127.0.0.1', agent })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    await once(response, 'end')
    return response.statusCode ?? 0
  }
  return { server, ask }
}

describe('a server that is stopped', () => {
  it('ends connections that are idle', async () => {
    const { server, ask } = await start((_, response) => response.end('ok'))
    expect(await ask()).toBe(200)
    await stopServer(server)
    await expect(ask()).rejects.toThrow()
  })

  it('answers what is under way, and ends that connection then', async () => {
    let answer = (): void => undefined
    const { server, ask } = await start((_, response) => {
      answer = () => void response.end('late')
    })
    const asked = ask()
    await once(server, 'request')
    const clock = new ManualClock()
    let isStopped = false
    const stopped = stopServer(server, { clock }).then(() => (isStopped = true))
    for (let looks = 0; looks < 20; looks++) await clock.advance(60)
    expect(isStopped).toBe(false)
    answer()
    expect(await asked).toBe(200)
    while (!isStopped) await clock.advance(60)
    await stopped
  })

  it('may be closed by somebody else, before or meanwhile', async () => {
    const { server } = await start((_, response) => response.end('ok'))
    const closed = once(server, 'close')
    server.close()
    await stopServer(server)
    await closed
    await stopServer(server)
  })

  it('needs no more than `close`', async () => {
    await stopServer({ close: (callback) => callback() })
  })
})
