import type { AgentOptions } from 'node:https'
import { OptionError } from '../../core/errors.ts'
import { checkOption, nearestName, type OptionRule } from '../../core/option-check.ts'

/** Agents with Node's own options, TLS included, and what Node's agents lack. */
export interface HttpAgentsOptions extends AgentOptions {
  /** Names the pool in errors, metrics and the registry. @defaultValue 'http-agents' */
  name?: string | undefined
  /** The most connections to one origin. @defaultValue 100 */
  maxSockets?: number | undefined
  /** The most idle connections kept for one origin. @defaultValue 10 */
  maxFreeSockets?: number | undefined
  /** Closes what was idle this long, in milliseconds, and earlier where the server says so. @defaultValue 30_000 */
  idleTimeoutMillis?: number | undefined
  /** The same as `idleTimeoutMillis`, as many guides write it; Node itself takes no notice of it. */
  keepAliveTimeout?: number | undefined
  /** How long a request may wait for a connection, in milliseconds; `Infinity` for ever. @defaultValue 30_000 */
  acquireTimeoutMillis?: number | undefined
  /** The most requests that wait, over all origins; one more fails with `ERR_POOL_OVERLOADED`. @defaultValue 10_000 */
  maxWaiting?: number | undefined
  /** How long a connect may take, TLS included, in milliseconds; `Infinity` for ever. @defaultValue 10_000 */
  createTimeoutMillis?: number | undefined
  /** Closes a connection at an age of 75 to 100 % of this, when its request is over, so that names are looked up anew. @defaultValue 1_800_000 */
  maxLifetimeMillis?: number | undefined
  /** Announces requests that take longer to the beginning of their answer, as `slow` events; `Infinity` is off. @defaultValue 1_000 */
  slowMillis?: number | undefined
}

export interface ResolvedAgentOptions {
  readonly name: string
  /** What Node's agents are made with. */
  readonly agent: AgentOptions
  readonly maxSockets: number
  readonly idleTimeoutMillis: number
  readonly acquireTimeoutMillis: number
  readonly maxWaiting: number
  readonly createTimeoutMillis: number
  readonly maxLifetimeMillis: number
  readonly slowMillis: number
}

const RULES: Readonly<Record<string, OptionRule>> = {
  name: { type: 'string' },
  maxSockets: { type: 'integer', min: 1, infinity: true },
  maxFreeSockets: { type: 'integer', min: 0, infinity: true },
  idleTimeoutMillis: { type: 'duration', infinity: true },
  keepAliveTimeout: { type: 'duration', infinity: true },
  acquireTimeoutMillis: { type: 'duration', infinity: true },
  maxWaiting: { type: 'integer', min: 0, infinity: true },
  createTimeoutMillis: { type: 'duration', infinity: true },
  maxLifetimeMillis: { type: 'duration', infinity: true },
  slowMillis: { type: 'duration', infinity: true },
}

/** What others call it; Node takes these without a word, and does nothing. */
const WRONG: Readonly<Record<string, string>> = {
  freeSocketTimeout: 'it is `idleTimeoutMillis`',
  freeSocketKeepAliveTimeout: 'it is `idleTimeoutMillis`',
  socketActiveTTL: 'it is `maxLifetimeMillis`',
  idleTimeout: 'it is `idleTimeoutMillis`',
  connections: 'it is `maxSockets`',
  max: 'it is `maxSockets`, for each origin',
  connectTimeout: 'it is `createTimeoutMillis`',
}

/** @throws {OptionError} on a wrong value, a name of another agent, or a misspelt one of ours */
export function resolveAgentOptions(given: HttpAgentsOptions): ResolvedAgentOptions {
  const pool = typeof given.name === 'string' ? given.name : 'http-agents'
  const values = given as Readonly<Record<string, unknown>>
  for (const [option, value] of Object.entries(values)) {
    if (value === undefined) continue
    const wrong = WRONG[option]
    if (wrong !== undefined) throw new OptionError(pool, option, `There is no option \`${option}\` here: ${wrong}`)
    const rule = RULES[option]
    if (rule !== undefined) checkOption(pool, option, value, rule)
    else {
      const nearest = nearestName(option, Object.keys(RULES))
      // Node's own options are many; only a slip of the finger is refused.
      if (nearest !== undefined && Math.abs(nearest.length - option.length) <= 2 && nearest.length > 6) {
        throw new OptionError(pool, option, `Unknown option \`${option}\`; did you mean \`${nearest}\`?`)
      }
    }
  }
  if (given.keepAlive === false) {
    throw new OptionError(pool, 'keepAlive', '`keepAlive: false` opens a connection for every request; leave it out')
  }
  if (given.keepAliveTimeout !== undefined && given.idleTimeoutMillis !== undefined) {
    throw new OptionError(
      pool,
      'idleTimeoutMillis',
      '`keepAliveTimeout` and `idleTimeoutMillis` are two names for one thing; give only one',
    )
  }
  const {
    name = pool,
    idleTimeoutMillis,
    keepAliveTimeout,
    acquireTimeoutMillis = 30_000,
    maxWaiting = 10_000,
    createTimeoutMillis = 10_000,
    maxLifetimeMillis = 1_800_000,
    slowMillis = 1_000,
    ...agent
  } = given
  const { maxSockets = 100, maxFreeSockets = 10 } = agent
  return {
    name,
    agent: { ...agent, keepAlive: true, maxSockets, maxFreeSockets },
    maxSockets,
    idleTimeoutMillis: idleTimeoutMillis ?? keepAliveTimeout ?? 30_000,
    acquireTimeoutMillis,
    maxWaiting,
    createTimeoutMillis,
    maxLifetimeMillis,
    slowMillis,
  }
}
