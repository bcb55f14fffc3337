import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import * as api from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type Pg from 'pg'
import * as undici from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Pool, PoolGroup, PoolRegistry } from 'millpond'
import { httpPool } from 'millpond/http'
import { durationProducer, instrument } from 'millpond/opentelemetry'
import { pgPool } from 'millpond/pg'
import { FakeFactory } from 'millpond/testing'
import { describePostgres, startServer } from '../support/pg.ts'

/** A provider that keeps what it collects, and what it has collected. */
function provider(metricProducers: MetricProducer[] = []) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000, metricProducers })
  const meterProvider = new MeterProvider({ readers: [reader] })
  return {
    meterProvider,
    /** Every metric by its name, each with the scope that it is of. */
    async collect(): Promise<Map<string, MetricData & { scope: string }>> {
      const { resourceMetrics, errors } = await reader.collect()
      expect(errors).toEqual([])
      return new Map(
        resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
          metrics.map((metric) => [metric.descriptor.name, { ...metric, scope: scope.name }]),
        ),
      )
    },
    shutdown: () => meterProvider.shutdown(),
  }
}

/** The values of a metric by the text of these attributes. */
function values(metric: MetricData | undefined, ...names: string[]): Record<string, number> {
  if (metric === undefined || metric.dataPointType === DataPointType.HISTOGRAM) return {}
  return Object.fromEntries(
    metric.dataPoints.map(({ attributes, value }) => [
      names.map((name) => String(attributes[name])).join(' '),
      value as number,
    ]),
  )
}

const POOL = 'db.client.connection.pool.name'
const STATE = 'db.client.connection.state'
const database = (name: string, max: number): Pool<unknown> =>
  new Pool(Object.assign(new FakeFactory(), { kind: 'postgres' as never }), { name, max })

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  api.metrics.disable()
})

