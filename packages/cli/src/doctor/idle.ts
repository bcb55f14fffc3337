import type { ServerFacts } from '../servers/facts.ts'
import type { Target } from '../servers/target.ts'
import type { Finding } from './finding.ts'
import type { Fleet, PoolInFile } from './servers.ts'

type Options = PoolInFile['options']

/** How long a driver's pool keeps a connection that nobody uses, and what it does about those that are dead. */
interface Habit {
  /** The option that says when an idle one is closed; none where it never is. */
  readonly idle?: string
  readonly idleMillis: (options: Options) => number
  /** What has to be done besides, for `idle` to have an effect. */
  readonly besides?: (options: Options) => string
  /** How old a connection may become: nothing is idle for longer. */
  readonly lifetimeMillis?: (options: Options) => number
  /** After how long a silence TCP asks whether the other side is still there. */
  readonly probeMillis: (options: Options) => number
  /** What makes it ask early enough. */
  readonly probe?: string
  /** Whether it looks at a connection that was idle before it lends it, so that no query fails. */
  readonly validates?: true
}

/** Linux, macOS and Windows wait two hours where a program asks for keepalives and gives no delay. */
const SYSTEM_PROBE_MILLIS = 7_200_000

/** A number that is given, in milliseconds; 0 is "never" to all of them. */
function given(options: Options, name: string, fallback: number, unit = 1): number {
  const value = options[name]
  if (typeof value !== 'number') return fallback
  return value === 0 ? Infinity : value * unit
}

/** Keepalives that wait for `name`; 0, and nothing, leave it to the system. */
const probed = (options: Options, name: string, isOn: boolean): number => {
  const delay = options[name]
  return !isOn ? Infinity : typeof delay === 'number' && delay > 0 ? delay : SYSTEM_PROBE_MILLIS
}

const mysqlProbe = (options: Options): number =>
  probed(options, 'keepAliveInitialDelay', options['enableKeepAlive'] !== false)

const MONGODB: Habit = {
  idle: 'maxIdleTimeMS',
  idleMillis: (options) => given(options, 'maxIdleTimeMS', Infinity),
  probeMillis: (options) => given(options, 'keepAliveInitialDelay', 120_000),
}

/** Pools of Millpond look at what was idle before they lend it. */
const ours = (idleMillis: number, names: readonly string[], probeMillis: Habit['probeMillis']): Habit => ({
  idle: 'idleTimeoutMillis',
  idleMillis: (options) => given(options, names.find((name) => name in options) ?? '', idleMillis),
  lifetimeMillis: (options) =>
    Math.min(given(options, 'maxLifetimeMillis', 1_800_000), given(options, 'maxLifetimeSeconds', Infinity, 1_000)),
  probeMillis,
  validates: true,
})

const HABITS: Readonly<Record<string, Habit>> = {
  pg: {
    idle: 'idleTimeoutMillis',
    // `min` opens nothing; it only keeps so many from being closed.
    idleMillis: (options) =>
      typeof options['min'] === 'number' && options['min'] > 0 ? Infinity : given(options, 'idleTimeoutMillis', 10_000),
    besides: ({ min }) => (typeof min === 'number' && min > 0 ? ', and leave `min` out, which keeps as many from being closed' : ''),
    lifetimeMillis: (options) => given(options, 'maxLifetimeSeconds', Infinity, 1_000),
    probeMillis: (options) => probed(options, 'keepAliveInitialDelayMillis', options['keepAlive'] === true),
    probe: '`keepAlive: true` with `keepAliveInitialDelayMillis: 60_000`',
  },
  mysql2: {
    idle: 'idleTimeout',
    // It closes none at all unless maxIdle is below the limit.
    idleMillis: (options) => (options['maxIdle'] === undefined ? Infinity : given(options, 'idleTimeout', 60_000)),
    besides: () => ', and `maxIdle` below `connectionLimit`, without which it does nothing',
    probeMillis: mysqlProbe,
    probe: '`keepAliveInitialDelay: 60_000`',
  },
  mariadb: {
    idle: 'idleTimeout',
    // In seconds; and none is closed down to minimumIdle, which is all of them unless it is given.
    idleMillis: (options) =>
      options['minimumIdle'] === undefined ? Infinity : given(options, 'idleTimeout', 1_800_000, 1_000),
    besides: () => ' (it counts in seconds), and `minimumIdle` below `connectionLimit`, without which it does nothing',
    probeMillis: (options) => given(options, 'keepAliveDelay', Infinity),
    validates: true,
  },
  mongodb: MONGODB,
  mongoose: MONGODB,
  ioredis: { idleMillis: () => Infinity, probeMillis: (options) => probed({ keepAlive: 30_000, ...options }, 'keepAlive', true), probe: '`keepAlive: 60_000`' },
  redis: { idleMillis: () => Infinity, probeMillis: () => 30_000 },
  pgPool: ours(10_000, ['idleTimeoutMillis'], (options) => (options['keepAlive'] === false ? Infinity : 30_000)),
  mysqlPool: ours(60_000, ['idleTimeoutMillis', 'idleTimeout'], (options) => mysqlProbe({ keepAliveInitialDelay: 30_000, ...options })),
  redisPool: ours(300_000, ['idleTimeoutMillis'], () => 30_000),
  redisClusterPool: ours(300_000, ['idleTimeoutMillis'], () => 30_000),
} // prettier-ignore

