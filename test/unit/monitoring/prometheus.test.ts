import { Registry } from 'prom-client'
import * as promClient from 'prom-client'
import { describe, expect, it } from 'vitest'
import { Pool, PoolRegistry, type ManagedPool } from 'millpond'
import {
  alertRules,
  alertRulesYaml,
  grafanaDashboard,
  metricsHandler,
  PROMETHEUS_CONTENT_TYPE,
  prometheusCollector,
  renderPrometheus,
} from 'millpond/prometheus'
import { FakeFactory } from 'millpond/testing'
import { parse } from 'yaml'
import { collect } from '../../../src/monitoring/metrics/collect.ts'
import { setUp } from '../../support/harness.ts'

/** The value of one series, by its full name with labels. */
const valueOf = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

async function used(options: Parameters<typeof setUp>[0] = {}) {
  const harness = setUp({ name: 'shop', max: 2, ...options })
  const { pool, clock, take, ask } = harness
  const leases = await take(2)
  const waiting = ask({ timeoutMillis: 40 })
  await clock.advance(30)
  leases[0]?.release()
  await clock.settle()
  waiting.lease?.release()
  await pool.acquire({ timeoutMillis: 0, label: 'one' }).then((lease) => lease.release())
  return { ...harness, leases }
}

/** A pool that is only looked at, of a kind and with statistics of one's own. */
function pretend(pool: ManagedPool, kind: string, more: object = {}): ManagedPool {
  return {
    name: kind,
    kind,
    state: pool.state,
    stats: () => ({ ...pool.stats(), name: kind, kind, ...more }),
    health: () => pool.health(),
    close: () => pool.close(),
    on: () => undefined,
  }
}

describe('renderPrometheus', () => {
  it('tells of states, outcomes, reasons and durations what the statistics say', async () => {
    const { pool } = await used()
    const text = renderPrometheus([pool])
    const series = (name: string, more = ''): number | undefined =>
      valueOf(text, `millpond_${name}{pool="shop",kind="fake"${more}}`)
    expect(series('up')).toBe(1)
    expect(series('connections', ',state="idle"')).toBe(1)
    expect(series('connections', ',state="used"')).toBe(1)
    expect(series('connections_max')).toBe(2)
    expect(series('acquires_total', ',outcome="acquired"')).toBe(4)
    expect(series('acquires_waited_total')).toBe(3)
    expect(series('connections_created_total')).toBe(2)
    expect(series('connections_destroyed_total', ',reason="idle"')).toBe(0)
    expect(series('acquire_wait_seconds_count')).toBe(4)
    expect(series('acquire_wait_seconds_bucket', ',le="0.001"')).toBe(3)
    expect(series('acquire_wait_seconds_bucket', ',le="0.05"')).toBe(4)
    expect(series('acquire_wait_seconds_bucket', ',le="+Inf"')).toBe(4)
    expect(series('acquire_wait_seconds_sum')).toBeCloseTo(0.03, 2)
    expect(series('connection_use_seconds_count')).toBe(3)
  })

  it('exports no max of an unlimited pool, and no bucket that it does not know', () => {
    const { pool } = setUp()
    const text = renderPrometheus([pretend(pool, 'unlimited', { max: Infinity, utilization: 0 })])
    expect(text).not.toContain('connections_max')
    expect(text).not.toMatch(/connections.*Inf/)
    expect(text.match(/_bucket\{[^}]*\} /g)).toHaveLength(3)
  })

  it('names what OpenTelemetry has a name for by that, for databases only, and nothing twice', async () => {
    const { pool } = await used()
    const pools = [pretend(pool, 'postgres'), pretend(pool, 'grpc')]
    const text = renderPrometheus(pools, { naming: 'otel' })
    const db = '{db_client_connection_pool_name="postgres"'
    expect(valueOf(text, `db_client_connection_count${db},db_client_connection_state="used"}`)).toBe(1)
    expect(valueOf(text, `db_client_connection_max${db}}`)).toBe(2)
    expect(valueOf(text, `db_client_connection_idle_min${db}}`)).toBe(0)
    // How many are kept idle, a pool that shows no options does not tell.
    expect(text).not.toContain('db_client_connection_idle_max{')
    const limited = new Pool(new FakeFactory(), { name: 'postgres', max: 9, min: 1, minIdle: 2, maxIdle: 5 })
    const shown = renderPrometheus([{ ...pretend(limited, 'postgres'), core: limited }], { naming: 'otel' })
    expect(valueOf(shown, `db_client_connection_idle_min${db}}`)).toBe(2)
    expect(valueOf(shown, `db_client_connection_idle_max${db}}`)).toBe(5)
    expect(valueOf(text, `db_client_connection_timeouts_total${db}}`)).toBe(0)
    expect(valueOf(text, `db_client_connection_wait_time_seconds_count${db}}`)).toBe(4)
    expect(text).toContain('millpond_connections_max{pool="grpc"')
    expect(text).not.toContain('millpond_connections_max{pool="postgres"')
    expect(text).toContain('millpond_connections_destroyed_total{pool="postgres"')
    const names = text.match(/# TYPE \S+/g) ?? []
    expect(new Set(names).size).toBe(names.length)
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.replace(/ \S+$/, '')) // prettier-ignore
    expect(new Set(series).size).toBe(series.length)
  })

  it('escapes labels, adds those it is given, and takes another prefix', () => {
    const { pool } = setUp({ name: 'a "b"\\\nc' })
    const text = renderPrometheus([pool], { prefix: 'pool_', labels: { region: 'eu' } })
    expect(text).toContain('pool_up{region="eu",pool="a \\"b\\"\\\\\\nc",kind="fake"} 1\n')
    expect(text).not.toContain('millpond_')
  })

  it.each([
    [{ prefix: 'mill-pond' }, '`prefix`'],
    [{ labels: { 'a-b': 'c' } }, '`labels`'],
    [{ buckets: [1, 0.5] }, '`buckets`'],
    [{ naming: 'hikari' as never }, '`naming`'],
  ])('refuses %j', (options, message) => {
    expect(() => renderPrometheus([], options)).toThrow(message)
    expect(() => metricsHandler([], options)).toThrow(message)
    expect(() => prometheusCollector({ register: new Registry() }, [], options)).toThrow(message)
  })

  it('answers requests', async () => {
    const { pool } = setUp({ name: 'shop' })
    const registry = new PoolRegistry()
    registry.register(pool)
    const handle = metricsHandler(registry)
    const answer = handle(new Request('http://localhost/metrics'))
    expect(answer.headers.get('content-type')).toBe(PROMETHEUS_CONTENT_TYPE)
    expect(await answer.text()).toBe(renderPrometheus(registry))
    expect(handle(new Request('http://localhost/metrics', { method: 'POST' })).status).toBe(405)
    expect(await handle(new Request('http://localhost/metrics', { method: 'HEAD' })).text()).toBe('')
  })
})

