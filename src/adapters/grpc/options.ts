import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'
import { POOL_OPTION_NAMES, type PoolOptions } from '../../core/options.ts'
import { doubtsAbout } from './channel-arguments.ts'
import type { GrpcChannel } from './grpc-channel.ts'
import { serviceConfigOf, type RetryOptions } from './retry.ts'

/** What a pool of channels is told, besides the driver's own options and channel arguments. */
export interface GrpcFaceOptions extends Omit<PoolOptions<GrpcChannel>, 'hooks' | 'maxLeasesPerResource'> {
  /** The most channels, each with a connection of its own; the same as `max`. @defaultValue 10 */
  maxChannels?: number | undefined
  /**
   * The watermark: a channel gets no more streams (calls under way) than this, and one more channel is opened instead.
   * Below the limit that servers and proxies announce, usually 100, so that no call waits unseen in HTTP/2. Where a
   * server announces fewer, so many. @defaultValue 80
   */
  streamsPerChannel?: number | undefined
  /** The service that `grpc.health.v1` is asked about; `''` is the whole server, `false` asks nothing. @defaultValue '' */
  healthService?: string | false | undefined
  /** Retries of calls that failed, made by the driver. With it, calls also wait for a server that is down. @defaultValue none */
  retry?: RetryOptions | undefined
}

/** Options of the driver's clients that are not channel arguments. They belong to the client that users see. */
const CLIENT_OPTIONS = ['interceptors', 'interceptor_providers', 'callInvocationTransformer'] as const
const FACE_RULES: Readonly<Record<string, OptionRule>> = {
  maxChannels: { type: 'integer', min: 1 },
  streamsPerChannel: { type: 'integer', min: 1 },
  retry: { type: 'object' },
}

/** Two names for one thing: only one may be given. */
const SAME: readonly (readonly [one: string, other: string])[] = [
  ['maxChannels', 'max'],
  ['grpc.client_idle_timeout_ms', 'idleTimeoutMillis'],
  ['grpc.service_config', 'retry'],
]

/** The driver's own default. */
const IDLE_MILLIS = 1_800_000
/** Servers of all languages allow a ping in five minutes; found after this, a dead connection fails its calls. */
const KEEP_ALIVE_MILLIS = 330_000
/** The longest that a timer can be set to: the pool alone ends idle channels. */
const NEVER_MILLIS = 2 ** 31 - 1

export interface ResolvedGrpcOptions {
  readonly engine: PoolOptions<GrpcChannel>
  /** What every channel is made with. */
  readonly channel: Readonly<Record<string, unknown>>
  /** What the client that users see is made with, besides its channel. */
  readonly client: Readonly<Record<string, unknown>>
  readonly healthService: string | false
  readonly streamsPerChannel: number
  readonly keepAliveMillis: number
  /** What the driver would take without a word. */
  readonly doubts: readonly string[]
}

/** @throws {OptionError} on a wrong value, a near-miss of one of our names, or two names for one thing */
export function resolveGrpcOptions(given: Readonly<Record<string, unknown>>): ResolvedGrpcOptions {
  const name = typeof given['name'] === 'string' ? given['name'] : 'grpc'
  const foreign = checkNames(name, given)
  for (const [option, rule] of Object.entries(FACE_RULES)) {
    if (given[option] !== undefined) checkOption(name, option, given[option], rule)
  }
  const face = given as GrpcFaceOptions & { readonly 'grpc.service_config'?: unknown }
  if (face.healthService !== undefined && face.healthService !== false && typeof face.healthService !== 'string') {
    throw new OptionError(name, 'healthService', 'Expected `healthService` to be the name of a service, or false')
  }
  const streamsPerChannel = face.streamsPerChannel ?? 80
  const channel = channelArguments(name, given, face.retry)
  return {
    engine: engineOptions(name, face, given, streamsPerChannel, retries(face)),
    channel,
    client: pick(given, CLIENT_OPTIONS),
    healthService: face.healthService ?? '',
    streamsPerChannel,
    keepAliveMillis: channel['grpc.keepalive_time_ms'] as number,
    doubts: [
      ...doubtsAbout(given),
      ...foreign.map((option) => `unknown option \`${option}\`, passed on to the driver`),
    ],
  }
}

