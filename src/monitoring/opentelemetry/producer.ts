import { countsUpTo, type Distribution } from '../../core/distribution.ts'
import { coreOf, type ManagedPool } from '../../core/managed-pool.ts'
import { ADVISED_BUCKETS } from '../metrics/semconv.ts'
import type { Attributes } from './api.ts'
import { DURATION_KINDS, durationOf, type DurationKind } from './instruments.ts'

// The parts of `MetricData` of @opentelemetry/sdk-metrics that a reader takes, with the numbers of its enumerations.
type HrTime = [seconds: number, nanos: number]
const HISTOGRAM = 0
const CUMULATIVE = 1
const DOUBLE = 1

interface HistogramPoint {
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly attributes: Attributes
  readonly value: {
    readonly buckets: { readonly boundaries: number[]; readonly counts: number[] }
    readonly sum: number
    readonly count: number
  }
}

interface HistogramMetric {
  readonly descriptor: {
    readonly name: string
    readonly description: string
    readonly unit: string
    readonly valueType: typeof DOUBLE
  }
  readonly aggregationTemporality: typeof CUMULATIVE
  readonly dataPointType: typeof HISTOGRAM
  readonly dataPoints: HistogramPoint[]
}

/** What a reader of OpenTelemetry asks besides its SDK. */
export interface MetricProducerLike {
  collect(): Promise<{
    readonly resourceMetrics: {
      /** The reader takes the resource of its SDK. */
      readonly resource: never
      readonly scopeMetrics: { readonly scope: { readonly name: string }; readonly metrics: HistogramMetric[] }[]
    }
    readonly errors: unknown[]
  }>
}

/** The part of a registry that is used. */
interface Followable extends Iterable<ManagedPool> {
  follow(follower: (pool: ManagedPool) => void): () => void
}

const hrTime = (millis: number): HrTime => [Math.floor(millis / 1_000), Math.round((millis % 1_000) * 1e6)]

/**
 * How long waits, uses and creates took, as a producer for a reader of the SDK. It hands over what the pools have counted,
 * all at once and exactly, while {@link instrument} has to record every duration by itself, about half a microsecond each:
 *
 * ```ts
 * new PeriodicExportingMetricReader({ exporter, metricProducers: [durationProducer(registry)] })
 * instrument(registry, { api, durations: false })
 * ```
 *
 * Sums are cumulative, whatever the exporter prefers.
 */
export function durationProducer(registry: Followable): MetricProducerLike {
  const since = new WeakMap<ManagedPool, HrTime>()
  registry.follow((pool) => since.set(pool, hrTime(Date.now())))
  return {
    collect() {
      const endTime = hrTime(Date.now())
      const metrics = new Map<string, HistogramMetric>()
      for (const pool of registry) {
        const distributions = coreOf(pool).distributions?.()
        if (distributions === undefined) continue
        for (const kind of DURATION_KINDS) {
          const { metric, attributes } = metricOf(metrics, pool, kind)
          const value = valueOf(distributions[kind])
          metric.dataPoints.push({ startTime: since.get(pool) ?? endTime, endTime, attributes, value })
        }
      }
      const scopeMetrics = [{ scope: { name: 'millpond' }, metrics: [...metrics.values()] }]
      // The type says that there is a resource; a reader merges results by keeping its own.
      return Promise.resolve({ resourceMetrics: { resource: undefined as never, scopeMetrics }, errors: [] })
    },
  }
}

function metricOf(metrics: Map<string, HistogramMetric>, pool: ManagedPool, kind: DurationKind) {
  const { name, description, attributes } = durationOf(pool, kind)
  let metric = metrics.get(name)
  if (metric === undefined) {
    metric = {
      descriptor: { name, description, unit: 's', valueType: DOUBLE },
      aggregationTemporality: CUMULATIVE,
      dataPointType: HISTOGRAM,
      dataPoints: [],
    }
    metrics.set(name, metric)
  }
  return { metric, attributes }
}

function valueOf(distribution: Distribution): HistogramPoint['value'] {
  const upTo = countsUpTo(
    distribution,
    ADVISED_BUCKETS.map((seconds) => seconds * 1_000),
  )
  const counts = [...upTo, distribution.count].map((count, index) => count - (upTo[index - 1] ?? 0))
  return {
    buckets: { boundaries: [...ADVISED_BUCKETS], counts },
    sum: distribution.sumMillis / 1_000,
    count: distribution.count,
  }
}
