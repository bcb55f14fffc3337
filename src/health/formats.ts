import type { HealthReport, PoolHealth } from './monitor.ts'

/** What a formatter makes of a report: a status and a body of JSON. */
export interface FormattedHealth {
  /** 200 when it passes or warns, 503 when it fails. */
  readonly statusCode: number
  readonly contentType: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface FormatOptions {
  /** Whether the pools are told of one by one. @defaultValue false */
  details?: boolean | undefined
}

export const statusCodeOf = ({ status }: HealthReport): number => (status === 'fail' ? 503 : 200)

/** `{ healthy, message }`, and with details `status` and the pools. */
export function toSimple(report: HealthReport, { details = false }: FormatOptions = {}): FormattedHealth {
  const { status, message, pools } = report
  return {
    statusCode: statusCodeOf(report),
    contentType: 'application/json; charset=utf-8',
    body: { healthy: status !== 'fail', message, ...(details ? { status, pools: pools.map(withoutInfinity) } : {}) },
  }
}

/** Pools of connections to what keeps data; what else is pooled is called a `component`, as the draft does. */
const DATASTORES: ReadonlySet<string> = new Set(['postgres', 'mysql', 'mongodb', 'redis'])

/** `application/health+json` as in draft-inadarei-api-health-check-06; pools are its checks. */
export function toHealthJson(report: HealthReport, { details = false }: FormatOptions = {}): FormattedHealth {
  const { status, message, pools, checkedAt } = report
  const time = new Date(checkedAt).toISOString()
  // The draft keeps the colon for itself.
  const key = ({ name }: PoolHealth, measurement: string): string => `${name.replaceAll(':', '_')}:${measurement}`
  const checks = pools.flatMap((pool) => {
    const common = { componentId: pool.name, componentType: DATASTORES.has(pool.kind) ? 'datastore' : 'component', status: pool.status, time }
    return [
      [key(pool, 'responseTime'), [{ ...common, observedValue: Math.round(pool.durationMillis), observedUnit: 'ms', output: pool.message }]],
      [key(pool, 'connections'), [{ ...common, observedValue: pool.used, observedUnit: 'connections' }]],
    ] as const
  }) // prettier-ignore
  return {
    statusCode: statusCodeOf(report),
    contentType: 'application/health+json; charset=utf-8',
    body: { status, description: message, ...(details ? { checks: Object.fromEntries(checks) } : {}) },
  }
}

/** JSON has no Infinity: an unlimited pool has no `max`. */
function withoutInfinity({ max, ...pool }: PoolHealth): object {
  return max === Infinity ? pool : { ...pool, max }
}
