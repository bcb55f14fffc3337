import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES, type PoolOptions } from '../../core/options.ts'
import type { DriverClient } from './driver.ts'
import { targetOf } from './target.ts'

/** Options of the engine that mean nothing here: the pool sets them for each lane. */
const FIXED = ['maxLeasesPerResource', 'hooks'] as const

/** Options of the pool. Everything else is the driver's and goes to every client. */
export interface RedisFaceOptions extends Omit<PoolOptions<DriverClient>, (typeof FIXED)[number]> {
  /** Names the pool where `name` is taken by the driver (a sentinel's master, CLIENT SETNAME). @defaultValue `name`, else 'redis' */
  poolName?: string | undefined
  /** Connections of the shared lane, opened with the first command. @defaultValue 1 */
  shared?: number | undefined
  /** The most connections of the exclusive lane. @defaultValue 10 */
  max?: number | undefined
  /** The most connections of the subscriber lane. @defaultValue 10 */
  maxSubscribers?: number | undefined
  /**
   * node-redis only: sentinels that know where the master `name` is; every connection is opened there. With ioredis,
   * its own `sentinels` and `name`.
   */
  sentinelRootNodes?: readonly { readonly host: string; readonly port: number }[] | undefined
  /** node-redis only: options of the connections to the sentinels, as its `createSentinel` has them. */
  sentinelClientOptions?: object | undefined
  /** How long a command waits for a connection. @defaultValue 30_000; node-redis 5_000; ioredis with `maxRetriesPerRequest: null` Infinity */
  acquireTimeoutMillis?: number | undefined
  /** @defaultValue 300_000 */
  idleTimeoutMillis?: number | undefined
}

const FACE_RULES: Readonly<Record<string, OptionRule>> = {
  poolName: { type: 'string' },
  shared: { type: 'integer', min: 1 },
  max: { type: 'integer', min: 1 },
  min: { type: 'integer', min: 0 },
  maxSubscribers: { type: 'integer', min: 1, infinity: true },
}

/** Options of the drivers: known, so that no near-miss of one of Millpond's names is seen in them. */
const DRIVER_OPTIONS = new Set([
  'url', 'host', 'port', 'path', 'family', 'keepAlive', 'noDelay', 'name', 'role', 'db', 'password', 'username', 'tls',
  'connectTimeout', 'commandTimeout', 'socketTimeout', 'sentinels', 'sentinelMaxConnections', 'maxLoadingRetryTime',
  'maxRetriesPerRequest', 'protocol', 'scripts', 'database', 'socket', 'modules', 'functions', 'RESP',
  'nodes', 'rootNodes', 'sentinelRootNodes', 'sentinelClientOptions', 'defaults', 'slotsRefreshTimeout', 'maxRedirections', 'maxCommandRedirections',
]) // prettier-ignore

export interface ResolvedRedisOptions {
  readonly name: string
  /** Where it leads to; nothing for what another pool has made of itself. */
  readonly target: string | undefined
  /** What every client is made with. */
  readonly client: Readonly<Record<string, unknown>>
  readonly shared: PoolOptions<DriverClient>
  readonly exclusive: PoolOptions<DriverClient>
  readonly subscriber: PoolOptions<DriverClient>
  /** Whether commands wait for a connection that was lost. */
  readonly offlineQueue: boolean
}

/** @throws {OptionError} on a wrong value, or a near-miss of one of our names */
export function resolveRedisOptions(
  driver: 'ioredis' | 'node-redis',
  given: Readonly<Record<string, unknown>>,
): ResolvedRedisOptions {
  const face = given as RedisFaceOptions
  const name = face.poolName ?? (typeof given['name'] === 'string' ? given['name'] : 'redis')
  checkNames(name, given)
  for (const [option, rule] of Object.entries(FACE_RULES))
    if (given[option] !== undefined) checkOption(name, option, given[option], rule)
  const engine = engineOptions(driver, face, given)
  const lane = (lane: string): string => `${name}:${lane}`
  const held = { maxUses: Infinity, leakThresholdMillis: Infinity, maxUseMillis: Infinity, trackStacks: false }
  return {
    name,
    target: targetOf(given),
    client: clientOptions(given),
    shared: {
      ...engine,
      ...held,
      name: lane('shared'),
      max: face.shared ?? 1,
      min: face.shared ?? 1,
      minIdle: 0,
      maxOverflow: 0,
      maxLeasesPerResource: Infinity,
      idleTimeoutMillis: Infinity,
      validateAfterIdleMillis: Infinity,
      order: 'lifo',
      reclaimAbandoned: false,
    },
    exclusive: { idleTimeoutMillis: 300_000, ...engine, name: lane('exclusive'), max: face.max ?? 10 },
    subscriber: {
      ...engine,
      ...held,
      name: lane('subscriber'),
      max: face.maxSubscribers ?? 10,
      min: 0,
      minIdle: 0,
      maxOverflow: 0,
      maxLifetimeMillis: Infinity,
    },
    offlineQueue: given['enableOfflineQueue'] !== false && given['disableOfflineQueue'] !== true,
  }
}

function checkNames(pool: string, given: Readonly<Record<string, unknown>>): void {
  const ourNames: readonly string[] = [...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES)]
  const known = new Set<string>([...ourNames, ...DRIVER_OPTIONS])
  for (const option of Object.keys(given)) {
    if ((FIXED as readonly string[]).includes(option))
      throw new OptionError(pool, option, `\`${option}\` is set by the pool for each of its lanes; leave it out`)
    if (known.has(option)) continue
    const nearest = nearestName(option, ourNames)
    if (nearest !== undefined && isNear(option, nearest)) {
      throw new OptionError(pool, option, `Unknown option \`${option}\`; did you mean \`${nearest}\`?`)
    }
  }
}

/** A foreign option is the driver's affair, unless it is one of ours with a slip of the pen. */
function isNear(option: string, ours: string): boolean {
  return (
    Math.abs(option.length - ours.length) <= 2 && option.slice(0, 3).toLowerCase() === ours.slice(0, 3).toLowerCase()
  )
}

function engineOptions(
  driver: 'ioredis' | 'node-redis',
  face: RedisFaceOptions,
  given: Readonly<Record<string, unknown>>,
): PoolOptions<DriverClient> {
  const engine: Record<string, unknown> = {}
  for (const option of POOL_OPTION_NAMES) if (given[option] !== undefined) engine[option] = given[option]
  const { connectTimeout } = { ...(driver === 'ioredis' ? given : (given['socket'] as object | undefined)) } as {
    readonly connectTimeout?: unknown
  }
  const forEver = driver === 'ioredis' && given['maxRetriesPerRequest'] === null
  return {
    validateAfterIdleMillis: 30_000,
    createTimeoutMillis: Math.max(10_000, typeof connectTimeout === 'number' ? connectTimeout : 0),
    acquireTimeoutMillis: forEver ? Infinity : driver === 'ioredis' ? 30_000 : 5_000,
    ...engine,
    ...(face.keepAliveMillis === undefined ? { keepAliveMillis: 30_000 } : {}),
  }
}

function clientOptions(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const client: Record<string, unknown> = {}
  const ours = new Set<string>([...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES)])
  for (const option of Object.keys(given)) if (!ours.has(option) || option === 'name') client[option] = given[option]
  return client
}
