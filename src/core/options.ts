import { systemClock, type Clock } from './clock.ts'
import { OptionError } from './errors.ts'
import { checkOption, unknownOption, type OptionRule } from './option-check.ts'

/** User code at three points of a resource's life. Each call is bounded by `hookTimeoutMillis`; failing destroys the resource. */
export interface PoolHooks<T = unknown> {
  /** Runs once, before a new resource is first handed out. */
  onCreate?(resource: T): void | Promise<void>
  /** Runs before every hand-out. With it, no acquire is served without waiting a turn. */
  beforeAcquire?(resource: T): void | Promise<void>
  /** Runs after every release, before the resource is idle again. */
  afterRelease?(resource: T): void | Promise<void>
}

/**
 * How a pool behaves. All durations are milliseconds and `Infinity` means "no limit" or "off"; a duration of `0` is
 * refused where its description does not give it a meaning.
 */
export interface PoolOptions<T = unknown> {
  /** Names the pool in messages, metrics and the registry. @defaultValue the factory's kind */
  name?: string | undefined
  /** The most resources kept open. @defaultValue 10 */
  max?: number | undefined
  /** The fewest resources kept open, opened in the background from the first use on and refilled. @defaultValue 0 */
  min?: number | undefined
  /** The fewest resources kept idle, as spares for a burst, within `max`. @defaultValue 0 */
  minIdle?: number | undefined
  /** Extra resources above `max` while callers wait; closed on release instead of kept. @defaultValue 0 */
  maxOverflow?: number | undefined
  /** The most creates under way at once, and the most late ones that have not settled. @defaultValue 8 */
  maxConnecting?: number | undefined
  /** The most callers that wait; one more is refused with `ERR_POOL_OVERLOADED`. @defaultValue 10_000 */
  maxWaiting?: number | undefined
  /** The most leases on one resource at a time; above 1 for multiplexed protocols. Then a resource that is too old, lost or replaced takes no new leases, and does not count against `max` while its last ones run. @defaultValue 1 */
  maxLeasesPerResource?: number | undefined
  /**
   * How long `acquire` waits, all steps together, from the end of the turn of the event loop in which it was called. `0`
   * takes only what is idle now. @defaultValue 5_000
   */
  acquireTimeoutMillis?: number | undefined
  /** How long one create may take, the `onCreate` hook not included. @defaultValue 10_000 */
  createTimeoutMillis?: number | undefined
  /** How long one validation may take. @defaultValue 5_000 */
  validateTimeoutMillis?: number | undefined
  /** How long one reset may take. @defaultValue 5_000 */
  resetTimeoutMillis?: number | undefined
  /** How long an orderly goodbye may take before the slot is free again. @defaultValue 2_000 */
  destroyTimeoutMillis?: number | undefined
  /** How long one hook may take. @defaultValue 5_000 */
  hookTimeoutMillis?: number | undefined
  /** Validates on acquire what was idle longer than this; `0` always, `Infinity` only what is suspect. @defaultValue 500 */
  validateAfterIdleMillis?: number | undefined
  /** Validates about this often (± 20 %) the idle resources that `min` or `minIdle` hold, one at a time. @defaultValue 120_000 */
  keepAliveMillis?: number | undefined
  /** Closes what was idle this long, down to `min` and `minIdle`. `0` closes on release. @defaultValue 600_000 */
  idleTimeoutMillis?: number | undefined
  /** Closes what is idle beyond this many after a second, coldest first, down to `min` and `minIdle`. @defaultValue Infinity */
  maxIdle?: number | undefined
  /** Replaces a resource at an age of 75 to 100 % of this, never during a lease. @defaultValue 1_800_000 */
  maxLifetimeMillis?: number | undefined
  /** Replaces a resource after this many leases. @defaultValue Infinity */
  maxUses?: number | undefined
  /** Reports a lease that is out longer than this, once, with its label and stack. @defaultValue Infinity */
  leakThresholdMillis?: number | undefined
  /** Takes a resource away, and destroys it, when a lease is out longer than this. @defaultValue Infinity */
  maxUseMillis?: number | undefined
  /** Announces what takes longer: an operation, a wait, a lease (`slow`, `longWait`, `longLease`); only for those who listen. @defaultValue 1_000 */
  slowMillis?: number | undefined
  /** Keeps the stack of every acquire, for leak reports and timeouts; costs a few microseconds each. @defaultValue true when `leakThresholdMillis` is finite */
  trackStacks?: boolean | undefined
  /** Destroys the resource of a lease that was garbage-collected unreleased. @defaultValue false in production, true otherwise */
  reclaimAbandoned?: boolean | undefined
  /** Opens only what the resources at work cannot serve within this time; `0` opens one for every caller who waits. @defaultValue 0 */
  growthHorizonMillis?: number | 'auto' | undefined
  /** Which idle resource is handed out: the last one used, or (behind a load balancer) the first. @defaultValue 'lifo' */
  order?: 'lifo' | 'fifo' | undefined
  /** How the queue is kept short under overload; `'codel'` sheds who waited longest. Experimental. @defaultValue 'fifo' */
  queue?: 'fifo' | 'codel' | undefined
  /** `'deadline'` refuses at once a caller who would not be served in time. @defaultValue 'off' */
  admission?: 'off' | 'deadline' | undefined
  /** What happens when a `use` callback waits for its own pool: nothing, an event, or, in a certain deadlock, `ERR_POOL_DEADLOCK`. @defaultValue 'allow' in production, 'warn' otherwise */
  nested?: 'allow' | 'warn' | 'throw' | undefined
  /** Rejects with `ERR_POOL_DOWN` while the server cannot be reached, instead of waiting for it. @defaultValue false */
  failFastWhenDown?: boolean | undefined
  /** Names leases that name themselves not: a text, or a function asked on every acquire. @defaultValue none */
  label?: string | (() => string | undefined) | undefined
  /** @defaultValue none */
  hooks?: PoolHooks<T> | undefined
  /** @defaultValue the process's clock */
  clock?: Clock | undefined
  /** Numbers from 0 to 1, for jitter. @defaultValue Math.random */
  random?: (() => number) | undefined
}

