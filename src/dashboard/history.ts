/** The series that are kept for every pool, one number each at every sample. */
export const SERIES = [
  'used',
  'idle',
  'creating',
  'max',
  'waiting',
  'oldestWaiterMillis',
  'acquiresPerSecond',
  'failuresPerSecond',
  'waitP50',
  'waitP95',
  'waitP99',
  'useP50',
  'useP95',
  'useP99',
] as const

export type SeriesName = (typeof SERIES)[number]

/** One sample: a number for each of {@link SERIES}, in that order; null where there is nothing to say. */
export type Sample = readonly (number | null)[]

/** Times in milliseconds since 1970, and under them one column for each of {@link SERIES}. */
export interface HistoryColumns {
  readonly times: readonly number[]
  readonly columns: readonly (readonly (number | null)[])[]
}

export interface HistorySpan {
  /** How long every sample is kept, in milliseconds. */
  readonly fineMillis: number
  /** How many samples become one after that. */
  readonly perCoarse: number
  /** How long the whole goes back, in milliseconds. */
  readonly wholeMillis: number
}

/** Every second for five minutes, every ten seconds for an hour: 660 samples a pool. */
export const ONE_HOUR: HistorySpan = { fineMillis: 300_000, perCoarse: 10, wholeMillis: 3_600_000 }

const WIDTH = SERIES.length
const INDEX = Object.fromEntries(SERIES.map((name, index) => [name, index])) as Record<SeriesName, number>

/**
 * The last hour of one pool in bounded memory: recent samples as they came, older ones thinned. What is thinned keeps
 * its highest value, so that a short peak still shows an hour later.
 */
export class History {
  readonly #span: HistorySpan
  #times: number[] = []
  #samples: Sample[] = []
  /** How many samples, from the oldest on, are thinned already. */
  #coarse = 0

  constructor(span: HistorySpan = ONE_HOUR) {
    this.#span = span
  }

  static from({ times, columns }: HistoryColumns, span: HistorySpan = ONE_HOUR): History {
    const history = new History(span)
    history.#times = [...times]
    history.#samples = times.map((_, row) => columns.map((column) => column[row] ?? null))
    // The sender has thinned what is older than the fine span.
    const fineSince = (times.at(-1) ?? 0) - span.fineMillis
    history.#coarse = times.filter((time) => time <= fineSince).length
    return history
  }

  get length(): number {
    return this.#times.length
  }

  add(time: number, sample: Sample): void {
    if (sample.length !== WIDTH) throw new TypeError(`Expected ${WIDTH} numbers, got ${sample.length}`)
    // A clock that was set back would make the chart run backwards: begin anew.
    if (time <= (this.#times.at(-1) ?? 0)) this.#clear()
    this.#times.push(time)
    this.#samples.push(sample)
    this.#thin(time)
    this.#forget(time)
  }

  /** The latest value of a series; nothing where there is none. */
  last(series: SeriesName): number | null | undefined {
    return this.#samples.at(-1)?.[INDEX[series]]
  }

  /** What lies within the last `millis`, by series. */
  columns(millis = this.#span.wholeMillis, series: readonly SeriesName[] = SERIES): HistoryColumns {
    const since = (this.#times.at(-1) ?? 0) - millis
    const first = Math.max(
      0,
      this.#times.findIndex((time) => time >= since),
    )
    const samples = this.#samples.slice(first)
    return {
      times: this.#times.slice(first),
      columns: series.map((name) => {
        const index = INDEX[name]
        return samples.map((sample) => sample[index] ?? null)
      }),
    }
  }

  #clear(): void {
    this.#times = []
    this.#samples = []
    this.#coarse = 0
  }

  #thin(now: number): void {
    const { fineMillis, perCoarse } = this.#span
    const lastOfGroup = this.#times[this.#coarse + perCoarse - 1]
    if (lastOfGroup === undefined || lastOfGroup > now - fineMillis) return
    const group = this.#samples.slice(this.#coarse, this.#coarse + perCoarse)
    this.#samples.splice(this.#coarse, perCoarse, highest(group))
    this.#times.splice(this.#coarse, perCoarse, lastOfGroup)
    this.#coarse++
  }

  #forget(now: number): void {
    const over = this.#times.findIndex((time) => time > now - this.#span.wholeMillis)
    if (over <= 0) return
    this.#times.splice(0, over)
    this.#samples.splice(0, over)
    this.#coarse = Math.max(0, this.#coarse - over)
  }
}

function highest(samples: readonly Sample[]): Sample {
  return SERIES.map((_, series) =>
    samples.reduce<number | null>((most, sample) => {
      const value = sample[series] ?? null
      return value === null ? most : Math.max(most ?? -Infinity, value)
    }, null),
  )
}
