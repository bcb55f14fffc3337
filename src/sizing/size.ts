import type { PoolStats } from '../core/stats.ts'
import {
  budgetFor,
  fromCores,
  fromLittle,
  fromWaiting,
  lockFloor,
  minFor,
  offeredLoad,
  type FormulaResult,
} from './formulas.ts'
import { fromAllenCunneen, fromErlangC } from './queueing.ts'
import { fromThroughput, type OperatingPoint } from './usl.ts'

/** What is known; every line of the answer needs some of it. */
export interface SizeQuestion {
  /** Cores of the server. */
  readonly cores?: number | undefined
  /** Effective disks of the server. @defaultValue 1 */
  readonly disks?: number | undefined
  /** How long a lease waits for something else than the server, in milliseconds. */
  readonly waitMillis?: number | undefined
  /** How long the server works on a lease, in milliseconds. */
  readonly serviceMillis?: number | undefined
  /** What the whole server got done with so many connections at work, measured at three sizes or more; `millpond bench` does. */
  readonly throughput?: readonly OperatingPoint[] | undefined
  /** Leases asked for in a second, by all instances together. */
  readonly ratePerSecond?: number | undefined
  /** How long a lease is out, in milliseconds. @defaultValue `waitMillis` + `serviceMillis` */
  readonly useMillis?: number | undefined
  /** Squared coefficient of variation of the times between arrivals; above 1 bursts. @defaultValue 1 */
  readonly arrivalCv2?: number | undefined
  /** Squared coefficient of variation of the times of use. @defaultValue 1 */
  readonly useCv2?: number | undefined
  /** What a caller may wait for a connection, in milliseconds. @defaultValue 20 */
  readonly acceptableWaitMillis?: number | undefined
  /** How many of them may wait longer, from 0 to 1. @defaultValue 0.01 */
  readonly acceptableShare?: number | undefined
  /** Processes with a pool like this one. @defaultValue 1 */
  readonly instances?: number | undefined
  /** How many connections the server allows. */
  readonly serverLimit?: number | undefined
  /** How many of them are kept for others. @defaultValue 3 */
  readonly reserved?: number | undefined
  /** Tasks at a time that hold several connections of the pool at once. */
  readonly tasks?: number | undefined
  /** How many connections such a task holds. @defaultValue 2 */
  readonly connectionsPerTask?: number | undefined
}

/** One way to look at it. */
export interface SizeReason extends FormulaResult {
  readonly name: 'usl' | 'cores' | 'waiting' | 'little' | 'erlang-c' | 'allen-cunneen' | 'lock-floor' | 'budget'
  /** `knee`: the server gets no more done with more · `need`: fewer make callers wait · `floor` and `ceiling`: bounds. */
  readonly role: 'knee' | 'need' | 'floor' | 'ceiling'
  /** For one instance. */
  readonly perInstance: number
  /** One sentence. */
  readonly why: string
}

/** The answer: plain data, with reasons. */
export interface SizeAnswer {
  /** For one instance. */
  readonly max: number
  readonly min: number
  /** Which reason decided. */
  readonly decidedBy: SizeReason['name']
  readonly reasons: readonly SizeReason[]
  /** What does not fit together. */
  readonly warnings: readonly string[]
}

/**
 * How large a pool should be, as far as that can be computed from what is known: enough that callers do not wait, not
 * more than the server gets something done with, within what it allows. What has been measured on a running pool
 * ({@link loadBetween}) is better than what is assumed, and a live {@link advise} better than both.
 *
 * @throws {RangeError} on a number that is none, or where nothing is known that any formula needs
 */