/** The rule of every option of the engine, for validation, documentation and configuration. */
export const POOL_OPTION_RULES: Readonly<Record<keyof PoolOptions, OptionRule>> = {
  name: { type: 'string' },
  max: { type: 'integer', min: 1, infinity: true },
  min: { type: 'integer', min: 0 },
  minIdle: { type: 'integer', min: 0 },
  maxOverflow: { type: 'integer', min: 0, infinity: true },
  maxConnecting: { type: 'integer', min: 1, infinity: true },
  maxWaiting: { type: 'integer', min: 0, infinity: true },
  maxLeasesPerResource: { type: 'integer', min: 1, infinity: true },
  acquireTimeoutMillis: { type: 'duration', zero: true, infinity: true },
  createTimeoutMillis: { type: 'duration', infinity: true },
  validateTimeoutMillis: { type: 'duration', infinity: true },
  resetTimeoutMillis: { type: 'duration', infinity: true },
  destroyTimeoutMillis: { type: 'duration', infinity: true },
  hookTimeoutMillis: { type: 'duration', infinity: true },
  validateAfterIdleMillis: { type: 'duration', zero: true, infinity: true },
  keepAliveMillis: { type: 'duration', infinity: true },
  idleTimeoutMillis: { type: 'duration', zero: true, infinity: true },
  maxIdle: { type: 'integer', min: 0, infinity: true },
  maxLifetimeMillis: { type: 'duration', infinity: true },
  maxUses: { type: 'integer', min: 1, infinity: true },
  leakThresholdMillis: { type: 'duration', infinity: true },
  maxUseMillis: { type: 'duration', infinity: true },
  slowMillis: { type: 'duration', infinity: true },
  trackStacks: { type: 'boolean' },
  reclaimAbandoned: { type: 'boolean' },
  growthHorizonMillis: { type: 'duration', zero: true },
  order: { type: 'one-of', values: ['lifo', 'fifo'] },
  queue: { type: 'one-of', values: ['fifo', 'codel'] },
  admission: { type: 'one-of', values: ['off', 'deadline'] },
  nested: { type: 'one-of', values: ['allow', 'warn', 'throw'] },
  failFastWhenDown: { type: 'boolean' },
  label: { type: 'string-or-function' },
  hooks: { type: 'object' },
  clock: { type: 'object' },
  random: { type: 'function' },
}

export const POOL_OPTION_NAMES = Object.keys(POOL_OPTION_RULES) as readonly (keyof PoolOptions)[]

const HOOK_NAMES = ['onCreate', 'beforeAcquire', 'afterRelease']

/** {@link PoolOptions} with every default filled in. */
export type ResolvedOptions<T = unknown> = {
  readonly [K in keyof Required<PoolOptions<T>>]: K extends 'label' | 'hooks'
    ? PoolOptions<T>[K]
    : Exclude<PoolOptions<T>[K], undefined>
}

/**
 * Checks options and fills in the defaults; the caller's object is not kept.
 * @throws {OptionError} on an unknown option, a wrong value, or two that contradict each other
 */
