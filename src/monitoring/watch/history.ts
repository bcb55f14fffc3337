import { distributionSince, quantileOf, type Distributions } from '../../core/distribution.ts'
import type { PoolStats } from '../../core/stats.ts'
import type { Look } from '../look.ts'

/** What a sample holds besides its time. Counts and percentiles are of the time since the sample before. */
export const SAMPLE_FIELDS = [
  'idle',
  'used',
  'maintaining',
  'creating',
  'waiting',
  'oldestWaiterMillis',
  'max',
  'utilization',
  'acquired',
  'acquiredAfterWait',
  'timedOut',
  'aborted',
  'refused',
  'failed',
  'created',
  'createErrors',
  'destroyed',
  'leaks',
  'waitP50',
  'waitP95',
  'waitP99',
  'useP50',
  'useP95',
  'useP99',
  'createP50',
  'createP95',
] as const

export type SampleField = (typeof SAMPLE_FIELDS)[number]

/** The past of one pool, column by column, oldest first. */
export type PoolHistory = { readonly at: readonly number[] } & Readonly<Record<SampleField, readonly number[]>>

/** What happened between two looks at a pool, as the fields of a sample. */
export function sampleOf(now: Look, before: Look | undefined): Record<SampleField, number> {
  const { stats } = now
  const total = ({ destroyed }: PoolStats): number => Object.values(destroyed).reduce((sum, count) => sum + count, 0)
  const since = (count: (stats: PoolStats) => number): number =>
    before === undefined ? 0 : Math.max(0, count(stats) - count(before.stats))
  const quantile = (of: keyof Distributions, q: number): number =>
    now.distributions === undefined || before?.distributions === undefined
      ? stats[of][q === 0.5 ? 'p50' : q === 0.95 ? 'p95' : 'p99']
      : quantileOf(distributionSince(now.distributions[of], before.distributions[of]), q)
  return {
    idle: stats.idle,
    used: stats.used,
    maintaining: stats.maintaining,
    creating: stats.creating,
    waiting: stats.waiting,
    oldestWaiterMillis: stats.oldestWaiterMillis,
    max: stats.max,
    utilization: stats.utilization,
    acquired: since(({ acquired }) => acquired),
    acquiredAfterWait: since(({ acquiredAfterWait }) => acquiredAfterWait),
    timedOut: since(({ timedOut }) => timedOut),
    aborted: since(({ aborted }) => aborted),
    refused: since(({ refused }) => refused),
    failed: since(({ failed }) => failed),
    created: since(({ created }) => created),
    createErrors: since(({ createErrors }) => createErrors),
    destroyed: since(total),
    leaks: since(({ leaks }) => leaks),
    waitP50: quantile('wait', 0.5),
    waitP95: quantile('wait', 0.95),
    waitP99: quantile('wait', 0.99),
    useP50: quantile('use', 0.5),
    useP95: quantile('use', 0.95),
    useP99: quantile('use', 0.99),
    createP50: quantile('create', 0.5),
    createP95: quantile('create', 0.95),
  }
}

/** The last samples of one pool, in two arrays that never grow: 26 numbers of 4 bytes and a time of 8 for each. */
export class History {
  readonly #capacity: number
  readonly #at: Float64Array
  readonly #values: Float32Array
  #count = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#at = new Float64Array(capacity)
    this.#values = new Float32Array(capacity * SAMPLE_FIELDS.length)
  }

  add(at: number, sample: Readonly<Record<SampleField, number>>): void {
    const slot = this.#count++ % this.#capacity
    this.#at[slot] = at
    for (const [index, field] of SAMPLE_FIELDS.entries())
      this.#values[slot * SAMPLE_FIELDS.length + index] = sample[field]
  }

  /** @param after - only samples younger than this, in milliseconds since 1970 */
  read(after = 0): PoolHistory {
    const slots: number[] = []
    for (let index = Math.max(0, this.#count - this.#capacity); index < this.#count; index++) {
      const slot = index % this.#capacity
      if ((this.#at[slot] ?? 0) > after) slots.push(slot)
    }
    const column = (index: number): number[] =>
      slots.map((slot) => this.#values[slot * SAMPLE_FIELDS.length + index] ?? 0)
    return {
      at: slots.map((slot) => this.#at[slot] ?? 0),
      ...(Object.fromEntries(SAMPLE_FIELDS.map((field, index) => [field, column(index)])) as Record<
        SampleField,
        number[]
      >),
    }
  }
}
