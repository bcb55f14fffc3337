import { countsUpTo, type Distribution, type Distributions } from '../../core/distribution.ts'
import type { HistogramSnapshot } from '../../core/histogram.ts'
import type { ManagedPool } from '../../core/managed-pool.ts'
import { lookAt, type Look } from '../look.ts'
import { ADVISED_BUCKETS } from './semconv.ts'
import {
  conventionOf,
  DURATION_BUCKETS,
  DURATIONS,
  METRICS,
  OTEL_DURATIONS,
  OTEL_METRICS,
  OTEL_NAMES,
  type DurationRow,
  type MetricRow,
} from './table.ts'

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  /** What stands behind the family's name: `_bucket`, `_sum`, `_count`, or nothing. */
  readonly suffix: string
  readonly labels: Labels
  readonly value: number
}

/** All samples of one name, as the text format wants them: together. */
export interface Family {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface MetricOptions {
  /** Stands before every name. @defaultValue 'millpond_' */
  prefix?: string | undefined
  /**
   * `native`: this package's names. `otel`: for databases the names that OpenTelemetry's metrics have in Prometheus
   * (`db_client_connection_count`, …), for those who mix; what the convention has no name for keeps its native one.
   * @defaultValue 'native'
   */
  naming?: 'native' | 'otel' | undefined
  /** Boundaries of the histograms, in seconds, ascending. @defaultValue 1 ms to 10 s in 13 steps; with `otel` the 9 advised */
  buckets?: readonly number[] | undefined
  /** Labels that every sample gets, such as an instance's name. @defaultValue none */
  labels?: Labels | undefined
}

/** The rows of one naming, and the pools that they are told of. */
interface Part {
  readonly prefix: string
  readonly metrics: readonly MetricRow[]
  readonly durations: readonly DurationRow[]
  readonly buckets: readonly number[]
  readonly looks: readonly Look[]
  readonly labelsOf: (look: Look) => Labels
}

function partsOf(looks: readonly Look[], options: MetricOptions): Part[] {
  const { prefix = 'millpond_', naming = 'native', labels = {}, buckets } = options
  const labelsOf = ({ stats }: Look): Labels => ({ ...labels, pool: stats.name, kind: stats.kind })
  const native = {
    prefix,
    metrics: METRICS,
    durations: DURATIONS,
    buckets: buckets ?? DURATION_BUCKETS,
    looks,
    labelsOf,
  }
  if (naming === 'native') return [native]
  const isDb = ({ stats }: Look): boolean => conventionOf(stats.kind) === 'db'
  const db = looks.filter(isDb)
  return [
    { ...native, metrics: METRICS.filter(({ name }) => !(name in OTEL_NAMES)), durations: [] },
    {
      ...native,
      metrics: METRICS.filter(({ name }) => name in OTEL_NAMES),
      looks: looks.filter((look) => !isDb(look)),
    },
    {
      prefix: '',
      metrics: OTEL_METRICS,
      durations: OTEL_DURATIONS,
      buckets: buckets ?? ADVISED_BUCKETS,
      looks: db,
      labelsOf: ({ stats }) => ({ ...labels, db_client_connection_pool_name: stats.name }),
    },
  ]
}

/** Everything that is to be told of these pools, by name; what no pool has a value for has no samples. */
export function collect(pools: Iterable<ManagedPool>, options: MetricOptions = {}): Family[] {
  return partsOf(Array.from(pools, lookAt), options).flatMap(
    ({ prefix, metrics, durations, buckets, looks, labelsOf }) => [
      ...metrics.map(({ name, type, help, label: labelName, read }): Family => ({
        name: prefix + name,
        type,
        help,
        samples: looks.flatMap((look) =>
          read(look.stats, look.idle).map(({ label, value }) => ({
            suffix: '',
            labels:
              label === undefined || labelName === undefined
                ? labelsOf(look)
                : { ...labelsOf(look), [labelName]: label },
            value,
          })),
        ),
      })),
      ...durations.map(({ name, of, help }): Family => ({
        name: prefix + name,
        type: 'histogram',
        help,
        samples: looks.flatMap((look) => histogramSamples(look, of, labelsOf(look), buckets)),
      })),
    ],
  )
}

/** Cumulative counts, sum and count. Of a pool that keeps no distribution only the last two are known. */
function histogramSamples(look: Look, of: keyof Distributions, labels: Labels, buckets: readonly number[]): Sample[] {
  const distribution: Distribution | undefined = look.distributions?.[of]
  const known: HistogramSnapshot = look.stats[of]
  const count = distribution?.count ?? known.count
  const sumMillis = distribution?.sumMillis ?? known.mean * known.count
  const limits = buckets.map((seconds) => seconds * 1_000)
  const counts = distribution === undefined ? [] : countsUpTo(distribution, limits)
  return [
    ...counts.map((value, index) => ({ suffix: '_bucket', labels: { ...labels, le: String(buckets[index]) }, value })),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_sum', labels, value: sumMillis / 1_000 },
    { suffix: '_count', labels, value: count },
  ]
}
