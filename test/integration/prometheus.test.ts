import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promtool, startPrometheus, tryStart, waitFor, type PrometheusServer } from '@millpond/rig'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { toNodeHandler } from 'millpond/health'
import { alertRules, alertRulesYaml, grafanaDashboard, metricsHandler, renderPrometheus } from 'millpond/prometheus'
import { FakeFactory } from 'millpond/testing'

const registry = new PoolRegistry()
const pool = registry.register(new Pool(new FakeFactory(), { name: 'shop', max: 2 }))
const http: Server = createServer(toNodeHandler(metricsHandler(registry)))
let release = (): void => undefined

// Asked before the tests are collected, so that they are skipped loudly where it is not installed.
await new Promise<void>((resolve) => {
  http.listen(0, '127.0.0.1', resolve)
})
const target = `127.0.0.1:${(http.address() as AddressInfo).port}`
const prometheus = await tryStart('Prometheus', () => startPrometheus({ target, rules: alertRulesYaml() }))
const server = prometheus as PrometheusServer

describe.skipIf(prometheus === undefined)('Prometheus', () => {
  beforeAll(async () => {
    const leases = await Promise.all([pool.acquire(), pool.acquire()])
    const waiting = pool.acquire({ timeoutMillis: 120_000 })
    void waiting.then((lease) => lease.release()).catch(() => undefined)
    await waitFor(async () => (await server.query('millpond_up')).length > 0, {
      what: 'a first scrape',
      timeoutMillis: 30_000,
    })
    release = () => {
      for (const lease of leases) lease.release()
    }
  })
  afterAll(async () => {
    await prometheus?.stop()
    http.close()
    release()
    await pool.close({ waiters: 'reject' })
  })

  it('scrapes a process, and knows what its pools know', async () => {
    const by = async (expr: string, label: string): Promise<Record<string, number>> =>
      Object.fromEntries((await server.query(expr)).map(({ metric, value }) => [metric[label] ?? '', value]))
    expect(await by('millpond_connections{pool="shop"}', 'state')).toEqual({
      idle: 0,
      used: 2,
      maintaining: 0,
      closing: 0,
      creating: 0,
    })
    expect(await by('millpond_pending_requests', 'pool')).toEqual({ shop: 1 })
    expect(await by('up', 'job')).toEqual({ app: 1 })
    expect((await server.query('millpond_oldest_waiter_seconds'))[0]?.value).toBeGreaterThan(0)
    expect(
      (await server.query('histogram_quantile(0.5, millpond_acquire_wait_seconds_bucket)'))[0]?.value,
    ).toBeLessThan(1)
    const { activeTargets } = (await server.ask('targets')) as {
      activeTargets: { health: string; lastError: string }[]
    }
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }])
  })

  it('has evaluated every rule, and sees the exhausted pool', async () => {
    interface Rule {
      name: string
      health: string
      state: string
    }
    const rules = async (): Promise<Rule[]> =>
      ((await server.ask('rules')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules)
    const evaluated = await waitFor(
      async () => {
        const all = await rules()
        const exhausted = all.find(({ name }) => name === 'MillpondPoolExhausted')
        return all.every(({ health }) => health === 'ok') && exhausted?.state === 'pending' && all
      },
      { what: 'every rule is evaluated', timeoutMillis: 30_000 },
    )
    expect(evaluated.map(({ name }) => name)).toEqual(alertRules().map(({ alert }) => alert))
    expect(evaluated.filter(({ state }) => state === 'pending').map(({ name }) => name)).toContain(
      'MillpondHighUtilization',
    )
  })

  it('understands every query of the dashboard', async () => {
    const { panels } = grafanaDashboard() as { panels: { title: string; targets?: { expr: string }[] }[] }
    const withoutAnswer = async (): Promise<string[]> => {
      const empty: string[] = []
      for (const { title, targets = [] } of panels) {
        for (const { expr } of targets) {
          const asked = expr.replace(/\$(job|instance|pool)\b/g, '.*').replaceAll('$__rate_interval', '5m')
          if ((await server.query(asked)).length === 0) empty.push(title)
        }
      }
      return empty
    }
    // Nothing was closed yet; what is a rate needs two scrapes.
    await waitFor(async () => (await withoutAnswer()).join() === 'Closed by reason', {
      what: 'every query has an answer',
      timeoutMillis: 15_000,
      everyMillis: 200,
    })
  })

  it.each(['native', 'otel'] as const)('finds nothing to complain of in the %s names', (naming) => {
    const postgres = { ...pretendPostgres(), on: () => undefined }
    const { ok, output } = promtool(['check', 'metrics'], { input: renderPrometheus([pool, postgres], { naming }) })
    // The convention's own name for how many there are.
    const count = 'db_client_connection_count non-histogram and non-summary metrics should not have "_count" suffix\n'
    expect(output).toBe(naming === 'native' ? '' : count)
    expect(ok).toBe(naming === 'native')
  })

  it('finds nothing to complain of in the rules, which fire when they should', () => {
    const files = { 'rules.yml': alertRulesYaml(), 'bare.yml': bareRules(), 'test.yml': JSON.stringify(RULE_TESTS) }
    const checked = promtool(['check', 'rules', 'rules.yml'], { files })
    expect(checked.output).toContain(`SUCCESS: ${alertRules().length} rules found`)
    const renamed = promtool(['test', 'rules', 'test.yml'], {
      files: { 'bare.yml': bareRules('otel'), 'test.yml': JSON.stringify(OTEL_RULE_TESTS) },
    })
    expect(renamed.output).toContain('SUCCESS')
    expect(renamed.ok).toBe(true)
    const tested = promtool(['test', 'rules', 'test.yml'], { files })
    expect(tested.output).toContain('SUCCESS')
    expect(tested.ok).toBe(true)
    // Every rule is tested, to fire and to be quiet.
    const fired = new Set(RULE_TESTS.tests.flatMap((test) => test.alert_rule_test).filter(({ exp_alerts }) => exp_alerts.length > 0).map(({ alertname }) => alertname)) // prettier-ignore
    expect([...fired].sort()).toEqual(alertRules().map(({ alert }) => alert).sort()) // prettier-ignore
  })
})

