import { nearestName } from '../core/option-check.ts'
import { parseConnectionUrl, type ConnectionUrl } from './connection-url.ts'
import type { Environment, Variable } from './environment.ts'
import {
  isKind,
  KIND_NAMES,
  kindOfUrl,
  KINDS,
  OWN_FIELD_SUFFIXES,
  OWN_URL_SUFFIXES,
  type Field,
  type Kind,
  type SingleField,
} from './kinds.ts'
import { appliesTo, fileKeyOf, OPTION_NAMES, optionsOf, rowOf, variablesOf, type OptionName } from './option-table.ts'
import { PRESETS, PROFILES, SIZE_NAMES, type PresetName, type ProfileName } from './profiles.ts'
import type { Candidates, Source } from './settings.ts'
import { checked, complaintAboutUrl, valueOfFile, valueOfQuery, valueOfText, type Parsed } from './values.ts'

/** Keys of a pool, in code and in files, that are no options of the pool itself. */
export const OTHER_KEYS = ['kind', 'preset', 'required', 'envPrefix', 'driver'] as const

const FIELDS = ['host', 'port', 'user', 'password', 'database'] as const satisfies readonly Field[]

/** Reads what every source says of one pool, and keeps it in the order in which it counts. */
export class Gatherer {
  readonly #pool: string
  readonly #kind: Kind
  readonly #candidates: Candidates
  readonly #environment: Environment

  constructor(pool: string, kind: Kind, candidates: Candidates, environment: Environment) {
    this.#pool = pool
    this.#kind = kind
    this.#candidates = candidates
    this.#environment = environment
  }

  /** What stands in code (by the names of code) or in a file (by those of files). */
  settings(given: Readonly<Record<string, unknown>>, source: Source): void {
    const byKey = source.from === 'file' ? FILE_KEYS : CODE_KEYS
    for (const [key, value] of Object.entries(given)) {
      if (value === undefined || (OTHER_KEYS as readonly string[]).includes(key)) continue
      const option = byKey.get(key)
      if (option === undefined) this.#unknownKey(key, source)
      else if (!appliesTo(option, this.#kind)) {
        this.#complain(
          key,
          `\`${key}\` means nothing to ${this.#kind}: it is for ${rowOf(option).kinds?.join(', ')}`,
          source,
        )
      } else if (option !== 'url') {
        this.#take(
          option,
          source.from === 'file' ? valueOfFile(option, value, key) : checked(option, value, key),
          source,
          key,
        )
      }
    }
    const { url } = given
    if (url !== undefined) this.#url(url, source, 'url')
  }

  /** `ORDERS_POOL_MAX` and its like; `prefixes` from the pool's own to those of its kind. */
  poolVariables(prefixes: readonly string[]): void {
    prefixes.forEach((prefix, index) => {
      this.#candidates.common = index > 0
      for (const option of optionsOf(this.#kind)) {
        if (rowOf(option).group === 'connection') continue
        const names = variablesOf(option).map((suffix) => `${prefix}${suffix}`)
        for (const { name, text } of this.#variables(names, option))
          this.#take(option, valueOfText(option, text, name), { from: 'variable', name }, name)
      }
    })
    this.#candidates.common = false
    this.#refuseUnknown(prefixes)
  }

  #refuseUnknown(prefixes: readonly string[]): void {
    const known = new Set(['POOL_PRESET', ...optionsOf(this.#kind).flatMap(variablesOf)])
    for (const name of this.#environment.names) {
      const prefix = prefixes.find((prefix) => name.startsWith(`${prefix}POOL_`))
      const suffix = name.slice(prefix?.length ?? 0)
      if (prefix === undefined || known.has(suffix)) continue
      const nearest = nearestName(suffix, known)
      this.#candidates.complain(
        [name],
        `Unknown variable \`${name}\`${nearest === undefined ? '' : `; did you mean \`${prefix}${nearest}\`?`}`,
      )
    }
  }

  /** URL and fields from the environment: the pool's own before those that go by the kind. */
  connectionVariables(prefix: string): void {
    const { urls, fields } = KIND_NAMES[this.#kind]
    const ownUrls = OWN_URL_SUFFIXES.map((suffix) => `${prefix}${suffix}`)
    this.#urlVariables(ownUrls)
    const ownFields = Object.entries(OWN_FIELD_SUFFIXES).map(
      ([field, suffixes]) => [field as SingleField, suffixes.map((suffix) => `${prefix}${suffix}`)] as const,
    )
    this.#fieldVariables(ownFields)
    this.#candidates.common = true
    this.#urlVariables(urls.filter((name) => !ownUrls.includes(name)))
    const own = new Set(ownFields.flatMap(([, names]) => names))
    this.#fieldVariables(
      Object.entries(fields).map(
        ([option, names]) => [option as OptionName, names.filter((name) => !own.has(name))] as const,
      ),
    )
    this.#candidates.common = false
  }

  #urlVariables(names: readonly string[]): void {
    for (const { name, text } of this.#variables(names, 'url')) {
      // DATABASE_URL is whichever database the program has.
      const kind = kindOfUrl(text)
      if (name.startsWith('DATABASE_URL') && kind !== undefined && kind !== this.#kind) continue
      this.#url(text, { from: 'variable', name }, name)
    }
  }

  #fieldVariables(names: readonly (readonly [OptionName, readonly string[]])[]): void {
    for (const [option, variables] of names) {
      if (!appliesTo(option, this.#kind)) continue
      for (const { name, text } of this.#variables(variables, option)) {
        // Kubernetes says `REDIS_PORT=tcp://10.0.0.1:6379` where a Service is called `redis`; that is no port.
        if (option === 'port' && /^(?:tcp|udp|sctp):\/\//.test(text)) continue
        this.#take(
          option,
          name === 'PGCONNECT_TIMEOUT' ? libpqSeconds(text) : valueOfText(option, text, name),
          { from: 'variable', name },
          name,
        )
      }
    }
  }

  /** Sizes that nobody has chosen one by one. */
  sizes(preset: PresetName | undefined, profile: ProfileName): void {
    for (const size of SIZE_NAMES) {
      if (preset !== undefined) this.#candidates.add(size, PRESETS[preset][size], { from: 'preset', name: preset })
      this.#candidates.add(size, PROFILES[profile][size], { from: 'profile', name: profile })
    }
  }

  #url(given: unknown, source: Source, key: string): void {
    const { schemes, example } = KIND_NAMES[this.#kind]
    const parsed = checked('url', given, key)
    if ('complaint' in parsed) {
      this.#complain(key, parsed.complaint, source)
      return
    }
    const text = String(parsed.value).trim()
    const isPlainTarget = this.#kind === 'grpc' && !text.includes('://')
    const complaint = isPlainTarget ? undefined : complaintAboutUrl(text, key, schemes, example)
    if (complaint !== undefined) {
      this.#complain(key, complaint, source)
      return
    }
    const stronger = this.#candidates.strongest('url')
    this.#candidates.add('url', text, source)
    // Only the URL that counts says where the server is: a host of one with the password of another helps nobody.
    if (stronger !== undefined || isPlainTarget) return
    const parts = parseConnectionUrl(text)
    if (typeof parts !== 'string') this.#parts(parts, { ...source, inUrl: true }, key)
  }

  #parts(parts: ConnectionUrl, source: Source, key: string): void {
    for (const field of FIELDS) {
      const value = parts[field]
      if (value !== undefined && appliesTo(field, this.#kind)) this.#candidates.add(field, value, source)
    }
    const query = new URLSearchParams(parts.query ?? '')
    for (const name of new Set(query.keys())) {
      // Only MongoDB's driver has parameters that are lists: tags of servers.
      const isList = this.#kind === 'mongodb' && optionOfQuery(this.#kind, name) === undefined
      if (!isList && new Set(query.getAll(name)).size > 1)
        this.#complain(key, `\`${name}\` stands several times in the URL of \`${key}\`, with different values`, source)
    }
    for (const [name, text] of query) {
      const option = optionOfQuery(this.#kind, name)
      if (option !== undefined) this.#take(option, valueOfQuery(option, text, `${name} of ${key}`), source, key)
    }
  }

  #variables(names: readonly string[], option: OptionName): Variable[] {
    try {
      return this.#environment.all(names, rowOf(option).secret === true)
    } catch (error) {
      this.#candidates.complain([names[0] ?? option], (error as Error).message)
      return []
    }
  }

  #take(option: OptionName, parsed: Parsed, source: Source, key: string): void {
    if ('complaint' in parsed) this.#complain(key, parsed.complaint, source)
    else this.#candidates.add(option, parsed.value, source)
  }

  #complain(key: string, message: string, source: Source): void {
    this.#candidates.complain(source.from === 'variable' ? [key] : [this.#pool, key], message)
  }

  #unknownKey(key: string, source: Source): void {
    this.#complain(key, unknownKey(key, this.#kind, source.from === 'file'), source)
  }
}

