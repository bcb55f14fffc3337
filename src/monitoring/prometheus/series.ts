import { OTEL_NAMES, type DurationName, type MetricName } from '../metrics/table.ts'
import { checkMetricOptions } from './render.ts'

/** Which names the metrics have that rules and dashboards ask for. */
export interface NamesOptions {
  /** The prefix of the metrics. @defaultValue 'millpond_' */
  prefix?: string | undefined
  /**
   * `otel`: databases under the names that OpenTelemetry has for them, as `naming: 'otel'` of the renderer writes them,
   * and as they come out of an OpenTelemetry collector; everything else under its native name. @defaultValue 'native'
   */
  naming?: 'native' | 'otel' | undefined
}

export type SeriesName = MetricName | DurationName

/** Gives the expression for one metric. */
export interface Series {
  /** Labels that tell one pool of one process from another. */
  readonly by: string
  /**
   * @param matchers - as within braces, on the native labels
   * @param of - what is made of the selected series, such as a rate
   * @param suffix - of a histogram's series
   */
  readonly select: (name: SeriesName, matchers?: string, of?: (selector: string) => string, suffix?: string) => string
}

/** @throws {OptionError} on a wrong prefix or naming */
export function seriesOf({ prefix = 'millpond_', naming = 'native' }: NamesOptions): Series {
  checkMetricOptions({ prefix, naming })
  const braces = (matchers: string): string => (matchers === '' ? '' : `{${matchers}}`)
  return {
    // Its name is all that OpenTelemetry has of a database's pool.
    by: naming === 'native' ? 'job, instance, pool, kind' : 'job, instance, pool',
    select: (name, matchers = '', of = (selector) => selector, suffix = '') => {
      const native = of(`${prefix}${name}${suffix}${braces(matchers)}`)
      const other = naming === 'native' ? undefined : OTEL_NAMES[name]
      if (other === undefined) return native
      const renamed = matchers.replace(/\bpool(?==)/g, 'db_client_connection_pool_name')
      const otel = of(`${other}${suffix}${braces(renamed)}`)
      return `(${native} or label_replace(${otel}, "pool", "$1", "db_client_connection_pool_name", "(.*)"))`
    },
  }
}
