import { UsageError } from '../io.ts'

/** One number of a scrape. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What one pool said at one moment. */
export interface PoolSample {
  readonly pool: string
  readonly kind: string
  readonly up: boolean
  readonly idle: number
  readonly used: number
  readonly creating: number
  /** Undefined where there is no limit. */
  readonly max: number | undefined
  readonly waiting: number
  readonly oldestWaiterSeconds: number
  readonly acquired: number
  readonly timedOut: number
  /** Refused, aborted and failed. */
  readonly otherwiseLost: number
  readonly created: number
  /** How many waits took at most so many seconds, ascending; the last is `Infinity`. */
  readonly waitBuckets: readonly (readonly [seconds: number, count: number])[]
  /** Where the process has computed it itself, of the last seconds. */
  readonly waitP99Seconds?: number | undefined
}

export interface Scrape {
  /** In milliseconds, comparable with those of the same source. */
  readonly at: number
  readonly pools: readonly PoolSample[]
}

/** The address that a person meant. */
export function addressOf(text: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(withScheme))
    throw new UsageError(`"${text}" is no address; expected one like http://127.0.0.1:9464`)
  const url = new URL(withScheme)
  if (url.username !== '' || url.password !== '')
    throw new UsageError('the address is expected without user and password, which would be shown')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UsageError(`"${text}" is no address of the web; expected one like http://127.0.0.1:9464`)
  return url.href
}

/** The address of the metrics that a person meant: a bare host gets the usual path. */
export function metricsUrl(text: string): string {
  const url = new URL(addressOf(text))
  if (url.pathname === '/') url.pathname = '/metrics'
  return url.href
}

/** The samples of Prometheus' text format; comments and what it does not understand are passed over. */
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null) continue
    const [, name = '', labelText = '', value = ''] = match
    const labels: Record<string, string> = {}
    for (const [, label = '', quoted = ''] of labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[label] = quoted.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    samples.push({ name, labels, value: Number(value.replace('+Inf', 'Infinity')) })
  }
  return samples
}

/** What each pool says, in the order in which they come. */
export function samplesByPool(samples: readonly Sample[], prefix: string): Map<string, Sample[]> {
  const byPool = new Map<string, Sample[]>()
  for (const sample of samples) {
    const pool = sample.labels['pool']
    if (pool === undefined || !sample.name.startsWith(prefix)) continue
    const own = byPool.get(pool)
    if (own === undefined) byPool.set(pool, [sample])
    else own.push(sample)
  }
  return byPool
}

/** Finds a number by its name without the prefix, and by a label where there are several of that name. */
export function lookUp(
  samples: readonly Sample[],
  prefix: string,
): (name: string, label?: string, value?: string) => number | undefined {
  return (name, label, value) =>
    samples.find((each) => each.name === prefix + name && (label === undefined || each.labels[label] === value))?.value
}

/** The pools of a scrape, in the order in which they come. */
export function poolsOf(samples: readonly Sample[], prefix: string): PoolSample[] {
  return Array.from(samplesByPool(samples, prefix), ([pool, own]) => {
    const find = lookUp(own, prefix)
    const number = (name: string, label?: string, value?: string): number => find(name, label, value) ?? 0
    const lost = ['refused', 'aborted', 'failed'].map((outcome) => number('acquires_total', 'outcome', outcome))
    return {
      pool,
      kind: own[0]?.labels['kind'] ?? '',
      up: number('up') === 1,
      idle: number('connections', 'state', 'idle'),
      used: number('connections', 'state', 'used'),
      creating: number('connections', 'state', 'creating'),
      max: find('connections_max'),
      waiting: number('pending_requests'),
      oldestWaiterSeconds: number('oldest_waiter_seconds'),
      acquired: number('acquires_total', 'outcome', 'acquired'),
      timedOut: number('acquires_total', 'outcome', 'timeout'),
      otherwiseLost: lost.reduce((sum, count) => sum + count, 0),
      created: number('connections_created_total'),
      waitBuckets: own
        .filter(({ name }) => name === `${prefix}acquire_wait_seconds_bucket`)
        .map(({ labels, value }) => [Number((labels['le'] ?? '').replace('+Inf', 'Infinity')), value] as const)
        .sort(([a], [b]) => a - b),
    }
  })
}

/** Why a process could not be asked, in one line. */
export function reasonOfFetch(error: unknown, url: string): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `${url} does not answer`
  const { code, message } = (error.cause ?? {}) as { readonly code?: string; readonly message?: string }
  return message === undefined ? error.message : `${url} cannot be reached (${code ?? message})`
}