const CODE_KEYS: ReadonlyMap<string, OptionName> = new Map(OPTION_NAMES.map((option) => [option, option]))
const FILE_KEYS: ReadonlyMap<string, OptionName> = new Map(OPTION_NAMES.map((option) => [fileKeyOf(option), option]))

/** Says that a key is none, and which one was probably meant: the nearest, or ours for a driver's. */
export function unknownKey(key: string, kind: Kind | undefined, inFile: boolean): string {
  const keys = inFile ? FILE_KEYS : CODE_KEYS
  const nameOf = (option: OptionName): string => (inFile ? fileKeyOf(option) : option)
  const foreign = OPTION_NAMES.find((option) =>
    (kind === undefined ? KINDS : [kind]).some((kind) => rowOf(option).drivers?.[kind]?.includes(key)),
  )
  const ours = foreign ?? CODE_KEYS.get(key) ?? FILE_KEYS.get(key)
  if (ours !== undefined) return `Unknown key \`${key}\`: here it is \`${nameOf(ours)}\``
  const applicable = [...keys].filter(([, option]) => kind === undefined || appliesTo(option, kind)).map(([key]) => key)
  const nearest = nearestName(key, [...applicable, ...OTHER_KEYS])
  const hint = nearest === undefined ? '.' : `; did you mean \`${nearest}\`?`
  return `Unknown key \`${key}\`${hint} What only the driver knows goes under \`driver\``
}

/** The option that a driver's name in the query of its URL stands for. */
export function optionOfQuery(kind: Kind, name: string): OptionName | undefined {
  return OPTION_NAMES.find((option) => option !== 'url' && rowOf(option).drivers?.[kind]?.includes(name))
}

/** libpq's: whole seconds, `0` or less for ever. */
function libpqSeconds(text: string): Parsed {
  const seconds = Number(text)
  if (!Number.isInteger(seconds))
    return { complaint: `Expected \`PGCONNECT_TIMEOUT\` to be whole seconds, got '${text}'` }
  return { value: seconds <= 0 ? Infinity : seconds * 1_000 }
}

/** The kind of a pool: said, or told by its URL, or by its name. */
export function findKind(pool: string, said: unknown, urls: readonly string[]): Kind | undefined {
  if (isKind(said)) return said
  for (const url of urls) {
    const kind = kindOfUrl(url)
    if (kind !== undefined) return kind
  }
  return isKind(pool) ? pool : undefined
}
