import type { Distributions } from '../../core/distribution.ts'
import type { PoolState } from '../../core/lifecycle.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { IdleLimits } from '../look.ts'

/** One number of a metric, with the label that tells it from the others of the same pool. */
export interface Reading {
  readonly label?: string
  readonly value: number
}

/** One metric, as every exporter knows it. */
export interface MetricRow {
  /** Behind the prefix. Counters end in `_total`, durations in `_seconds`. */
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  /** What the readings are told apart by, where a pool has more than one. */
  readonly label?: string
  /** In UCUM, as OpenTelemetry wants it. */
  readonly unit: string
  /** Nothing where a pool has no such number: an unlimited one has no `max`. */
  readonly read: (stats: PoolStats, idle: IdleLimits | undefined) => readonly Reading[]
}

const SECONDS = 1 / 1_000
const one = (value: number): readonly Reading[] => [{ value }]
const UP: Readonly<Record<PoolState, number>> = { open: 1, suspended: 1, paused: 0, closing: 0, closed: 0 }

/** Every metric that is a number. The reference, the alerts and the dashboards are made from this table. */
export const METRICS = [
  {
    name: 'up',
    type: 'gauge',
    unit: '1',
    help: 'Whether the pool works as far as it knows: 0 while its server cannot be reached, and once it closes.',
    read: ({ state }) => one(UP[state]),
  },
  {
    name: 'connections',
    type: 'gauge',
    unit: '{connection}',
    label: 'state',
    help: 'Connections (or whatever is pooled) by state; creating ones are not open yet.',
    read: ({ idle, used, maintaining, closing, creating }) => [
      { label: 'idle', value: idle },
      { label: 'used', value: used },
      { label: 'maintaining', value: maintaining },
      { label: 'closing', value: closing },
      { label: 'creating', value: creating },
    ],
  },
  {
    name: 'connections_max',
    type: 'gauge',
    unit: '{connection}',
    help: 'The most connections kept open. Unlimited pools have none.',
    read: ({ max }) => (max === Infinity ? [] : one(max)),
  },
  {
    name: 'connections_min',
    type: 'gauge',
    unit: '{connection}',
    help: 'The fewest connections kept open.',
    read: ({ min }) => one(min),
  },
  {
    name: 'leases',
    type: 'gauge',
    unit: '{lease}',
    help: 'Leases that are out: as many as used connections, or more where several share one.',
    read: ({ leases }) => one(leases),
  },
  {
    name: 'pending_requests',
    type: 'gauge',
    unit: '{request}',
    help: 'Callers that wait for a connection.',
    read: ({ waiting }) => one(waiting),
  },
  {
    name: 'oldest_waiter_seconds',
    type: 'gauge',
    unit: 's',
    help: 'How long the first of those callers has waited; 0 when nobody waits.',
    read: ({ oldestWaiterMillis }) => one(oldestWaiterMillis * SECONDS),
  },
  {
    name: 'hung_creates',
    type: 'gauge',
    unit: '{connection}',
    help: 'Creates past their deadline that have not ended; each may hold a socket.',
    read: ({ zombies }) => one(zombies),
  },
  {
    name: 'acquires_total',
    type: 'counter',
    unit: '{request}',
    label: 'outcome',
    help: 'Requests for a connection, by what came of them.',
    read: ({ acquired, timedOut, aborted, refused, failed }) => [
      { label: 'acquired', value: acquired },
      { label: 'timeout', value: timedOut },
      { label: 'aborted', value: aborted },
      { label: 'refused', value: refused },
      { label: 'failed', value: failed },
    ],
  },
  {
    name: 'acquires_waited_total',
    type: 'counter',
    unit: '{request}',
    help: 'Of those that got a connection, those that had to wait for it.',
    read: ({ acquiredAfterWait }) => one(acquiredAfterWait),
  },
  {
    name: 'connections_created_total',
    type: 'counter',
    unit: '{connection}',
    help: 'Connections that were opened.',
    read: ({ created }) => one(created),
  },
  {
    name: 'create_errors_total',
    type: 'counter',
    unit: '{error}',
    help: 'Connections that could not be opened.',
    read: ({ createErrors }) => one(createErrors),
  },
  {
    name: 'connections_destroyed_total',
    type: 'counter',
    unit: '{connection}',
    label: 'reason',
    help: 'Connections that were closed, by reason.',
    read: ({ destroyed }) => Object.entries(destroyed).map(([label, value]) => ({ label, value })),
  },
  {
    name: 'leaks_total',
    type: 'counter',
    unit: '{lease}',
    help: 'Leases out longer than `leakThresholdMillis`, or garbage-collected unreleased.',
    read: ({ leaks }) => one(leaks),
  },
  {
    name: 'deadlocks_total',
    type: 'counter',
    unit: '{deadlock}',
    help: 'Deadlocks by nested acquires.',
    read: ({ deadlocks }) => one(deadlocks),
  },
] as const satisfies readonly MetricRow[]

