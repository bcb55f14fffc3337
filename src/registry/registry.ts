import type { CloseReport } from '../core/close-report.ts'
import { NameTakenError, OptionError } from '../core/errors.ts'
import { coreOf, type HealthCheck, type HealthOptions, type ManagedPool } from '../core/managed-pool.ts'
import type { PoolStats } from '../core/stats.ts'
import { closeOnSignals, type SignalOptions } from './close-on-signals.ts'
import { EmptyWatch, type UntilEmptyOptions } from './until-empty.ts'

export interface RegisterOptions {
  /** Whether the process cannot do its work without this pool: its failure fails the registry's health. @defaultValue false */
  required?: boolean | undefined
  /** Pools that this one needs, registered before it: they are closed after it. @defaultValue none */
  dependsOn?: readonly ManagedPool[] | undefined
}

export interface RegistryCloseOptions {
  /** How long all of them together get, in milliseconds. @defaultValue 10_000 */
  timeoutMillis?: number | undefined
  /** What becomes of callers that wait already. @defaultValue 'serve' */
  waiters?: 'serve' | 'reject' | undefined
}

/** The health of all pools, summed up. It holds no address, no error text and no secret. */
export interface RegistryHealth {
  /** `fail` when a required pool fails or the registry closes, `warn` when any other does not pass. */
  readonly status: 'pass' | 'warn' | 'fail'
  readonly message: string
  readonly checks: readonly HealthCheck[]
}

interface Registered {
  readonly pool: ManagedPool
  readonly required: boolean
  readonly dependsOn: readonly ManagedPool[]
}

/** The pools of one process: one place to ask for statistics and health, and to close them all. */
export class PoolRegistry implements Iterable<ManagedPool>, AsyncDisposable {
  readonly #pools = new Map<string, Registered>()
  #followers: readonly ((pool: ManagedPool) => void)[] = []
  readonly #empty = new EmptyWatch(this)
  #closing: Promise<readonly CloseReport[]> | undefined
  #isReady = true