export function size(question: SizeQuestion): SizeAnswer {
  const { instances = 1 } = question
  if (!Number.isInteger(instances) || instances < 1)
    throw new RangeError(`Expected \`instances\` to be an integer ≥ 1, got ${instances}`)
  const reasons = [
    ...kneeReasons(question, instances),
    ...needReasons(question, instances),
    ...bounds(question, instances),
  ]
  const of = (role: SizeReason['role']): SizeReason[] => reasons.filter((reason) => reason.role === role)
  const need = most(of('need'))
  // The first knows most: what was measured, then how long a lease waits, then the cores alone.
  const [knee] = of('knee')
  const wanted =
    need !== undefined && knee !== undefined ? (need.perInstance <= knee.perInstance ? need : knee) : (need ?? knee)
  const floor = most(of('floor'))
  const [ceiling] = of('ceiling')
  const start = wanted ?? floor ?? ceiling
  if (start === undefined)
    throw new RangeError('Say at least `cores`, or `throughput`, or `ratePerSecond` with `useMillis`, or `serverLimit`')
  const raised = floor !== undefined && floor.perInstance > start.perInstance ? floor : start
  const decided = ceiling !== undefined && ceiling.perInstance < raised.perInstance ? ceiling : raised
  const max = Math.max(1, decided.perInstance)
  return {
    max,
    min: Math.min(max, minFor(max)),
    decidedBy: decided.name,
    reasons,
    warnings: warningsOf(need, knee, floor, ceiling),
  }
}

function most(reasons: readonly SizeReason[]): SizeReason | undefined {
  return reasons.reduce<SizeReason | undefined>(
    (best, reason) => (best === undefined || reason.perInstance > best.perInstance ? reason : best),
    undefined,
  )
}

function kneeReasons(
  { throughput, cores, disks, waitMillis, serviceMillis }: SizeQuestion,
  instances: number,
): SizeReason[] {
  const share = (result: FormulaResult): number => Math.max(1, Math.floor(result.connections / instances))
  const reasons: SizeReason[] = []
  if (throughput !== undefined) {
    const result = fromThroughput(throughput)
    const why = `${result.connections} connections got as much done as any that were tried, within 3 %.`
    reasons.push({ ...result, name: 'usl', role: 'knee', perInstance: share(result), why })
  }
  if (cores === undefined) return reasons
  if (waitMillis !== undefined && serviceMillis !== undefined) {
    const result = fromWaiting(cores, waitMillis, serviceMillis)
    const why = `${result.connections} connections keep ${cores} cores busy when each waits ${waitMillis} ms for ${serviceMillis} ms of work.`
    reasons.push({ ...result, name: 'waiting', role: 'knee', perInstance: share(result), why })
  }
  const result = fromCores(cores, disks)
  const why = `${result.connections} connections at work are what a server of ${cores} cores usually does most with.`
  reasons.push({ ...result, name: 'cores', role: 'knee', perInstance: share(result), why })
  return reasons
}

function needReasons(question: SizeQuestion, instances: number): SizeReason[] {
  const {
    ratePerSecond,
    waitMillis,
    serviceMillis,
    arrivalCv2 = 1,
    useCv2 = 1,
    acceptableWaitMillis = 20,
    acceptableShare = 0.01,
  } = question
  const useMillis = question.useMillis ?? (serviceMillis === undefined ? undefined : serviceMillis + (waitMillis ?? 0))
  if (ratePerSecond === undefined || useMillis === undefined) return []
  // Each instance queues by itself: many small pools need more than one large one.
  const load = offeredLoad(ratePerSecond / instances, useMillis)
  const objective = { waitMillis: acceptableWaitMillis, share: acceptableShare }
  const goal = `${acceptableShare * 100} % wait longer than ${acceptableWaitMillis} ms`
  const little = fromLittle(ratePerSecond / instances, useMillis)
  // Formulas are about one pool; their number is for all instances, as that of the others.
  const make = (name: SizeReason['name'], result: FormulaResult, why: string): SizeReason => ({
    ...result,
    name,
    role: 'need',
    connections: result.connections * instances,
    perInstance: result.connections,
    why,
  })
  const enough = ({ connections }: FormulaResult): string =>
    `${little.shown}: with ${connections} connections at most ${goal}.`
  const erlang = fromErlangC(load, useMillis, objective)
  const cunneen = fromAllenCunneen(load, useMillis, objective, arrivalCv2, useCv2)
  return [
    make('little', little, `${little.shown} on average: below that, what is asked for can never be served.`),
    make('erlang-c', erlang, enough(erlang)),
    make('allen-cunneen', cunneen, enough(cunneen)),
  ]
}

