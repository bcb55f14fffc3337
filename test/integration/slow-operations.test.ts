import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  startGrpc,
  startHttp,
  startMongoWire,
  waitFor,
  type GrpcServer,
  type HttpServer,
  type MongoWireServer,
} from '@millpond/rig'
import { PoolRegistry, type ManagedPool } from 'millpond'
import { watchPools, type PoolWatch, type SlowGroup } from 'millpond/watch'
import { routeOf } from '../../src/adapters/http/route.ts'
import { closePools, poolOn } from '../support/grpc.ts'
import { closeHttpPools, get, httpPoolOn } from '../support/http.ts'
import { clientOn, closeClients, SECRET, sleepOn } from '../support/mongo.ts'
import { DRIVERS as REDIS_DRIVERS, tryRedis } from '../support/redis.ts'

const SLOW_MILLIS = 120
const traces = new AsyncLocalStorage<string>()
/** As @opentelemetry/api, with the name of an async context for a trace. */
const openTelemetry = {
  trace: {
    getActiveSpan() {
      const traceId = traces.getStore()
      return traceId === undefined ? undefined : { spanContext: () => ({ traceId }) }
    },
  },
}
const redis = await tryRedis()
let http: HttpServer
let grpc: GrpcServer
let mongo: MongoWireServer
let watch: PoolWatch
let registry: PoolRegistry

beforeAll(async () => {
  ;[http, grpc, mongo] = await Promise.all([startHttp(), startGrpc(), startMongoWire()])
})
afterEach(async () => {
  watch.close()
  await Promise.all([closeHttpPools(), closePools(), closeClients()])
})
afterAll(async () => {
  await Promise.all([http.stop(), grpc.stop(), mongo.stop(), redis?.stop()])
})

function watched<P extends ManagedPool>(pool: P): P {
  registry = new PoolRegistry()
  watch = watchPools(registry, { openTelemetry })
  return registry.register(pool)
}

/** The group of this operation, once there is one of at least so many; on a busy machine others may be slow as well. */
async function slowOf(pool: ManagedPool, operation: string | RegExp, count = 1): Promise<SlowGroup> {
  const matches = (group: SlowGroup): boolean =>
    (typeof operation === 'string' ? group.operation === operation : operation.test(group.operation)) && group.count >= count // prettier-ignore
  return await waitFor(() => watch.slow(pool.name).find(matches), { what: `${count} slow ${String(operation)}` })
}

describe('slow operations of HTTP', () => {
  it('are told by method and route, with wait, use, label and the trace of whoever made the request', async () => {
    const pool = watched(httpPoolOn(http, { name: 'prices', max: 1, slowMillis: SLOW_MILLIS }))
    await get(pool, '/echo')
    await Promise.all([
      traces.run('first', () => get(pool, `/slow?millis=800&token=${SECRET}`, { label: 'price of the day' })),
      traces.run('second', () => get(pool, '/echo', { method: 'POST', body: SECRET })),
    ])
    const [slow, queued] = [await slowOf(pool, 'GET /slow'), await slowOf(pool, 'POST /echo')]
    expect(slow).toMatchObject({
      operation: 'GET /slow',
      lastLabel: 'price of the day',
      lastTraceId: 'first',
      failed: 0,
    })
    expect(slow.useMillis).toBeGreaterThanOrEqual(SLOW_MILLIS)
    expect(slow.waitMillis).toBeLessThan(slow.useMillis)
    // It was the wait that took long.
    expect(queued).toMatchObject({ operation: 'POST /echo', lastTraceId: 'second' })
    expect(queued.waitMillis).toBeGreaterThan(queued.useMillis)
    expect(JSON.stringify([watch.slow(), watch.events()])).not.toContain(SECRET)
  })

  it('are told of failures, repeats as one, and never of a body that takes its time', async () => {
    const pool = watched(httpPoolOn(http, { name: 'prices', slowMillis: SLOW_MILLIS, retry: { maxRetries: 1 } }))
    await get(pool, '/trickle?pieces=4&millis=60')
    await expect(get(pool, '/slow', { timeoutMillis: 200 })).rejects.toThrow()
    expect(await get(pool, '/status?code=503&times=1&retryAfter=0', { headers: { 'x-request-id': 'a' } })).toBeDefined()
    await get(pool, '/slow?millis=150')
    const slow = await slowOf(pool, 'GET /slow', 2)
    expect(slow).toMatchObject({ count: 2, failed: 1 })
    expect(watch.slow(pool.name).map(({ operation }) => operation)).not.toContain('GET /trickle')
  })

  it.each([
    ['/', '/'],
    ['/users/42', '/users/?'],
    ['/users/42/order-items?token=very-secret#x', '/users/?/order-items'],
    ['/v2/getUser/a@example.com', '/v2/getUser/?'],
    ['/files/6f1b2c9e-0000-4000-8000-000000000000/raw.json', '/files/?/raw.json'],
    ['/reset/dGhpcyBpcyBhIHNlY3JldCB0b2tlbg', '/reset/?'],
    [`/${'a/'.repeat(20)}`, '/a/a/a/a/a/a/a/a/a/…'],
    ['', ''],
  ])('call %j %j', (path, route) => {
    expect(routeOf(path)).toBe(route)
  })
})

