import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES, type PoolOptions } from '../../core/options.ts'
import { readsIntoRoom } from '../../core/reading-socket.ts'
import type { StaleReleasePolicy } from '../../core/stand-in.ts'
import type { DriverParts } from './driver.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { ResetSession } from './session.ts'
import { connectSocket } from './socket.ts'

/** What an async password function is told. */
export interface PasswordContext {
  /** 1 for a first try, counted up while connects fail in a row. */
  readonly attempt: number
  readonly lastError?: unknown
}

/** Options of the pool that are not the engine's. Everything else is the driver's and goes to every connection. */
export interface MysqlFaceOptions extends Omit<PoolOptions<PooledConnection>, 'hooks'> {
  /** mysql2's names: */
  /** The most connections; `0` for no limit. @defaultValue 10 */
  connectionLimit?: number | undefined
  /** The most callers that wait; `0` for no limit. @defaultValue 10_000 */
  queueLimit?: number | undefined
  /** Whether callers wait at all when every connection is borrowed. @defaultValue true */
  waitForConnections?: boolean | undefined
  /** The most connections kept idle. @defaultValue `connectionLimit` */
  maxIdle?: number | undefined
  /** Closes what was idle this long, in milliseconds. `0` closes on release. @defaultValue 60_000 */
  idleTimeout?: number | undefined
  /** How long `getConnection`, `query` and `execute` wait for a connection, connecting included, in milliseconds; `0` for ever. @defaultValue 30_000 */
  acquireTimeout?: number | undefined
  /** How long connecting may take, in milliseconds; `0` for ever. @defaultValue 10_000 */
  connectTimeout?: number | undefined
  /** `true` is `resetSession: 'always'`, `false` is `'never'`. @defaultValue `resetSession` decides */
  resetOnRelease?: boolean | undefined
  /** The most statements that the driver keeps prepared on one connection. @defaultValue 16_000 shared by `connectionLimit` connections, as the server bounds them in all */
  maxPreparedStatements?: number | undefined
  /** A text, or a function that is asked for every connect (a token that expires), once for those under way together. */
  password?: string | ((context: PasswordContext) => string | PromiseLike<string>) | undefined

  /** Millpond's own: */
  /** What a `release()` after the end of its lease does. @defaultValue 'throw' */
  onStaleRelease?: StaleReleasePolicy | undefined
  /** Whether the session is reset between borrowers: when the server says that it took on state, always, or never. An open transaction is always rolled back. @defaultValue 'auto' */
  resetSession?: ResetSession | undefined
  /** Wants a server that takes writes: asked after every connect, and again when one refuses a write after a failover. @defaultValue false */
  writable?: boolean | undefined
  /** Runs once for every new connection (a promise connection), and again after its session was reset. */
  onConnect?: ((connection: never) => unknown) | undefined
}

/** Options of `mysql2` itself: known, so that no near-miss of one of Millpond's names is seen in them. */
const DRIVER_OPTIONS = new Set([
  'authPlugins', 'authSwitchHandler', 'bigNumberStrings', 'charset', 'charsetNumber', 'compress', 'connectAttributes',
  'database', 'dateStrings', 'debug', 'decimalNumbers', 'enableKeepAlive', 'flags', 'host', 'insecureAuth',
  'infileStreamFactory', 'isServer', 'keepAliveInitialDelay', 'localAddress', 'multipleStatements', 'namedPlaceholders',
  'nestTables', 'password1', 'password2', 'password3', 'passwordSha1', 'pool', 'port', 'queryFormat', 'rowsAsArray',
  'socketPath', 'ssl', 'stream', 'stringifyObjects', 'supportBigNumbers', 'timezone', 'trace', 'typeCast', 'uri', 'user',
  'disableEval', 'enableCleartextPlugin', 'Promise', 'jsonStrings', 'gracefulEnd',
]) // prettier-ignore

const FACE_RULES: Readonly<Record<string, OptionRule>> = {
  connectionLimit: { type: 'integer', min: 0, infinity: true },
  queueLimit: { type: 'integer', min: 0, infinity: true },
  waitForConnections: { type: 'boolean' },
  maxIdle: { type: 'integer', min: 0, infinity: true },
  idleTimeout: { type: 'duration', zero: true, infinity: true },
  acquireTimeout: { type: 'duration', zero: true, infinity: true },
  connectTimeout: { type: 'duration', zero: true, infinity: true },
  resetOnRelease: { type: 'boolean' },
  maxPreparedStatements: { type: 'integer', min: 1 },
  onStaleRelease: { type: 'one-of', values: ['throw', 'warn', 'ignore'] },
  resetSession: { type: 'one-of', values: ['auto', 'always', 'never'] },
  writable: { type: 'boolean' },
  onConnect: { type: 'function' },
}

/** Of the options above, those that go to the driver as well. */
const SHARED = new Set(['maxPreparedStatements', 'password'])

/** Two names for one thing: only one may be given. */
const SAME: readonly (readonly [driver: string, ours: string])[] = [
  ['connectionLimit', 'max'],
  ['queueLimit', 'maxWaiting'],
  ['idleTimeout', 'idleTimeoutMillis'],
  ['acquireTimeout', 'acquireTimeoutMillis'],
  ['connectTimeout', 'createTimeoutMillis'],
  ['resetOnRelease', 'resetSession'],
]

/** What mysql2 lets one connection keep prepared, and about what a server allows in all (16,382 by default). */
const PREPARED_STATEMENTS = 16_000
const CONNECT_MILLIS = 10_000
/** What the driver's own deadline does not cover, the set-up of the session, may take this much longer. */
const SETUP_MILLIS = 2_000