function bounds(
  { tasks, connectionsPerTask = 2, serverLimit, reserved }: SizeQuestion,
  instances: number,
): SizeReason[] {
  const reasons: SizeReason[] = []
  if (tasks !== undefined) {
    const result = lockFloor(tasks, connectionsPerTask)
    const why = `${tasks} tasks that hold up to ${connectionsPerTask} connections at once can block each other for ever below ${result.connections}.`
    reasons.push({ ...result, name: 'lock-floor', role: 'floor', perInstance: result.connections, why })
  }
  if (serverLimit !== undefined) {
    const result = budgetFor(serverLimit, instances, reserved)
    const why = `${instances} instances have ${result.connections} each of the ${serverLimit} that the server allows.`
    reasons.push({ ...result, name: 'budget', role: 'ceiling', perInstance: result.connections, why })
  }
  return reasons
}

function warningsOf(
  need: SizeReason | undefined,
  knee: SizeReason | undefined,
  floor: SizeReason | undefined,
  ceiling: SizeReason | undefined,
): string[] {
  const warnings: string[] = []
  if (need !== undefined && knee !== undefined && need.perInstance > knee.perInstance)
    warnings.push(
      `Callers need ${need.perInstance} connections, but beyond ${knee.perInstance} the server gets no more done: make the work shorter, or the server larger.`,
    )
  if (ceiling !== undefined && ceiling.perInstance < 1)
    warnings.push('There are more instances than connections: put a pooler between them and the server.')
  else if (ceiling !== undefined && need !== undefined && need.perInstance > ceiling.perInstance)
    warnings.push(
      `Callers need ${need.perInstance} connections, and the server has ${ceiling.perInstance} for each instance: fewer instances, a pooler in between, or a higher limit.`,
    )
  if (floor !== undefined && ceiling !== undefined && floor.perInstance > ceiling.perInstance)
    warnings.push(
      `Nested leases need ${floor.perInstance} connections and only ${ceiling.perInstance} are allowed: this pool can deadlock; pass one connection on instead.`,
    )
  return warnings
}

/** What a running pool was asked for between two looks at its statistics. */
export interface MeasuredLoad {
  readonly ratePerSecond: number
  readonly useMillis: number
  /** The mean number of connections at work, by Little's law. */
  readonly busy: number
  /** The mean wait for a connection of those who got one, in milliseconds. */
  readonly acquireMillis: number
  /** The share that had to wait, timed out or was refused. */
  readonly waitedShare: number
}

/** The part of {@link PoolStats} that is needed; a metrics endpoint has it too. */
export type MeasuredStats = Pick<PoolStats, 'requested' | 'acquiredAfterWait' | 'timedOut' | 'refused'> & {
  readonly use: Pick<PoolStats['use'], 'count' | 'mean'>
  readonly wait: Pick<PoolStats['wait'], 'count' | 'mean'>
}

/**
 * The load of a running pool, from two snapshots of its statistics: for {@link size}, as
 * `size({ ...loadBetween(before, after, 60_000), cores: 4 })`.
 *
 * @param elapsedMillis - between the two
 * @throws {RangeError} where no time has passed
 */
export function loadBetween(before: MeasuredStats, after: MeasuredStats, elapsedMillis: number): MeasuredLoad {
  if (!(elapsedMillis > 0)) throw new RangeError(`Expected \`elapsedMillis\` to be a number > 0, got ${elapsedMillis}`)
  const requested = after.requested - before.requested
  const useMillis = meanBetween(before.use, after.use)
  const ratePerSecond = (requested * 1_000) / elapsedMillis
  const late = (stats: MeasuredStats): number => stats.acquiredAfterWait + stats.timedOut + stats.refused
  return {
    ratePerSecond,
    useMillis,
    busy: offeredLoad(ratePerSecond, useMillis),
    acquireMillis: meanBetween(before.wait, after.wait),
    waitedShare: requested === 0 ? 0 : (late(after) - late(before)) / requested,
  }
}

function meanBetween(
  before: { readonly count: number; readonly mean: number },
  after: { readonly count: number; readonly mean: number },
): number {
  const count = after.count - before.count
  return count <= 0 ? 0 : Math.max(0, (after.count * after.mean - before.count * before.mean) / count)
}