describe('prometheusCollector', () => {
  it('gives a prom-client registry the same series as the renderer, of the pools there are now', async () => {
    const { pool, clock } = await used()
    const register = new Registry()
    const registry = new PoolRegistry()
    const remove = prometheusCollector(promClient, registry, { register })
    registry.register(pool)
    const series = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).sort() // prettier-ignore
    expect(series(await register.metrics())).toEqual(series(renderPrometheus(registry)))
    const closed = pool.close({ waiters: 'reject', timeoutMillis: 1 })
    await clock.advance(5_000)
    await closed
    expect(series(await register.metrics())).toEqual([])
    remove()
    expect(register.getMetricsAsArray()).toEqual([])
    prometheusCollector(promClient, registry, { register })
    expect(() => prometheusCollector(promClient, registry, { register })).toThrow('already been registered')
  })

  it('speaks OpenMetrics, and adds up over the workers of a cluster', async () => {
    const { pool } = await used()
    const register = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    prometheusCollector({ register }, [pool])
    const text = await register.metrics()
    expect(text).toContain('# TYPE millpond_acquires counter')
    expect(text).toContain('millpond_acquires_total{pool="shop",kind="fake",outcome="acquired"} 4')
    expect(text.endsWith('# EOF\n')).toBe(true)
    const plain = new Registry()
    prometheusCollector({ register: plain }, [pool])
    const worker = await plain.getMetricsAsJSON()
    const total = await promClient.AggregatorRegistry.aggregate([worker, worker]).metrics()
    expect(total).toContain('millpond_acquires_total{pool="shop",kind="fake",outcome="acquired"} 8')
    expect(total).toContain('millpond_up{pool="shop",kind="fake"} 1')
    expect(total).toContain('millpond_acquire_wait_seconds_count{pool="shop",kind="fake"} 8')
  })
})

describe('alert rules and dashboard', () => {
  const known = (naming: 'native' | 'otel'): Set<string> =>
    new Set(
      collect([pretend(new Pool(new FakeFactory(), { name: 'any' }), 'postgres')], { naming }).flatMap(
        ({ name, type }) =>
          type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
      ),
    )
  const metricsIn = (text: string): string[] => text.match(/(?:millpond|db_client_connection(?!_(?:state|pool_name)))_\w+/g) ?? [] // prettier-ignore

  it.each(['native', 'otel'] as const)('ask only for series that the exporter has, in the %s names', (naming) => {
    const asked = [
      ...alertRules({ naming }).flatMap(({ expr }) => metricsIn(expr)),
      ...metricsIn(JSON.stringify(grafanaDashboard({ naming }))),
    ]
    expect(asked.length).toBeGreaterThan(30)
    expect(asked.filter((name) => !known(naming).has(name))).toEqual([])
    expect(asked.some((name) => name.startsWith('db_'))).toBe(naming === 'otel')
    expect(JSON.stringify(grafanaDashboard({ prefix: 'x_', naming }))).not.toContain('millpond_')
    expect(alertRulesYaml({ prefix: 'x_', naming })).not.toContain('millpond_')
    expect(() => alertRules({ naming: 'hikari' as never })).toThrow('`naming`')
  })

  it('are YAML that says the same as the rules', () => {
    const { groups } = parse(alertRulesYaml()) as { groups: { rules: unknown[] }[] }
    expect(groups[0]?.rules).toEqual(alertRules())
  })

  it('place their panels beside each other and give each an id of its own', () => {
    const { panels } = grafanaDashboard() as { panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[] } // prettier-ignore
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const a of panels) {
      expect(a.gridPos.x + a.gridPos.w).toBeLessThanOrEqual(24)
      for (const b of panels) {
        if (a === b) continue
        const apart =
          a.gridPos.x + a.gridPos.w <= b.gridPos.x ||
          b.gridPos.x + b.gridPos.w <= a.gridPos.x ||
          a.gridPos.y + a.gridPos.h <= b.gridPos.y ||
          b.gridPos.y + b.gridPos.h <= a.gridPos.y
        expect(apart).toBe(true)
      }
    }
  })
})
