import type { FormulaResult } from './formulas.ts'

/**
 * What queueing theory says of c connections under an offered load of a Erlangs (arrivals per second × mean seconds of
 * use). It assumes arrivals at random (Poisson) and times of use that do not depend on c, which holds below the
 * server's knee. Programs that start several queries at once do not arrive at random: with batches of five, or
 * load that comes and goes, these formulas are 4 to 8 connections short at a = 10. A replay of what has really
 * happened is not.
 *
 * @see Erlang, "Solution of some Problems in the Theory of Probabilities of Significance in Automatic Telephone Exchanges" (1917)
 */

/** What a caller may wait, and how many of them may wait longer. */
export interface WaitObjective {
  /** In milliseconds. */
  readonly waitMillis: number
  /** From 0 to 1. */
  readonly share: number
}

/**
 * Erlang's B: the share of arrivals that find all c connections busy, if nobody waited. By the recursion
 * `B(0) = 1, B(k) = a·B(k−1) / (k + a·B(k−1))`, which neither overflows nor loses digits.
 */
export function erlangB(connections: number, load: number): number {
  let blocked = 1
  for (let k = 1; k <= connections; k++) blocked = (load * blocked) / (k + load * blocked)
  return blocked
}

/** Erlang's C: the share of callers who have to wait at all; 1 where the load is more than the connections can serve. */
export function erlangC(connections: number, load: number): number {
  if (load >= connections) return 1
  if (load <= 0) return 0
  const blocked = erlangB(connections, load)
  return blocked / (1 - (load / connections) * (1 - blocked))
}

/** The mean wait of all callers, in the unit of `use`; `Infinity` where the load is more than the connections can serve. */
export function meanWait(connections: number, load: number, use: number): number {
  return load >= connections ? Infinity : (erlangC(connections, load) * use) / (connections - load)
}

/** The share of callers who wait longer than `wait` (in the unit of `use`), for exponential times of use. */
export function waitsLonger(connections: number, load: number, use: number, wait: number): number {
  if (load >= connections) return 1
  return erlangC(connections, load) * Math.exp((-(connections - load) * wait) / use)
}

/**
 * The mean wait where neither arrivals nor times of use are exponential: Allen and Cunneen's approximation,
 * `Wq(M/M/c) · (Ca² + Cs²) / 2`. Good for moderate variation; bursts that are correlated are worse than it says.
 *
 * @param arrivalCv2 - squared coefficient of variation of the times between arrivals; 1 at random
 * @param useCv2 - squared coefficient of variation of the times of use; 0 constant, 1 exponential
 * @see Allen, "Probability, Statistics, and Queueing Theory" (1990), §5.3
 */
export function meanWaitGeneral(
  connections: number,
  load: number,
  use: number,
  arrivalCv2: number,
  useCv2: number,
): number {
  return (meanWait(connections, load, use) * (arrivalCv2 + useCv2)) / 2
}

/** A pool larger than this is no answer to any question. */
const MOST = 100_000

function fewest(load: number, meets: (connections: number) => boolean): number {
  let connections = Math.max(1, Math.floor(load) + 1)
  while (connections < MOST && !meets(connections)) connections++
  return connections
}

/** The fewest connections that meet the objective by Erlang's C. */
export function connectionsByErlangC(load: number, useMillis: number, { waitMillis, share }: WaitObjective): number {
  if (load <= 0) return 1
  return fewest(load, (c) => waitsLonger(c, load, useMillis, waitMillis) <= share)
}

/**
 * The fewest connections that meet the objective when waits are stretched by Allen and Cunneen's factor
 * `(Ca² + Cs²) / 2`. The larger of this and Erlang's C is never short where arrivals are at random, and at most 2 too many.
 */
export function connectionsByAllenCunneen(
  load: number,
  useMillis: number,
  { waitMillis, share }: WaitObjective,
  arrivalCv2: number,
  useCv2: number,
): number {
  if (load <= 0) return 1
  const factor = (arrivalCv2 + useCv2) / 2
  // The tail of the stretched wait is that of the plain one at a shorter time.
  return fewest(load, (c) => waitsLonger(c, load, useMillis, factor === 0 ? Infinity : waitMillis / factor) <= share)
}

/**
 * `a + z·√a`: the same slack, in standard deviations of the load, at any size. `z` 1 lets about 22 % wait, 2.33 about 1 %.
 * @see Halfin and Whitt, "Heavy-Traffic Limits for Queues with Many Exponential Servers", Operations Research 29 (1981)
 */
export function connectionsBySquareRoot(load: number, z = 2.33): number {
  return Math.max(1, Math.ceil(load + z * Math.sqrt(Math.max(0, load))))
}

const goalOf = ({ waitMillis, share }: WaitObjective): string => `${share * 100} % wait longer than ${waitMillis} ms`

const round = (value: number): number => Math.round(value * 100) / 100

/** {@link connectionsByErlangC}, with what to know of it. */
export function fromErlangC(load: number, useMillis: number, objective: WaitObjective): FormulaResult {
  return {
    connections: connectionsByErlangC(load, useMillis, objective),
    shown: `C(c, ${round(load)}) so that ${goalOf(objective)}`,
    source: 'Erlang (1917), C formula',
    limits: 'arrivals at random, exponential times of use; bursts need 4 to 8 more at a load of 10',
  }
}

/** {@link connectionsByAllenCunneen}, with what to know of it. */
export function fromAllenCunneen(
  load: number,
  useMillis: number,
  objective: WaitObjective,
  arrivalCv2: number,
  useCv2: number,
): FormulaResult {
  return {
    connections: connectionsByAllenCunneen(load, useMillis, objective, arrivalCv2, useCv2),
    shown: `C(c, ${round(load)}) × (${round(arrivalCv2)} + ${round(useCv2)}) / 2 so that ${goalOf(objective)}`,
    source: 'Allen (1990), §5.3, Allen–Cunneen',
    limits: 'moderate variation; correlated bursts are worse than it says',
  }
}
