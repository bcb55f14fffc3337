import { systemClock, type Clock } from '../core/clock.ts'
import { coreOf, sizedPartOf, type ManagedPool } from '../core/managed-pool.ts'
import { Pool } from '../core/pool.ts'
import { budgetFor, fromCores, lockFloor } from './formulas.ts'
import { findingsOf, type Finding } from './findings.ts'
import { findKnee, type Knee } from './knee.ts'
import { Observer } from './observer.ts'
import { connectionsByAllenCunneen, connectionsByErlangC, type WaitObjective } from './queueing.ts'
import { connectionsByReplay, gapsOf, momentsOf, replay } from './replay.ts'

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
  /**
   * How many leases a connection carries at a time: 1, unless it is multiplexed (gRPC, HTTP/2). `max`, `recommended`,
   * `budget` and `formula` count connections; `need`, `knee`, `lockFloor` and `busyP99` count leases.
   */
  readonly leasesPerConnection: number
  /** A quarter of it: what to keep open. */
  readonly recommendedMin: number
  /** From what is the case, the worst first; empty: the size is right. */
  readonly findings: readonly Finding[]
  /** How far to trust it: `high` from 1,000 leases and 30 minutes on, `low` below 1,000 leases or 5 minutes. */
  readonly confidence: 'low' | 'medium' | 'high'
  readonly samples: number
  readonly observedMillis: number
  /** The fewest leases at a time that meet the wait objective, by each method; nothing where there is nothing to go by. */
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
  /** The share of the time in which everything was out that the pool may lend. */
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
/** So often beyond the knee, the server is the limit. */
const BEYOND_THE_KNEE = 0.3

/** Watches one pool until it is stopped. */
export class Advisor {
  readonly #pool: ManagedPool
  readonly #options: AdviceOptions
  readonly #objective: WaitObjective
  readonly #leasesPerConnection: number
  readonly #observer: Observer

  constructor(pool: ManagedPool, options: AdviceOptions) {
    const sized = sizedPartOf(pool)
    this.#pool = sized
    const core = coreOf(sized)
    this.#leasesPerConnection = core instanceof Pool ? core.options.maxLeasesPerResource : 1
    this.#options = options
    const { waitMillis = 20, waitShare = 0.01, traceLength = 50_000, clock = systemClock } = options
    this.#objective = { waitMillis, share: waitShare }
    this.#observer = new Observer(sized, traceLength, waitMillis, clock)
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
    const leasesPerConnection = this.#leasesPerConnection
    const capacity = max * leasesPerConnection
    const need = this.#need(capacity)
    const found = findKnee(observer.bins())
    const beyondShare = found === undefined ? 0 : observer.shareOfTimeAt(found.connections + 1)
    const knee = beyondShare >= BEYOND_THE_KNEE ? found : undefined
    const { serverLimit, reserved, instances = 1, serverCores } = this.#options
    const budget = serverLimit === undefined ? undefined : budgetFor(serverLimit, instances, reserved).connections
    const floor = observer.nestedSeen > 0 ? lockFloor(Math.max(1, observer.peak), 2).connections : undefined
    const wanted = need.replay ?? larger(need.erlangC, need.allenCunneen)
    const facts: Omit<Advice, 'findings' | 'recommended' | 'recommendedMin'> = {
      pool: name,
      max,
      leasesPerConnection,
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
      fullShare: observer.shareOfTimeAt(capacity),
      busyP99: observer.busyP99,
      littleGap: observer.littleGap,
      workShare: observer.workShare(),
    }
    const bounded = Math.min(wanted ?? capacity, knee?.connections ?? Infinity)
    const connections = Math.ceil(Math.max(bounded, floor ?? 1) / leasesPerConnection)
    const recommended = Math.max(1, Math.min(connections, budget ?? Infinity))
    const findings = findingsOf({ ...facts, wanted, beyondShare }, this.#objective, this.#options)
    return { ...facts, findings, recommended, recommendedMin: Math.max(1, Math.round(recommended / 4)) }
  }

  #need(capacity: number): Advice['need'] {
    const observer = this.#observer
    const trace = observer.trace()
    if (trace.length < 2) return { replay: undefined, erlangC: undefined, allenCunneen: undefined }
    const gaps = gapsOf(trace)
    const uses = momentsOf(trace.uses, trace.length)
    const load = gaps.mean === 0 ? capacity : uses.mean / gaps.mean
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

function larger(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
}

function confidenceOf({ samples, observedMillis }: Observer): Advice['confidence'] {
  if (samples < ENOUGH || observedMillis < A_START_MILLIS) return 'low'
  return observedMillis >= ENOUGH_MILLIS ? 'high' : 'medium'
}

/**
 * Watches a pool and says how large it should be, and why. It listens to every acquire and release, which costs about a
 * microsecond each; stop it when you have your answer.
 *
 * The need is found by a replay of the last 50,000 arrivals and times of use (what was refused or timed out included) for
 * the wait objective: within ±1 connection at loads up to 10 at a time, at 40 within 4 of the 68 that load in phases
 * needs, in simulation. The knee of the server is found by two estimators of different measurements, only where the pool
 * was full for 30 % of the time.
 *
 * ```ts
 * const advisor = advise(pool, { waitMillis: 20, serverLimit: 100, instances: 4 })
 * setInterval(() => console.log(advisor.advice()), 300_000)
 * ```
 */
export function advise(pool: ManagedPool, options: AdviceOptions = {}): Advisor {
  return new Advisor(pool, options)
}
