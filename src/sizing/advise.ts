import { systemClock, type Clock } from '../core/clock.ts'
import type { ManagedPool } from '../core/managed-pool.ts'
import { budgetFor, fromCores, lockFloor } from './formulas.ts'
import { findKnee, type Knee } from './knee.ts'
import { Observer } from './observer.ts'
import { connectionsByAllenCunneen, connectionsByErlangC, type WaitObjective } from './queueing.ts'
import { connectionsByReplay, gapsOf, momentsOf, replay } from './replay.ts'

/**
 * `UNDER`: callers wait too long, and more connections would help · `OVER`: half the pool was never in use ·
 * `SATURATED_SERVER`: the server is the limit, more connections make it worse · `LEASE_WASTE`: connections are held while
 * nothing runs on them · `BUDGET`: all instances together ask for more than the server has · `LOCK_RISK`: callers that hold
 * a connection wait for another one
 */
export type Verdict = 'UNDER' | 'OVER' | 'SATURATED_SERVER' | 'LEASE_WASTE' | 'BUDGET' | 'LOCK_RISK'

export interface Finding {
  readonly verdict: Verdict
  /** One sentence, with the numbers. */
  readonly why: string
  readonly numbers: Readonly<Record<string, number>>
}

export interface AdviceOptions {
  /** What a caller may wait for a connection, in milliseconds. @defaultValue 20 */
  readonly waitMillis?: number | undefined
  /** How many of them may wait longer, from 0 to 1. @defaultValue 0.01 */
  readonly waitShare?: number | undefined
  /** How many connections the server allows. @defaultValue not known: no budget */
  readonly serverLimit?: number | undefined
  /** How many of them are kept for others. @defaultValue 3 */
  readonly reserved?: number | undefined
  /** Processes with a pool like this one. @defaultValue 1 */
  readonly instances?: number | undefined
  /** Cores of the server, for a line of comparison. @defaultValue not known */
  readonly serverCores?: number | undefined
  /** How many arrivals and times of use are remembered. @defaultValue 50_000 */
  readonly traceLength?: number | undefined
  /** How long a pool must have been half empty before that is said, in milliseconds. @defaultValue 24 hours */
  readonly overAfterMillis?: number | undefined
  /** @defaultValue the process's clock */
  readonly clock?: Clock | undefined
}

/** What an advisor says: plain data. */
export interface Advice {
  readonly pool: string
  readonly max: number
  /** `max` as it should be; the present one where there is no reason to change it. */
  readonly recommended: number
  /** A quarter of it: what to keep open. */
  readonly recommendedMin: number
  /** From what is the case, the worst first; empty: the size is right. */
  readonly findings: readonly Finding[]
  /** How far to trust it: `high` from 1,000 leases and 30 minutes on, `low` below 1,000 leases or 5 minutes. */
  readonly confidence: 'low' | 'medium' | 'high'
  readonly samples: number
  readonly observedMillis: number
  /** The fewest connections that meet the wait objective, by each method; nothing where there is nothing to go by. */
  readonly need: {
    readonly replay: number | undefined
    readonly erlangC: number | undefined
    readonly allenCunneen: number | undefined
  }
  /** Where the server stops to get more done; nothing where it was not seen. */
  readonly knee: Knee | undefined
  /** What the server has for this instance; nothing where its limit is not known. */
  readonly budget: number | undefined
  /** `2 × cores + disks` over the instances; nothing where the cores are not known. */
  readonly formula: number | undefined
  readonly lockFloor: number | undefined
  /** The share of callers who waited longer than they may, or got nothing. */
  readonly lateShare: number
  /** The share of the time in which every connection was out. */
  readonly fullShare: number
  /** Leases out, 99th percentile of the time, of the last day. */
  readonly busyP99: number
  /** The share of the leases' time that has not come back: above 0.1, long work or a leak. */
  readonly littleGap: number
  /** The share of a lease in which something ran on it; nothing where the adapter does not measure it. */
  readonly workShare: number | undefined
}