export interface ResolvedMysqlOptions {
  readonly engine: PoolOptions<PooledConnection>
  /** What the driver makes its settings of. */
  readonly driver: Record<string, unknown>
  readonly waitForConnections: boolean
  readonly onStaleRelease: StaleReleasePolicy
  readonly resetSession: ResetSession
  readonly writable: boolean
  readonly onConnect: ((connection: never) => unknown) | undefined
}

/** @throws {OptionError} on a wrong value, a near-miss of one of our names, or two names for one thing */
export function resolveMysqlOptions(parts: DriverParts, options: string | object): ResolvedMysqlOptions {
  const given = withUrl(parts, options)
  const name = typeof given['name'] === 'string' ? given['name'] : 'mysql'
  checkNames(name, given)
  for (const [option, rule] of Object.entries(FACE_RULES)) {
    // mysql2 itself takes `undefined` for "not given".
    if (given[option] !== undefined) checkOption(name, option, given[option], rule)
  }
  const face = given as MysqlFaceOptions
  const engine = engineOptions(name, face, given)
  return {
    engine,
    driver: driverOptions(face, given, engine.max ?? 10),
    waitForConnections: face.waitForConnections ?? true,
    onStaleRelease: face.onStaleRelease ?? 'throw',
    resetSession:
      face.resetSession ?? (face.resetOnRelease === undefined ? 'auto' : face.resetOnRelease ? 'always' : 'never'),
    writable: face.writable ?? false,
    onConnect: face.onConnect,
  }
}

/** A URL's settings come under those that are given beside it, as the driver has it. */
function withUrl(parts: DriverParts, options: string | object): Readonly<Record<string, unknown>> {
  const given: Record<string, unknown> = typeof options === 'string' ? { uri: options } : { ...options }
  const { uri, ...rest } = given
  if (typeof uri !== 'string' || uri === '') return rest
  let fromUrl: Record<string, unknown>
  try {
    fromUrl = parts.parseUrl(uri)
  } catch {
    // The URL parser's own error shows the URL, with its password.
    throw new OptionError('mysql', 'uri', 'Expected `uri` to be a URL such as mysql://user:password@host:3306/database')
  }
  for (const [option, value] of Object.entries(fromUrl)) {
    // A URL without a port has NaN, one without a user ''.
    if (!rest[option] && value !== '' && !Number.isNaN(value)) rest[option] = value
  }
  return rest
}

function checkNames(pool: string, given: Readonly<Record<string, unknown>>): void {
  for (const [driver, ours] of SAME) {
    if (given[driver] !== undefined && given[ours] !== undefined) {
      throw new OptionError(pool, ours, `\`${driver}\` and \`${ours}\` are two names for one thing; give only one`)
    }
  }
  const ourNames: readonly string[] = [...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES)]
  const known = new Set<string>([...ourNames, ...SHARED, ...DRIVER_OPTIONS])
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

/** `0` is mysql2's word for "no limit". */
const unlimited = (value: number): number => (value === 0 ? Infinity : value)

function engineOptions(
  name: string,
  face: MysqlFaceOptions,
  given: Readonly<Record<string, unknown>>,
): PoolOptions<PooledConnection> {
  const engine: Record<string, unknown> = {}
  for (const option of POOL_OPTION_NAMES) if (given[option] !== undefined) engine[option] = given[option]
  const { connectionLimit, queueLimit, acquireTimeout, idleTimeout, connectTimeout } = face
  return {
    // A script, a test or a deployment that meets a server that is down is told so at once, as mysql2 tells it.
    failFastWhenDown: true,
    validateAfterIdleMillis: 30_000,
    ...engine,
    name,
    max: connectionLimit === undefined ? (face.max ?? 10) : unlimited(connectionLimit),
    ...(queueLimit === undefined ? {} : { maxWaiting: unlimited(queueLimit) }),
    acquireTimeoutMillis:
      acquireTimeout === undefined ? (face.acquireTimeoutMillis ?? 30_000) : unlimited(acquireTimeout),
    idleTimeoutMillis: idleTimeout ?? face.idleTimeoutMillis ?? 60_000,
    createTimeoutMillis: face.createTimeoutMillis ?? unlimited(connectTimeout ?? CONNECT_MILLIS) + SETUP_MILLIS,
  }
}

function driverOptions(
  face: MysqlFaceOptions,
  given: Readonly<Record<string, unknown>>,
  max: number,
): Record<string, unknown> {
  const driver: Record<string, unknown> = {}
  const ours = new Set<string>([...POOL_OPTION_NAMES, ...Object.keys(FACE_RULES)].filter((name) => !SHARED.has(name)))
  for (const [option, value] of Object.entries(given))
    if (!ours.has(option) && value !== undefined) driver[option] = value
  // The driver's own deadline, so that a connect that hangs fails with its own error.
  const connectMillis = face.connectTimeout ?? face.createTimeoutMillis ?? CONNECT_MILLIS
  driver['connectTimeout'] = connectMillis === Infinity ? 0 : connectMillis
  // A peer that is gone without a word: without it the kernel begins to ask after two hours.
  driver['keepAliveInitialDelay'] ??= 30_000
  driver['maxPreparedStatements'] ??= Math.max(16, Math.floor(PREPARED_STATEMENTS / Math.min(max, 1_000)))
  if (readsIntoRoom && !driver['ssl']) driver['stream'] ??= connectSocket
  if (typeof driver['password'] === 'function') delete driver['password']
  return driver
}
