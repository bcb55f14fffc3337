import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Pool, PoolRegistry, type HealthCheck, type ManagedPool } from 'millpond'
import {
  followGrpcHealth,
  healthHandler,
  HealthMonitor,
  terminusIndicator,
  toHealthJson,
  toKoa,
  toNodeHandler,
  toSimple,
} from 'millpond/health'
import { FakeError, FakeFactory, ManualClock } from 'millpond/testing'

/** A pool whose health is what the test says. */
class Scripted implements ManagedPool {
  readonly kind: string
  readonly name: string
  status: HealthCheck['status'] | 'hang' | 'throw' = 'pass'
  checks = 0
  readonly #pool = new Pool(new FakeFactory(), { name: 'inner', max: 4 })

  constructor(name: string, kind = 'fake') {
    this.name = name
    this.kind = kind
  }
  get state() {
    return this.#pool.state
  }
  stats() {
    return this.#pool.stats()
  }
  close() {
    return this.#pool.close()
  }
  on(): this {
    return this
  }
  health(): Promise<HealthCheck> {
    this.checks++
    if (this.status === 'hang') return new Promise(() => undefined)
    if (this.status === 'throw') throw new Error('postgres://ada:secret@db.internal')
    const { name: pool, kind, status } = this
    return Promise.resolve({ status, pool, kind, message: `It ${status}es`, durationMillis: 1 })
  }
}

function scripted(options: ConstructorParameters<typeof HealthMonitor>[1] = {}) {
  const clock = new ManualClock()
  const registry = new PoolRegistry()
  const required = registry.register(new Scripted('db'), { required: true })
  const optional = registry.register(new Scripted('cache'))
  const monitor = new HealthMonitor(registry, { clock, cacheMillis: 0, ...options })
  return { clock, registry, required, optional, monitor }
}

const ask = async (handler: ReturnType<typeof healthHandler>, path: string, init?: RequestInit) => {
  const answer = await handler(new Request(`http://localhost${path}`, init))
  const text = await answer.text()
  return { status: answer.status, type: answer.headers.get('content-type'), body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) } // prettier-ignore
}

describe('readiness', () => {
  it('fails only for required pools, and only when they failed three times in a row', async () => {
    const { monitor, required, optional } = scripted()
    const status = async (): Promise<string> => (await monitor.check()).status
    expect(await status()).toBe('pass')
    optional.status = 'fail'
    for (let index = 0; index < 5; index++) expect(await status()).toBe('warn')
    required.status = 'fail'
    expect([await status(), await status(), await status(), await status()]).toEqual(['warn', 'warn', 'fail', 'fail'])
    required.status = 'pass'
    expect(await status()).toBe('warn')
    optional.status = 'pass'
    expect(await status()).toBe('pass')
    required.status = 'fail'
    expect(await status()).toBe('warn')
  })

  it('fails at once where a required pool has never worked', async () => {
    const { monitor, required } = scripted()
    required.status = 'fail'
    expect((await monitor.check()).status).toBe('fail')
  })

  it('recovers as slowly as it was told', async () => {
    const { monitor, required } = scripted({ failuresToFail: 1, passesToRecover: 2 })
    const status = async (): Promise<string> => (await monitor.check()).status
    expect(await status()).toBe('pass')
    required.status = 'fail'
    expect(await status()).toBe('fail')
    required.status = 'warn'
    expect([await status(), await status()]).toEqual(['fail', 'warn'])
  })

  it('asks the pools once for all who ask within the time of the cache', async () => {
    const { monitor, required, clock } = scripted({ cacheMillis: 2_000 })
    await Promise.all(Array.from({ length: 50 }, () => monitor.check()))
    await clock.advance(1_999)
    await monitor.check()
    expect(required.checks).toBe(1)
    await clock.advance(1)
    await monitor.check()
    expect(required.checks).toBe(2)
  })

  it('is bounded where a pool’s own check hangs or throws', async () => {
    const { monitor, required, clock } = scripted()
    required.status = 'hang'
    const checked = monitor.check()
    await clock.advance(800)
    expect((await checked).pools[0]).toMatchObject({ status: 'fail', message: 'The check took too long' })
    required.status = 'throw'
    const report = await monitor.check()
    expect(report.pools[0]).toMatchObject({ status: 'fail', message: 'The check itself failed' })
    expect(JSON.stringify(report)).not.toContain('secret')
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not queue behind an exhausted pool: that only warns', async () => {
    const registry = new PoolRegistry()
    const pool = registry.register(new Pool(new FakeFactory(), { name: 'full', max: 1 }), { required: true })
    const lease = await pool.acquire()
    const waiting = pool.acquire()
    expect(await ask(healthHandler(registry), '/ready')).toMatchObject({ status: 200, body: { healthy: true, message: 'Ready, with warnings' } }) // prettier-ignore
    lease.release()
    ;(await waiting).release()
    await pool.close()
  })

  it('fails the moment the process is asked to end, whatever the cache says', async () => {
    const { monitor, registry } = scripted({ cacheMillis: 60_000 })
    expect((await monitor.check()).status).toBe('pass')
    registry.markNotReady()
    expect(await monitor.check()).toMatchObject({ status: 'fail', message: 'Shutting down' })
    expect((await monitor.check('liveness')).status).toBe('pass')
  })
})

