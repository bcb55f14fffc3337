import type { DurationName, MetricName } from '../metrics/table.ts'
import { seriesOf, type NamesOptions } from './series.ts'

/** The names of the metrics. */
export type DashboardOptions = NamesOptions

interface Query {
  readonly expr: string
  readonly legend: string
}

interface Panel {
  readonly title: string
  readonly queries: readonly Query[]
  readonly unit?: string
  readonly kind?: 'stat' | 'timeseries'
  readonly stack?: boolean
}

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }
const WHERE = 'job=~"$job",instance=~"$instance",pool=~"$pool"'

/** A dashboard for Grafana 9 and later, as the object that its JSON import takes. */
export function grafanaDashboard(options: DashboardOptions = {}): Record<string, unknown> {
  const { prefix = 'millpond_' } = options
  let id = 0
  let y = 0
  const panels = rows(options).flatMap(({ title, panels: row, height }) => {
    const header = {
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
      panels: [],
    }
    const width = Math.floor(24 / row.length)
    const placed = row.map((panel, index) => panelJson(panel, ++id, { x: index * width, y, w: width, h: height }))
    y += height
    return [header, ...placed]
  })
  return {
    id: null,
    uid: 'millpond-pools',
    title: 'Millpond: connection pools',
    tags: ['millpond', 'connection-pool'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: variables(prefix) },
    panels,
  }
}

function rows(options: DashboardOptions): { title: string; height: number; panels: readonly Panel[] }[] {
  const { select: selectFrom } = seriesOf(options)
  const select = (name: MetricName, more = ''): string => selectFrom(name, WHERE + more)
  const rate = (name: MetricName, more = ''): string =>
    selectFrom(name, WHERE + more, (selector) => `rate(${selector}[$__rate_interval])`)
  const increase = (name: MetricName, span: string, more = ''): string =>
    selectFrom(name, WHERE + more, (selector) => `increase(${selector}[${span}])`)
  const quantile = (name: DurationName, share: number): string => {
    const rates = selectFrom(name, WHERE, (selector) => `rate(${selector}[$__rate_interval])`, '_bucket')
    return `histogram_quantile(${share}, sum by (pool, le) (${rates}))`
  }
  const percentiles = (name: DurationName): Query[] =>
    [0.5, 0.95, 0.99].map((share) => ({ expr: quantile(name, share), legend: `{{pool}} p${share * 100}` }))
  const sum = (expr: string, by = 'pool'): string => `sum by (${by}) (${expr})`
  return [
    {
      title: 'Now',
      height: 4,
      panels: [
        {
          title: 'Utilization',
          kind: 'stat',
          unit: 'percentunit',
          queries: [
            {
              expr: `${sum(select('connections', ',state="used"'))} / clamp_min(${sum(select('connections_max'))}, 1)`,
              legend: '{{pool}}',
            },
          ],
        },
        { title: 'Waiting', kind: 'stat', queries: [{ expr: sum(select('pending_requests')), legend: '{{pool}}' }] },
        {
          title: 'Timeouts in 5 min',
          kind: 'stat',
          queries: [{ expr: sum(increase('acquires_total', '5m', ',outcome="timeout"')), legend: '{{pool}}' }],
        },
        {
          title: 'Wait p99',
          kind: 'stat',
          unit: 's',
          queries: [{ expr: quantile('acquire_wait_seconds', 0.99), legend: '{{pool}}' }],
        },
        { title: 'Up', kind: 'stat', queries: [{ expr: `min by (pool) (${select('up')})`, legend: '{{pool}}' }] },
      ],
    },
    {
      title: 'Connections and callers',
      height: 8,
      panels: [
        {
          title: 'Connections by state',
          stack: true,
          queries: [
            { expr: sum(select('connections'), 'pool, state'), legend: '{{pool}} {{state}}' },
            { expr: sum(select('connections_max')), legend: '{{pool}} max' },
          ],
        },
        {
          title: 'Waiting callers',
          queries: [{ expr: sum(select('pending_requests')), legend: '{{pool}}' }],
        },
        {
          title: 'Oldest waiter',
          unit: 's',
          queries: [{ expr: `max by (pool) (${select('oldest_waiter_seconds')})`, legend: '{{pool}}' }],
        },
      ],
    },
    {
      title: 'Time',
      height: 8,
      panels: [
        { title: 'Wait for a connection', unit: 's', queries: percentiles('acquire_wait_seconds') },
        { title: 'Use of a connection', unit: 's', queries: percentiles('connection_use_seconds') },
        { title: 'Opening a connection', unit: 's', queries: percentiles('connection_create_seconds') },
      ],
    },
    {
      title: 'Rates',
      height: 8,
      panels: [
        {
          title: 'Acquires by outcome',
          unit: 'ops',
          queries: [{ expr: sum(rate('acquires_total'), 'pool, outcome'), legend: '{{pool}} {{outcome}}' }],
        },
        {
          title: 'Opened, and errors',
          unit: 'ops',
          queries: [
            { expr: sum(rate('connections_created_total')), legend: '{{pool}} opened' },
            { expr: sum(rate('create_errors_total')), legend: '{{pool}} errors' },
          ],
        },
        {
          title: 'Closed by reason',
          unit: 'ops',
          queries: [
            { expr: sum(rate('connections_destroyed_total'), 'pool, reason') + ' > 0', legend: '{{pool}} {{reason}}' },
          ],
        },
      ],
    },
    {
      title: 'Trouble',
      height: 8,
      panels: [
        { title: 'Leaks', queries: [{ expr: sum(increase('leaks_total', '10m')), legend: '{{pool}}' }] },
        {
          title: 'Deadlocks',
          queries: [{ expr: sum(increase('deadlocks_total', '10m')), legend: '{{pool}}' }],
        },
        { title: 'Hung creates', queries: [{ expr: sum(select('hung_creates')), legend: '{{pool}}' }] },
        {
          title: 'Connections allowed, all instances',
          queries: [{ expr: sum(select('connections_max'), 'kind, pool'), legend: '{{kind}} {{pool}}' }],
        },
      ],
    },
  ]
}

