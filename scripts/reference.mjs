// npm run reference: writes the pages of docs/reference that are made of the source: options, events, registry, config, metrics.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import {
  KIND_NAMES,
  KINDS,
  OPTION_NAMES,
  OPTIONS,
  PRESETS,
  PROFILES,
  fileKeyOf,
  formatDuration,
  variablesOf,
} from '../src/config/index.ts'
import { expectation } from '../src/config/values.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** A source file with its comments; nothing is checked. */
function sourceOf(file) {
  return ts.createSourceFile(file, readFileSync(`${root}${file}`, 'utf8'), ts.ScriptTarget.ES2022, true)
}

/** What the comment before a declaration says: its text, its default, what it throws. */
function saidOf({ jsDoc }) {
  const doc = jsDoc?.at(-1)
  const plain = (comment) =>
    ts
      .getTextOfJSDocComment(comment)
      ?.replace(/\{@link (\w+)\}/g, '`$1`')
      .replace(/\s+/g, ' ')
      .trim()
  const tags = (name) =>
    (doc?.tags ?? []).filter(({ tagName }) => tagName.text === name).map(({ comment }) => plain(comment))
  return { text: plain(doc?.comment) ?? '', fallback: tags('defaultValue')[0] }
}

/** The members of an interface: name, type, text of its comment, default. */
function membersOf(file, interfaceName) {
  const source = sourceOf(file)
  const found = source.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === interfaceName)
  return found.members.map((member) => ({
    name: member.name.text,
    type: (member.type?.getText(source) ?? 'function')
      .replace(/\s*\|\s*undefined$/, '')
      .replace(/\n\s+/g, '; ')
      .replace('{; ', '{ ')
      .replace('; }', ' }')
      .replace(/\s+/g, ' '),
    ...saidOf(member),
  }))
}

/** The public methods and getters of a class that say what they do: as they are called, and what they say. */
function methodsOf(file, className) {
  const source = sourceOf(file)
  const found = source.statements.find((each) => ts.isClassDeclaration(each) && each.name.text === className)
  return found.members
    .filter((member) => (ts.isMethodDeclaration(member) || ts.isGetAccessor(member)) && ts.isIdentifier(member.name))
    .map((member) => {
      const parameters = member.parameters.map(({ name }) => (ts.isIdentifier(name) ? name.text : 'options'))
      const call = ts.isGetAccessor(member) ? member.name.text : `${member.name.text}(${parameters.join(', ')})`
      return { call, ...saidOf(member) }
    })
    .filter(({ text }) => text !== '')
}