/** The rules without their texts, which this version of promtool would compare word by word. */
function bareRules(naming: 'native' | 'otel' = 'native'): string {
  const rules = alertRules({ naming }).map(({ alert, expr, for: duration, labels }) => ({
    alert,
    expr,
    for: duration,
    labels,
  }))
  return JSON.stringify({ groups: [{ name: 'millpond', rules }] })
}

function pretendPostgres() {
  return {
    name: 'db',
    kind: 'postgres',
    state: pool.state,
    core: pool,
    stats: () => ({ ...pool.stats(), name: 'db', kind: 'postgres' }),
    health: () => pool.health(),
    close: () => pool.close(),
  }
}

/** One series of a pool, with its values minute by minute. */
const series = (name: string, values: string, more = '') => ({
  series: `millpond_${name}{pool="shop",kind="postgres",job="app",instance="a:1"${more}}`,
  values,
})
const quiet = [
  series('up', '1x30'),
  series('connections', '4x30', ',state="used"'),
  series('connections', '6x30', ',state="idle"'),
  series('connections_max', '10x30'),
  series('pending_requests', '0x30'),
  series('oldest_waiter_seconds', '0x30'),
  series('acquires_total', '0+60x30', ',outcome="acquired"'),
  series('acquires_total', '0x30', ',outcome="timeout"'),
  series('acquires_total', '0x30', ',outcome="refused"'),
  series('acquire_wait_seconds_bucket', '0+60x30', ',le="0.25"'),
  series('acquire_wait_seconds_bucket', '0+60x30', ',le="+Inf"'),
  series('connections_created_total', '10+1x30'),
  series('create_errors_total', '0x30'),
  series('leaks_total', '0x30'),
  series('deadlocks_total', '0x30'),
]
/** The quiet series with some of them replaced, and the alerts that must be on after 15 minutes. */
const test = (changed: { series: string; values: string }[], firing: readonly string[], eval_time = '15m') => ({
  interval: '1m',
  input_series: [...quiet.filter(({ series: name }) => !changed.some((each) => each.series === name)), ...changed],
  alert_rule_test: alertRules().map(({ alert, labels }) => ({
    eval_time,
    alertname: alert,
    exp_alerts: firing.includes(alert)
      ? [{ exp_labels: { pool: 'shop', kind: 'postgres', job: 'app', instance: 'a:1', severity: labels.severity } }]
      : [],
  })),
})
const withoutText = (tests: ReturnType<typeof test>[]) =>
  tests.map((each) => ({
    ...each,
    alert_rule_test: each.alert_rule_test.map((rule) => ({
      ...rule,
      exp_alerts: rule.exp_alerts.map(({ exp_labels }) => ({ exp_labels })),
    })),
  }))
