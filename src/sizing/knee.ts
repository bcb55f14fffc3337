import { fitUsl, uslKnee, type OperatingPoint, type UslModel } from './usl.ts'

/** What was seen while so many leases were out. */
export interface LoadBin {
  readonly connections: number
  /** How long exactly so many were out, in milliseconds. */
  readonly millis: number
  /** Leases that ended while so many were out. */
  readonly completions: number
  /** Leases that ended in short windows with so many out on average, and their times of use, in milliseconds. */
  readonly shared: number
  readonly useMillis: number
}

/** Where more connections stop to help, by two estimators that share no measurement. */
export interface Knee {
  /** The smaller of the two where they agree; else of the one that found it. */
  readonly connections: number
  /** From throughput: the Universal Scalability Law, fitted to how fast leases end while n are out. */
  readonly byThroughput: number | undefined
  /** From latency: the same law, fitted to how long leases take beside n others. */
  readonly byUseTime: number | undefined
  /** Whether both found it, within a factor of 1.5. */
  readonly agree: boolean
  readonly model: UslModel | undefined
}

/** Bins with less say nothing. */
const FEWEST = 30

/**
 * Looks for the knee within the sizes that were seen; it says nothing of larger ones.
 *
 * Both estimators fit the Universal Scalability Law and ask where its elasticity falls below 0.1, but to different
 * measurements: the first to how fast leases ended while exactly n were out, the second to how long leases took while n
 * were out on average. A pool that is always full was seen at one size only, and has no knee to be found.
 */
export function findKnee(bins: readonly LoadBin[]): Knee | undefined {
  const byThroughput = kneeOf(ratesOf(bins))
  const byUseTime = kneeOf(useTimesOf(bins)).knee
  const found = [byThroughput.knee, byUseTime].filter((knee) => knee !== undefined)
  if (found.length === 0) return undefined
  const [least, most] = [Math.min(...found), Math.max(...found)]
  return {
    connections: Math.max(1, Math.ceil(least)),
    byThroughput: byThroughput.knee,
    byUseTime,
    agree: found.length === 2 && most / least <= 1.5,
    model: byThroughput.model,
  }
}

function kneeOf(points: readonly OperatingPoint[]): { knee: number | undefined; model: UslModel | undefined } {
  const model = fitUsl(points)
  if (model === undefined) return { knee: undefined, model }
  const seen = Math.max(...points.map(({ connections }) => connections))
  const knee = uslKnee(model)
  return { knee: knee <= seen ? knee : undefined, model }
}

/** Completions per second while exactly so many were out: how the work arrives makes no difference to it. */
function ratesOf(bins: readonly LoadBin[]): OperatingPoint[] {
  return bins
    .filter(({ completions, millis }) => completions >= FEWEST && millis > 0)
    .map(({ connections, completions, millis }) => ({
      connections,
      throughput: (completions * 1_000) / millis,
      weight: completions,
    }))
}

/** What leases of this length would get done, by Little's law. */
function useTimesOf(bins: readonly LoadBin[]): OperatingPoint[] {
  return bins
    .filter(({ shared, useMillis }) => shared >= FEWEST && useMillis > 0)
    .map(({ connections, shared, useMillis }) => ({
      connections,
      throughput: (connections * shared * 1_000) / useMillis,
      weight: shared,
    }))
}
