import type { MeasuredStats } from 'millpond/sizing'
import { lookUp, metricsUrl, parseMetrics, samplesByPool, type Sample } from '../watch/scrape.ts'

/** What a running pool says of itself at one moment. */
export interface RunningPool {
  readonly pool: string
  readonly kind: string
  /** Undefined where there is no limit. */
  readonly max: number | undefined
  /** Connections that are out, and leases on them: more where several share one. */
  readonly used: number
  readonly leases: number
  readonly stats: MeasuredStats
}

export interface Look {
  /** Milliseconds of this process. */
  readonly at: number
  readonly pools: readonly RunningPool[]
}

/** How long a process may take to answer. */
const TIMEOUT_MILLIS = 5_000

/**
 * Asks a running process for its pools: by its Prometheus metrics, or, where there are none at the address, by the API
 * of the dashboard.
 *
 * @throws {Error} with what went wrong in one line
 */
export async function lookAt(address: string, prefix: string): Promise<Look> {
  const url = metricsUrl(address)
  const { ok, status, text, at } = await ask(url, 'text/plain')
  const pools = ok ? poolsOfMetrics(parseMetrics(text), prefix) : []
  if (pools.length > 0) return { at, pools }
  const snapshot = await ask(snapshotUrl(address), 'application/json')
  const onDashboard = snapshot.ok ? poolsOfSnapshot(snapshot.text) : undefined
  if (onDashboard !== undefined && onDashboard.length > 0) return { at: snapshot.at, pools: onDashboard }
  if (onDashboard !== undefined) throw new Error(`${address} is a dashboard without pools`)
  if (!ok) throw new Error(`${url} answered ${status}`)
  throw new Error(`${url} tells of no pool (no metric that begins with ${prefix}, and no dashboard of Millpond)`)
}

async function ask(
  url: string,
  accept: string,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string; readonly at: number }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MILLIS), headers: { accept } })
  return { ok: answer.ok, status: answer.status, text: await answer.text(), at: performance.now() }
}

/** Where a dashboard that is mounted at this address has its numbers. */
function snapshotUrl(address: string): string {
  const url = new URL(metricsUrl(address))
  url.pathname = `${url.pathname.replace(/\/(metrics)?$/, '')}/snapshot`
  return url.href
}

function poolsOfMetrics(samples: readonly Sample[], prefix: string): RunningPool[] {
  return Array.from(samplesByPool(samples, prefix), ([pool, own]) => {
    const find = lookUp(own, prefix)
    const outcome = (value: string): number => find('acquires_total', 'outcome', value) ?? 0
    const durations = (name: string): { count: number; mean: number } => {
      const count = find(`${name}_count`) ?? 0
      return { count, mean: count === 0 ? 0 : ((find(`${name}_sum`) ?? 0) * 1_000) / count }
    }
    const used = find('connections', 'state', 'used') ?? 0
    const asked = ['acquired', 'timeout', 'aborted', 'refused', 'failed'].map(outcome)
    return {
      pool,
      kind: own[0]?.labels['kind'] ?? '',
      max: find('connections_max'),
      used,
      leases: find('leases') ?? used,
      stats: {
        requested: asked.reduce((sum, count) => sum + count, find('pending_requests') ?? 0),
        acquiredAfterWait: find('acquires_waited_total') ?? 0,
        timedOut: outcome('timeout'),
        refused: outcome('refused'),
        use: durations('connection_use_seconds'),
        wait: durations('acquire_wait_seconds'),
      },
    }
  })
}

/** The API of the dashboard; undefined for anything else. JSON has no Infinity: an unlimited pool has null. */
function poolsOfSnapshot(text: string): RunningPool[] | undefined {
  let snapshot: { readonly pools?: unknown }
  try {
    snapshot = JSON.parse(text) as typeof snapshot
  } catch {
    return undefined
  }
  if (!Array.isArray(snapshot.pools)) return undefined
  const views = snapshot.pools as readonly {
    readonly stats: MeasuredStats & { name: string; kind: string; max: number | null; used: number; leases: number }
  }[]
  return views.map(({ stats }) => {
    const { name, kind, max, used, leases } = stats
    return { pool: name, kind, max: max ?? undefined, used, leases, stats }
  })
}