/** Tells the foreign options that neither we nor the driver know. */
function checkNames(pool: string, given: Readonly<Record<string, unknown>>): string[] {
  for (const [one, other] of SAME) {
    if (given[one] !== undefined && given[other] !== undefined) {
      throw new OptionError(pool, other, `\`${one}\` and \`${other}\` are two names for one thing; give only one`)
    }
  }
  if (given['channelOverride'] !== undefined) {
    throw new OptionError(pool, 'channelOverride', '`channelOverride` is one channel; a pool makes its own')
  }
  if (given['grpc.use_local_subchannel_pool'] === 0) {
    throw new OptionError(
      pool,
      'grpc.use_local_subchannel_pool',
      '`grpc.use_local_subchannel_pool: 0` has all channels share one connection; leave it out',
    )
  }
  const ours = [...POOL_OPTION_NAMES.filter((name) => !NOT_OURS.has(name)), 'healthService', ...Object.keys(FACE_RULES)]
  const known = new Set<string>([...ours, ...CLIENT_OPTIONS, 'channelFactoryOverride'])
  return Object.keys(given).filter((option) => {
    if (known.has(option) || /^grpc(-node)?\./.test(option)) return false
    if (option === 'hooks') throw new OptionError(pool, option, '`hooks` are the engine’s; listen to `created`')
    if (option === 'maxLeasesPerResource') {
      throw new OptionError(pool, option, '`maxLeasesPerResource` is `streamsPerChannel` here')
    }
    const nearest = nearestName(option, ours)
    if (nearest === undefined || Math.abs(option.length - nearest.length) > 2) return true
    throw new OptionError(pool, option, `Unknown option \`${option}\`; did you mean \`${nearest}\`?`)
  })
}

const NOT_OURS: ReadonlySet<string> = new Set(['hooks', 'maxLeasesPerResource'])

function pick(given: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {}
  for (const name of names) if (given[name] !== undefined) picked[name] = given[name]
  return picked
}

/** Whether failed calls are retried, so that callers count on waiting rather than on being told at once. */
function retries(face: GrpcFaceOptions & { readonly 'grpc.service_config'?: unknown }): boolean {
  const config = face['grpc.service_config']
  return face.retry !== undefined || (typeof config === 'string' && config.includes('"retryPolicy"'))
}

function engineOptions(
  name: string,
  face: GrpcFaceOptions,
  given: Readonly<Record<string, unknown>>,
  streamsPerChannel: number,
  retrying: boolean,
): PoolOptions<GrpcChannel> {
  const idleMillis = given['grpc.client_idle_timeout_ms']
  return {
    // The driver fails a call at once when the server cannot be reached, unless it is to wait or to be retried.
    failFastWhenDown: !retrying,
    acquireTimeoutMillis: 30_000,
    validateAfterIdleMillis: 30_000,
    idleTimeoutMillis: typeof idleMillis === 'number' ? idleMillis : IDLE_MILLIS,
    // A lease ends with its call, and the driver holds on to calls: there is nothing to reclaim.
    reclaimAbandoned: false,
    ...pick(given, POOL_OPTION_NAMES),
    name,
    max: face.maxChannels ?? face.max ?? 10,
    maxLeasesPerResource: streamsPerChannel,
  }
}

function channelArguments(
  pool: string,
  given: Readonly<Record<string, unknown>>,
  retry: RetryOptions | undefined,
): Record<string, unknown> {
  const ours = new Set<string>([...POOL_OPTION_NAMES, ...CLIENT_OPTIONS, 'healthService', ...Object.keys(FACE_RULES)])
  const args: Record<string, unknown> = {}
  for (const [option, value] of Object.entries(given)) {
    if (!ours.has(option) && value !== undefined) args[option] = value
  }
  return {
    'grpc.keepalive_time_ms': KEEP_ALIVE_MILLIS,
    ...args,
    ...(retry === undefined ? {} : { 'grpc.service_config': serviceConfigOf(pool, retry) }),
    'grpc.client_idle_timeout_ms': NEVER_MILLIS,
    // Without it, all channels with the same arguments share one connection.
    'grpc.use_local_subchannel_pool': 1,
  }
}
