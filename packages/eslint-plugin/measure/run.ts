// npx tsx --tsconfig tsconfig.json packages/eslint-plugin/measure/run.ts [name|all] [rule,…]: what the strict rules find in real code, for counting by hand.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as parser from '@typescript-eslint/parser'
import { Linter } from 'eslint'
import { plugin } from '../src/index.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const OWN = ['rig', 'demo', 'bench', 'examples', 'src', 'scripts', 'test']
const PACKAGES = [
  'bullmq', 'drizzle-orm', 'express', 'generic-pool', 'got', 'graphile-worker', 'ioredis', 'kareem', 'knex', 'kysely',
  'mongodb', 'mongoose', 'mysql2', 'node-fetch', 'pg', 'pg-boss', 'pg-copy-streams', 'pg-cursor', 'pg-pool',
  'pg-query-stream', 'redis', '@redis/client', 'sequelize', 'tarn', 'typeorm', 'undici', '@grpc/grpc-js', '@prisma/adapter-pg',
  '@opentelemetry/instrumentation-pg', 'axios', 'lightning-pool',
] // prettier-ignore

const KNOWN = [...OWN, ...PACKAGES]

const [wanted = 'all', rules] = process.argv.slice(2)
const linter = new Linter()
const config = [
  ...plugin.configs.strict.map((each) => ({
    ...each,
    files: ['**/*.{js,cjs,mjs,jsx,ts,cts,mts,tsx}'],
    ...(rules === undefined ? {} : { rules: only(rules.split(',')) }),
  })),
  { files: ['**/*'], languageOptions: { parser: parser as never }, linterOptions: { noInlineConfig: true } },
]

function only(names: readonly string[]): Linter.RulesRecord {
  return Object.fromEntries(names.map((rule) => [`millpond/${rule}`, 'error']))
}

/** Source files, and the code blocks of Markdown. */
function* textsIn(folder: string): Generator<[name: string, code: string]> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (
        !['node_modules', 'dist', '.git', 'coverage', 'results'].includes(entry.name) ||
        folder.includes('node_modules')
      ) {
        if (entry.name !== 'node_modules') yield* textsIn(path)
      }
    } else if (/\.(d\.[cm]?ts|min\.js|map)$/.test(entry.name) || statSync(path).size > 500_000) continue
    else if (/\.[cm]?[jt]sx?$/.test(entry.name)) yield [path, readFileSync(path, 'utf8')]
    else if (/\.md$/i.test(entry.name)) {
      const blocks = readFileSync(path, 'utf8').matchAll(
        /^```(?:js|javascript|ts|typescript|mjs)\b[^\n]*\n(.*?)^```/gms,
      )
      for (const [index, [, code = '']] of [...blocks].entries()) yield [`${path}.block-${index + 1}.ts`, code]
    }
  }
}

/** Findings by rule, of all that was measured. */
const byRule = new Map<string, number>()
let measured = 0
const absent: string[] = []

function measure(name: string, folder: string): void {
  if (wanted !== 'all' && wanted !== name) return
  if (!existsSync(folder)) {
    absent.push(name)
    return
  }
  let [files, unread] = [0, 0]
  const found: string[] = []
  for (const [path, code] of textsIn(folder)) {
    files++
    const messages = linter.verify(code, config, { filename: path.replaceAll('node_modules', 'modules') })
    if (messages.some(({ fatal }) => fatal === true)) unread++
    const lines = code.split('\n')
    for (const { ruleId, messageId, line } of messages) {
      if (ruleId === null) continue
      const rule = ruleId.replace('millpond/', '')
      byRule.set(rule, (byRule.get(rule) ?? 0) + 1)
      found.push(
        `${rule}/${messageId ?? ''} ${relative(root, path).replace('node_modules/', '')}:${line}  ${lines[line - 1]?.trim().slice(0, 100) ?? ''}`,
      )
    }
  }
  measured += files
  console.log(`\n## ${name}: ${files} files and blocks, ${unread} unread, ${found.length} findings`)
  for (const each of found) console.log(each)
}

for (const name of OWN) measure(name, join(root, name))
const sumBefore = new Map(byRule)
const filesBefore = measured
for (const name of PACKAGES) measure(name, join(root, 'node_modules', name))

console.log(`\n## By rule: ${filesBefore} files and blocks of this repository, ${measured - filesBefore} of packages`)
for (const rule of Object.keys(plugin.rules ?? {})) {
  const own = sumBefore.get(rule) ?? 0
  console.log(`${rule.padEnd(30)} repository ${String(own).padStart(4)}, packages ${(byRule.get(rule) ?? 0) - own}`)
}
if (!KNOWN.includes(wanted) && wanted !== 'all') absent.push(wanted)
if (absent.length > 0) {
  // What is not there has no findings, which would look like a good result.
  console.error(
    `\nNOT MEASURED, as it is not installed: ${absent.join(', ')}. Install it (npm install --no-save), or take it from the list.`,
  )
  process.exitCode = 1
}
