import { inspect } from 'node:util'
import { nearestName } from '../core/option-check.ts'
import { OptionError } from '../core/errors.ts'
import { Environment, type Env } from './environment.ts'
import { findKind, Gatherer, OTHER_KEYS } from './gather.ts'
import { adapterOptions } from './hand-over.ts'
import { KIND_NAMES, KINDS, OWN_URL_SUFFIXES, ownPrefix, type Kind } from './kinds.ts'
import { fallbackOf, optionsOf, type OptionName } from './option-table.ts'
import { activeProfile, PRESETS, PROFILES, type PresetName, type ProfileName } from './profiles.ts'
import { Candidates, describeSource, showValue, type ConfigIssue, type ConfigNotice, type Setting } from './settings.ts'
import type { AdapterOptions, PoolSettings } from './types.ts'

/** Where the configuration of one pool comes from. */
export interface PoolConfigSources {
  /** The pool's name. */
  readonly name: string
  /** @defaultValue process.env */
  readonly env?: Env | undefined
  /** What stands in code; it wins over everything else. @defaultValue nothing */
  readonly code?: PoolSettings | undefined
  /** What a file says of this pool, and what the file is called. @defaultValue nothing */
  readonly file?: { readonly name: string; readonly settings: unknown } | undefined
  /** @defaultValue `MILLPOND_PROFILE`, else `NODE_ENV`, else development */
  readonly profile?: ProfileName | undefined
  /** Reads the files that `<VARIABLE>_FILE` names. @defaultValue from the disk */
  readonly readFile?: ((path: string) => string) | undefined
}

/** One line for a person: what, how much, who says so. */
export interface ConfigRow {
  readonly option: OptionName
  /** With its unit; `***` for a secret. */
  readonly value: string
  readonly source: string
}

/** The configuration of one pool: every value, and who says so. */
export class PoolConfig<K extends Kind = Kind> {
  readonly name: string
  readonly kind: K
  readonly profile: ProfileName
  readonly required: boolean
  /** What holds, though somebody may not expect it. */
  readonly notices: readonly ConfigNotice[]
  readonly #settings: ReadonlyMap<OptionName, Setting>
  readonly #driver: Readonly<Record<string, unknown>>

  constructor(
    name: string,
    kind: K,
    profile: ProfileName,
    required: boolean,
    notices: readonly ConfigNotice[],
    settings: ReadonlyMap<OptionName, Setting>,
    driver: Readonly<Record<string, unknown>>,
  ) {
    this.name = name
    this.kind = kind
    this.profile = profile
    this.required = required
    this.notices = notices
    this.#settings = settings
    this.#driver = driver
  }

  /** What the adapter of this kind is to be given: what somebody has set, and nothing else. */
  get options(): AdapterOptions<K> {
    return adapterOptions(this.name, this.kind, this.#settings, this.#driver) as AdapterOptions<K>
  }

  /** The value of an option, unmasked, and who says so. */
  setting(option: OptionName): Setting {
    return this.#settings.get(option) ?? { value: undefined, source: { from: 'default' } }
  }

  /** Every option that applies to the kind, as it may be shown: what `millpond config --print` prints. */
  rows(): ConfigRow[] {
    return Array.from(this.#settings, ([option, { value, source }]) => ({
      option,
      value: showValue(option, value),
      source: describeSource(source),
    }))
  }

  /** The rows, so that nothing secret is serialised. */
  toJSON(): object {
    const { name, kind, profile } = this
    return { name, kind, profile, settings: this.rows() }
  }

  [inspect.custom](): string {
    const set = this.rows().filter(({ source }) => source !== 'default')
    return `PoolConfig { ${[`name: ${this.name}`, `kind: ${this.kind}`, ...set.map(({ option, value }) => `${option}: ${value}`)].join(', ')} }`
  }
}

/** What became of an attempt: a configuration, or everything for which it is refused. */
export type Outcome = { readonly config: PoolConfig } | { readonly issues: readonly ConfigIssue[] }

/**
 * The configuration of one pool, from everything that says something about it, the first of them winning: code, the
 * URL in code, variables of the pool (`ORDERS_POOL_MAX`), URL variables, field variables, the file, the preset, the
 * profile, the defaults.
 *
 * @throws {OptionError} on unknown keys, wrong values, or values that contradict each other; all of them in one message
 */
