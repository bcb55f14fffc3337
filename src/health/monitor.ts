import { systemClock, type Clock } from '../core/clock.ts'
import { OptionError } from '../core/errors.ts'
import type { HealthCheck, ManagedPool } from '../core/managed-pool.ts'
import { checkOption } from '../core/option-check.ts'

export type HealthStatus = 'pass' | 'warn' | 'fail'

/** `liveness`: the process answers · `readiness`: it can do its work · `startup`: it could, once. */
export type HealthKind = 'liveness' | 'readiness' | 'startup'

/** The part of a registry that is used. */
export interface HealthRegistry extends Iterable<ManagedPool> {
  /** False once it is closing, or was told that it will. */
  readonly isReady: boolean
  isRequired(pool: ManagedPool): boolean
}

export interface HealthMonitorOptions {
  /** How old an answer may be before the pools are asked again, in milliseconds. @defaultValue 2_000 */
  cacheMillis?: number | undefined
  /** How long a check may take; probes of Kubernetes wait for a second. In milliseconds. @defaultValue 800 */
  timeoutMillis?: number | undefined
  /** How often in a row a required pool must fail before readiness does. @defaultValue 3 */
  failuresToFail?: number | undefined
  /** How often in a row it must then work again before readiness passes. @defaultValue 1 */
  passesToRecover?: number | undefined
  /** @defaultValue the process's clock */
  clock?: Clock | undefined
}

/** The health of one pool. It holds no address, no error text and no secret. */
export interface PoolHealth {
  readonly name: string
  readonly kind: string
  readonly required: boolean
  readonly status: HealthStatus
  /** One sentence for a person. */
  readonly message: string
  readonly used: number
  /** `Infinity` where there is no limit. */
  readonly max: number
  readonly waiting: number
  /** How long the check took, in milliseconds. */
  readonly durationMillis: number
}

export interface HealthReport {
  readonly kind: HealthKind
  readonly status: HealthStatus
  /** One sentence that names no pool. */
  readonly message: string
  /** None for liveness, which looks at no pool. */
  readonly pools: readonly PoolHealth[]
  /** When the pools were asked, in milliseconds since 1970. */
  readonly checkedAt: number
}

/** What is remembered of one pool between two checks. */
interface Memory {
  failures: number
  passes: number
  failing: boolean
  /** It has worked at least once. */
  hasPassed: boolean
}

/**
 * Checks the pools of a registry, at most every `cacheMillis` and one round at a time, however many ask. A pool that is
 * saturated, suspended or not required never fails anything: it warns. One failed check of a pool that used to work
 * does not either: a restart of the database must not take every replica out of the load balancer at once.
 */
export class HealthMonitor {
  readonly #registry: HealthRegistry
  readonly #clock: Clock
  readonly #cacheMillis: number
  readonly #timeoutMillis: number
  readonly #failuresToFail: number
  readonly #passesToRecover: number
  readonly #memories = new WeakMap<ManagedPool, Memory>()
  #round: { readonly at: number; readonly report: Promise<HealthReport> } | undefined
  #hasStarted = false

  /** @throws {OptionError} on a wrong option */
  constructor(registry: HealthRegistry, options: HealthMonitorOptions = {}) {
    const { cacheMillis = 2_000, timeoutMillis = 800, failuresToFail = 3, passesToRecover = 1, clock = systemClock } = options // prettier-ignore
    checkOption('health', 'cacheMillis', cacheMillis, { type: 'duration', zero: true })
    checkOption('health', 'timeoutMillis', timeoutMillis, { type: 'duration' })
    checkOption('health', 'failuresToFail', failuresToFail, { type: 'integer', min: 1 })
    checkOption('health', 'passesToRecover', passesToRecover, { type: 'integer', min: 1 })
    this.#registry = registry
    this.#clock = clock
    this.#cacheMillis = cacheMillis
    this.#timeoutMillis = timeoutMillis
    this.#failuresToFail = failuresToFail
    this.#passesToRecover = passesToRecover
  }

