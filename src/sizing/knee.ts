import { fitUsl, uslFewest, uslKnee, type OperatingPoint, type UslModel } from './usl.ts'

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
  /** The smaller of the two where they agree; else that by throughput, which is the sharper one, if it found any. */
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
/** So much of the most that was seen is enough: what is left costs more connections than it brings. */
const ENOUGH = 0.97

/**
 * Looks for the knee within the sizes that were seen; it says nothing of larger ones.
 *
 * Both estimators fit the Universal Scalability Law, but to different measurements: the first to how fast leases ended
 * while exactly n were out, the second to how long leases took while n were out on average. There is a knee where the
 * law's elasticity falls below 0.1 within what was seen; it is the fewest connections with 97 % of the most throughput
 * within it. The elasticity alone would stop earlier on a server that slows down without ever turning back: at 90 % of
 * what it can do. A pool that is always full was seen at one size only, and has no knee to be found.
 */
export function findKnee(bins: readonly LoadBin[]): Knee | undefined {
  const byThroughput = kneeOf(ratesOf(bins))
  const byUseTime = kneeOf(useTimesOf(bins)).knee
  const found = [byThroughput.knee, byUseTime].filter((knee) => knee !== undefined)
  if (found.length === 0) return undefined
  const [least, most] = [Math.min(...found), Math.max(...found)]
  const agree = found.length === 2 && most / least <= 1.5
  return {
    connections: Math.max(1, Math.ceil(agree ? least : (byThroughput.knee ?? least))),
    byThroughput: byThroughput.knee,
    byUseTime,
    agree,
    model: byThroughput.model,
  }
}

function kneeOf(points: readonly OperatingPoint[]): { knee: number | undefined; model: UslModel | undefined } {
  const model = fitUsl(points)
  if (model === undefined) return { knee: undefined, model }
  const seen = Math.max(...points.map(({ connections }) => connections))
  return { knee: uslKnee(model) <= seen ? uslFewest(model, ENOUGH, seen) : undefined, model }
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
