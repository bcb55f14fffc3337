import * as undici from 'undici'
import { httpPool, type HttpPool, type HttpPoolOptions } from 'millpond/http'

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
        (error: unknown) => failures.push(error),
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
