import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES, resolveOptions, type PoolOptions } from '../../core/options.ts'
import { resolveCircuit, type CircuitOptions, type CircuitSettings } from './circuit.ts'
import type { HttpConnection } from './connection.ts'
import { resolveRetry, type RetryOptions, type RetrySettings } from './retry.ts'

/** What an async option is told. */
export interface CreateAttempt {
  /** 1 for a first try, counted up while connects fail in a row. */
  readonly attempt: number
  /** What the connect before this one failed with, while connects fail in a row. */
  readonly lastError?: unknown
}

/** How TLS is spoken: `ca`, `cert`, `key`, `servername`, `rejectUnauthorized` and whatever else `tls.connect` takes. */
export type TlsOptions = Readonly<Record<string, unknown>>

/** What a pool of HTTP connections is told, besides undici's own options. `max`, `min` and `maxWaiting` are for each origin. */
export interface HttpFaceOptions extends Omit<PoolOptions<HttpConnection>, 'hooks' | 'maxLeasesPerResource'> {
  /** Where paths go: `https://api.example.com`. Without it, requests need whole URLs. @defaultValue none */
  origin?: string | undefined
  /** The most origins that have a pool; the one asked for longest ago, and not in use, makes room. @defaultValue 100 */
  maxOrigins?: number | undefined
  /** The most connections to all origins together: the sum of their `max`. @defaultValue Infinity */
  maxTotal?: number | undefined
  /** An origin that nobody has asked for this long loses its pool, in milliseconds. @defaultValue 300_000 */
  idleOriginMillis?: number | undefined
  /** How long a server may take to its first headers, in milliseconds; `Infinity` for ever. @defaultValue 30_000 */
  headersTimeoutMillis?: number | undefined
  /**
   * How long a body may stand still, in milliseconds; `Infinity` for ever. When the server sends nothing, the request
   * fails; when nobody reads, the body is given up and its connection closed, and a warning tells of it. @defaultValue 30_000
   */
  bodyTimeoutMillis?: number | undefined
  /** Speaks HTTP/2 with servers that do, over TLS; with others HTTP/1.1. @defaultValue false */
  http2?: boolean | undefined
  /** The most requests at a time on one HTTP/2 connection; fewer where the server allows fewer. @defaultValue 100 */
  streamsPerConnection?: number | undefined
  /**
   * Looks up the origin's name this often while there are connections, and closes those whose address three answers in a
   * row do not have, when they are free; in milliseconds, `Infinity` never. @defaultValue 30_000
   */
  dnsRefreshMillis?: number | undefined
  /** Options of TLS, or a function (it may be async) that is asked for every connect. @defaultValue none */
  tls?: TlsOptions | ((attempt: CreateAttempt) => TlsOptions | Promise<TlsOptions>) | undefined
  /** Repeats what failed and may be repeated; `true` takes the defaults. @defaultValue false */
  retry?: boolean | RetryOptions | undefined
  /** Stops asking an origin that fails; `true` takes the defaults. @defaultValue false */
  circuit?: boolean | CircuitOptions | undefined
  /** undici's interceptors, or your own, around every request. @defaultValue none */
  interceptors?: readonly unknown[] | undefined
}

const FACE_RULES: Readonly<Record<string, OptionRule>> = {
  origin: { type: 'string' },
  maxOrigins: { type: 'integer', min: 1, infinity: true },
  maxTotal: { type: 'integer', min: 1, infinity: true },
  idleOriginMillis: { type: 'duration', infinity: true },
  headersTimeoutMillis: { type: 'duration', infinity: true },
  bodyTimeoutMillis: { type: 'duration', infinity: true },
  http2: { type: 'boolean' },
  streamsPerConnection: { type: 'integer', min: 1 },
  dnsRefreshMillis: { type: 'duration', infinity: true },
  interceptors: { type: 'object' },
}
/** Options that are checked by themselves. */
const OTHER_NAMES = ['tls', 'retry', 'circuit'] as const
const FACE_NAMES: readonly string[] = [...Object.keys(FACE_RULES), ...OTHER_NAMES]

/** undici's names for what has one here: only one may be given, and it means the same. */
const SAME: Readonly<Record<string, { readonly ours: string; readonly zeroIsNever?: boolean }>> = {
  connections: { ours: 'max' },
  connectTimeout: { ours: 'createTimeoutMillis', zeroIsNever: true },
  headersTimeout: { ours: 'headersTimeoutMillis', zeroIsNever: true },
  bodyTimeout: { ours: 'bodyTimeoutMillis', zeroIsNever: true },
  keepAliveTimeout: { ours: 'idleTimeoutMillis' },
  clientTtl: { ours: 'maxLifetimeMillis' },
  maxRequestsPerClient: { ours: 'maxUses' },
  allowH2: { ours: 'http2' },
  maxConcurrentStreams: { ours: 'streamsPerConnection' },
}

