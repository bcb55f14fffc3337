import { fileKeyOf, formatDuration, PRESETS, type Kind, type PoolConfig, type PresetName } from 'millpond/config'
import type { Finding } from './finding.ts'
import type { PoolInFile } from './servers.ts'

/** What a pool connects to, by the driver or, of Millpond's own, by what makes it. */
const PRESET_OF: Readonly<Record<string, PresetName>> = {
  pg: 'database',
  mysql2: 'database',
  mariadb: 'database',
  mongodb: 'database',
  mongoose: 'database',
  pgPool: 'database',
  mysqlPool: 'database',
  redis: 'redis',
  redisPool: 'redis',
  redisClusterPool: 'redis',
  httpPool: 'http',
  grpcPool: 'grpc',
}

/** What stands at the upper end of what is usual: a pool is seldom better for being larger. */
export function sizeFinding(
  preset: PresetName,
  max: number,
): Pick<Finding, 'id' | 'severity' | 'message' | 'mend'> | undefined {
  const [, most] = PRESETS[preset].usual.max
  if (max <= most) return undefined
  return {
    id: 'size-unusual',
    severity: 'info',
    message: `A pool of ${max} is larger than is usual for ${WHAT[preset]}: ${PRESETS[preset].max}, at most ${most}. Every copy of the program takes as many.`,
    mend: 'Measure before you keep it: `millpond size`, or `advise(pool)` of a running one.',
  }
}

const WHAT: Readonly<Record<PresetName, string>> = {
  database: 'a database',
  redis: 'Redis',
  http: 'an HTTP service',
  grpc: 'a gRPC service',
}

/** Pools of the source that are larger than their sort usually is, where no rule of the linter has said so. */
export function examineSizes(pools: readonly PoolInFile[], found: readonly Finding[]): Finding[] {
  return pools.flatMap(({ driver, maker = '', max, options, file, line, column }): Finding[] => {
    const preset = PRESET_OF[driver === 'millpond' ? maker : driver]
    const size = max ?? ['max', 'maxChannels'].map((name) => options[name]).find((value) => typeof value === 'number')
    if (preset === undefined || size === undefined) return []
    const finding = sizeFinding(preset, size)
    const next = Math.min(...pools.filter((each) => each.file === file && each.line > line).map((each) => each.line))
    const isKnown = found.some(
      (each) =>
        each.id === 'no-oversized-pool' && each.file === file && (each.line ?? 0) >= line && (each.line ?? 0) < next,
    )
    return finding === undefined || isKnown ? [] : [{ ...finding, file, line, column }]
  })
}

const PRESET_OF_KIND: Readonly<Record<Kind, PresetName>> = {
  postgres: 'database',
  mysql: 'database',
  mongodb: 'database',
  redis: 'redis',
  http: 'http',
  grpc: 'grpc',
}

/** Whoever names a preset and then overrules it is told where its bounds are; whoever names none, only of what is large. */
export function examineConfigured(
  config: PoolConfig,
  named: unknown,
): Pick<Finding, 'id' | 'severity' | 'message' | 'mend'>[] {
  const max = config.setting('max').value
  if (typeof named !== 'string' || !Object.hasOwn(PRESETS, named)) {
    const found = typeof max === 'number' ? sizeFinding(PRESET_OF_KIND[config.kind], max) : undefined
    return found === undefined ? [] : [found]
  }
  const preset = named as PresetName
  return (['max', 'min', 'idleTimeoutMillis'] as const).flatMap((option) => {
    const [least, most] = PRESETS[preset].usual[option]
    const { value } = config.setting(option)
    if (typeof value !== 'number' || (value >= least && value <= most)) return []
    const show = option === 'idleTimeoutMillis' ? formatDuration : String
    const range = least === most ? show(least) : `${show(least)} to ${show(most)}`
    return [
      {
        id: 'size-unusual',
        severity: 'info' as const,
        message: `\`${fileKeyOf(option)}\` is ${show(value)}, and the preset \`${preset}\` is for ${WHAT[preset]}, where ${range} is usual.`,
        mend: 'Leave it to the preset, or name none.',
      },
    ]
  })
}
