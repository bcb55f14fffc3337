import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { stopServer } from 'millpond'
import type { Shop } from './shop.ts'

class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Answers what is not the shop's own business: health, metrics, the dashboard. */
export type SideHandler = (request: IncomingMessage, response: ServerResponse) => void

/** The shop over HTTP: `GET /users/:id`, `POST /orders`, and whatever else is mounted beside them. */
export class Service {
  readonly #shop: Shop
  readonly #mounted: Readonly<Record<string, SideHandler>>
  readonly #server: Server

  constructor(shop: Shop, mounted: Readonly<Record<string, SideHandler>> = {}) {
    this.#shop = shop
    this.#mounted = mounted
    this.#server = createServer((request, response) => {
      const [, first = ''] = (request.url ?? '/').split(/[/?]/)
      const side = this.#mounted[first]
      if (side === undefined) void this.#answer(request, response)
      else side(request, response)
    })
    this.#server.keepAliveTimeout = 30_000
  }

  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    await stopServer(this.#server)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await this.#route(request)
      response.writeHead(body.status, { 'content-type': 'application/json' }).end(JSON.stringify(body.value))
    } catch (error) {
      const status = error instanceof HttpError ? error.status : 503
      const message = error instanceof HttpError ? error.message : 'Try again later'
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: message }))
    }
  }

  async #route(request: IncomingMessage): Promise<{ status: number; value: unknown }> {
    const { method, url = '/' } = request
    const id = /^\/users\/(\d{1,9})$/.exec(url)?.[1]
    if (method === 'GET' && id !== undefined) {
      const user = await this.#shop.user(Number(id))
      if (user === undefined) throw new HttpError(404, `There is no user ${id}`)
      return { status: 200, value: user }
    }
    if (method === 'POST' && url === '/orders')
      return { status: 201, value: await this.#order(await readJson(request)) }
    const others = Object.keys(this.#mounted).map((name) => `, GET /${name}`)
    throw new HttpError(404, `There is GET /users/:id, POST /orders${others.join('')}`)
  }

  async #order(order: unknown): Promise<unknown> {
    const { userId, total } = (order ?? {}) as { userId?: unknown; total?: unknown }
    if (typeof userId !== 'number' || !Number.isInteger(userId))
      throw new HttpError(400, 'Expected `userId` to be a whole number')
    if (typeof total !== 'number' || !(total > 0)) throw new HttpError(400, 'Expected `total` to be a number above 0')
    return await this.#shop.order({ userId, total })
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) {
    text += (chunk as Buffer).toString()
    if (text.length > 10_000) throw new HttpError(413, 'The body is too large')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new HttpError(400, 'The body is not JSON')
  }
}