const RULE_TESTS = {
  rule_files: ['bare.yml'],
  evaluation_interval: '1m',
  tests: withoutText([
    test([], []),
    test([series('up', '0x30')], ['MillpondPoolDown']),
    test([series('connections', '9x30', ',state="used"')], ['MillpondHighUtilization']),
    // A peak of four minutes is none of its business.
    test([series('connections', '4x11 9x4 4x20', ',state="used"')], []),
    test(
      [series('connections', '10x30', ',state="used"'), series('pending_requests', '3x30'), series('oldest_waiter_seconds', '5x30')],
      ['MillpondHighUtilization', 'MillpondPoolExhausted', 'MillpondOldWaiter'],
    ),
    test([series('acquires_total', '0+1x30', ',outcome="timeout"')], ['MillpondAcquireTimeouts']),
    test([series('acquires_total', '0+1x30', ',outcome="refused"')], ['MillpondCallersRefused']),
    test([series('acquires_total', '0+1x30', ',outcome="failed"')], ['MillpondCallersRefused']),
    test([series('acquires_total', '0+1x30', ',outcome="aborted"'), series('acquires_total', '5x30', ',outcome="failed"')], []),
    test([series('acquire_wait_seconds_bucket', '0+50x30', ',le="0.25"'), series('acquire_wait_seconds_bucket', '0+60x30', ',le="1"')], ['MillpondSlowAcquire']),
    test([series('connections_created_total', '0+60x30')], ['MillpondChurn']),
    test([series('create_errors_total', '0+1x30')], ['MillpondCreateErrors']),
    test([series('leaks_total', '0x10 1x20')], ['MillpondLeak']),
    test([series('deadlocks_total', '0x10 1x20')], ['MillpondDeadlock']),
  ]),
} // prettier-ignore

/** As a database is told of in OpenTelemetry's names, beside a pool that these have no name for. */
const otelSeries = (name: string, values: string, more = '') => ({
  series: `db_client_connection_${name}{db_client_connection_pool_name="shop",job="app",instance="a:1"${more}}`,
  values,
})
const OTEL_RULE_TESTS = {
  rule_files: ['bare.yml'],
  evaluation_interval: '1m',
  tests: [
    {
      interval: '1m',
      input_series: [
        series('up', '1x30'),
        series('connections', '10x30', ',state="used"'),
        otelSeries('max', '10x30'),
        otelSeries('pending_requests', '2x30'),
        otelSeries('wait_time_seconds_bucket', '0+50x30', ',le="0.1"'),
        otelSeries('wait_time_seconds_bucket', '0+60x30', ',le="0.5"'),
        otelSeries('wait_time_seconds_bucket', '0+60x30', ',le="+Inf"'),
        ...['connections', 'connections_max', 'pending_requests'].map((name) => ({
          series: `millpond_${name}{pool="rpc",kind="grpc",job="app",instance="a:1"${name === 'connections' ? ',state="used"' : ''}}`,
          values: name === 'pending_requests' ? '0x30' : '4x30',
        })),
      ],
      alert_rule_test: [
        ['MillpondPoolExhausted', 'critical', ['shop']],
        ['MillpondSlowAcquire', 'warning', ['shop']],
        ['MillpondHighUtilization', 'warning', ['shop', 'rpc']],
        ['MillpondPoolDown', 'critical', []],
      ].map(([alertname, severity, pools]) => ({
        eval_time: '15m',
        alertname,
        exp_alerts: (pools as string[]).map((name) => ({
          exp_labels: { pool: name, job: 'app', instance: 'a:1', severity },
        })),
      })),
    },
  ],
}