/** undici's own options, under its own names: of `Pool`, of `Client`, and of its connector. */
export interface UndiciOptions {
  /** The same as `max`; `null` and `0` are no limit. */
  connections?: number | null | undefined
  /** The same as `createTimeoutMillis`; `0` is no limit. */
  connectTimeout?: number | undefined
  /** The same as `headersTimeoutMillis`; `0` is no limit. */
  headersTimeout?: number | null | undefined
  /** The same as `bodyTimeoutMillis`; `0` is no limit. */
  bodyTimeout?: number | null | undefined
  /** The same as `idleTimeoutMillis`. */
  keepAliveTimeout?: number | undefined
  /** The same as `maxLifetimeMillis`; `null` is no limit. */
  clientTtl?: number | null | undefined
  /** The same as `maxUses`; `null` is no limit. */
  maxRequestsPerClient?: number | null | undefined
  /** The same as `http2`. */
  allowH2?: boolean | undefined
  /** The same as `streamsPerConnection`. */
  maxConcurrentStreams?: number | undefined
  /** What the connector takes (`lookup`, `keepAlive`, `localAddress`, …), or a connector of your own. */
  connect?: object | ((wish: never, connected: never) => unknown) | undefined
  maxHeaderSize?: number | undefined
  maxResponseSize?: number | undefined
  strictContentLength?: boolean | undefined
  localAddress?: string | undefined
  /** No connection is kept longer than this, whatever the server allows, in milliseconds. */
  keepAliveMaxTimeout?: number | undefined
  /** A connection is left this long before the server would close it, in milliseconds. @defaultValue 2_000 */
  keepAliveTimeoutThreshold?: number | undefined
  initialWindowSize?: number | undefined
  connectionWindowSize?: number | undefined
  pingInterval?: number | undefined
  webSocket?: object | undefined
  eventSource?: object | undefined
  socketPath?: string | undefined
  autoSelectFamily?: boolean | undefined
  autoSelectFamilyAttemptTimeout?: number | undefined
  maxCachedSessions?: number | undefined
}

/** What undici's client takes besides; it goes there as it is. */
const CLIENT_NAMES = [
  'maxHeaderSize', 'maxResponseSize', 'strictContentLength', 'localAddress', 'keepAliveMaxTimeout',
  'keepAliveTimeoutThreshold', 'initialWindowSize', 'connectionWindowSize', 'pingInterval', 'webSocket', 'eventSource',
] as const // prettier-ignore
/** What undici's connector takes besides. */
const CONNECT_NAMES = ['socketPath', 'autoSelectFamily', 'autoSelectFamilyAttemptTimeout', 'maxCachedSessions'] as const

/** What others call it, or what cannot be here; undici takes some of them without a word. */
const WRONG: Readonly<Record<string, string>> = {
  maxSockets: 'it is `max`, for each origin',
  maxTotalSockets: 'it is `maxTotal`',
  maxFreeSockets: 'idle connections close after `idleTimeoutMillis`',
  poolSize: 'it is `max`, for each origin',
  timeout: 'it is `headersTimeoutMillis`, `bodyTimeoutMillis`, or `timeoutMillis` of a request',
  keepAlive: 'connections are always kept alive',
  hooks: 'they are the engine’s; listen to `created`',
  maxLeasesPerResource: 'it is `streamsPerConnection`, for HTTP/2',
  pipelining: 'a connection has one request at a time (HTTP/2: `streamsPerConnection`)',
  factory: 'the pool makes its own connections',
}

/** A day: the driver never closes by itself what the server gives no time for; the engine does. */
const NEVER_MILLIS = 86_400_000

export interface ResolvedHttpOptions {
  readonly name: string
  readonly origin: string | undefined
  readonly engine: PoolOptions<HttpConnection>
  /** What every client of undici is made with. */
  readonly client: Readonly<Record<string, unknown>>
  /** What every connect of undici is made with, or a connector of the user's own. */
  readonly connect: Readonly<Record<string, unknown>> | ((wish: unknown, connected: unknown) => unknown)
  /** How long a connect may take, in milliseconds. */
  readonly connectMillis: number
  readonly tls: HttpFaceOptions['tls']
  readonly maxOrigins: number
  readonly maxTotal: number
  readonly idleOriginMillis: number
  readonly bodyTimeoutMillis: number
  readonly http2: boolean
  readonly streamsPerConnection: number
  readonly dnsRefreshMillis: number
  readonly retry: RetrySettings | undefined
  readonly circuit: CircuitSettings | undefined
  readonly interceptors: readonly unknown[]
}

type Given = Readonly<Record<string, unknown>>

