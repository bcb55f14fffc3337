import type { ManagedPool } from '../../core/managed-pool.ts'
import { collect, type Family, type MetricOptions } from '../metrics/collect.ts'
import { checkMetricOptions } from './render.ts'

/** Minimum of a registry of `prom-client`: it asks whatever is registered for its values at every scrape. */
export interface PromRegistry {
  // The driver's own type wants its own metric classes; at run time a name and `get` are all that it looks at.
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

/** Minimum of `prom-client`, which is handed in. */
export interface PromClient {
  readonly register: PromRegistry
}

export interface CollectorOptions extends MetricOptions {
  /** Where the metrics are registered. @defaultValue the default registry of the `prom-client` that was handed in */
  register?: PromRegistry | undefined
}

/** A metric as a `prom-client` registry sees it. */
interface Collected {
  name: string
  readonly help: string
  readonly type: Family['type']
  readonly aggregator: 'sum' | 'max'
  get(): object
  reset(): void
}

/**
 * Adds the pools' metrics to those of `prom-client`, asked afresh at every scrape: pools that are gone have none, and
 * those that were registered later have theirs. Returns what takes them out again.
 *
 * @throws {OptionError} on a wrong option
 * @throws whatever `prom-client` throws where a metric of this name is registered
 */
export function prometheusCollector(
  promClient: PromClient,
  pools: Iterable<ManagedPool>,
  { register = promClient.register, ...options }: CollectorOptions = {},
): () => void {
  checkMetricOptions(options)
  // One look at the pools serves all metrics of a scrape: they are asked in one turn, and belong together.
  let looked: ReadonlyMap<string, Family> | undefined
  const look = (): ReadonlyMap<string, Family> => {
    if (looked === undefined) {
      looked = new Map(collect(pools, options).map((family) => [family.name, family]))
      queueMicrotask(() => {
        looked = undefined
      })
    }
    return looked
  }
  const metrics = collect([], options).map(({ name, type, help }): Collected => ({
    // In OpenMetrics prom-client takes `_total` off it.
    name,
    help,
    type,
    // Over the workers of a cluster, ages and states are not added.
    aggregator: /_seconds$|_up$/.test(name) && type === 'gauge' ? 'max' : 'sum',
    get() {
      const samples = look().get(name)?.samples ?? []
      const values = samples.map(({ suffix, labels, value }) => ({
        labels,
        value,
        ...(suffix === '' ? {} : { metricName: name + suffix }),
      }))
      return { name: this.name, help, type, aggregator: this.aggregator, values }
    },
    reset: () => undefined,
  }))
  for (const metric of metrics) register.registerMetric(metric as never)
  return () => {
    for (const metric of metrics) {
      if (register.getSingleMetric(metric.name) === metric) register.removeSingleMetric(metric.name)
    }
  }
}
