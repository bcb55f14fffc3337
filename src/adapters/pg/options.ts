import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES, type PoolOptions } from '../../core/options.ts'
import { readsIntoRoom } from '../../core/reading-socket.ts'
import type { DriverClient, DriverClientClass } from './driver.ts'
import type { ResetSession } from './session.ts'
import { makeSocket } from './socket.ts'

/** Which server a pool wants, in libpq's words. */
export type TargetSessionAttrs = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby'

/** What an async password function is told. */
export interface PasswordContext {
  readonly attempt: number
  readonly lastError?: unknown
}

/** Options of the pool that are not the engine's. Everything else is the driver's and goes to every client. */
export interface PgFaceOptions extends Omit<PoolOptions<DriverClient>, 'hooks'> {
  /** `'strict'` keeps pg.Pool's quirks that somebody may rely on: one stable object per connection, and any error given to `release` ends it. @defaultValue 'safe' */
  compat?: 'safe' | 'strict' | undefined
  /** What a `release()` after the end of its lease does. @defaultValue 'throw' */
  onStaleRelease?: 'throw' | 'warn' | 'ignore' | undefined
  /** Whether the session is reset between borrowers: when the server's replies say that it took on state, always, or never. An open transaction is always rolled back. @defaultValue 'auto' */
  resetSession?: ResetSession | undefined
  /** Several servers, tried in order beginning with the last that served. Each `host` or `host:port`. @defaultValue the driver's host */
  hosts?: readonly string[] | undefined
  /** Which of them is wanted; asked after every connect. @defaultValue 'any' */
  targetSessionAttrs?: TargetSessionAttrs | undefined
  /** Runs once for every new connection, and again after its session was reset. */
  onConnect?: ((client: never) => unknown) | undefined
  /** pg.Pool's names: */
  max?: number | undefined
  poolSize?: number | undefined
  /** How long `connect` and `query` wait for a connection; `0` for ever. @defaultValue 30_000 */
  connectionTimeoutMillis?: number | undefined
  /** @defaultValue 10_000, and `0` never closes */
  idleTimeoutMillis?: number | undefined
  /** @defaultValue 30 minutes, and `0` never */
  maxLifetimeSeconds?: number | undefined
  allowExitOnIdle?: boolean | undefined
  Client?: DriverClientClass | undefined
}

/** Options of `pg` itself: known, so that no near-miss of one of Millpond's names is seen in them. */
const DRIVER_OPTIONS = new Set([
  'user', 'password', 'host', 'port', 'database', 'connectionString', 'ssl', 'sslmode', 'sslnegotiation', 'types',
  'keepAlive', 'keepAliveInitialDelayMillis', 'statement_timeout', 'query_timeout', 'lock_timeout',
  'idle_in_transaction_session_timeout', 'application_name', 'fallback_application_name', 'client_encoding', 'options',
  'stream', 'binary', 'parseInputDatesAsUTC', 'replication', 'enableChannelBinding', 'scramMaxIterations', 'pipeline',
  'verify', 'log', 'Promise', 'isDomainSocket', 'connect_timeout', 'maxUses',
]) // prettier-ignore

const FACE_RULES: Readonly<Record<string, OptionRule>> = {
  compat: { type: 'one-of', values: ['safe', 'strict'] },
  onStaleRelease: { type: 'one-of', values: ['throw', 'warn', 'ignore'] },
  resetSession: { type: 'one-of', values: ['auto', 'always', 'never'] },
  targetSessionAttrs: { type: 'one-of', values: ['any', 'read-write', 'read-only', 'primary', 'standby'] },
  onConnect: { type: 'function' },
  max: { type: 'integer', min: 0 },
  poolSize: { type: 'integer', min: 0 },
  min: { type: 'integer', min: 0 },
  connectionTimeoutMillis: { type: 'duration', zero: true, infinity: true },
  idleTimeoutMillis: { type: 'duration', zero: true, infinity: true },
  maxLifetimeSeconds: { type: 'duration', zero: true, infinity: true },
  allowExitOnIdle: { type: 'boolean' },
  Client: { type: 'function' },
}

/** Two names for one thing: only one may be given. */
const SAME: readonly (readonly [driver: string, ours: string])[] = [
  ['connectionTimeoutMillis', 'acquireTimeoutMillis'],
  ['maxLifetimeSeconds', 'maxLifetimeMillis'],
  ['poolSize', 'max'],
]

