/** Milliseconds of each unit, the longest first. */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

const MILLIS: ReadonlyMap<string, number> = new Map<string, number>([...UNITS, ['min', 60_000], ['sec', 1_000]])

const NEVER = new Set(['infinity', 'never', 'off', 'none', 'unlimited'])

/** Whether a text says "no limit". */
export function isUnlimited(text: string): boolean {
  return NEVER.has(text.trim().toLowerCase())
}

/**
 * Reads a duration with its unit: `500ms`, `30s`, `1.5m`, `2h`, `1d`, `1m30s`; `off`, `never`, `none`, `unlimited` and
 * `infinity` are `Infinity`; `0` needs no unit. A bare number is none: `30` is 30 seconds to one driver and 30
 * milliseconds to the next.
 *
 * @returns milliseconds, or nothing where the text is no duration
 */
export function parseDuration(text: string): number | undefined {
  const given = text.trim().toLowerCase()
  if (isUnlimited(given)) return Infinity
  if (given === '0') return 0
  let millis = 0
  let rest = given
  while (rest !== '') {
    const part = /^(\d+(?:\.\d+)?)\s*(ms|min|m|sec|s|h|d)\s*/.exec(rest)
    const unit = MILLIS.get(part?.[2] ?? '')
    if (part === null || unit === undefined) return undefined
    millis += Number(part[1]) * unit
    rest = rest.slice(part[0].length)
  }
  return given === '' ? undefined : millis
}

/** Writes a duration as {@link parseDuration} reads it, in the longest unit that is exact: `90s`, `5m`, `off`. */
export function formatDuration(millis: number): string {
  if (millis === Infinity) return 'off'
  if (millis === 0) return '0'
  const [unit, size] = UNITS.find(([, size]) => millis % size === 0) ?? ['ms', 1]
  return `${millis / size}${unit}`
}