  /**
   * Adds a pool and gives it back with its own type. A pool that is closed by itself leaves the registry; one that
   * closes makes room for its successor.
   * @throws {NameTakenError} when another pool has this name
   * @throws {OptionError} when it depends on a pool that is not registered
   */
  register<P extends ManagedPool>(pool: P, { required = false, dependsOn = [] }: RegisterOptions = {}): P {
    const known = this.#pools.get(pool.name)
    if (known?.pool === pool) return pool
    if (known !== undefined && known.pool.state !== 'closing' && known.pool.state !== 'closed') {
      throw new NameTakenError(
        pool.name,
        `Another pool is registered as "${pool.name}"; give one of them another \`name\``,
      )
    }
    const stranger = dependsOn.find((other) => this.#pools.get(other.name)?.pool !== other)
    if (stranger !== undefined) {
      throw new OptionError(
        pool.name,
        'dependsOn',
        `"${pool.name}" depends on "${stranger.name}", which must be registered before it`,
      )
    }
    this.#pools.set(pool.name, { pool, required, dependsOn })
    coreOf(pool).on('closed', () => {
      // The pools of a group close while it goes on.
      if (pool.state === 'closed' && this.#pools.get(pool.name)?.pool === pool) this.#pools.delete(pool.name)
    })
    for (const follower of this.#followers) follower(pool)
    return pool
  }

  /** Whether the process cannot do its work without this pool, as it was registered. */
  isRequired(pool: ManagedPool): boolean {
    return [...this.#pools.values()].some((each) => each.pool === pool && each.required)
  }

  /** Calls back for every pool, those that are registered now and those that will be. Returns what ends it. */
  follow(follower: (pool: ManagedPool) => void): () => void {
    for (const pool of this) follower(pool)
    this.#followers = [...this.#followers, follower]
    return () => {
      this.#followers = this.#followers.filter((other) => other !== follower)
    }
  }

  /** The pool of that name, if there is one. */
  get(name: string): ManagedPool | undefined {
    return this.#pools.get(name)?.pool
  }

  /** How many pools there are. */
  get size(): number {
    return this.#pools.size
  }

  *[Symbol.iterator](): Iterator<ManagedPool> {
    for (const { pool } of this.#pools.values()) yield pool
  }

  /** The statistics of every pool. */
  stats(): PoolStats[] {
    return Array.from(this, (pool) => pool.stats())
  }

  /** Whether {@link close} was called. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** False once it is closing, or was told that it will. */
  get isReady(): boolean {
    return this.#isReady
  }

  /** From now on the registry's health fails, so that nobody sends new work here. */
  markNotReady(): void {
    this.#isReady = false
  }

  /**
   * Waits until no pool has anything open beyond its `min`: for a function that is put to sleep, and whose idle
   * connections would stay open on the server meanwhile: `waitUntil(registry.untilEmpty())`, said when the work is done. It
   * closes nothing; the pools' own `idleTimeoutMillis` does, which should be a few seconds there. Resolves to whether all
   * is closed.
   */
  untilEmpty(options: UntilEmptyOptions = {}): Promise<boolean> {
    return this.#empty.wait(options)
  }

  /** Checks all pools side by side; never throws, also where a pool's own check does. */
  async health(options: HealthOptions = {}): Promise<RegistryHealth> {
    const registered = [...this.#pools.values()]
    const checks = await Promise.all(registered.map(({ pool }) => checkSafely(pool, options)))
    if (!this.#isReady) return { status: 'fail', message: 'Shutting down', checks }
    const failed = registered.filter((_, index) => checks[index]?.status === 'fail')
    const status = failed.some(({ required }) => required)
      ? 'fail'
      : checks.some((check) => check.status !== 'pass')
        ? 'warn'
        : 'pass'
    return { status, message: summary(checks), checks }
  }

  /**
   * Closes all pools: the last registered first, those that others depend on after these, and those that have nothing
   * to do with each other together. A second call gives the same promise.
   */
  close({ timeoutMillis = 10_000, waiters = 'serve' }: RegistryCloseOptions = {}): Promise<readonly CloseReport[]> {
    this.#isReady = false
    this.#closing ??= this.#closeAll(timeoutMillis, waiters)
    return this.#closing
  }

  async #closeAll(timeoutMillis: number, waiters: 'serve' | 'reject'): Promise<readonly CloseReport[]> {
    const registered = [...this.#pools.values()].reverse()
    const closes = new Map<ManagedPool, Promise<CloseReport>>()
    const closeOne = ({ pool }: Registered): Promise<CloseReport> => {
      const users = registered.filter(({ dependsOn }) => dependsOn.includes(pool))
      const close =
        closes.get(pool) ?? Promise.allSettled(users.map(closeOne)).then(() => pool.close({ timeoutMillis, waiters }))
      closes.set(pool, close)
      return close
    }
    return await Promise.all(registered.map(closeOne))
  }

  /**
   * Closes everything when the process is asked to end: health fails at once, then after `readinessDelayMillis`
   * `before` runs (stop the server), then the pools drain, then the process exits. A second signal ends it at once.
   * Returns a function that undoes it.
   */
  closeOnSignals(options: SignalOptions = {}): () => void {
    return closeOnSignals(this, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

async function checkSafely(pool: ManagedPool, options: HealthOptions): Promise<HealthCheck> {
  try {
    return await pool.health(options)
  } catch {
    return { status: 'fail', pool: pool.name, kind: pool.kind, message: 'The check itself failed', durationMillis: 0 }
  }
}

function summary(checks: readonly HealthCheck[]): string {
  const bad = checks.filter(({ status }) => status !== 'pass')
  if (bad.length === 0) return checks.length === 1 ? '1 pool is healthy' : `${checks.length} pools are healthy`
  return bad.map(({ pool, message }) => `${pool}: ${message}`).join('; ')
}
