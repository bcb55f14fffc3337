// npm run reference: writes docs/reference/options.md and events.md from the comments of the source.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The members of an interface: name, type, text of its comment, default. */
function membersOf(file, interfaceName) {
  const program = ts.createProgram([`${root}${file}`], {
    allowImportingTsExtensions: true,
    noEmit: true,
    module: ts.ModuleKind.NodeNext,
  })
  const source = program.getSourceFile(`${root}${file}`)
  const found = source.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === interfaceName)
  return found.members.map((member) => {
    const [doc] = member.jsDoc ?? []
    const tag = doc?.tags?.find(({ tagName }) => tagName.text === 'defaultValue')
    return {
      name: member.name.text,
      type: (member.type?.getText(source) ?? 'function')
        .replace(/\s*\|\s*undefined$/, '')
        .replace(/\n\s+/g, '; ')
        .replace('{; ', '{ ')
        .replace('; }', ' }')
        .replace(/\s+/g, ' '),
      text: ts.getTextOfJSDocComment(doc?.comment)?.replace(/\s+/g, ' ').trim() ?? '',
      fallback: ts.getTextOfJSDocComment(tag?.comment)?.replace(/\s+/g, ' ').trim(),
    }
  })
}

const code = (text) => `\`${text.replaceAll('|', '\\|')}\``
const cell = (text) => text.replaceAll('|', '\\|')

export function optionsPage() {
  const rows = membersOf('src/core/options.ts', 'PoolOptions').map(
    ({ name, type, text, fallback }) =>
      `### \`${name}\`\n\n${type === 'function' ? '' : `${code(type)} · `}**Default:** ${fallback}\n\n${text}\n`,
  )
  const hooks = membersOf('src/core/options.ts', 'PoolHooks').map(({ name, text }) => `| \`${name}\` | ${cell(text)} |`)
  return `# Options of a pool

Durations are milliseconds. \`Infinity\` means "no limit" or "off". \`0\` is refused where a description below gives it no
meaning. Unknown options are refused, with the nearest name; wrong values are quoted with the rule.

Behind a face (\`pgPool\`) some defaults are those of the driver: see [Coming from pg.Pool](../guide/coming-from-pg.md).

${rows.join('\n')}
## Hooks

| hook | when |
| --- | --- |
${hooks.join('\n')}
`
}

export function eventsPage() {
  const rows = membersOf('src/core/events.ts', 'PoolEvents').map(
    ({ name, type, text }) =>
      `| \`${name}\` | ${cell(text)} | ${cell(type.replaceAll('readonly ', '')).replace(/^/, '`').replace(/$/, '`')} |`,
  )
  return `# Events of a pool

\`pool.on(event, listener)\`; behind a face, \`pool.core.on(…)\`. Listeners run between two state changes of the pool: what
they see adds up, and whatever they throw is reported as \`failure\` and changes nothing. Every event is also published on
the channel \`millpond:<event>\` of \`node:diagnostics_channel\`. Durations are milliseconds. An event that nobody hears costs
nothing.

A \`ResourceEvent\` has \`pool\`, \`resourceId\` (from 1, in the order of the creates) and \`generation\`; a \`LeaseEvent\` also
\`label\`; a \`LeakEvent\` also \`heldMillis\` and \`stack\`.

| event | when | payload |
| --- | --- | --- |
${rows.join('\n')}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${root}docs/reference/options.md`, optionsPage())
  writeFileSync(`${root}docs/reference/events.md`, eventsPage())
}