function variables(prefix: string): Record<string, unknown>[] {
  const query = (name: string, within: string): Record<string, unknown> => ({
    name,
    label: name,
    type: 'query',
    datasource: DATASOURCE,
    query: { query: `label_values(${prefix}up{${within}}, ${name})`, refId: name },
    definition: `label_values(${prefix}up{${within}}, ${name})`,
    includeAll: true,
    allValue: '.*',
    multi: true,
    refresh: 2,
    sort: 1,
    current: { text: 'All', value: '$__all' },
  })
  return [
    { name: 'datasource', label: 'data source', type: 'datasource', query: 'prometheus' },
    query('job', ''),
    query('instance', 'job=~"$job"'),
    query('pool', 'job=~"$job",instance=~"$instance"'),
  ]
}

function panelJson(
  { title, queries, unit = 'short', kind = 'timeseries', stack = false }: Panel,
  id: number,
  gridPos: { x: number; y: number; w: number; h: number },
): Record<string, unknown> {
  const maxLine = {
    matcher: { id: 'byRegexp', options: '/ max$/' },
    properties: [
      { id: 'custom.stacking', value: { mode: 'none' } },
      { id: 'custom.fillOpacity', value: 0 },
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
    ],
  }
  return {
    id,
    type: kind,
    title,
    datasource: DATASOURCE,
    gridPos,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(kind === 'stat' ? { instant: true } : {}),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(kind === 'timeseries'
          ? {
              custom: {
                fillOpacity: stack ? 40 : 0,
                stacking: { mode: stack ? 'normal' : 'none' },
                showPoints: 'never',
              },
            }
          : {}),
      },
      overrides: stack ? [maxLine] : [],
    },
    options: kind === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] } } : { tooltip: { mode: 'multi' } },
  }
}
