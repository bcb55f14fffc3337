import { request as nodeRequest, type Agent, type IncomingMessage, type RequestOptions } from 'node:http'
import * as undici from 'undici'
import { sleep } from '@millpond/rig'
import { httpPool, type HttpAgents, type HttpPool, type HttpPoolOptions } from 'millpond/http'

export type Undici = typeof undici

const pools: HttpPool<Undici>[] = []

/** A pool that {@link closeHttpPools} closes. */
export function httpPoolOn(
  { origin }: { readonly origin?: string | undefined },
  options: HttpPoolOptions = {},
): HttpPool<Undici> {
  const pool = httpPool(undici, { origin, ...options })
  pools.push(pool)
  return pool
}

export async function closeHttpPools(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.close({ timeoutMillis: 1, waiters: 'reject' })))
}

/** What `/echo` of the rig's server answers. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly httpVersion: string
  readonly port: number
  /** Over TLS: the name that the client asked for, and the one in its certificate. */
  readonly servername?: string | false
  readonly client?: string
}

/** Requests a path and reads the answer to its end. */
export async function get(pool: HttpPool<Undici>, path: string, init: object = {}): Promise<string> {
  const { body } = await pool.request(path, init)
  return await body.text()
}

/** Requests one after the other from several callers, until it is stopped. */
export function keepRequesting(request: () => Promise<unknown>, callers: number) {
  const failures: unknown[] = []
  let succeeded = 0
  let isOver = false
  const caller = async (): Promise<void> => {
    while (!isOver) {
      await request().then(
        () => succeeded++,
        async (error: unknown) => {
          failures.push(error)
          // A pool that refuses at once must not keep the loop from everything else.
          await sleep(1)
        },
      )
    }
  }
  const done = Promise.all(Array.from({ length: callers }, caller))
  return {
    failures,
    get succeeded() {
      return succeeded
    },
    async stop() {
      isOver = true
      await done
    },
  }
}

/** Gets a URL with Node's own client. */
export function nodeGet(url: string, agent: Agent, options: RequestOptions = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = nodeRequest(url, { agent, ...options }, (response) => {
      response.once('error', reject)
      response.resume().once('end', () => resolve(response))
    })
    request.once('error', (error) => reject(Object.assign(error, { reusedSocket: request.reusedSocket })))
    request.end()
  })
}

/**
 * As Node's documentation has it: what was sent on a used socket that the server had closed is sent again.
 *
 * @param repeats - is told of every repetition
 */
export async function getAgain(url: string, agents: HttpAgents, repeats: () => void): Promise<IncomingMessage> {
  for (;;) {
    try {
      return await nodeGet(url, agents.httpAgent)
    } catch (error) {
      const { code, reusedSocket } = error as { readonly code?: string; readonly reusedSocket?: boolean }
      if (code !== 'ECONNRESET' || reusedSocket !== true) throw error
      repeats()
    }
  }
}