/** What an exported function says. */
function functionOf(file, functionName) {
  return saidOf(sourceOf(file).statements.find((each) => ts.isFunctionDeclaration(each) && each.name.text === functionName)) // prettier-ignore
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

Behind a face some defaults are those of the driver: see [Coming from pg.Pool](../guide/coming-from-pg.md) and
[Coming from mysql2's createPool](../guide/coming-from-mysql2.md).

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

const REGISTRY = 'src/registry'

/** What one process does with its pools: the front door beside `Pool`. */
export function registryPage() {
  const methods = (file, name) =>
    methodsOf(`${REGISTRY}/${file}.ts`, name).map(({ call, text }) => `| ${code(call)} | ${cell(text)} |`)
  const options = (file, name) => {
    const rows = membersOf(`${REGISTRY}/${file}.ts`, name).map(
      ({ name: option, text, fallback }) =>
        `| ${code(option)} | ${fallback === undefined ? '' : cell(fallback)} | ${cell(text)} |`,
    )
    return `| option | default | |\n| --- | --- | --- |\n${rows.join('\n')}`
  }
  return `# The pools of a process

What \`millpond\` exports beside \`Pool\`. Durations are milliseconds. How it is used stands in
[In a service](../guide/services.md), [Next.js](../guide/nextjs.md), [Functions that sleep](../guide/serverless.md) and
[A pool per tenant](../guide/tenants.md).

## PoolRegistry

| | |
| --- | --- |
${methods('registry', 'PoolRegistry').join('\n')}

### \`register\`

${options('registry', 'RegisterOptions')}

### \`close\`

${options('registry', 'RegistryCloseOptions')}

### \`closeOnSignals\`

${options('close-on-signals', 'SignalOptions')}

### \`untilEmpty\`

${options('until-empty', 'UntilEmptyOptions')}

## stopServer(server)

${functionOf(`${REGISTRY}/stop-server.ts`, 'stopServer').text}

## defineRegistry(setUp)

${functionOf(`${REGISTRY}/define-registry.ts`, 'defineRegistry').text}

## definePool(name, make, configuration)

${functionOf(`${REGISTRY}/define-pool.ts`, 'definePool').text} Without \`configuration\` the source text of \`make\` tells one from
another; the old pool is closed in the background.

## PoolGroup

\`new PoolGroup(options, (key) => pool)\`. A pool like any other to a registry, to metrics and to the dashboard.

${options('pool-group', 'PoolGroupOptions')}

| | |
| --- | --- |
${methods('pool-group', 'PoolGroup').join('\n')}
`
}

const GROUPS = {
  connection: 'Where the server is',
  pool: 'How the pool behaves',
  driver: 'What one kind has and others have not',
}

/** A default, with the exceptions of single adapters. */
function fallbackCell({ fallback, fallbacks = {}, rule }) {
  const show = (value) =>
    code(rule.type === 'duration' ? formatDuration(value) : value === Infinity ? 'unlimited' : String(value))
  const exceptions = Object.entries(fallbacks).map(([kind, value]) => `${kind} ${show(value)}`)
  return [...(fallback === undefined ? [] : [show(fallback)]), ...exceptions].join('; ')
}

function driverCell({ drivers = {} }) {
  const names = Object.entries(drivers).map(([kind, words]) => `${kind} ${words.map(code).join(', ')}`)
  return names.length === 0 ? '' : ` Drivers call it: ${names.join('; ')}.`
}

/** What a pool can be configured with, from the table that the code itself reads. */
export function configPage() {
  const sections = Object.entries(GROUPS).map(([group, title]) => {
    const rows = OPTION_NAMES.filter((option) => OPTIONS[option].group === group).map((option) => {
      const row = OPTIONS[option]
      const kinds = row.kinds === undefined ? 'all' : row.kinds.join(', ')
      return `| ${code(option)} | ${code(fileKeyOf(option))} | ${variablesOf(option)
        .map((suffix) => code(`…${suffix}`))
        .join(
          ', ',
        )} | ${cell(expectation(row))} | ${fallbackCell(row)} | ${kinds} | ${cell(row.docs)}${cell(driverCell(row))} |`
    })
    return `## ${title}\n\n| in code | in a file | variable | value | default | kinds | |\n| --- | --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`
  })
  const kinds = KINDS.map((kind) => {
    const { urls, fields, prefixes } = KIND_NAMES[kind]
    const single = Object.entries(fields).map(([field, names]) => `${field}: ${names.map(code).join(', ')}`)
    return `| ${kind} | ${urls.map(code).join(', ')} | ${single.join('<br>')} | ${prefixes.map((prefix) => code(`${prefix}POOL_…`)).join(', ')} |`
  })
  const sizes = (table) =>
    Object.entries(table).map(
      ([name, { max, min, idleTimeoutMillis }]) =>
        `| ${name} | ${max} | ${min} | ${formatDuration(idleTimeoutMillis)} |`,
    )
  return `# Configuration

What \`loadPools\` and \`poolConfig\` of \`millpond/config\` read; how to use them stands in
[Configuration](../guide/configuration.md). In code, durations are milliseconds; in files and variables they have a unit.
The first that says something wins: code · URL in code · pool variables (\`ORDERS_POOL_MAX\`) · URL variables · field variables ·
file · preset · profile · default. Variables that begin with the pool's own name come before those of its kind.

${sections.join('\n')}
Besides, a pool has \`kind\` (one of ${KINDS.map(code).join(', ')}; else told by the URL, or by the pool's name), \`preset\`, \`required\`
(for the registry's health), \`envPrefix\` (else the name: \`orders\` has \`ORDERS_…\`), and \`driver\`: whatever only the adapter or the
driver knows.

## Variables

A pool called \`orders\` has \`ORDERS_URL\` (also \`_URI\`, \`_DATABASE_URL\`, \`_BASE_URL\`, \`_TARGET\`), \`ORDERS_HOST\`, \`_PORT\`, \`_USER\`, \`_PASSWORD\`,
\`_DATABASE\` (also \`ORDERS_DB_HOST\` and so on) and \`ORDERS_POOL_…\`. Those below speak to every pool of the kind. Of a URL and a
password there is also \`…_FILE\`, the path of a file that holds it. An empty variable is not set.

| kind | URL | fields | pool |
| --- | --- | --- | --- |
${kinds.join('\n')}

\`PGCONNECT_TIMEOUT\` is whole seconds, as libpq has it. \`DATABASE_URL\` counts for the kind that its scheme names.

## Profiles

\`profile\`, else \`MILLPOND_PROFILE\`, else \`NODE_ENV\`, else development. An unknown name warns, and development holds.

| profile | max | min | idle timeout |
| --- | --- | --- | --- |
${sizes(PROFILES).join('\n')}

## Presets

A preset that is named beats the profile, field by field.

| preset | max | min | idle timeout |
| --- | --- | --- | --- |
${sizes(PRESETS).join('\n')}
`
}

export async function metricsPage() {
  const { METRICS, DURATIONS, OTEL_METRICS, OTEL_DURATIONS, DURATION_BUCKETS } =
    await import('../src/monitoring/metrics/table.ts')
  const { alertRules } = await import('../src/monitoring/prometheus/alerts.ts')
  const rows = (prefix, metrics, durations, usual) =>
    [
      ...metrics.map(
        ({ name, type, help, label }) =>
          `| \`${prefix}${name}\` | ${type} | ${[...usual, label].filter(Boolean).map(code).join(' ')} | ${cell(help)} |`,
      ),
      ...durations.map(
        ({ name, help }) => `| \`${prefix}${name}\` | histogram | ${usual.map(code).join(' ')} | ${cell(help)} |`,
      ),
    ].join('\n')
  const alerts = alertRules().map(
    ({ alert, labels, expr, for: duration }) => `| \`${alert}\` | ${labels.severity} | ${duration} | ${code(expr)} |`,
  )
  return `# Metrics

What \`millpond/prometheus\` and \`millpond/opentelemetry\` tell of every pool; the alert rules and the Grafana dashboard are
made from the same table. Seconds, not milliseconds. How to set it up stands in [Watching](../guide/watching.md).

## Native names

The prefix \`millpond_\` can be changed. Buckets: ${DURATION_BUCKETS.join(', ')} s. The pool counts durations in buckets of its
own, no wider than 12.5 % of their values; a boundary within one takes its share of it.

| metric | type | labels | what it is |
| --- | --- | --- | --- |
${rows('millpond_', METRICS, DURATIONS, ['pool', 'kind'])}

A pool without a limit has no \`connections_max\`. Reasons of \`connections_destroyed_total\` are those of the
[\`destroyed\` event](events.md).

## OpenTelemetry's names in Prometheus

With \`naming: 'otel'\`, for databases (\`postgres\`, \`mysql\`, \`mariadb\`, \`mongodb\`, \`redis\`), beside the native names of what
the convention has no name for:

| metric | type | labels | what it is |
| --- | --- | --- | --- |
${rows('', OTEL_METRICS, OTEL_DURATIONS, ['db_client_connection_pool_name'])}

\`promtool check metrics\` has one complaint about these names, and exits with an error for it: only histograms and summaries
should end in \`_count\`. \`db_client_connection_count\` is the convention's own name; the native names pass. Redis times some
of its commands on the shared connection, each for those around it: the counts of its histograms are estimates.

## Alerts

\`millpond alerts\` prints them as a file for Prometheus, and so does \`alertRulesYaml()\` of \`millpond/prometheus\`. With
\`--names otel\`, or \`naming: 'otel'\`, they ask for databases under OpenTelemetry's names and for everything else under the
native ones, as does the dashboard.

| alert | severity | for | when |
| --- | --- | --- | --- |
${alerts.join('\n')}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${root}docs/reference/options.md`, optionsPage())
  writeFileSync(`${root}docs/reference/events.md`, eventsPage())
  writeFileSync(`${root}docs/reference/registry.md`, registryPage())
  writeFileSync(`${root}docs/reference/config.md`, configPage())
  writeFileSync(`${root}docs/reference/metrics.md`, await metricsPage())
}
