import { coreOf, type ManagedPool, type PoolEventSource } from '../core/managed-pool.ts'
import { POOL_OPTION_RULES, type PoolOptions } from '../core/options.ts'
import { formatMillis } from '../core/report.ts'
import type { PoolWatch } from '../monitoring/watch/watch.ts'
import type { AuditEntry, ResolvedDashboardOptions } from './options.ts'
import type { AdviceView, EventView, PoolDetail, SettingView } from './protocol.ts'

/** So many leases, waiters, connections and events are listed. */
const MOST_LISTED = 100
/** How long advice is good. */
const ADVICE_MILLIS = 10_000
/** So many actions are remembered, of all pools together. */
const MOST_ACTIONS = 100

/** Everything of a pool that its card does not show. */
export class Details {
  readonly #options: Pick<ResolvedDashboardOptions, 'settings' | 'advice'>
  readonly #watch: PoolWatch
  #actions: readonly AuditEntry[] = []
  readonly #advice = new WeakMap<ManagedPool, { readonly at: number; readonly advice: readonly AdviceView[] }>()

  constructor(options: Pick<ResolvedDashboardOptions, 'settings' | 'advice'>, watch: PoolWatch) {
    this.#options = options
    this.#watch = watch
  }

  /** Somebody took an action, which is an event too. */
  note(entry: AuditEntry): void {
    this.#actions = [...this.#actions.slice(1 - MOST_ACTIONS), entry]
  }

  of(pool: ManagedPool): Omit<PoolDetail, 'key' | 'at' | 'actions' | 'sizes'> {
    const core = coreOf(pool)
    const limit = MOST_LISTED
    const { leases, waiting } = pool.stats()
    const [leasesSeen, waitersSeen] = [core.leases?.({ limit }) ?? [], core.waiters?.({ limit }) ?? []]
    return {
      leases: leasesSeen,
      waiters: waitersSeen,
      resources: core.resources?.({ limit }) ?? [],
      more: {
        leases: Math.max(0, leases - leasesSeen.length),
        waiters: Math.max(0, waiting - waitersSeen.length),
      },
      events: this.#eventsOf(pool.name),
      slow: this.#watch.slow(pool.name),
      settings: this.#options.settings?.(pool) ?? settingsOf(core),
      parts: Array.from(core.parts?.() ?? [], ([name, part]) => ({ name, stats: part.stats() })),
      advice: this.#adviceOn(pool),
    }
  }

  /** Advice may be dear (it is a simulation), and changes slowly. */
  #adviceOn(pool: ManagedPool): readonly AdviceView[] {
    if (this.#options.advice === undefined) return []
    const now = Date.now()
    let known = this.#advice.get(pool)
    if (known === undefined || now - known.at >= ADVICE_MILLIS) {
      known = { at: now, advice: this.#options.advice(pool) ?? [] }
      this.#advice.set(pool, known)
    }
    return known.advice
  }

  /** Newest first. */
  #eventsOf(name: string): EventView[] {
    const happened = this.#watch
      .events()
      .filter(({ pool, event }) => pool === name && event !== 'created' && event !== 'slow')
      .map(({ lastAt, event, text, times }) => ({ at: lastAt, name: event, text, times }))
    const done = this.#actions
      .filter(({ pool }) => pool === name)
      .map(({ at, action, message }) => ({
        at,
        name: 'action',
        text: `${action} from the dashboard: ${message}`,
        times: 1,
      }))
    return [...happened, ...done].sort((a, b) => b.at - a.at).slice(0, MOST_LISTED)
  }
}

/** The options in force that are plain values; functions and hooks say nothing to a reader. */
function settingsOf(core: PoolEventSource): SettingView[] {
  const { options } = core as { options?: Readonly<Record<string, unknown>> }
  if (options === undefined) return []
  return (Object.keys(POOL_OPTION_RULES) as (keyof PoolOptions)[]).flatMap((name) => {
    const value = options[name]
    if (typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'string') return []
    const isDuration = POOL_OPTION_RULES[name].type === 'duration' && typeof value === 'number'
    const text = value === Infinity ? 'no limit' : isDuration ? formatMillis(value) : String(value)
    return [{ name, value: text, source: undefined }]
  })
}