/** A replay of less says too little of the tail; formulas are asked then, and one is added for what they do not know. */
const ENOUGH_TO_REPLAY = 10_000
const ENOUGH = 1_000
const ENOUGH_MILLIS = 30 * 60_000
const A_START_MILLIS = 5 * 60_000
/** Full so often, the server may be the limit. */
const FULL = 0.3

/** Watches one pool until it is stopped. */
export class Advisor {
  readonly #pool: ManagedPool
  readonly #options: AdviceOptions
  readonly #objective: WaitObjective
  readonly #observer: Observer

  constructor(pool: ManagedPool, options: AdviceOptions) {
    this.#pool = pool
    this.#options = options
    const { waitMillis = 20, waitShare = 0.01, traceLength = 50_000, clock = systemClock } = options
    this.#objective = { waitMillis, share: waitShare }
    this.#observer = new Observer(pool, traceLength, waitMillis, clock)
  }

  /** Takes its listeners off the pool. */
  stop(): void {
    this.#observer.stop()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  /**
   * What can be said now. With a full trace this takes about a dozen replays of it, some 10 ms each: ask every few
   * minutes, not on every request.
   */
  advice(): Advice {
    const observer = this.#observer
    const { max, name } = this.#pool.stats()
    const fullShare = observer.shareOfTimeAt(max)
    const need = this.#need(max)
    const knee = fullShare >= FULL ? findKnee(observer.bins()) : undefined
    const { serverLimit, reserved, instances = 1, serverCores } = this.#options
    const budget = serverLimit === undefined ? undefined : budgetFor(serverLimit, instances, reserved).connections
    const floor = observer.nestedSeen > 0 ? lockFloor(Math.max(1, observer.peak), 2).connections : undefined
    const wanted = need.replay ?? larger(need.erlangC, need.allenCunneen)
    const facts: Facts = {
      pool: name,
      max,
      need,
      knee,
      budget,
      formula:
        serverCores === undefined ? undefined : Math.max(1, Math.floor(fromCores(serverCores).connections / instances)),
      lockFloor: floor,
      samples: observer.samples,
      observedMillis: observer.observedMillis,
      confidence: confidenceOf(observer),
      lateShare: observer.lateShare,
      fullShare,
      busyP99: observer.busyP99,
      littleGap: observer.littleGap,
      workShare: observer.workShare(),
    }
    const bounded = Math.min(wanted ?? max, knee?.connections ?? Infinity)
    const recommended = Math.max(
      1,
      Math.min(Math.max(bounded, floor ?? 1), budget === undefined ? Infinity : Math.max(1, budget)),
    )
    const findings = findingsOf(facts, wanted, this.#objective, this.#options)
    return { ...facts, findings, recommended, recommendedMin: Math.max(1, Math.round(recommended / 4)) }
  }

  #need(max: number): Advice['need'] {
    const observer = this.#observer
    const trace = observer.trace()
    if (trace.length < 2) return { replay: undefined, erlangC: undefined, allenCunneen: undefined }
    const gaps = gapsOf(trace)
    const uses = momentsOf(trace.uses, trace.length)
    const load = gaps.mean === 0 ? max : uses.mean / gaps.mean
    const isEnough = trace.length >= Math.min(ENOUGH_TO_REPLAY, this.#options.traceLength ?? Infinity)
    return {
      replay: isEnough ? connectionsByReplay(trace, this.#objective) : undefined,
      erlangC: connectionsByErlangC(load, uses.mean, this.#objective) + (isEnough ? 0 : 1),
      allenCunneen:
        connectionsByAllenCunneen(load, uses.mean, this.#objective, gaps.cv2, uses.cv2) + (isEnough ? 0 : 1),
    }
  }

  /** The share of the remembered callers who would have waited too long with so many connections. */
  lateWith(connections: number): number {
    return replay(this.#observer.trace(), connections, this.#objective.waitMillis)
  }
}

type Facts = Omit<Advice, 'findings' | 'recommended' | 'recommendedMin'>

function larger(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
}

function confidenceOf({ samples, observedMillis }: Observer): Advice['confidence'] {
  if (samples < ENOUGH || observedMillis < A_START_MILLIS) return 'low'
  return observedMillis >= ENOUGH_MILLIS ? 'high' : 'medium'
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

function findingsOf(
  facts: Facts,
  wanted: number | undefined,
  { waitMillis, share }: WaitObjective,
  { serverLimit, reserved = 3, instances = 1, overAfterMillis = 24 * 3_600_000 }: AdviceOptions,
): Finding[] {
  const { max, knee, lateShare, fullShare, busyP99, budget, workShare } = facts
  const findings: Finding[] = []
  const find = (verdict: Verdict, why: string, numbers: Record<string, number>): void => {
    findings.push({ verdict, why, numbers })
  }
  if (serverLimit !== undefined && budget !== undefined && instances * max > serverLimit - reserved) {
    find(
      'BUDGET',
      `${instances} instances × max ${max} are ${instances * max} connections, and the server has ${serverLimit - reserved} for them: at most ${budget} each.`,
      { instances, max, serverLimit, reserved, budget },
    )
  }
  if (facts.lockFloor !== undefined) {
    find(
      'LOCK_RISK',
      `Callers that hold a connection have waited for another one of this pool: below ${facts.lockFloor} connections they can block each other for ever; pass the connection on instead.`,
      { lockFloor: facts.lockFloor, max },
    )
  }
  const isAtTheKnee = knee !== undefined && knee.connections < max
  if (isAtTheKnee) {
    find(
      'SATURATED_SERVER',
      `All ${max} connections were out for ${percent(fullShare)} of the time, and beyond ${knee.connections} the server gets no more done: work only takes longer. Reduce to ${knee.connections}; more connections make it worse.`,
      { max, fullShare, knee: knee.connections },
    )
  } else if (lateShare > share && wanted !== undefined && wanted > max) {
    find(
      'UNDER',
      `${percent(lateShare)} of the callers waited longer than ${waitMillis} ms (${percent(share)} may); ${wanted} connections would have been enough for this load, not ${max}.`,
      { lateShare, waitMillis, share, need: wanted, max },
    )
  }
  if (workShare !== undefined && workShare < 0.5 && fullShare > 0.05) {
    find(
      'LEASE_WASTE',
      `Something runs on a connection for ${percent(workShare)} of the time it is held: hold it shorter (no remote call, no computation inside) instead of adding connections.`,
      { workShare, fullShare },
    )
  }
  if (facts.observedMillis >= overAfterMillis && busyP99 <= 0.5 * max && facts.samples > 0) {
    find(
      'OVER',
      `For 99 % of the time at most ${busyP99} of ${max} connections were out: ${Math.max(1, wanted ?? busyP99)} are enough for this load.`,
      { busyP99, max, need: wanted ?? busyP99 },
    )
  }
  return findings
}

/**
 * Watches a pool and says how large it should be, and why. It listens to every acquire and release, which costs about a
 * microsecond each; stop it when you have your answer.
 *
 * The need is found by a replay of the last 50,000 arrivals and times of use (what was refused or timed out included) for
 * the wait objective: measured within ±1 connection at loads up to 10 at a time, within ±10 % at 40. The knee of the server is found by
 * two estimators of different measurements, only where the pool was full for 30 % of the time.
 *
 * ```ts
 * const advisor = advise(pool, { waitMillis: 20, serverLimit: 100, instances: 4 })
 * setInterval(() => console.log(advisor.advice()), 300_000)
 * ```
 */
export function advise(pool: ManagedPool, options: AdviceOptions = {}): Advisor {
  return new Advisor(pool, options)
}
