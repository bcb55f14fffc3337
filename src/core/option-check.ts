import { OptionError } from './errors.ts'

/** What a value of an option may be. Durations are milliseconds; `Infinity` means no limit. */
export type OptionRule =
  | { readonly type: 'integer'; readonly min: number; readonly infinity?: boolean }
  | { readonly type: 'duration'; readonly zero?: boolean; readonly infinity?: boolean }
  | { readonly type: 'boolean' }
  | { readonly type: 'string' }
  | { readonly type: 'function' }
  | { readonly type: 'object' }
  | { readonly type: 'string-or-function' }
  | { readonly type: 'one-of'; readonly values: readonly string[] }

export function describeRule(rule: OptionRule): string {
  switch (rule.type) {
    case 'integer':
      return `an integer ≥ ${rule.min}${rule.infinity ? ' or Infinity' : ''}`
    case 'duration':
      return `a number of milliseconds ${rule.zero ? '≥ 0' : '> 0'}${rule.infinity ? ' or Infinity' : ''}`
    case 'one-of':
      return `one of ${rule.values.map((value) => `'${value}'`).join(', ')}`
    case 'string':
      return 'a string that is not empty'
    case 'string-or-function':
      return 'a string or a function'
    case 'object':
    case 'function':
    case 'boolean':
      return `${rule.type === 'object' ? 'an' : 'a'} ${rule.type}`
  }
}

function obeys(value: unknown, rule: OptionRule): boolean {
  switch (rule.type) {
    case 'integer':
      return (
        (Number.isInteger(value) && (value as number) >= rule.min) || (rule.infinity === true && value === Infinity)
      )
    case 'duration':
      if (typeof value !== 'number' || Number.isNaN(value)) return false
      if (value === Infinity) return rule.infinity === true
      return rule.zero ? value >= 0 : value > 0
    case 'one-of':
      return typeof value === 'string' && rule.values.includes(value)
    case 'string':
      return typeof value === 'string' && value !== ''
    case 'string-or-function':
      return typeof value === 'string' || typeof value === 'function'
    case 'object':
      return typeof value === 'object' && value !== null
    case 'function':
    case 'boolean':
      return typeof value === rule.type
  }
}

function quote(value: unknown): string {
  if (typeof value === 'string') return `'${value}' (string)`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  return Array.isArray(value) ? 'an array' : typeof value
}

/** What is wrong with a value, if anything: a sentence that quotes the option, the rule and the value. */
export function complaintAbout(option: string, value: unknown, rule: OptionRule): string | undefined {
  return obeys(value, rule) ? undefined : `Expected \`${option}\` to be ${describeRule(rule)}, got ${quote(value)}`
}

/** @throws {OptionError} that quotes the option, the rule and the value */
export function checkOption(pool: string, option: string, value: unknown, rule: OptionRule): void {
  const complaint = complaintAbout(option, value, rule)
  if (complaint !== undefined) throw new OptionError(pool, option, complaint)
}

/** The known name that was probably meant, if one is near enough. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), least)
    if (distance < least) [nearest, least] = [candidate, distance]
  }
  return nearest
}

/** Levenshtein's distance (https://en.wikipedia.org/wiki/Levenshtein_distance), given up once it reaches `limit`. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? limit
}

/** The error for an option that nobody knows, with the nearest one that somebody does. */
export function unknownOption(pool: string, option: string, known: readonly string[]): OptionError {
  const nearest = nearestName(option, known)
  const hint = nearest === undefined ? '' : `; did you mean \`${nearest}\`?`
  return new OptionError(pool, option, `Unknown option \`${option}\`${hint}`)
}
