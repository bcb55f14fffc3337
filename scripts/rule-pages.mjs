// npm run rules: writes the table of rules into the README of the ESLint plugin, the head of each rule's page, and the page
// of the doctor's other findings.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../packages/eslint-plugin/', import.meta.url))
const START = '<!-- rules -->'
const END = '<!-- end of rules -->'

/** Marks of a rule, as the README explains them. */
const marks = ({ fixable, hasSuggestions, docs }) =>
  [
    docs.set === 'strict' ? 'strict' : 'recommended',
    ...(fixable === undefined ? [] : ['`--fix`']),
    ...(hasSuggestions === true ? ['suggestions'] : []),
    ...(docs.types ? ['types'] : []),
  ].join(' · ')

export const headOf = (meta) => `${meta.docs.description}.\n\n*${marks(meta)}*`

export function tableOf(rules) {
  const rows = Object.entries(rules).map(
    ([name, { meta }]) => `| [\`${name}\`](docs/rules/${name}.md) | ${meta.docs.description} | ${marks(meta)} |`,
  )
  return ['| rule | what it asks | |', '| --- | --- | --- |', ...rows].join('\n')
}

/** A README with its table renewed. */
export function withTable(readme, rules) {
  const [before, rest] = readme.split(START)
  const [, after] = rest.split(END)
  return `${before}${START}\n\n${tableOf(rules)}\n\n${END}${after}`
}

/** A page with its head renewed: what stands between the title and the first paragraph of its own. */
export function withHead(page, meta) {
  const title = page.slice(0, page.indexOf('\n'))
  const rest = page.includes('<!-- header -->')
    ? page.slice(page.indexOf('<!-- header -->') + '<!-- header -->'.length)
    : page.slice(page.indexOf('*\n', page.indexOf('\n\n*')) + 1)
  return `${title}\n\n${headOf(meta)}${rest}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { plugin } = await import('../packages/eslint-plugin/dist/index.js')
  writeFileSync(`${root}README.md`, withTable(readFileSync(`${root}README.md`, 'utf8'), plugin.rules))
  for (const file of readdirSync(`${root}docs/rules`)) {
    const { meta } = plugin.rules[file.replace('.md', '')]
    writeFileSync(`${root}docs/rules/${file}`, withHead(readFileSync(`${root}docs/rules/${file}`, 'utf8'), meta))
  }
  const { findingsPage } = await import('../packages/cli/dist/doctor/stories.js')
  writeFileSync(`${root}../cli/docs/findings.md`, findingsPage())
}
