// What the rules that are marked *types* find with type information, and only with it.
import * as parser from '@typescript-eslint/parser'
import { Linter as Linter10 } from 'eslint'
import { Linter as Linter9 } from 'eslint-9'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { plugin } from '../src/index.ts'

const PG = `import type { Pool } from 'pg'\n`

/** For each rule, code in which only the type tells that `db` is a pool or a client. */
const KNOWN_BY_TYPE: Readonly<Record<string, string>> = {
  'require-release': `${PG}export async function f(db: Pool) { const c = await db.connect(); await c.query('x') }`,
  'no-transaction-on-pool': `${PG}export async function f(db: Pool) { await db.query('BEGIN') }`,
  'no-double-release': `${PG}export async function f(db: Pool) { const c = await db.connect(); c.release(); c.release() }`,
  'no-dropped-acquire': `${PG}export async function f(db: Pool) { await db.connect() }`,
  'no-nested-acquire': `${PG}export async function f(db: Pool) { const a = await db.connect(); try { const b = await db.connect(); try { await b.query('x') } finally { b.release() } } finally { a.release() } }`,
  'no-pool-in-transaction': `${PG}export async function f(db: Pool) { const c = await db.connect(); try { await c.query('BEGIN'); await db.query('UPDATE a SET b = 1'); await c.query('COMMIT') } finally { c.release() } }`,
  'no-private-driver-fields': `${PG}export const f = (db: Pool): number => db._idle.length`,
  'no-shared-blocking-redis': `import type { Redis } from 'ioredis'\nexport class Jobs { constructor(private readonly db: Redis) {}\nnext() { return this.db.blpop('jobs', 0) }\ncount() { return this.db.llen('jobs') } }`,
  'no-await-in-held-connection': `${PG}export async function f(db: Pool) { const c = await db.connect(); try { await fetch('https://a.example').then((r) => r.text()); await c.query('x') } finally { c.release() } }`,
  'no-concurrent-queries': `${PG}export async function f(db: Pool) { const c = await db.connect(); try { await Promise.all([c.query('a'), c.query('b')]) } finally { c.release() } }`,
  'no-unread-body': `import type { Pool } from 'undici'\nexport async function f(db: Pool) { const { statusCode } = await db.request({ path: '/', method: 'GET' }); return statusCode }`,
}

const OTHERS = {
  swimming: `interface Swimming { connect(): Promise<{ query(text: string): void }> }\nexport async function f(pool: Swimming) { const c = await pool.connect(); c.query('x') }`,
  subclass: `import pg from 'pg'\nclass Own extends pg.Pool {}\nexport async function f(db: Own) { await db.query('BEGIN') }`,
  mysql: `import type { Pool } from 'mysql2/promise'\nexport async function f(db: Pool) { const c = await db.getConnection(); await c.query('x') }`,
} as const

const root = new URL('../../../', import.meta.url).pathname
const CODES = { ...KNOWN_BY_TYPE, ...OTHERS }
const fileOf = (name: string): string => `${root}packages/eslint-plugin/test/typed-${name}.ts`
const codeOf = new Map(Object.entries(CODES).map(([name, code]) => [fileOf(name), code]))

/** One program with all of them, which knows the drivers' types; the files only exist here. */
const program = ((): ts.Program => {
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, skipLibCheck: true, noEmit: true, types: [],
  } // prettier-ignore
  const host = ts.createCompilerHost(options)
  const [getSourceFile, readFile, fileExists] = [
    host.getSourceFile.bind(host),
    host.readFile.bind(host),
    host.fileExists.bind(host),
  ]
  host.getSourceFile = (file, ...rest) => {
    const code = codeOf.get(file)
    return code === undefined ? getSourceFile(file, ...rest) : ts.createSourceFile(file, code, ts.ScriptTarget.ES2022, true) // prettier-ignore
  }
  host.readFile = (file) => codeOf.get(file) ?? readFile(file)
  host.fileExists = (file) => codeOf.has(file) || fileExists(file)
  return ts.createProgram([...codeOf.keys()], options, host)
})()

describe.each([
  ['10', Linter10],
  ['9', Linter9 as unknown as typeof Linter10],
])('with type information, on ESLint %s', (_, Linter) => {
  const rulesOn = (name: string, parserOptions: object): string[] =>
    new Linter({ configType: 'flat', cwd: root })
      .verify(
        codeOf.get(fileOf(name)) ?? '',
        [
          { files: ['**/*.ts'], languageOptions: { parser: parser as never, parserOptions } },
          ...plugin.configs.strict.map((each) => ({ ...each, files: ['**/*.ts'] })),
        ] as never,
        { filename: fileOf(name) },
      )
      .map(({ ruleId, message }) => ruleId?.replace('millpond/', '') ?? message)
  const typed = (name: string): string[] => rulesOn(name, { programs: [program] })

  it('has code for each rule that is marked', () => {
    const rules = plugin.rules as unknown as Record<string, { meta: { docs: { types: boolean } } }>
    const marked = Object.keys(rules).filter((name) => rules[name]?.meta.docs.types)
    expect(Object.keys(KNOWN_BY_TYPE).sort()).toEqual(marked)
  })

  it.each(Object.keys(KNOWN_BY_TYPE))('%s knows by its type what has any name', (rule) => {
    expect(typed(rule)).toContain(rule)
    expect(rulesOn(rule, {})).not.toContain(rule)
  })

  it('knows what only has the name of a pool', () => {
    expect(typed('swimming')).toEqual([])
    expect(rulesOn('swimming', {})).toEqual(['require-release'])
  })

  it('knows a subclass, and a pool of mysql2', () => {
    expect(typed('subclass')).toContain('no-transaction-on-pool')
    expect(typed('mysql')).toContain('require-release')
  })
})
