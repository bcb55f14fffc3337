import type { Lease } from '../core/lease.ts'
import { PoolError } from '../core/errors.ts'
import type { Pool } from '../core/pool.ts'
import { inspect } from 'node:util'
import { check, type TestApi } from './test-api.ts'

export interface ContractOptions<T> {
  /** Makes a pool of at most two resources, on a real server. */
  readonly make: () => Promise<Pool<T>> | Pool<T>
  /** Does a round trip; rejects when the resource does not work. */
  readonly work: (resource: T) => Promise<void>
  /** Ends the resource's connection from the server's side. */
  readonly kill: (resource: T) => Promise<void>
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return PoolError.is(error) ? error.code : String(error)
  }
}

/** What every adapter that leases must do. Run it in a test file of the adapter, against a real server. */
export function poolContract<T>(
  name: string,
  { describe, it }: TestApi,
  { make, work, kill }: ContractOptions<T>,
): void {
  const withPool = (body: (pool: Pool<T>) => Promise<void>) => async (): Promise<void> => {
    const pool = await make()
    try {
      await body(pool)
    } finally {
      await pool.close({ timeoutMillis: 1_000, waiters: 'reject' })
    }
  }

  describe(`${name} keeps the pool contract`, () => {
    it(
      'a lease works, and its resource is used again',
      withPool(async (pool) => {
        await pool.use(work)
        await pool.use(work)
        const { created, idle, acquired } = pool.stats()
        check(
          created === 1 && idle === 1 && acquired === 2,
          `expected one resource, used twice; got ${inspect(pool.stats())}`,
        )
      }),
    )

    it(
      'a lease ends once',
      withPool(async (pool) => {
        const first = await pool.acquire()
        first.release()
        const second = await pool.acquire()
        let code: unknown
        try {
          first.release()
        } catch (error) {
          code = PoolError.is(error) ? error.code : error
        }
        check(
          code === 'ERR_POOL_LEASE_RELEASED',
          `a stale release must throw ERR_POOL_LEASE_RELEASED, got ${String(code)}`,
        )
        check(pool.stats().used === 1, 'a stale release must not end the lease of somebody else')
        await work(second.resource)
        second.release()
      }),
    )

    it(
      'nobody gets more than `max`, and who waits is served in order',
      withPool(async (pool) => {
        const held = await Promise.all([pool.acquire(), pool.acquire()])
        const order: number[] = []
        const waiting = [1, 2, 3].map((number) =>
          pool.use(async (resource) => {
            order.push(number)
            await work(resource)
          }),
        )
        check(pool.stats().waiting === 3, 'three callers must wait')
        for (const lease of held) lease.release()
        await Promise.all(waiting)
        check(order.join() === '1,2,3', `expected the order of arrival, got ${order.join()}`)
        check(pool.stats().created <= 2, 'no more than `max` may be created')
      }),
    )

    it(
      'a wait ends at its deadline, and an abort ends it with its reason',
      withPool(async (pool) => {
        const held: Lease<T>[] = [await pool.acquire(), await pool.acquire()]
        check(
          (await codeOf(pool.acquire({ timeoutMillis: 20 }))) === 'ERR_POOL_ACQUIRE_TIMEOUT',
          'a timeout must be told as one',
        )
        const controller = new AbortController()
        const aborted = pool.acquire({ signal: controller.signal }).catch((error: unknown) => error)
        const reason = new Error('gone')
        controller.abort(reason)
        check((await aborted) === reason, 'an abort must reject with its own reason')
        for (const lease of held) lease.release()
      }),
    )

    it(
      'a resource that the server ended is never handed out again',
      withPool(async (pool) => {
        const lease = await pool.acquire()
        const { resource } = lease
        await kill(resource)
        let failed = false
        try {
          await work(resource)
        } catch (error) {
          failed = true
          lease.release(error)
        }
        check(failed, 'work on a killed resource must fail')
        for (let round = 0; round < 5; round++) await pool.use(work)
        check(pool.stats().total >= 1, 'the pool must have replaced it')
      }),
    )

    it(
      'an idle resource that the server ended costs nobody an error',
      withPool(async (pool) => {
        const resource = await pool.use(async (each) => {
          await work(each)
          return each
        })
        await kill(resource)
        await pool.use(work)
      }),
    )

    it(
      'nothing is left after close, and the counters add up',
      withPool(async (pool) => {
        await Promise.all([pool.use(work), pool.use(work), pool.use(work)])
        await pool.close()
        const stats = pool.stats()
        const destroyed = Object.values(stats.destroyed).reduce((sum, count) => sum + count, 0)
        check(stats.total + stats.creating + stats.zombies === 0, `something is left: ${inspect(stats)}`)
        check(stats.created === destroyed, `${stats.created} created, ${destroyed} destroyed`)
        const { requested, acquired, timedOut, aborted, refused, failed, waiting } = stats
        check(requested === acquired + timedOut + aborted + refused + failed + waiting, 'requests do not add up')
        check((await codeOf(pool.acquire())) === 'ERR_POOL_CLOSED', 'a closed pool must say that it is closed')
      }),
    )
  })
}
