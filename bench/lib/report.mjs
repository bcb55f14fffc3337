import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const README = fileURLToPath(new URL('../README.md', import.meta.url))

/** Puts the text between the marks `<!-- name -->` and `<!-- /name -->` of `bench/README.md`. */
export function writeSection(name, text) {
  const page = readFileSync(README, 'utf8')
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`bench/README.md has no section "${name}": expected ${begin} … ${end}`)
  writeFileSync(README, `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(to)}`)
}

/** A table in Markdown; the first column is text, the others are figures. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** `1234.5` as `1,235`, `0.1234` as `0.12`; nothing where there is none. */
export function figure(value) {
  if (value === undefined || Number.isNaN(value)) return ''
  if (value === 0) return '0'
  return Math.abs(value) >= 20 ? Math.round(value).toLocaleString('en-US') : value.toFixed(Math.abs(value) >= 2 ? 1 : 2)
}