export type MetricName = (typeof METRICS)[number]['name']

/** One distribution of durations. */
export interface DurationRow {
  readonly name: string
  readonly of: keyof Distributions
  readonly help: string
}

/** Every metric that is a histogram of seconds. */
export const DURATIONS = [
  { name: 'acquire_wait_seconds', of: 'wait', help: 'Time from asking for a connection to getting it.' },
  { name: 'connection_use_seconds', of: 'use', help: 'Time from getting a connection to giving it back.' },
  { name: 'connection_create_seconds', of: 'create', help: 'Time that opening a connection took.' },
] as const satisfies readonly DurationRow[]

export type DurationName = (typeof DURATIONS)[number]['name']

/** A database's metrics under the names that OpenTelemetry's convention has for them in Prometheus. */
export const OTEL_METRICS: readonly MetricRow[] = [
  {
    name: 'db_client_connection_count',
    type: 'gauge',
    unit: '{connection}',
    label: 'db_client_connection_state',
    help: 'The number of connections that are in the state described by the state attribute.',
    read: ({ idle, used }) => [
      { label: 'idle', value: idle },
      { label: 'used', value: used },
    ],
  },
  {
    name: 'db_client_connection_max',
    type: 'gauge',
    unit: '{connection}',
    help: 'The maximum number of open connections allowed.',
    read: ({ max }) => (max === Infinity ? [] : one(max)),
  },
  {
    name: 'db_client_connection_idle_max',
    type: 'gauge',
    unit: '{connection}',
    help: 'The maximum number of idle open connections allowed.',
    read: (_, idle) => (idle === undefined || idle.max === Infinity ? [] : one(idle.max)),
  },
  {
    name: 'db_client_connection_idle_min',
    type: 'gauge',
    unit: '{connection}',
    help: 'The minimum number of idle open connections allowed.',
    read: ({ min }, idle) => one(idle?.min ?? min),
  },
  {
    name: 'db_client_connection_pending_requests',
    type: 'gauge',
    unit: '{request}',
    help: 'The number of current pending requests for an open connection.',
    read: ({ waiting }) => one(waiting),
  },
  {
    name: 'db_client_connection_timeouts_total',
    type: 'counter',
    unit: '{timeout}',
    help: 'The number of connection timeouts that have occurred trying to obtain a connection from the pool.',
    read: ({ timedOut }) => one(timedOut),
  },
]

export const OTEL_DURATIONS: readonly DurationRow[] = [
  {
    name: 'db_client_connection_wait_time_seconds',
    of: 'wait',
    help: 'The time it took to obtain an open connection from the pool.',
  },
  {
    name: 'db_client_connection_use_time_seconds',
    of: 'use',
    help: 'The time between borrowing a connection and returning it to the pool.',
  },
  {
    name: 'db_client_connection_create_time_seconds',
    of: 'create',
    help: 'The time it took to create a new connection.',
  },
]

/** What a database's metrics are called instead, where OpenTelemetry has a name for just the same. */
export const OTEL_NAMES: Readonly<Partial<Record<MetricName | DurationName, string>>> = {
  connections_max: 'db_client_connection_max',
  pending_requests: 'db_client_connection_pending_requests',
  acquire_wait_seconds: 'db_client_connection_wait_time_seconds',
  connection_use_seconds: 'db_client_connection_use_time_seconds',
  connection_create_seconds: 'db_client_connection_create_time_seconds',
}

/** The boundaries that OpenTelemetry advises for database durations, and a few between, in seconds. */
export const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

/** Which semantic conventions of OpenTelemetry a kind of pool falls under: those of databases, of HTTP, or none. */
export function conventionOf(kind: string): 'db' | 'http' | 'none' {
  if (kind === 'http' || kind === 'https') return 'http'
  return DATABASES.has(kind) ? 'db' : 'none'
}

const DATABASES = new Set(['postgres', 'mysql', 'mariadb', 'mongodb', 'redis'])
