import { seriesOf, type NamesOptions } from './series.ts'

/** The names of the metrics. */
export type AlertOptions = NamesOptions

/** An alerting rule of Prometheus. */
export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: 'warning' | 'critical' }
  readonly annotations: { readonly summary: string; readonly description: string }
}

const POOL = 'pool "{{ $labels.pool }}" of {{ $labels.instance }}'

/** The rules that `millpond alerts` prints. Names that are not in the table do not compile. */
export function alertRules(options: AlertOptions = {}): AlertRule[] {
  const { by, select } = seriesOf(options)
  // The series of a pool in a process: the states and outcomes of one belong together.
  const BY = `by (${by})`
  const rate = (selector: string): string => `rate(${selector}[5m])`
  const increase = (selector: string): string => `increase(${selector}[10m])`
  const used = `sum ${BY} (${select('connections', 'state="used"')})`
  // An unlimited pool has no `max`, and so no utilization; a pool resized to nothing is not divided by.
  const utilization = `${used} / clamp_min(sum ${BY} (${select('connections_max')}), 1)`
  const rule = (
    alert: string,
    severity: 'warning' | 'critical',
    [expr, duration]: readonly [string, string],
    summary: string,
    description: string,
  ): AlertRule => ({
    alert: `Millpond${alert}`,
    expr,
    for: duration,
    labels: { severity },
    annotations: { summary: summary.replace('POOL', POOL), description },
  })
  return [
    rule(
      'PoolDown',
      'critical',
      [`min ${BY} (${select('up')}) == 0`, '1m'],
      'POOL cannot reach its server',
      'Nothing is open, and every attempt to connect fails. The pool tries again by itself; look at the server, the network and the credentials.',
    ),
    rule(
      'HighUtilization',
      'warning',
      [`${utilization} > 0.8`, '5m'],
      'POOL has {{ $value | humanizePercentage }} of its connections in use',
      'Callers will soon have to wait. Look at how long leases are out before making the pool bigger.',
    ),
    rule(
      'PoolExhausted',
      'critical',
      [`${utilization} >= 1 and sum ${BY} (${select('pending_requests')}) > 0`, '2m'],
      'POOL is exhausted',
      'Every connection is in use and callers wait. Look for slow operations and for leases that are not given back.',
    ),
    rule(
      'OldWaiter',
      'warning',
      [`max ${BY} (${select('oldest_waiter_seconds')}) > 1`, '1m'],
      'A caller of POOL has waited for {{ $value | humanizeDuration }}',
      'Somebody has been waiting for a connection for more than a second, for a minute on end.',
    ),
    rule(
      'AcquireTimeouts',
      'critical',
      [`sum ${BY} (${select('acquires_total', 'outcome="timeout"', rate)}) > 0`, '1m'],
      'POOL lets callers time out',
      'The error says why: counts, the longest holders, the last connect error and the probable cause.',
    ),
    rule(
      'CallersRefused',
      'critical',
      [`sum ${BY} (${select('acquires_total', 'outcome=~"refused|failed"', rate)}) > 0`, '1m'],
      'POOL refuses callers',
      'Its queue is full, it sheds load, or its server cannot be used: credentials, configuration, down.',
    ),
    rule(
      'SlowAcquire',
      'warning',
      [
        `histogram_quantile(0.99, sum by (${by}, le) (${select('acquire_wait_seconds', '', rate, '_bucket')})) > 0.25`,
        '5m',
      ],
      'Getting a connection from POOL takes {{ $value | humanizeDuration }} (p99)',
      'One request in a hundred waits longer than that for a connection, before its work begins.',
    ),
    rule(
      'Churn',
      'warning',
      [
        `sum ${BY} (${select('connections_created_total', '', rate)}) * 60 > 2 * clamp_min(sum ${BY} (${select('connections')}), 1)`,
        '10m',
      ],
      'POOL opens {{ $value | humanize }} connections a minute',
      'Connections are replaced more than twice a minute each. The reasons are in the metric of those destroyed: a short idle timeout, a server or a proxy that closes them, borrowers that end them with an error.',
    ),
    rule(
      'CreateErrors',
      'warning',
      [`sum ${BY} (${select('create_errors_total', '', rate)}) > 0`, '5m'],
      'POOL cannot open some of its connections',
      'Some attempts to connect fail. Where the server takes no more connections, lower `max` or raise its limit.',
    ),
    rule(
      'Leak',
      'warning',
      [`sum ${BY} (${select('leaks_total', '', increase)}) > 0`, '0m'],
      'POOL misses a lease',
      'A lease was out longer than `leakThresholdMillis`, or was never given back. The report names its label and where it was acquired.',
    ),
    rule(
      'Deadlock',
      'critical',
      [`sum ${BY} (${select('deadlocks_total', '', increase)}) > 0`, '0m'],
      'POOL ran into a deadlock',
      'Every lease belonged to a callback that waited for the same pool. Pass the connection on instead of acquiring again.',
    ),
  ]
}

/** The rules as a file for Prometheus. */
export function alertRulesYaml(options: AlertOptions = {}): string {
  const text = (value: string): string => JSON.stringify(value)
  const rules = alertRules(options).map(
    ({ alert, expr, for: duration, labels, annotations }) => `      - alert: ${alert}
        expr: ${text(expr)}
        for: ${duration}
        labels:
          severity: ${labels.severity}
        annotations:
          summary: ${text(annotations.summary)}
          description: ${text(annotations.description)}
`,
  )
  return `groups:\n  - name: millpond\n    rules:\n${rules.join('')}`
}