describe('slow operations of gRPC', () => {
  it('are told by method, with wait, use, status and trace; streams and what was cancelled are not', async () => {
    const pool = watched(poolOn(grpc, { name: 'shipping', maxChannels: 1, streamsPerChannel: 1, slowMillis: SLOW_MILLIS })) // prettier-ignore
    await pool.promises.unary({ text: SECRET })
    await Promise.all([
      traces.run('first', () => pool.promises.unary({ text: SECRET, sleepMillis: 800 }, { label: 'quote' })),
      traces.run('second', () => pool.promises.unary({ text: SECRET }, { timeoutMillis: 20_000 })),
    ])
    expect((await slowOf(pool, 'millpond.rig.Echo/Unary', 2)).failed).toBe(0)
    const numbers = watch.events().filter(({ event }) => event === 'slow')
    expect(numbers.map(({ traceId }) => traceId)).toEqual(expect.arrayContaining(['first', 'second']))
    const of = (traceId: string): Record<string, number> =>
      (numbers.find((each) => each.traceId === traceId)?.numbers ?? {}) as Record<string, number>
    expect(of('first')['useMillis']).toBeGreaterThanOrEqual(SLOW_MILLIS)
    expect(of('second')['waitMillis']).toBeGreaterThan(of('second')['useMillis'] ?? Infinity)
    for await (const reply of pool.client.serverStream({ text: 'n', count: 3, sleepMillis: 60 }))
      expect(reply).toBeDefined()
    await expect(pool.promises.unary({ sleepMillis: 5_000 }, { timeoutMillis: 200 })).rejects.toThrow(/[Dd]eadline/)
    const call = pool.client.unary({ sleepMillis: 5_000 }, () => undefined)
    setTimeout(() => call.cancel(), 200)
    await waitFor(() => pool.stats().leases === 0, { what: 'the cancelled call is over' })
    expect((await slowOf(pool, 'millpond.rig.Echo/Unary', 3)).failed).toBe(1)
    expect(watch.slow()).toHaveLength(1)
    expect(JSON.stringify([watch.slow(), watch.events()])).not.toContain(SECRET)
  })
})

describe('slow operations of MongoDB', () => {
  it('are told in the trace of whoever asked for them', async () => {
    const { client, view } = clientOn(mongo, { monitorCommands: true, maxPoolSize: 1 }, { view: { slowMillis: SLOW_MILLIS } }) // prettier-ignore
    await client.connect()
    watched(view)
    await Promise.all([
      traces.run('first', () => sleepOn(client, 800)),
      traces.run('second', () => client.db('shop').collection('books').findOne({ title: SECRET })),
    ])
    const [find, sleep] = [await slowOf(view, /^find /), await slowOf(view, /^sleep /)]
    expect(sleep).toMatchObject({ lastTraceId: 'first' })
    expect(find).toMatchObject({ lastTraceId: 'second' })
    expect(find.waitMillis).toBeGreaterThan(find.useMillis)
  })
})

describe.skipIf(redis === undefined).each(REDIS_DRIVERS)('slow operations of Redis on $name', (driver) => {
  it('are told by command, in the trace of whoever sent it', async () => {
    const pool = driver.pool(redis as NonNullable<typeof redis>, { poolName: 'cache', slowMillis: SLOW_MILLIS })
    watched(pool)
    const busy = `local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + 200
      repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till return ARGV[1]`
    await pool.client.ping()
    await traces.run('first', () => driver.raw(pool.client, 'EVAL', busy, '0', SECRET))
    expect(await slowOf(pool, /^eval$/i)).toMatchObject({ lastTraceId: 'first', failed: 0 })
    expect(JSON.stringify([watch.slow(), watch.events()])).not.toContain(SECRET)
    await pool.close()
  })
})