  /**
   * Whether the process is alive, ready, or has started. Never rejects for what a pool does.
   * @throws {OptionError} on a kind that there is not
   */
  async check(kind: HealthKind = 'readiness'): Promise<HealthReport> {
    switch (kind) {
      case 'liveness':
        // A process with a broken database is not mended by a restart; all of them restarting at once is an outage.
        return { kind, status: 'pass', message: 'Alive', pools: [], checkedAt: this.#clock.wallNow() }
      case 'startup':
        return await this.#startup()
      case 'readiness':
        return await this.#readiness()
      default:
        throw new OptionError('health', 'kind', `Expected one of liveness, readiness, startup, got '${String(kind)}'`)
    }
  }

  async #readiness(): Promise<HealthReport> {
    const report = await this.#cached()
    // Not from the cache: whoever sends work here must know at once.
    return this.#registry.isReady ? report : { ...report, status: 'fail', message: 'Shutting down' }
  }

  async #startup(): Promise<HealthReport> {
    const kind = 'startup'
    if (this.#hasStarted)
      return { kind, status: 'pass', message: 'Started', pools: [], checkedAt: this.#clock.wallNow() }
    const report = await this.#cached()
    this.#hasStarted = report.pools.every(({ required, status }) => !required || status !== 'fail')
    return this.#hasStarted
      ? { ...report, kind, status: 'pass', message: 'Started' }
      : { ...report, kind, status: 'fail', message: 'Starting' }
  }

  #cached(): Promise<HealthReport> {
    const now = this.#clock.now()
    if (this.#round === undefined || now - this.#round.at >= this.#cacheMillis)
      this.#round = { at: now, report: this.#checkAll() }
    return this.#round.report
  }

  async #checkAll(): Promise<HealthReport> {
    const checkedAt = this.#clock.wallNow()
    const pools = await Promise.all(Array.from(this.#registry, (pool) => this.#checkOne(pool)))
    const failed = pools.some(({ required, status }) => required && status === 'fail')
    const status = failed ? 'fail' : pools.some((pool) => pool.status !== 'pass') ? 'warn' : 'pass'
    const message = { pass: 'Ready', warn: 'Ready, with warnings', fail: 'Not ready' }[status]
    return { kind: 'readiness', status, message, pools, checkedAt }
  }

  async #checkOne(pool: ManagedPool): Promise<PoolHealth> {
    const check = await this.#ask(pool)
    const { used, max, waiting } = pool.stats()
    const { name, kind } = pool
    const status = this.#remember(pool, check.status)
    const message =
      check.status === 'fail' && status === 'warn' ? `${check.message} (once; may be passing)` : check.message
    const required = this.#registry.isRequired(pool)
    return { name, kind, required, status, message, used, max, waiting, durationMillis: check.durationMillis }
  }

  /** A pool's own check is bounded; one that is not, or throws, has failed. */
  async #ask(pool: ManagedPool): Promise<Pick<HealthCheck, 'status' | 'message' | 'durationMillis'>> {
    const startedAt = this.#clock.now()
    const failed = (message: string): Pick<HealthCheck, 'status' | 'message' | 'durationMillis'> => ({
      status: 'fail',
      message,
      durationMillis: this.#clock.now() - startedAt,
    })
    return await new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => resolve(failed('The check took too long')), this.#timeoutMillis)
      timer.unref()
      const check = async (): Promise<HealthCheck> => await pool.health({ timeoutMillis: this.#timeoutMillis })
      check()
        .then(resolve, () => resolve(failed('The check itself failed')))
        .finally(() => timer.cancel())
    })
  }

  /** What the checks of a pool come to, in view of those before. */
  #remember(pool: ManagedPool, status: HealthStatus): HealthStatus {
    const memory = this.#memories.get(pool) ?? { failures: 0, passes: 0, failing: false, hasPassed: false }
    this.#memories.set(pool, memory)
    if (status === 'fail') {
      memory.failures++
      memory.passes = 0
      // One that has never worked has not merely stumbled.
      if (!memory.hasPassed || memory.failures >= this.#failuresToFail) memory.failing = true
      return memory.failing ? 'fail' : 'warn'
    }
    memory.failures = 0
    memory.passes++
    if (!memory.hasPassed || memory.passes >= this.#passesToRecover) memory.failing = false
    memory.hasPassed = true
    return memory.failing ? 'fail' : status
  }
}