/** A server that waits so long ends connections in the night only. */
const LONG_MILLIS = 3_600_000

/** Who closes first must be the pool: a connection that the server or the network ended fails the query that finds out. */
export function judgeIdle(
  { shown }: Target,
  facts: Pick<ServerFacts, 'idleLimitMillis' | 'idleLimitName'>,
  pools: readonly PoolInFile[],
  { natTimeoutMillis }: Fleet,
): Finding[] {
  return pools.flatMap((pool): Finding[] => {
    const { driver, maker = '', role, options } = pool
    const habit = HABITS[driver === 'millpond' ? maker : driver]
    if (habit === undefined || (role === 'connection' && !driver.includes('redis'))) return []
    const lifetime = habit.lifetimeMillis?.(options) ?? Infinity
    const kept = Math.min(habit.idleMillis(options), lifetime)
    const place = { file: pool.file, line: pool.line, column: pool.column }
    const found: Finding[] = []
    if (Number.isFinite(facts.idleLimitMillis) && kept >= facts.idleLimitMillis)
      found.push({ ...place, ...serverEnds(habit, pool, kept, shown, facts) })
    const probeMillis = habit.probeMillis(options)
    if (Math.min(kept, probeMillis) >= natTimeoutMillis && Number.isFinite(natTimeoutMillis)) {
      const asks =
        probeMillis === Infinity
          ? `sends no TCP keepalives${driver === 'pg' ? ' by default' : ''}`
          : `sends the first TCP keepalive after ${duration(probeMillis)}`
      const less =
        habit.idle === undefined
          ? []
          : [`\`${habit.idle}\` below ${duration(natTimeoutMillis)}${habit.besides?.(options) ?? ''}`]
      found.push({
        id: 'network-forgets-idle',
        severity: habit.validates === true ? 'info' : 'warning',
        ...place,
        message: `This pool keeps idle connections ${keeps(kept)}, but the network forgets silent ones after ${duration(natTimeoutMillis)}, and \`${driver}\` ${asks}: the next query on one hangs${habit.validates === true ? ' until the pool’s own check of it has failed' : ''}.`,
        mend: `Set ${[...(habit.probe === undefined ? [] : [habit.probe]), ...less].join(', or ')}.`,
      })
    }
    return found
  })
}

function serverEnds(
  { idle, besides, validates }: Habit,
  { driver, options }: PoolInFile,
  kept: number,
  shown: string,
  { idleLimitMillis, idleLimitName }: Pick<ServerFacts, 'idleLimitMillis' | 'idleLimitName'>,
): Omit<Finding, 'file' | 'line'> {
  const after = `${duration(idleLimitMillis)} (\`${idleLimitName}\`)`
  const about = { id: 'server-ends-idle-first', severity: idleLimitMillis < LONG_MILLIS ? 'warning' : 'info' } as const
  if (idle === undefined)
    return {
      ...about,
      message: `This client keeps its connection for ever, but ${shown} ends one that is silent for ${after}: commands that are under way then fail, or are sent again.`,
      mend: `Set \`timeout 0\` on the server${driver === 'redis' ? ', or `pingInterval` below it here' : ''}.`,
    }
  const mend = `Set \`${idle}\` below ${duration(idleLimitMillis)}${besides?.(options) ?? ''}.`
  const message = `This pool keeps idle connections ${keeps(kept)}, but ${shown} ends them after ${after}:`
  return validates === true
    ? { ...about, severity: 'info', message: `${message} it notices, and opens others when they are needed.`, mend }
    : { ...about, message: `${message} the next query on one fails.`, mend }
}

const keeps = (millis: number): string => (millis === Infinity ? 'for ever' : `for ${duration(millis)}`)

function duration(millis: number): string {
  if (millis % 3_600_000 === 0) return `${millis / 3_600_000} h`
  return millis % 60_000 === 0 ? `${millis / 60_000} min` : `${millis / 1_000} s`
}
