import type { Io } from './io.ts'

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan' | 'underline'

const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  underline: [4, 24],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

export type Paint = (text: string, ...styles: Style[]) => string

/** Colours a text where the terminal wants it. */
export const painter =
  ({ color }: Pick<Io, 'color'>): Paint =>
  (text, ...styles) =>
    color && text !== ''
      ? styles.reduce((sum, style) => `\u001b[${CODES[style][0]}m${sum}\u001b[${CODES[style][1]}m`, text)
      : text

/** Breaks a text at spaces, so that no line is wider than `width`; what stands between backticks is painted. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

/** Paints what stands between backticks, and drops the backticks; plain text keeps them. */
export const withCode = (line: string, paint: Paint, color: boolean): string =>
  color ? line.replace(/`([^`]+)`/g, (_, code: string) => paint(code, 'cyan')) : line

/** Rows under their heads, as wide as needed; numbers to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[], paint: Paint): string {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => (row[column] ?? '').length)))
  const isNumeric = heads.map(
    (_, column) =>
      rows.length > 0 &&
      rows.every((row) => /^[-–]?[\d.,]*( ?[a-z%]+)?$|^–$/i.test(row[column] ?? '') && /\d|–/.test(row[column] ?? '')),
  )
  const cell = (text: string, column: number, last: boolean): string => {
    const width = widths[column] ?? 0
    return isNumeric[column] === true ? text.padStart(width) : last ? text : text.padEnd(width)
  }
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => cell(text, column, column === row.length - 1))
      .join('   ')
      .trimEnd()
  return [paint(line(heads), 'dim'), ...rows.map(line)].map((each) => `  ${each}`).join('\n')
}

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
