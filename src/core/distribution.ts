// Log-linear buckets over microseconds: 8 per power of two, so that no bucket is wider than 12.5 % of its values.
const SUB_BITS = 3
const SUB_COUNT = 1 << SUB_BITS
export const BUCKETS = (32 - SUB_BITS + 1) * SUB_COUNT
const LONGEST_MICROS = 2 ** 31 - 1

/** The bucket of a duration above zero; whatever is longer than 35 minutes counts as that. */
export function bucketOf(millis: number): number {
  const micros = Math.min(Math.round(millis * 1000), LONGEST_MICROS)
  if (micros < SUB_COUNT) return micros
  const exponent = 31 - Math.clz32(micros) - SUB_BITS
  return ((exponent + 1) << SUB_BITS) + ((micros >>> exponent) & (SUB_COUNT - 1))
}

/** Where a bucket begins, in milliseconds; it ends where the next one begins. */
function startOf(bucket: number): number {
  if (bucket < SUB_COUNT) return bucket / 1000
  const exponent = (bucket >> SUB_BITS) - 1
  return ((SUB_COUNT + (bucket & (SUB_COUNT - 1))) * 2 ** exponent) / 1000
}

/** The middle of a bucket, in milliseconds. */
export function valueOf(bucket: number): number {
  return bucket < SUB_COUNT ? bucket / 1000 : (startOf(bucket) + startOf(bucket + 1)) / 2
}

/**
 * How durations were distributed, since a pool was made or between two looks. Unlike percentiles, distributions can be
 * added and subtracted.
 */
export interface Distribution {
  /** How many there were, those of zero included. */
  readonly count: number
  readonly sumMillis: number
  /** Of the count, those of zero. */
  readonly zeros: number
  /** The others, by bucket: 8 for every power of two of microseconds. */
  readonly buckets: Uint32Array
}

/** How long callers waited, leases were out, and creates took. */
export interface Distributions {
  readonly wait: Distribution
  readonly use: Distribution
  readonly create: Distribution
}

export const NO_DISTRIBUTION: Distribution = Object.freeze({
  count: 0,
  sumMillis: 0,
  zeros: 0,
  buckets: new Uint32Array(BUCKETS),
})

function combine(a: Distribution, b: Distribution, sign: 1 | -1): Distribution {
  return {
    count: a.count + sign * b.count,
    sumMillis: a.sumMillis + sign * b.sumMillis,
    zeros: a.zeros + sign * b.zeros,
    buckets: a.buckets.map((count, bucket) => count + sign * (b.buckets[bucket] ?? 0)),
  }
}

/** What happened between two looks at the same pool. */
export function distributionSince(later: Distribution, earlier: Distribution): Distribution {
  return combine(later, earlier, -1)
}

/** The distributions of several pools as those of one. */
export function addDistributions(parts: readonly Distributions[]): Distributions {
  const sum = (field: keyof Distributions): Distribution =>
    parts.reduce<Distribution>((total, part) => combine(total, part[field], 1), NO_DISTRIBUTION)
  return { wait: sum('wait'), use: sum('use'), create: sum('create') }
}

/** The duration that a share of all does not exceed, in milliseconds, exact to 6 %; 0 where there were none. */
export function quantileOf({ count, zeros, buckets }: Distribution, quantile: number): number {
  const rank = Math.ceil(quantile * count)
  let seen = zeros
  if (rank <= seen) return 0
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    seen += buckets[bucket] ?? 0
    if (seen >= rank) return valueOf(bucket)
  }
  return 0
}

/**
 * How many did not exceed each of these limits (milliseconds, ascending), as cumulative histograms want it. A limit in
 * the middle of a bucket takes its share of it; the numbers never decrease, neither along the limits nor over time.
 */
export function countsUpTo({ zeros, buckets }: Distribution, limits: readonly number[]): number[] {
  let below = zeros
  let bucket = 0
  return limits.map((limit) => {
    for (; bucket < buckets.length && startOf(bucket + 1) <= limit; bucket++) below += buckets[bucket] ?? 0
    const start = startOf(bucket)
    const share = limit <= start ? 0 : (limit - start) / (startOf(bucket + 1) - start)
    return below + Math.floor((buckets[bucket] ?? 0) * share)
  })
}
