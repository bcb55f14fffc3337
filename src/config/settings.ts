import { fileKeyOf, rowOf, type OptionName } from './option-table.ts'
import { maskUrl } from './connection-url.ts'
import { formatDuration } from './duration.ts'
import type { Value } from './values.ts'

/** Who says what a value is. */
export interface Source {
  readonly from: 'code' | 'variable' | 'file' | 'preset' | 'profile' | 'default'
  /** Which one: the variable, the file, the preset or profile; in code nothing. */
  readonly name?: string
  /** The value is a part of the URL that stands there. */
  readonly inUrl?: true
  /** What was done to it to fit the others. */
  readonly note?: string
}

/** `code`, `ORDERS_POOL_MAX`, `host of DATABASE_URL`, `pools.json`, `profile production` */
export function describeSource({ from, name, inUrl, note }: Source): string {
  const place = from === 'variable' || from === 'file' ? (name ?? from) : name === undefined ? from : `${from} ${name}`
  return `${inUrl ? `URL of ${place}` : place}${note === undefined ? '' : `, ${note}`}`
}

/** The value of one option, and who says so. */
export interface Setting {
  readonly value: Value | undefined
  readonly source: Source
}

/** Something that a person should know of, though the configuration holds. */
export interface ConfigNotice {
  readonly code: 'MILLPOND_CONFIG_CONFLICT' | 'MILLPOND_CONFIG_PROFILE' | 'MILLPOND_CONFIG_RELOAD'
  readonly pool: string
  readonly option?: OptionName
  readonly message: string
}

/** Something for which the configuration is refused. */
export interface ConfigIssue {
  /** Where it stands: the keys that lead to it in a file or in code, or the name of the variable. */
  readonly path: readonly string[]
  readonly message: string
}

/** A value as it may be shown: with its unit, and masked where it is a secret. */
export function showValue(option: OptionName, value: Value | undefined): string {
  const { rule, secret } = rowOf(option)
  if (value === undefined) return 'not set'
  if (option === 'url' && typeof value === 'string') return maskUrl(value)
  if (secret) return '***'
  if (rule.type === 'duration' && typeof value === 'number') return formatDuration(value)
  return value === Infinity ? 'unlimited' : String(value)
}

interface Candidate extends Setting {
  /** From a variable that speaks to every pool of a kind. */
  readonly common: boolean
}

/** What the sources say, the strongest first. */
export class Candidates {
  readonly #byOption = new Map<OptionName, Candidate[]>()
  readonly issues: ConfigIssue[] = []
  /** Whether what is added now speaks to every pool of a kind, and not to this one in particular. */
  common = false

  add(option: OptionName, value: Value, source: Source): void {
    const known = this.#byOption.get(option)
    const candidate = { value, source, common: this.common }
    if (known === undefined) this.#byOption.set(option, [candidate])
    else known.push(candidate)
  }

  complain(path: readonly string[], message: string): void {
    this.issues.push({ path, message })
  }

  strongest(option: OptionName): Setting | undefined {
    return this.#byOption.get(option)?.[0]
  }

  /** What somebody said in vain. */
  conflicts(pool: string): ConfigNotice[] {
    return [...this.#byOption].flatMap(([option, [winner, ...others]]) =>
      winner === undefined
        ? []
        : others
            .filter((other) => contradicts(option, winner, other))
            .map((other) => ({
              code: 'MILLPOND_CONFIG_CONFLICT' as const,
              pool,
              option,
              message: conflict(option, winner, other),
            })),
    )
  }
}

/** Whether somebody may be surprised that the other one does not count. */
function contradicts(option: OptionName, winner: Candidate, other: Candidate): boolean {
  if (!isExplicit(winner) || !isExplicit(other) || other.value === winner.value) return false
  if (winner.common || !other.common) return true
  // DATABASE_URL may be another pool's; DB_POOL_MAX is overruled on purpose by ORDERS_POOL_MAX only.
  return rowOf(option).group !== 'connection' && winner.source.from === 'code'
}

function conflict(option: OptionName, winner: Candidate, other: Candidate): string {
  const [wins, loses] = [showValue(option, winner.value), showValue(option, other.value)]
  const [has, instead] = wins === loses ? ['', 'another value'] : [` ${wins}`, loses]
  return `\`${fileKeyOf(option)}\`${has} (${describeSource(winner.source)}) wins over ${instead} (${describeSource(other.source)}); say it in one place`
}

function isExplicit({ source }: Setting): boolean {
  return source.from === 'code' || source.from === 'variable' || source.from === 'file'
}