describe('startup and liveness', () => {
  it('startup passes once every required pool has worked, and from then on', async () => {
    const { monitor, required, optional } = scripted()
    required.status = optional.status = 'fail'
    expect((await monitor.check('startup')).status).toBe('fail')
    required.status = 'warn'
    expect((await monitor.check('startup')).status).toBe('pass')
    required.status = 'fail'
    expect((await monitor.check('startup')).status).toBe('pass')
  })

  it('liveness never looks at a pool', async () => {
    const { monitor, required, optional } = scripted()
    required.status = optional.status = 'hang'
    expect(await monitor.check('liveness')).toMatchObject({ status: 'pass', pools: [] })
    expect(required.checks + optional.checks).toBe(0)
  })

  it('refuses a kind that there is not, and wrong options', async () => {
    const { monitor, registry } = scripted()
    await expect(monitor.check('alive' as never)).rejects.toMatchObject({ code: 'ERR_POOL_OPTION' })
    for (const options of [
      { cacheMillis: -1 },
      { timeoutMillis: 0 },
      { failuresToFail: 0 },
      { format: 'xml' as never },
    ])
      expect(() => healthHandler(registry, options)).toThrow(Object.keys(options)[0] ?? '')
  })
})

describe('healthHandler', () => {
  it('answers by the last part of the path, with 200 or 503', async () => {
    const { registry, required, clock } = scripted()
    required.status = 'fail'
    const handler = healthHandler(registry, { clock, cacheMillis: 0 })
    const simple = 'application/json; charset=utf-8'
    expect(await ask(handler, '/health/live')).toEqual({ status: 200, type: simple, body: { healthy: true, message: 'Alive' } }) // prettier-ignore
    for (const path of ['/', '/health', '/readyz', '/a/b/ready/'])
      expect(await ask(handler, path)).toEqual({ status: 503, type: simple, body: { healthy: false, message: 'Not ready' } }) // prettier-ignore
    expect((await ask(handler, '/startupz')).body).toEqual({ healthy: false, message: 'Starting' })
    expect((await ask(healthHandler(registry, { kind: 'liveness' }), '/ready')).status).toBe(200)
    expect(await ask(handler, '/ready', { method: 'HEAD' })).toMatchObject({ status: 503, body: undefined })
    expect((await ask(handler, '/ready', { method: 'POST' })).status).toBe(405)
    const answer = await handler(new Request('http://localhost/'))
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  it('tells of the pools only whom it may, and only when asked', async () => {
    const { registry } = scripted()
    const named = async (details: Parameters<typeof healthHandler>[1], path: string): Promise<boolean> =>
      JSON.stringify((await ask(healthHandler(registry, details), path)).body).includes('cache')
    expect(await named({}, '/ready?details')).toBe(false)
    expect(await named({ details: true }, '/ready')).toBe(false)
    expect(await named({ details: true }, '/ready?details')).toBe(true)
    expect(await named({ details: (request) => request.headers.has('authorization') }, '/ready?details')).toBe(false)
  })

  it('speaks health+json to whom it understands', async () => {
    const { registry, required, clock } = scripted()
    required.status = 'warn'
    const handler = healthHandler(registry, { clock, details: true })
    const answer = await ask(handler, '/ready?details', { headers: { accept: 'application/health+json' } })
    expect(answer).toMatchObject({
      status: 200,
      type: 'application/health+json; charset=utf-8',
      body: {
        status: 'warn',
        description: 'Ready, with warnings',
        checks: {
          'db:responseTime': [{ componentId: 'db', componentType: 'component', status: 'warn', observedUnit: 'ms', output: 'It warnes' }], // prettier-ignore
          'cache:connections': [{ status: 'pass', observedValue: 0 }],
        },
      },
    })
    expect((await ask(healthHandler(registry, { format: 'ietf' }), '/')).body).toEqual({
      status: 'warn',
      description: 'Ready, with warnings',
    })
  })

  it('tells what keeps data from what is asked for something', async () => {
    const registry = new PoolRegistry()
    for (const kind of ['postgres', 'mysql', 'mongodb', 'redis', 'http', 'grpc']) {
      registry.register(new Scripted(`the ${kind}`, kind))
    }
    const { body } = toHealthJson(await new HealthMonitor(registry).check(), { details: true })
    const checks = body['checks'] as Readonly<Record<string, readonly [{ readonly componentType: string }]>>
    const typeOf = (kind: string): unknown => checks[`the ${kind}:connections`]?.[0].componentType
    expect(['postgres', 'mysql', 'mongodb', 'redis'].map(typeOf)).toEqual(Array(4).fill('datastore'))
    expect(['http', 'grpc'].map(typeOf)).toEqual(['component', 'component'])
    await registry.close()
  })

  it('never shows what a driver says: no address, no error text, no secret', async () => {
    const factory = new FakeFactory()
    factory.onCreate = () => {
      throw new FakeError('auth', 'password "hunter2" refused by db.internal:5432')
    }
    const registry = new PoolRegistry()
    const pool = registry.register(new Pool(factory, { name: 'db' }), { required: true })
    const handler = healthHandler(registry, { details: true, cacheMillis: 0 })
    for (const accept of ['application/json', 'application/health+json']) {
      const { status, body } = await ask(handler, '/ready?details', { headers: { accept } })
      expect(status).toBe(503)
      expect(JSON.stringify(body)).not.toMatch(/hunter2|internal|5432|FakeError/)
    }
    await pool.close()
  })

  it('has formats that can be used by themselves', async () => {
    const { monitor, required } = scripted()
    Object.assign(required, { stats: () => ({ used: 1, max: Infinity, waiting: 0 }) })
    const report = await monitor.check()
    const { statusCode, body } = toSimple(report, { details: true })
    expect(statusCode).toBe(200)
    expect(body).toMatchObject({ healthy: true, status: 'pass', pools: [{ name: 'db', used: 1 }, { name: 'cache' }] })
    expect(JSON.stringify(body)).not.toContain('null')
    expect(toHealthJson({ ...report, status: 'fail' }).statusCode).toBe(503)
  })
})

describe('adapters', () => {
  it('node: answers, and passes a failure on', async () => {
    const { registry } = scripted()
    const errors: unknown[] = []
    const broken = toNodeHandler(() => Promise.reject(new Error('broken')))
    const server = createServer((request, response) => {
      if (request.url === '/broken') broken(request, response)
      else if (request.url === '/next') broken(request, response, (error) => (errors.push(error), response.end('next')))
      else toNodeHandler(healthHandler(registry))(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await (await fetch(`${base}/ready?x=1`)).json()).toEqual({ healthy: true, message: 'Ready' })
    expect((await fetch(`${base}/broken`)).status).toBe(500)
    expect(await (await fetch(`${base}/next`)).text()).toBe('next')
    expect(errors).toHaveLength(1)
    await new Promise((resolve) => server.close(resolve))
  })

  it('koa: sets status, headers and body', async () => {
    const { registry } = scripted()
    const headers: Record<string, string> = {}
    const context = { req: { url: '/live', headers: { ':path': '/live', accept: ['a', 'b'] } }, status: 404, body: undefined as unknown, set: (name: string, value: string) => void (headers[name] = value) } // prettier-ignore
    await toKoa(healthHandler(registry))(context)
    expect(context).toMatchObject({ status: 200, body: '{"healthy":true,"message":"Alive"}' })
    expect(headers['cache-control']).toBe('no-store')
  })

  it('terminus: up, degraded, down', async () => {
    const { registry, required, optional, clock } = scripted()
    const indicator = terminusIndicator(registry, { clock, cacheMillis: 0, failuresToFail: 1, key: 'db pools' })
    expect(await indicator()).toEqual({ 'db pools': { status: 'up', message: 'Ready' } })
    optional.status = 'fail'
    expect(await indicator()).toMatchObject({ 'db pools': { status: 'degraded' } })
    required.status = 'fail'
    expect(await indicator()).toMatchObject({ 'db pools': { status: 'down' } })
  })

  it('grpc: follows readiness until it is ended', async () => {
    const { registry, required, clock } = scripted()
    const statuses: Record<string, string> = {}
    const end = await followGrpcHealth(
      registry,
      { setStatus: (service, status) => void (statuses[service] = status) },
      { clock, services: ['', 'shop.Orders'], failuresToFail: 1, everyMillis: 1_000 },
    )
    expect(statuses).toEqual({ '': 'SERVING', 'shop.Orders': 'SERVING' })
    required.status = 'fail'
    await clock.advance(1_000)
    expect(statuses).toEqual({ '': 'NOT_SERVING', 'shop.Orders': 'NOT_SERVING' })
    end()
    required.status = 'pass'
    await clock.advance(10_000)
    expect(statuses['']).toBe('NOT_SERVING')
    expect(clock.pendingTimers).toBe(0)
  })
})