export function poolConfig<const C extends PoolSettings>(
  sources: PoolConfigSources & { readonly code?: C },
): PoolConfig<C extends { readonly kind: infer K extends Kind } ? K : Kind> {
  const outcome = resolve(sources)
  if ('issues' in outcome) throw configError(sources.name, outcome.issues)
  return outcome.config as never // of the kind that the code says
}

/** One error for everything that is wrong. */
export function configError(name: string, issues: readonly ConfigIssue[]): OptionError {
  const [first] = issues
  const lines = issues.map(({ path, message }) => (path.length > 1 ? `${path.join('.')}: ${message}` : message))
  const message =
    lines.length === 1
      ? `pool "${name}": ${lines[0] ?? ''}`
      : `pool "${name}": ${lines.length} mistakes\n${lines.map((line) => `  - ${line}`).join('\n')}`
  return new OptionError(name, first?.path.at(-1) ?? 'config', message)
}

export function resolve({ name, env = process.env, code = {}, file, profile, readFile }: PoolConfigSources): Outcome {
  const candidates = new Candidates()
  const environment = new Environment(env, readFile)
  const fromFile = asSettings(file?.settings ?? {})
  if (fromFile === undefined)
    return { issues: [{ path: [name], message: 'Expected the pool to be an object of options' }] }
  const prefix = code.envPrefix ?? (typeof fromFile['envPrefix'] === 'string' ? fromFile['envPrefix'] : ownPrefix(name))
  const kind = kindOf(name, prefix, code, fromFile, environment, candidates)
  if (kind === undefined) return { issues: candidates.issues }

  const gatherer = new Gatherer(name, kind, candidates, environment)
  gatherer.settings(code, { from: 'code' })
  const prefixes = [prefix, ...KIND_NAMES[kind].prefixes.filter((common) => common !== prefix)]
  gatherer.poolVariables(prefixes)
  gatherer.connectionVariables(prefix)
  if (file !== undefined) gatherer.settings(fromFile, { from: 'file', name: file.name })
  const preset = presetOf(name, prefixes, code, fromFile, environment, candidates)
  const active = activeProfile(env, profile)
  gatherer.sizes(preset, active.name)
  const other = checkOthers(name, code, fromFile, candidates)
  restHint(kind, environment, candidates)

  const settings = settle(kind, candidates)
  checkSizes(name, settings, candidates)
  if (candidates.issues.length > 0) return { issues: candidates.issues }
  const notices = candidates.conflicts(name)
  if (active.unknown !== undefined) {
    notices.push({
      code: 'MILLPOND_CONFIG_PROFILE',
      pool: name,
      message: `${active.saidBy === 'code' ? 'The profile' : `\`${active.saidBy}\``} is '${active.unknown}', which is no profile; the sizes are those of development. Set MILLPOND_PROFILE to ${Object.keys(PROFILES).join(', ')}`,
    })
  }
  return { config: new PoolConfig(name, kind, active.name, other.required, notices, settings, other.driver) }
}

function asSettings(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

function kindOf(
  name: string,
  prefix: string,
  code: PoolSettings,
  file: Readonly<Record<string, unknown>>,
  environment: Environment,
  candidates: Candidates,
): Kind | undefined {
  const said = code.kind ?? file['kind']
  if (said !== undefined && !(KINDS as readonly unknown[]).includes(said)) {
    const nearest = nearestName(shown(said), KINDS)
    candidates.complain(
      [name, 'kind'],
      `Expected \`kind\` to be one of ${KINDS.join(', ')}, got '${shown(said)}'${nearest === undefined ? '' : `; did you mean '${nearest}'?`}`,
    )
    return undefined
  }
  const own = environment.all(
    OWN_URL_SUFFIXES.map((suffix) => `${prefix}${suffix}`),
    false,
  )
  const urls = [code.url, ...own.map(({ text }) => text), file['url']].filter((url) => typeof url === 'string')
  const kind = findKind(name, said, urls)
  if (kind === undefined)
    candidates.complain([name, 'kind'], `Say of which \`kind\` the pool is: one of ${KINDS.join(', ')}`)
  return kind
}

