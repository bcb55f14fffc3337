import { createRequire } from 'node:module'
import { credentials, loadPackageDefinition, type Client, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { waitFor } from '@millpond/rig'
import { afterEach, expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { FakeError, FakeFactory } from 'millpond/testing'

interface Started {
  readonly url: string
  stop(): unknown
}
interface Example {
  start(registry: PoolRegistry, everyMillis?: number): Promise<Started>
}

const started: { stop(): unknown }[] = []
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop()
})

/** An example of examples/health that runs on a pool whose server can be taken away. */
async function run(name: string, everyMillis?: number) {
  const factory = new FakeFactory()
  const registry = new PoolRegistry()
  const pool = registry.register(new Pool(factory, { name: 'shop', max: 1 }), { required: true })
  const example = (await import(`../../examples/health/${name}.mjs`)) as Example
  const { url, stop } = await example.start(registry, everyMillis)
  started.push({ stop }, { stop: () => pool.close({ waiters: 'reject', timeoutMillis: 10 }) })
  const fail = (): void => {
    factory.onCreate = () => {
      throw new FakeError('disconnect', 'connect ECONNREFUSED db.internal:5432')
    }
  }
  return { url, pool, registry, fail }
}

it.each(['express', 'connect', 'fastify', 'koa', 'hono'])('%s answers probes and scrapes', async (name) => {
  const { url, pool, fail } = await run(name)
  fail()
  const ask = async (path: string) => {
    const answer = await fetch(url + path)
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
  }
  expect(await ask('/health/live')).toMatchObject({ status: 200, text: '{"healthy":true,"message":"Alive"}' })
  const json = expect.stringContaining('application/json') as unknown
  expect(await ask('/health/ready')).toEqual({
    status: 503,
    type: json,
    text: '{"healthy":false,"message":"Not ready"}',
  })
  expect((await ask('/health/startup')).status).toBe(503)
  const metrics = await ask('/metrics')
  expect(metrics.type).toContain('text/plain')
  const [, errors] = /^millpond_create_errors_total\{pool="shop",kind="fake"\} (\d+)$/m.exec(metrics.text) ?? []
  expect(Number(errors)).toBeGreaterThan(0)
  // The pool has gone on trying.
  expect(Number(errors)).toBeLessThanOrEqual(pool.stats().createErrors)
  expect((await ask('/elsewhere')).status).toBe(404)
})

it('nest’s terminus tells up and down', async () => {
  const { url, pool, fail } = await run('nest')
  const up = await fetch(`${url}/health/ready`)
  expect(up.status).toBe(200)
  expect(await up.json()).toMatchObject({ status: 'ok', details: { pools: { status: 'up', message: 'Ready' } } })
  const downOf = async () => {
    const down = await fetch(`${url}/health/ready`)
    return { ...((await down.json()) as { error: unknown }), status: down.status }
  }
  fail()
  pool.invalidate()
  await waitFor(async () => (await downOf()).status === 503, { what: 'a pool that fails is down' })
  const { error } = await downOf()
  expect(error).toMatchObject({ pools: { status: 'down' } })
  expect(JSON.stringify(error)).not.toContain('db.internal')
})

it('grpc.health.v1 follows the pools', async () => {
  const { url, registry } = await run('grpc', 20)
  const { protoPath } = createRequire(import.meta.url)('grpc-health-check') as { protoPath: string }
  type Health = Client & {
    check(
      request: { service: string },
      callback: (error: ServiceError | null, answer?: { status: string }) => void,
    ): void
  }
  const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String })) as unknown as {
    grpc: { health: { v1: { Health: new (address: string, credentials: object) => Health } } }
  }
  const client = new grpc.health.v1.Health(url, credentials.createInsecure())
  started.push({ stop: () => client.close() })
  const status = (service: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      client.check({ service }, (error, answer) => (error === null ? resolve(answer?.status) : reject(error)))
    })
  expect(await status('')).toBe('SERVING')
  expect(await status('shop.Orders')).toBe('SERVING')
  registry.markNotReady()
  await waitFor(async () => (await status('')) === 'NOT_SERVING', { what: 'the status follows' })
})