describe('metrics of OpenTelemetry', () => {
  it('are those of the convention, and right with two pools of one driver', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const registry = new PoolRegistry()
    const first = registry.register(database('first', 3))
    ends.push(instrument(registry, { meterProvider }))
    const second = registry.register(database('second', 5))
    const leases = [await first.acquire(), await first.acquire(), await first.acquire(), await second.acquire()]
    await first.acquire({ timeoutMillis: 0 }).catch(() => undefined)
    leases.pop()?.release()
    let collected = await collect()
    expect(values(collected.get('db.client.connection.count'), POOL, STATE)).toEqual({
      'first idle': 0,
      'first used': 3,
      'second idle': 1,
      'second used': 0,
    })
    expect(values(collected.get('db.client.connection.max'), POOL)).toEqual({ first: 3, second: 5 })
    expect(values(collected.get('db.client.connection.idle.max'), POOL)).toEqual({ first: 3, second: 5 })
    expect(values(collected.get('db.client.connection.idle.min'), POOL)).toEqual({ first: 0, second: 0 })
    expect(values(collected.get('db.client.connection.timeouts'), POOL)).toEqual({ first: 1, second: 0 })
    expect(values(collected.get('db.client.connection.pending_requests'), POOL)).toEqual({ first: 0, second: 0 })
    for (const lease of leases) lease.release()
    collected = await collect()
    expect(values(collected.get('db.client.connection.count'), POOL, STATE)).toMatchObject({ 'first idle': 3, 'first used': 0 }) // prettier-ignore
    expect(collected.get('db.client.connection.count')?.descriptor).toMatchObject({ unit: '{connection}', type: 'OBSERVABLE_UP_DOWN_COUNTER' }) // prettier-ignore
    // What the convention has no name for has one of ours; what it has, none.
    expect(values(collected.get('millpond.acquires'), 'pool', 'outcome')).toMatchObject({ 'first acquired': 3, 'first timeout': 1 }) // prettier-ignore
    expect(values(collected.get('millpond.connections_max'), 'pool')).toEqual({})
    expect(new Set(Array.from(collected.values(), ({ scope }) => scope))).toEqual(new Set(['millpond']))
    await Promise.all([first.close(), second.close()])
    // The SDK remembers what is gone: it must not remember a pool that is still full.
    expect(values((await collect()).get('db.client.connection.max'), POOL)).toEqual({ first: 0, second: 0 })
    expect(values((await collect()).get('db.client.connection.count'), POOL, STATE)).toMatchObject({ 'first idle': 0 })
  })

  it('have names of our own for what the convention has none for', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const registry = new PoolRegistry()
    ends.push(instrument(registry, { meterProvider }))
    const factory = Object.assign(new FakeFactory(), { kind: 'postgres' as never })
    const pool = registry.register(new Pool(factory, { name: 'shop', max: 1, leakThresholdMillis: 20 }))
    pool.on('leak', () => undefined)
    const forgotten = await pool.acquire({ label: 'forgotten' })
    const waiting = pool.acquire()
    await expect.poll(() => pool.stats().leaks, { timeout: 20_000 }).toBe(1)
    let collected = await collect()
    expect(values(collected.get('millpond.leaks'), 'pool', 'kind')).toEqual({ 'shop postgres': 1 })
    expect(values(collected.get('millpond.oldest_waiter'), 'pool')['shop']).toBeGreaterThan(0.019)
    expect(collected.get('millpond.oldest_waiter')?.descriptor.unit).toBe('s')
    expect(values(collected.get('millpond.leases'), 'pool')).toEqual({ shop: 1 })
    forgotten.destroy('left open')
    ;(await waiting).release()
    pool.invalidate()
    await expect.poll(() => pool.stats().destroyed.stale).toBe(1)
    collected = await collect()
    const closed = collected.get('millpond.connections_destroyed')
    expect(closed?.descriptor).toMatchObject({ unit: '{connection}', type: 'OBSERVABLE_COUNTER' })
    const reasons = values(closed, 'reason')
    expect(Object.keys(reasons).sort()).toEqual(Object.keys(pool.stats().destroyed).sort())
    expect(reasons).toMatchObject({ released: 1, stale: 1, idle: 0 })
    expect(values(collected.get('millpond.oldest_waiter'), 'pool')).toEqual({ shop: 0 })
    await pool.close()
  })

  it('have histograms with the advised boundaries, which count every lease once', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const registry = new PoolRegistry()
    const pool = registry.register(database('shop', 1))
    ends.push(instrument(registry, { meterProvider }))
    const histogram = async (name: string) => {
      const metric = (await collect()).get(`db.client.connection.${name}`)
      if (metric?.dataPointType !== DataPointType.HISTOGRAM) throw new Error(`${name} must be a histogram`)
      return { ...metric.dataPoints[0]?.value, unit: metric.descriptor.unit }
    }
    for (let index = 0; index < 500; index++) (await pool.acquire()).release()
    const held = await pool.acquire()
    const waiting = pool.acquire()
    await new Promise((resolve) => setTimeout(resolve, 60))
    held.release()
    ;(await waiting).release()
    const wait = await histogram('wait_time')
    expect(wait.count).toBe(502)
    expect(wait.unit).toBe('s')
    expect(wait.buckets?.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
    const { sum } = pool.stats().wait.count === 502 ? { sum: (pool.stats().wait.mean * 502) / 1_000 } : { sum: 0 }
    expect(wait.sum).toBeGreaterThan(sum * 0.9)
    expect(wait.sum).toBeLessThan(sum * 1.1 + 0.001)
    expect((await histogram('use_time')).count).toBe(502)
    expect((await histogram('create_time')).count).toBe(1)
    expect((await histogram('wait_time')).count).toBe(502)
    await pool.close()
  })

  it('have the same histograms from a producer, exactly, at no cost for a lease', async () => {
    const registry = new PoolRegistry()
    const { meterProvider, collect, shutdown } = provider([durationProducer(registry)])
    ends.push(shutdown)
    const pool = registry.register(database('shop', 1))
    const rpc = registry.register(new Pool(Object.assign(new FakeFactory(), { kind: 'grpc' as never }), { name: 'rpc' })) // prettier-ignore
    ends.push(instrument(registry, { meterProvider, durations: false }))
    for (let index = 0; index < 500; index++) (await pool.acquire()).release()
    const held = await pool.acquire()
    const waiting = pool.acquire()
    await new Promise((resolve) => setTimeout(resolve, 60))
    held.release()
    ;(await waiting).release()
    ;(await rpc.acquire()).release()
    const collected = await collect()
    const names = ['db.client.connection.wait_time', 'db.client.connection.use_time', 'db.client.connection.create_time', 'millpond.acquire_wait'] // prettier-ignore
    const points = names.map((name) => {
      const metric = collected.get(name)
      if (metric?.dataPointType !== DataPointType.HISTOGRAM) throw new Error(`${name} must be a histogram`)
      expect([metric.scope, metric.descriptor.unit]).toEqual(['millpond', 's'])
      return metric.dataPoints[0]
    })
    expect(points.map((point) => point?.value.count)).toEqual([502, 502, 1, 1])
    const [wait, use] = points
    expect(wait?.attributes).toEqual({ [POOL]: 'shop' })
    expect(points[3]?.attributes).toEqual({ pool: 'rpc', kind: 'grpc' })
    expect(wait?.value.buckets.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])
    for (const point of points)
      expect(point?.value.buckets.counts.reduce((sum, count) => sum + count, 0)).toBe(point?.value.count)
    const { mean, count } = pool.stats().use
    expect(use?.value.sum).toBeCloseTo((mean * count) / 1_000, 9)
    await Promise.all([pool.close(), rpc.close()])
  })

  it('come to an SDK that is registered late, and to the one that replaces it', async () => {
    const registry = new PoolRegistry()
    const pool = registry.register(database('early', 1))
    ends.push(instrument(registry, { api }))
    ;(await pool.acquire()).release()
    const late = provider()
    ends.push(late.shutdown)
    api.metrics.setGlobalMeterProvider(late.meterProvider)
    // The next pool, or a second at most.
    const another = registry.register(database('another', 1))
    expect(values((await late.collect()).get('db.client.connection.max'), POOL)).toEqual({ early: 1, another: 1 })
    api.metrics.disable()
    const replacing = provider()
    ends.push(replacing.shutdown)
    api.metrics.setGlobalMeterProvider(replacing.meterProvider)
    await expect
      .poll(async () => values((await replacing.collect()).get('db.client.connection.max'), POOL), { timeout: 10_000 })
      .toEqual({ early: 1, another: 1 })
    pool.resize({ max: 7 })
    expect(values((await late.collect()).get('db.client.connection.max'), POOL)).toMatchObject({ early: 1 })
    expect(values((await replacing.collect()).get('db.client.connection.max'), POOL)).toMatchObject({ early: 7 })
    await Promise.all([pool.close(), another.close()])
  })

  it('of HTTP are told by origin, and of other kinds under names of our own', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const registry = new PoolRegistry()
    ends.push(instrument(registry, { meterProvider }))
    const http = registry.register(
      new PoolGroup({ name: 'api' }, (origin: string) => new Pool(Object.assign(new FakeFactory(), { kind: 'http' as never }), { name: origin, max: 4 })), // prettier-ignore
    )
    const grpc = registry.register(new Pool(Object.assign(new FakeFactory(), { kind: 'grpc' as never }), { name: 'rpc', max: 2 })) // prettier-ignore
    const lease = await http.get('https://a.example').acquire()
    ;(await http.get('http://b.example:8080').acquire()).release()
    ;(await grpc.acquire()).release()
    const collected = await collect()
    expect(values(collected.get('http.client.open_connections'), 'server.address', 'server.port', 'http.connection.state')).toEqual({
      'a.example 443 active': 1,
      'a.example 443 idle': 0,
      'b.example 8080 active': 0,
      'b.example 8080 idle': 1,
    }) // prettier-ignore
    expect(values(collected.get('http.client.active_requests'), 'server.address')).toEqual({ 'a.example': 1, 'b.example': 0 }) // prettier-ignore
    expect(values(collected.get('millpond.connections_max'), 'kind')).toMatchObject({ grpc: 2 })
    expect(values(collected.get('millpond.connections'), 'kind', 'state')).toMatchObject({ 'grpc idle': 1, 'grpc used': 0 }) // prettier-ignore
    expect(values(collected.get('millpond.up'), 'pool', 'kind')).toEqual({ 'api http': 1, 'rpc grpc': 1 })
    expect(collected.get('http.client.connection.duration')?.dataPoints ?? []).toEqual([])
    http.get('http://b.example:8080').invalidate()
    await expect
      .poll(
        async () => {
          const metric = (await collect()).get('http.client.connection.duration')
          if (metric?.dataPointType !== DataPointType.HISTOGRAM) return []
          expect(metric.descriptor.unit).toBe('s')
          return metric.dataPoints.map(({ attributes, value }) => [attributes['server.address'], attributes['server.port'], value.count]) // prettier-ignore
        },
        { timeout: 10_000 },
      )
      .toEqual([['b.example', 8080, 1]])
    expect(collected.get('db.client.connection.count')?.dataPoints ?? []).toEqual([])
    lease.release()
    await Promise.all([http.close(), grpc.close()])
  })

  it('of the adapter for HTTP are told by origin as well', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const server = createServer((_, response) => response.end('ok'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const port = (server.address() as AddressInfo).port
    ends.push(() => new Promise((resolve) => server.close(resolve)))
    const registry = new PoolRegistry()
    const pool = registry.register(httpPool(undici, { name: 'prices', origin: `http://127.0.0.1:${port}`, max: 3 }))
    ends.push(instrument(registry, { meterProvider }))
    await (await pool.request('/')).body.dump()
    await expect.poll(() => pool.stats().idle).toBe(1)
    const origin = { 'server.address': '127.0.0.1', 'server.port': port }
    const collected = await collect()
    expect(values(collected.get('http.client.open_connections'), 'server.port', 'http.connection.state')).toEqual({
      [`${port} idle`]: 1,
      [`${port} active`]: 0,
    })
    const waits = collected.get('millpond.acquire_wait')
    expect(waits?.dataPointType === DataPointType.HISTOGRAM && waits.dataPoints[0]?.value.count).toBe(1)
    await pool.close()
    const ended = (await collect()).get('http.client.connection.duration')
    expect(ended?.dataPoints[0]?.attributes).toMatchObject(origin)
  })

  it('stop when that is asked for', async () => {
    const { meterProvider, collect, shutdown } = provider()
    ends.push(shutdown)
    const registry = new PoolRegistry()
    const pool = registry.register(database('shop', 1))
    const end = instrument(registry, { meterProvider })
    expect((await collect()).size).toBeGreaterThan(0)
    end()
    pool.resize({ max: 7 })
    expect(values((await collect()).get('db.client.connection.max'), POOL)).toEqual({ shop: 1 })
    await pool.close()
  })

  it('reach a collector over OTLP', async () => {
    const bodies: unknown[] = []
    const receiver: Server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        bodies.push(JSON.parse(Buffer.concat(chunks).toString()))
        response.setHeader('content-type', 'application/json').end('{}')
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    ends.push(() => new Promise((resolve) => receiver.close(resolve)))
    const exporter = new OTLPMetricExporter({ url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/v1/metrics` }) // prettier-ignore
    const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })] }) // prettier-ignore
    const registry = new PoolRegistry()
    const pool = registry.register(database('exported', 2))
    ends.push(instrument(registry, { meterProvider }))
    ;(await pool.acquire()).release()
    await meterProvider.forceFlush()
    await meterProvider.shutdown()
    const text = JSON.stringify(bodies)
    expect(text).toContain('"name":"db.client.connection.count"')
    expect(text).toContain('"name":"db.client.connection.use_time"')
    expect(text).toContain('{"stringValue":"exported"}')
    await pool.close()
  })

  it('need somewhere to go', () => {
    expect(() => instrument(new PoolRegistry(), {})).toThrow('Expected `meterProvider` or `api`')
    expect(() => instrument(new PoolRegistry(), { api, longWaitMillis: -1 })).toThrow('longWaitMillis')
    expect(() => instrument(new PoolRegistry(), { api, traces: 'all' as never })).toThrow('traces')
  })
})

describe('traces of OpenTelemetry', () => {
  const spans = new InMemorySpanExporter()
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  beforeAll(() => {
    tracerProvider.register()
  })
  afterAll(async () => {
    await tracerProvider.shutdown()
    api.trace.disable()
    api.context.disable()
  })

  /** Two callers in spans of their own, one of which waits for the other. */
  async function wait(traces: 'event' | 'span' | 'off', longWaitMillis: number): Promise<void> {
    spans.reset()
    const registry = new PoolRegistry()
    const pool = registry.register(database('shop', 1))
    const end = instrument(registry, { api, traces, longWaitMillis })
    const tracer = api.trace.getTracer('test')
    const inSpan = (name: string, work: () => Promise<unknown>): Promise<unknown> =>
      tracer.startActiveSpan(name, async (span) => {
        await work()
        span.end()
      })
    await Promise.all([
      inSpan('holds', () => pool.use(() => new Promise((resolve) => setTimeout(resolve, 50)), { label: 'first' })),
      inSpan('waits', () => pool.use(() => undefined, { label: 'second' })),
    ])
    end()
    await pool.close()
  }
  const named = (name: string) => spans.getFinishedSpans().find((span) => span.name === name)

  it('show a long wait as an event of the span of whoever waited', async () => {
    await wait('event', 20)
    expect(named('waits')?.events).toMatchObject([
      { name: 'millpond.acquire', attributes: { 'millpond.pool.name': 'shop', 'millpond.label': 'second', 'millpond.acquired': true } },
    ]) // prettier-ignore
    expect(named('millpond.acquire')).toBeUndefined()
  })

  it('show it as a span below that, where asked', async () => {
    await wait('span', 20)
    const span = named('millpond.acquire')
    expect(span?.parentSpanContext?.spanId).toBe(named('waits')?.spanContext().spanId)
    expect((span?.duration[1] ?? 0) / 1e6 + (span?.duration[0] ?? 0) * 1_000).toBeGreaterThan(20)
    expect(named('waits')?.events).toEqual([])
  })

  it.each([
    ['off', 0],
    ['event', 60_000],
  ] as const)('show nothing with %s and a threshold of %i ms', async (traces, longWaitMillis) => {
    await wait(traces, longWaitMillis)
    expect(spans.getFinishedSpans().flatMap(({ events }) => events)).toEqual([])
    expect(spans.getFinishedSpans()).toHaveLength(2)
  })
})

describePostgres('beside instrumentation-pg', () => {
  it('no metric is told twice, and the spans of queries stay', async () => {
    const { server, stop } = await startServer()
    const { meterProvider, collect, shutdown } = provider()
    const spans = new InMemorySpanExporter()
    const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
    const instrumentation = new PgInstrumentation()
    instrumentation.setTracerProvider(tracerProvider)
    instrumentation.setMeterProvider(meterProvider)
    instrumentation.enable()
    const pg = createRequire(import.meta.url)('pg') as typeof Pg
    const registry = new PoolRegistry()
    const pools = ['one', 'two'].map((name) => registry.register(pgPool(pg, { ...server.config, name, max: 2 })))
    const end = instrument(registry, { meterProvider })
    for (const pool of pools) await pool.query('SELECT 1')
    const client = await pools[0]?.connect()
    await client?.query('SELECT 2')
    const collected = await collect()
    expect(collected.get('db.client.connection.count')?.scope).toBe('millpond')
    expect(values(collected.get('db.client.connection.count'), POOL, STATE)).toEqual({
      'one idle': 0,
      'one used': 1,
      'two idle': 1,
      'two used': 0,
    })
    const { resourceMetrics } = { resourceMetrics: collected }
    expect(Array.from(resourceMetrics.values()).filter(({ scope }) => scope !== 'millpond').map(({ descriptor }) => descriptor.name)).toEqual(['db.client.operation.duration']) // prettier-ignore
    expect(spans.getFinishedSpans().filter(({ name }) => name.startsWith('pg.query'))).toHaveLength(3)
    client?.release()
    end()
    await Promise.all(pools.map((pool) => pool.end()))
    instrumentation.disable()
    await shutdown()
    await tracerProvider.shutdown()
    await stop()
  })
})