export interface ResolvedPgOptions {
  readonly engine: PoolOptions<DriverClient>
  /** What every client is made with. */
  readonly client: Record<string, unknown>
  readonly compat: 'safe' | 'strict'
  readonly onStaleRelease: 'throw' | 'warn' | 'ignore'
  readonly resetSession: ResetSession
  readonly hosts: readonly string[]
  readonly targetSessionAttrs: TargetSessionAttrs
  readonly onConnect: ((client: never) => unknown) | undefined
  readonly allowExitOnIdle: boolean
}

/** @throws {OptionError} on a wrong value, a near-miss of one of our names, or two names for one thing */
export function resolvePgOptions(given: Readonly<Record<string, unknown>>): ResolvedPgOptions {
  const name = typeof given['name'] === 'string' ? given['name'] : 'postgres'
  checkNames(name, given)
  for (const [option, rule] of Object.entries(FACE_RULES)) {
    const value = given[option]
    // pg itself takes `undefined` and `null` for "not given".
    if (value !== undefined && value !== null) checkOption(name, option, value, rule)
  }
  const face = given as PgFaceOptions
  return {
    engine: engineOptions(face, given),
    client: clientOptions(given),
    compat: face.compat ?? 'safe',
    onStaleRelease: face.onStaleRelease ?? 'throw',
    resetSession: face.resetSession ?? 'auto',
    hosts: checkHosts(name, face.hosts),
    targetSessionAttrs: face.targetSessionAttrs ?? 'any',
    onConnect: face.onConnect ?? undefined,
    allowExitOnIdle: face.allowExitOnIdle ?? false,
  }
}

function checkNames(pool: string, given: Readonly<Record<string, unknown>>): void {
  for (const [driver, ours] of SAME) {
    if (given[driver] !== undefined && given[ours] !== undefined) {
      throw new OptionError(pool, ours, `\`${driver}\` and \`${ours}\` are two names for one thing; give only one`)
    }
  }
  const ourNames: readonly string[] = [...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES), 'hosts']
  const known = new Set<string>([...ourNames, ...DRIVER_OPTIONS])
  for (const option of Object.keys(given)) {
    if (option === 'hooks') throw new OptionError(pool, option, "`hooks` are the engine's; use `onConnect`")
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

function checkHosts(pool: string, hosts: readonly string[] | undefined): readonly string[] {
  if (hosts === undefined) return []
  if (!Array.isArray(hosts) || hosts.length === 0 || !hosts.every((host) => typeof host === 'string' && host !== '')) {
    throw new OptionError(pool, 'hosts', 'Expected `hosts` to be a list of `host` or `host:port`')
  }
  return Array.from<string>(hosts)
}

/** `0` is pg's word for "no limit". */
const unlimited = (value: number): number => (value === 0 ? Infinity : value)

function engineOptions(face: PgFaceOptions, given: Readonly<Record<string, unknown>>): PoolOptions<DriverClient> {
  const engine: Record<string, unknown> = {}
  for (const option of POOL_OPTION_NAMES)
    if (given[option] !== undefined && given[option] !== null) engine[option] = given[option]
  const waitMillis = face.connectionTimeoutMillis
  return {
    // A script, a test or a deployment that meets a server that is down is told so at once, as pg.Pool tells it.
    failFastWhenDown: true,
    validateAfterIdleMillis: 30_000,
    ...engine,
    name: face.name ?? 'postgres',
    max: face.max || face.poolSize || 10,
    acquireTimeoutMillis: waitMillis === undefined ? (face.acquireTimeoutMillis ?? 30_000) : unlimited(waitMillis),
    createTimeoutMillis: face.createTimeoutMillis ?? (waitMillis === undefined ? 10_000 : unlimited(waitMillis)),
    idleTimeoutMillis: unlimited(face.idleTimeoutMillis ?? 10_000),
    maxLifetimeMillis:
      face.maxLifetimeSeconds === undefined
        ? (face.maxLifetimeMillis ?? 1_800_000)
        : unlimited(face.maxLifetimeSeconds * 1_000),
  }
}

function clientOptions(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const client: Record<string, unknown> = {}
  const ours = new Set<string>([...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES), 'hosts'])
  for (const option of Object.keys(given)) if (!ours.has(option)) client[option] = given[option]
  // pg.Pool hides these two from enumeration; they are the client's all the same.
  if (given['password'] !== undefined) client['password'] = given['password']
  // The pool itself bounds a connect.
  client['connectionTimeoutMillis'] = 0
  // A peer that is gone without a word is found by the kernel in about 40 s instead of never.
  client['keepAlive'] ??= true
  client['keepAliveInitialDelayMillis'] ??= 30_000
  if (readsIntoRoom) client['stream'] ??= makeSocket
  return client
}