/** @throws {OptionError} on a wrong value, a misspelt or unknown option, or two names for one thing */
export function resolveHttpOptions(given: Given): ResolvedHttpOptions {
  const name = typeof given['name'] === 'string' ? given['name'] : 'http'
  checkNames(name, given)
  const face = translate(name, given)
  for (const [option, rule] of Object.entries(FACE_RULES)) {
    if (face[option] !== undefined) checkOption(name, option, face[option], rule)
  }
  const {
    origin,
    tls,
    maxOrigins = 100,
    maxTotal = Infinity,
    idleOriginMillis = 300_000,
    headersTimeoutMillis = 30_000,
    bodyTimeoutMillis = 30_000,
    http2 = false,
    streamsPerConnection = 100,
    dnsRefreshMillis = 30_000,
    retry,
    circuit,
    interceptors = [],
  } = face as HttpFaceOptions
  const engine = engineOptions(name, face)
  // The pools are made later; what is wrong is told now.
  resolveOptions('http', engine)
  if (tls !== undefined && typeof tls !== 'function') checkOption(name, 'tls', tls, { type: 'object' })
  const { createTimeoutMillis } = face
  if (createTimeoutMillis !== undefined) {
    checkOption(name, 'createTimeoutMillis', createTimeoutMillis, { type: 'duration', infinity: true })
  }
  return {
    name,
    origin: origin === undefined ? undefined : originOf(name, origin),
    engine,
    client: {
      keepAliveTimeout: NEVER_MILLIS,
      keepAliveMaxTimeout: NEVER_MILLIS,
      ...pick(face, CLIENT_NAMES),
      headersTimeout: headersTimeoutMillis === Infinity ? 0 : Math.ceil(headersTimeoutMillis),
      bodyTimeout: bodyTimeoutMillis === Infinity ? 0 : Math.ceil(bodyTimeoutMillis),
    },
    connect: connectOptions(name, face),
    connectMillis: connectMillis(face),
    tls,
    maxOrigins,
    maxTotal,
    idleOriginMillis,
    bodyTimeoutMillis,
    http2,
    streamsPerConnection,
    dnsRefreshMillis,
    retry: resolveRetry(name, retry),
    circuit: resolveCircuit(name, circuit),
    interceptors,
  }
}

function checkNames(pool: string, given: Given): void {
  const known = new Set<string>([
    ...POOL_OPTION_NAMES, ...FACE_NAMES, ...Object.keys(SAME), ...CLIENT_NAMES, ...CONNECT_NAMES, 'connect',
  ]) // prettier-ignore
  for (const [option, value] of Object.entries(given)) {
    if (value === undefined) continue
    const wrong = WRONG[option]
    if (wrong !== undefined) throw new OptionError(pool, option, `There is no option \`${option}\` here: ${wrong}`)
    if (known.has(option)) continue
    const nearest = nearestName(option, known)
    const hint = nearest === undefined ? '' : `; did you mean \`${nearest}\`?`
    throw new OptionError(pool, option, `Unknown option \`${option}\`${hint}`)
  }
}

/** undici's names in ours, with the meaning that they have there. */
function translate(pool: string, given: Given): Record<string, unknown> {
  const face: Record<string, unknown> = { ...given }
  for (const [theirs, { ours, zeroIsNever }] of Object.entries(SAME)) {
    const value = given[theirs]
    if (value === undefined) continue
    if (given[ours] !== undefined) {
      throw new OptionError(pool, ours, `\`${theirs}\` and \`${ours}\` are two names for one thing; give only one`)
    }
    // Both mean "no limit" with undici, where they are taken at all.
    face[ours] = value === null || (value === 0 && zeroIsNever === true) ? Infinity : value
    if (theirs === 'connections' && value === 0) face[ours] = Infinity
  }
  return face
}

/** The origin of a URL. @throws {OptionError} on anything else; never quotes what may hold a password */
export function originOf(pool: string, text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new OptionError(
      pool,
      'origin',
      "Expected `origin` to be a URL such as 'https://api.example.com', got something else",
    )
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new OptionError(pool, 'origin', `Expected \`origin\` to begin with http:// or https://, got ${url.protocol}`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new OptionError(pool, 'origin', 'Expected `origin` without user and password; send an `authorization` header')
  }
  if (url.pathname !== '/' || url.search !== '') {
    throw new OptionError(pool, 'origin', 'Expected `origin` without a path: paths are given with every request')
  }
  return url.origin
}

function pick(given: Given, names: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {}
  for (const name of names) if (given[name] !== undefined) picked[name] = given[name]
  return picked
}

function engineOptions(name: string, face: Given): PoolOptions<HttpConnection> {
  return {
    max: 50,
    acquireTimeoutMillis: 30_000,
    // Servers close sooner or later; those that say when are left before.
    idleTimeoutMillis: 30_000,
    // undici tells at once when a server cannot be reached.
    failFastWhenDown: true,
    // A request holds its lease to its end: there is nothing to reclaim.
    reclaimAbandoned: false,
    ...pick(face, POOL_OPTION_NAMES),
    // A little later than the adapter's own, so that the driver's error is the one that is told.
    createTimeoutMillis: connectMillis(face) + 100,
    name,
  }
}

const connectMillis = (face: Given): number => (face as HttpFaceOptions).createTimeoutMillis ?? 10_000

function connectOptions(pool: string, face: Given): ResolvedHttpOptions['connect'] {
  const { connect } = face
  if (typeof connect === 'function') return connect as (wish: unknown, connected: unknown) => unknown
  if (connect !== undefined && connect !== null) checkOption(pool, 'connect', connect, { type: 'object' })
  // The adapter keeps the time by itself: the driver's clock ticks twice a second.
  return { ...pick(face, CONNECT_NAMES), ...(connect as object | null | undefined), timeout: 0 }
}
