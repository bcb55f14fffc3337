import type { SlowOperation } from '../../core/events.ts'

/** Slow operations of one pool that differ in their values only. */
export interface SlowGroup {
  /** The pool as it is registered. */
  readonly pool: string
  /** Which of the pools that it consists of, where it does. */
  readonly part: string | undefined
  /** The fingerprint that they have in common. */
  readonly operation: string
  count: number
  failed: number
  /** All of them together, in milliseconds; divided by `count`, the mean. */
  waitMillis: number
  useMillis: number
  /** The longest of them, wait and use together, in milliseconds. */
  maxMillis: number
  /** When the last one ended, in milliseconds since 1970. */
  lastAt: number
  lastLabel: string | undefined
  /** The trace of the last one that had any. */
  lastTraceId: string | undefined
}

/** Slow operations by pool and fingerprint. Where there are too many kinds, those give way that were not seen for longest. */
export class SlowLog {
  readonly #limit: number
  readonly #groups = new Map<string, SlowGroup>()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(pool: string, slow: SlowOperation, at: number, traceId?: string): void {
    const { operation, label, waitMillis, useMillis, failed } = slow
    const key = [pool, slow.pool, operation].join('\n')
    const group = this.#groups.get(key) ?? {
      pool,
      part: slow.pool === pool ? undefined : slow.pool,
      operation,
      count: 0,
      failed: 0,
      waitMillis: 0,
      useMillis: 0,
      maxMillis: 0,
      lastAt: at,
      lastLabel: label,
      lastTraceId: traceId,
    }
    group.count++
    if (failed) group.failed++
    group.waitMillis += waitMillis
    group.useMillis += useMillis
    group.maxMillis = Math.max(group.maxMillis, waitMillis + useMillis)
    group.lastAt = at
    group.lastLabel = label
    group.lastTraceId = traceId ?? group.lastTraceId
    this.#groups.delete(key)
    this.#groups.set(key, group)
    if (this.#groups.size > this.#limit) this.#groups.delete(this.#groups.keys().next().value ?? '')
  }

  /** Those that took the most time all together first. */
  list(pool: string | undefined): SlowGroup[] {
    const cost = ({ waitMillis, useMillis }: SlowGroup): number => waitMillis + useMillis
    return Array.from(this.#groups.values())
      .filter((group) => pool === undefined || group.pool === pool)
      .map((group) => ({ ...group }))
      .sort((a, b) => cost(b) - cost(a))
  }
}
