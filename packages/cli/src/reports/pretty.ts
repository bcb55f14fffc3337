import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Io } from '../io.ts'
import { painter, plural, withCode, wrap, type Paint } from '../terminal.ts'
import type { Examination } from '../doctor/examine.ts'
import type { Finding, Severity } from '../doctor/finding.ts'

const MARKS: Readonly<Record<Severity, readonly [mark: string, color: 'red' | 'yellow' | 'cyan']>> = {
  error: ['✗', 'red'],
  warning: ['!', 'yellow'],
  info: ['i', 'cyan'],
}

/** For a person: file by file, each finding with the line that it is about. */
export function prettyReport(examination: Examination, io: Io): string {
  const paint = painter(io)
  const { findings, root, files, fixed, asked, pools } = examination
  const blocks: string[] = []
  let current: string | undefined | null = null
  for (const finding of findings) {
    if (finding.file !== current) {
      current = finding.file
      blocks.push(`${paint(current ?? 'servers', 'bold', 'underline')}\n`)
    }
    blocks.push(entry(finding, root, io, paint))
  }
  const scope = [plural(files, 'file'), plural(pools.length, 'pool or client', 'pools and clients')]
  if (asked.length > 0) scope.push(plural(asked.length, 'server'))
  if (fixed.length > 0) blocks.push(`${paint('✓', 'green')} mended ${fixed.join(', ')}\n`)
  blocks.push(`${summary(findings, paint)} ${paint(`in ${scope.join(', ')}`, 'dim')}\n`)
  const [worst] = findings.toSorted((a, b) => 'ewi'.indexOf(a.severity.charAt(0)) - 'ewi'.indexOf(b.severity.charAt(0)))
  if (worst !== undefined) {
    const fixable = findings.filter((each) => each.fixable === true).length
    const hints = [`millpond explain ${worst.id}`, ...(fixable > 0 ? [`millpond doctor --fix mends ${fixable}`] : [])]
    blocks.push(`${hints.map((hint) => paint(`  ${hint}`, 'dim')).join('\n')}\n`)
  }
  return blocks.join('\n')
}

function summary(findings: readonly Finding[], paint: Paint): string {
  if (findings.length === 0) return `${paint('✓', 'green')} nothing found`
  const parts = (['error', 'warning', 'info'] as const).flatMap((severity) => {
    const count = findings.filter((each) => each.severity === severity).length
    if (count === 0) return []
    return [paint(severity === 'info' ? plural(count, 'note') : plural(count, severity), MARKS[severity][1])]
  })
  return parts.join(', ')
}

function entry(
  { id, severity, file, line, column, endLine, endColumn, message, mend }: Finding,
  root: string,
  io: Io,
  paint: Paint,
): string {
  const [mark, color] = MARKS[severity]
  const place = line === undefined ? '' : `${line}${column === undefined ? '' : `:${column}`}`
  const width = io.width - 4
  const text = wrap(message, width).map((each) => `    ${withCode(each, paint, io.color)}`)
  const mending =
    mend === undefined
      ? []
      : wrap(mend, width - 2).map(
          (each, index) => `    ${index === 0 ? paint('→', 'green') : ' '} ${withCode(each, paint, io.color)}`,
        )
  const head = `  ${paint(mark, color, 'bold')} ${[paint(id, color), paint(place, 'dim')].filter((each) => each !== '').join('  ')}`
  const frame =
    file === undefined || line === undefined
      ? []
      : codeFrame(join(root, file), line, column, endLine === line ? endColumn : undefined, io, paint, color)
  return [head, ...frame, ...text, ...mending, ''].join('\n')
}

/** The line that a finding is about, and where in it. */
function codeFrame(
  path: string,
  line: number,
  column: number | undefined,
  endColumn: number | undefined,
  io: Io,
  paint: Paint,
  color: 'red' | 'yellow' | 'cyan',
): string[] {
  if (!existsSync(path)) return []
  const source = readFileSync(path, 'utf8').split('\n')[line - 1]
  // A line of a variable may hold a secret; what is shown is its name.
  if (source === undefined || source.trim() === '' || /(^|\/)\.env(\.[\w-]+)*$/.test(path)) return []
  const indent = source.length - source.trimStart().length
  const gutter = `    ${paint(`${line} │`, 'dim')} `
  const room = io.width - `${line}`.length - 8
  const shown = source.trim().slice(0, room)
  const lines = [`${gutter}${shown}`]
  if (column !== undefined && column - 1 - indent < shown.length) {
    const from = Math.max(0, column - 1 - indent)
    const length = Math.max(1, Math.min((endColumn ?? source.trimEnd().length + 1) - column, shown.length - from))
    lines.push(
      `    ${' '.repeat(`${line}`.length)} ${paint('│', 'dim')} ${' '.repeat(from)}${paint('~'.repeat(length), color)}`,
    )
  }
  return lines
}