function presetOf(
  name: string,
  prefixes: readonly string[],
  code: PoolSettings,
  file: Readonly<Record<string, unknown>>,
  environment: Environment,
  candidates: Candidates,
): PresetName | undefined {
  const variable = environment.all(
    prefixes.map((prefix) => `${prefix}POOL_PRESET`),
    false,
  )[0]
  const given = code.preset ?? variable?.text ?? file['preset']
  if (given === undefined) return undefined
  if (typeof given === 'string' && Object.hasOwn(PRESETS, given)) return given as PresetName
  const nearest = nearestName(shown(given), Object.keys(PRESETS))
  const path = code.preset === undefined && variable !== undefined ? [variable.name] : [name, 'preset']
  candidates.complain(
    path,
    `Expected \`preset\` to be one of ${Object.keys(PRESETS).join(', ')}, got '${shown(given)}'${nearest === undefined ? '' : `; did you mean '${nearest}'?`}`,
  )
  return undefined
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { depth: 0 })
}

/** What is no option of the pool: whether it is required, and what only the driver knows. */
function checkOthers(
  name: string,
  code: PoolSettings,
  file: Readonly<Record<string, unknown>>,
  candidates: Candidates,
): { required: boolean; driver: Readonly<Record<string, unknown>> } {
  const wanted = { required: 'boolean', driver: 'object', envPrefix: 'string' } as const
  for (const given of [code as Readonly<Record<string, unknown>>, file]) {
    for (const key of OTHER_KEYS) {
      const type = wanted[key as keyof typeof wanted] as string | undefined
      const value = given[key]
      if (value === undefined || type === undefined) continue
      const fits = typeof value === type && value !== null && value !== '' && !Array.isArray(value)
      if (!fits) candidates.complain([name, key], `Expected \`${key}\` to be ${type === 'object' ? 'an' : 'a'} ${type}`)
    }
  }
  const required = code.required ?? file['required'] ?? false
  return { required: required === true, driver: { ...asSettings(file['driver']), ...asSettings(code.driver) } }
}

/** Upstash gives two addresses; one of them speaks no Redis. */
function restHint(kind: Kind, environment: Environment, candidates: Candidates): void {
  if (kind !== 'redis' || candidates.strongest('url') !== undefined || candidates.strongest('host') !== undefined)
    return
  if (environment.all(['UPSTASH_REDIS_REST_URL'], false).length === 0) return
  candidates.complain(
    ['UPSTASH_REDIS_REST_URL'],
    '`UPSTASH_REDIS_REST_URL` is an HTTP address; set `REDIS_URL` to the address that begins with `rediss://`',
  )
}

function settle(kind: Kind, candidates: Candidates): Map<OptionName, Setting> {
  const settings = new Map<OptionName, Setting>()
  for (const option of optionsOf(kind)) {
    const strongest = candidates.strongest(option)
    settings.set(
      option,
      strongest === undefined
        ? { value: fallbackOf(option, kind), source: { from: 'default' } }
        : { value: strongest.value, source: strongest.source },
    )
  }
  return settings
}

/** Sizes that come as a set give way to one that somebody has chosen; two that were chosen must fit. */
function checkSizes(name: string, settings: Map<OptionName, Setting>, candidates: Candidates): void {
  const max = settings.get('max')
  if (typeof max?.value !== 'number') return
  for (const option of ['min', 'minIdle'] as const) {
    const setting = settings.get(option)
    if (typeof setting?.value !== 'number' || setting.value <= max.value) continue
    if (isSet(setting)) {
      candidates.complain(
        [name, option],
        `Expected \`${option}\` to be at most \`max\`, got ${setting.value} (${describeSource(setting.source)}) and ${showValue('max', max.value)} (${describeSource(max.source)})`,
      )
    } else settings.set(option, { value: max.value, source: { ...setting.source, note: 'lowered to `max`' } })
  }
}

/** Chosen, rather than part of a set of sizes. */
function isSet({ source }: Setting): boolean {
  return source.from !== 'preset' && source.from !== 'profile' && source.from !== 'default'
}