export function resolveOptions<T>(kind: string, given: PoolOptions<T>): ResolvedOptions<T> {
  const name = typeof given.name === 'string' ? given.name : kind
  for (const [option, value] of Object.entries(given)) {
    const rule = (POOL_OPTION_RULES as Readonly<Record<string, OptionRule | undefined>>)[option]
    if (rule === undefined) throw unknownOption(name, option, POOL_OPTION_NAMES)
    if (value === undefined || (option === 'growthHorizonMillis' && value === 'auto')) continue
    checkOption(name, option, value, rule)
  }
  for (const hook of Object.keys(given.hooks ?? {})) {
    if (!HOOK_NAMES.includes(hook))
      throw unknownOption(
        name,
        `hooks.${hook}`,
        HOOK_NAMES.map((known) => `hooks.${known}`),
      )
  }
  const leakThresholdMillis = given.leakThresholdMillis ?? Infinity
  const inProduction = isProduction()
  const max = given.max ?? 10
  const options: ResolvedOptions<T> = {
    name,
    max,
    min: given.min ?? 0,
    minIdle: given.minIdle ?? 0,
    maxOverflow: given.maxOverflow ?? 0,
    maxConnecting: given.maxConnecting ?? 8,
    maxWaiting: given.maxWaiting ?? 10_000,
    maxLeasesPerResource: given.maxLeasesPerResource ?? 1,
    acquireTimeoutMillis: given.acquireTimeoutMillis ?? 5_000,
    createTimeoutMillis: given.createTimeoutMillis ?? 10_000,
    validateTimeoutMillis: given.validateTimeoutMillis ?? 5_000,
    resetTimeoutMillis: given.resetTimeoutMillis ?? 5_000,
    destroyTimeoutMillis: given.destroyTimeoutMillis ?? 2_000,
    hookTimeoutMillis: given.hookTimeoutMillis ?? 5_000,
    validateAfterIdleMillis: given.validateAfterIdleMillis ?? 500,
    keepAliveMillis: given.keepAliveMillis ?? 120_000,
    idleTimeoutMillis: given.idleTimeoutMillis ?? 600_000,
    maxIdle: given.maxIdle ?? Infinity,
    maxLifetimeMillis: given.maxLifetimeMillis ?? 1_800_000,
    maxUses: given.maxUses ?? Infinity,
    leakThresholdMillis,
    maxUseMillis: given.maxUseMillis ?? Infinity,
    slowMillis: given.slowMillis ?? 1_000,
    trackStacks: given.trackStacks ?? leakThresholdMillis !== Infinity,
    reclaimAbandoned: given.reclaimAbandoned ?? !inProduction,
    growthHorizonMillis: given.growthHorizonMillis ?? 0,
    order: given.order ?? 'lifo',
    queue: given.queue ?? 'fifo',
    admission: given.admission ?? 'off',
    nested: given.nested ?? (inProduction ? 'allow' : 'warn'),
    failFastWhenDown: given.failFastWhenDown ?? false,
    label: given.label,
    hooks: given.hooks,
    clock: given.clock ?? systemClock,
    random: given.random ?? Math.random,
  }
  checkSizes(name, options)
  return Object.freeze(options)
}

/** The profile is `MILLPOND_PROFILE`, else `NODE_ENV`, else development. */
function isProduction(): boolean {
  return (process.env['MILLPOND_PROFILE'] ?? process.env['NODE_ENV']) === 'production'
}

/** The sizes in force: `resize` changes them, and a server may allow fewer leases on a resource. */
export interface Sizes {
  min: number
  max: number
  minIdle: number
  maxLeasesPerResource: number
}

/** The sizes that a pool begins with. */
export function sizesOf({ min, max, minIdle, maxLeasesPerResource }: Readonly<Sizes>): Sizes {
  return { min, max, minIdle, maxLeasesPerResource }
}

/** @throws {OptionError} when a size is no size, or `min` or `minIdle` does not fit into `max` */
export function checkSizes(
  pool: string,
  sizes: { readonly max: number; readonly min: number; readonly minIdle: number },
): void {
  for (const option of ['max', 'min', 'minIdle'] as const)
    checkOption(pool, option, sizes[option], POOL_OPTION_RULES[option])
  for (const option of ['min', 'minIdle'] as const) {
    if (sizes[option] > sizes.max) {
      throw new OptionError(
        pool,
        option,
        `Expected \`${option}\` to be at most \`max\` (${sizes.max}), got ${sizes[option]}`,
      )
    }
  }
}
