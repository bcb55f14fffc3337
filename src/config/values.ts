import { complaintAbout, describeRule } from '../core/option-check.ts'
import { parseConnectionUrl } from './connection-url.ts'
import { isUnlimited, parseDuration } from './duration.ts'
import { rowOf, type OptionName } from './option-table.ts'
import type { OptionRow } from './option-row.ts'

export type Value = string | number | boolean

/** A value, or what is wrong with it. */
export type Parsed = { readonly value: Value } | { readonly complaint: string }

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['0', false],
  ['no', false],
  ['off', false],
])

/** Reads what a variable says. `name` is what the complaint calls it. */
export function valueOfText(option: OptionName, text: string, name: string): Parsed {
  const row = rowOf(option)
  const { rule } = row
  // Of a secret, surrounding blanks are a part.
  const given = row.secret ? text : text.trim()
  if (row.words?.includes(given)) return { value: given }
  switch (rule.type) {
    case 'integer':
      if (/^\d+$/.test(given)) return checked(option, Number(given), name)
      if (isUnlimited(given)) return checked(option, Infinity, name)
      return { complaint: `Expected \`${name}\` to be ${expectation(row)}, got '${given}'` }
    case 'duration': {
      const millis = parseDuration(given)
      if (millis !== undefined) return checked(option, millis, name)
      const hint = /^\d+(\.\d+)?$/.test(given) ? `; say which unit: \`${given}s\` or \`${given}ms\`` : ''
      return { complaint: `Expected \`${name}\` to be ${expectation(row)}, got '${given}'${hint}` }
    }
    case 'boolean': {
      const value = BOOLEANS.get(given.toLowerCase())
      return value === undefined ? { complaint: `Expected \`${name}\` to be true or false, got '${given}'` } : { value }
    }
    default:
      return checked(option, given, name)
  }
}

/** Reads what a file says: texts as in a variable, numbers and booleans as they are, but no durations without a unit. */
export function valueOfFile(option: OptionName, given: unknown, name: string): Parsed {
  const { rule } = rowOf(option)
  if (typeof given === 'string') return valueOfText(option, given, name)
  if (rule.type === 'duration' && typeof given === 'number' && given !== 0) {
    return { complaint: `Expected \`${name}\` to have a unit, got ${given}; say which: '${given}s' or '${given}ms'` }
  }
  // YAML reads the name of a database that is all digits, and Redis' are, as a number.
  if (rule.type === 'string' && typeof given === 'number') return checked(option, String(given), name)
  return checked(option, given, name)
}

/** Checks a value that is one already. */
export function checked(option: OptionName, value: unknown, name: string): Parsed {
  const row = rowOf(option)
  if (row.words?.includes(value as string)) return { value: value as Value }
  const complaint = complaintAbout(name, value, row.rule)
  if (complaint !== undefined) {
    // Of a secret only its type is told: a password that is all digits is one all the same.
    return {
      complaint: row.secret ? `Expected \`${name}\` to be ${describeRule(row.rule)}, got ${typeOf(value)}` : complaint,
    }
  }
  if (row.most !== undefined && (value as number) > row.most)
    return { complaint: `Expected \`${name}\` to be at most ${row.most}, got ${value as number}` }
  return { value: value as Value }
}

function typeOf(value: unknown): string {
  if (value === '') return 'an empty one'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}

/** What a variable or a file may say, for people. */
export function expectation({ rule, most, words = [] }: OptionRow): string {
  const others = words.map((word) => ` or '${word}'`).join('')
  switch (rule.type) {
    case 'integer':
      return `an integer ≥ ${rule.min}${most === undefined ? '' : ` and ≤ ${most}`}${rule.infinity ? " or 'unlimited'" : ''}${others}`
    case 'duration':
      return `a duration such as '30s' or '500ms'${rule.zero ? " or '0'" : ''}${rule.infinity ? " or 'off'" : ''}${others}`
    case 'boolean':
      return 'true or false'
    case 'one-of':
      return `one of ${rule.values.map((value) => `'${value}'`).join(', ')}`
    default:
      return 'a text that is not empty'
  }
}

/** Reads what the query of a URL says, where a driver's name stands for the option: milliseconds, `0` for no limit. */
export function valueOfQuery(option: OptionName, text: string, name: string): Parsed {
  const { rule } = rowOf(option)
  // `queueLimit=0` bounds nothing to the driver.
  if (rule.type === 'integer' && rule.min === 0 && rule.infinity === true && text === '0')
    return checked(option, Infinity, name)
  if (rule.type !== 'duration' || !/^\d+$/.test(text)) return valueOfText(option, text, name)
  const millis = Number(text) * (/^\w+Seconds\b/.test(name) ? 1_000 : 1)
  return checked(option, millis === 0 && rule.infinity ? Infinity : millis, name)
}

/** What is wrong with a URL, never quoting it. gRPC's targets need no scheme. */
export function complaintAboutUrl(
  text: string,
  name: string,
  schemes: readonly string[],
  example: string,
): string | undefined {
  const parts = parseConnectionUrl(text)
  if (typeof parts === 'string') return `Expected \`${name}\` to be a URL such as ${example}, but ${parts}`
  if (!schemes.includes(parts.scheme)) {
    return `Expected \`${name}\` to be a URL such as ${example}, but its scheme is '${parts.scheme}'`
  }
  return undefined
}
