import { OptionError } from '../../core/errors.ts'
import type { ManagedPool } from '../../core/managed-pool.ts'
import { collect, type Family, type Labels, type MetricOptions } from '../metrics/collect.ts'

/** The content type of {@link renderPrometheus}. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** @throws {OptionError} on a prefix or a label that Prometheus would not read, and on boundaries that do not ascend */
export function checkMetricOptions({ prefix = '', labels = {}, buckets = [], naming }: MetricOptions): void {
  const fail = (option: string, expected: string, got: string): never => {
    throw new OptionError('prometheus', option, `Expected \`${option}\` to be ${expected}, got ${got}`)
  }
  if (prefix !== '' && !/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(prefix))
    fail('prefix', 'letters, digits and underscores', `'${prefix}'`)
  for (const name of Object.keys(labels)) {
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name))
      fail('labels', 'names of letters, digits and underscores', `'${name}'`)
  }
  if (!buckets.every((each, index) => each > (buckets[index - 1] ?? 0) && each < Infinity))
    fail('buckets', 'ascending seconds above 0', `[${buckets.join(', ')}]`)
  if (!['native', 'otel', undefined].includes(naming)) fail('naming', "'native' or 'otel'", `'${String(naming)}'`)
}

/**
 * What Prometheus scrapes, in its text format, of every pool of a registry (or any other list of pools).
 *
 * @throws {OptionError} on a wrong option
 */
export function renderPrometheus(pools: Iterable<ManagedPool>, options: MetricOptions = {}): string {
  checkMetricOptions(options)
  return collect(pools, options)
    .filter(({ samples }) => samples.length > 0)
    .map(renderFamily)
    .join('')
}

/** A Web-standard handler for `GET /metrics`. It answers whoever asks; put it where only Prometheus can. */
export function metricsHandler(
  pools: Iterable<ManagedPool>,
  options: MetricOptions = {},
): (request: Request) => Response {
  checkMetricOptions(options)
  const headers = { 'content-type': PROMETHEUS_CONTENT_TYPE, 'cache-control': 'no-store' }
  return ({ method }) => {
    if (method === 'GET') return new Response(renderPrometheus(pools, options), { headers })
    if (method === 'HEAD') return new Response(null, { headers })
    return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  }
}

function renderFamily({ name, type, help, samples }: Family): string {
  const head = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
  return (
    head + samples.map(({ suffix, labels, value }) => `${name}${suffix}${renderLabels(labels)} ${value}\n`).join('')
  )
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '"': '\\"' }

function renderLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\\n"]/g, (char) => ESCAPES[char] ?? char)}"`,
  )
  return `{${parts.join(',')}}`
}
