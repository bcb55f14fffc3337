import { createRequire } from 'node:module'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as parser from '@typescript-eslint/parser'
import { buildSync } from 'esbuild'
import { ESLint as ESLint10, Linter as Linter10 } from 'eslint'
import { ESLint as ESLint9, Linter as Linter9 } from 'eslint-9'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { plugin } from '../src/index.ts'
import { lint } from './cases.ts'

const GUIDE = `import { Client } from 'pg'
app.get('/users/:id', async (req, res) => {
  const client = new Client({})
  await client.connect()
  res.json(await client.query('x'))
})`

describe('the plugin', () => {
  it('says the version of its package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(plugin.meta?.version).toBe(version)
  })

  it.each([
    ['10', ESLint10],
    ['9', ESLint9],
  ])('is configured in one line on ESLint %s', async (major, ESLint) => {
    expect(ESLint.version.split('.')[0]).toBe(major)
    const eslint = new ESLint({ overrideConfigFile: true, overrideConfig: plugin.configs.recommended as never })
    const [result] = await eslint.lintText(GUIDE, { filePath: 'app.mjs' })
    expect(result?.messages.map(({ ruleId }) => ruleId)).toEqual([
      'millpond/no-client-per-request',
      'millpond/require-error-listener',
    ])
  })

  it('is what a CommonJS configuration gets from require', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millpond-eslint-'))
    try {
      const outfile = join(folder, 'plugin.mjs')
      const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))
      buildSync({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm' })
      const required = createRequire(import.meta.url)(outfile) as typeof plugin
      expect(Object.keys(required.configs)).toEqual(['recommended', 'strict'])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('has every rule in strict, as an error', () => {
    const [strict] = plugin.configs.strict
    expect(Object.keys(strict?.rules ?? {}).sort()).toEqual(
      Object.keys(plugin.rules ?? {})
        .map((name) => `millpond/${name}`)
        .sort(),
    )
    expect(
      Object.values(strict?.rules ?? {}).every((entry) => (Array.isArray(entry) ? entry[0] : entry) === 'error'),
    ).toBe(true)
  })

  it('finds nothing in a file without pools', () => {
    expect(
      lint(`import { readFile } from 'node:fs/promises'\nexport const read = (name) => readFile(name, 'utf8')`),
    ).toEqual([])
  })
})

describe.each([
  ['10', Linter10],
  ['9', Linter9 as unknown as typeof Linter10],
])('with type information, on ESLint %s', (_, Linter) => {
  const root = new URL('../../../', import.meta.url).pathname
  /** Lints a file that only exists here, in a program that knows the drivers' types. */
  const typed = (code: string): string[] => {
    const name = `${root}packages/eslint-plugin/test/typed-snippet.ts`
    const options: ts.CompilerOptions = {
      module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, skipLibCheck: true, noEmit: true, types: [],
    } // prettier-ignore
    const host = ts.createCompilerHost(options)
    const [getSourceFile, readFile, fileExists] = [
      host.getSourceFile.bind(host),
      host.readFile.bind(host),
      host.fileExists.bind(host),
    ]
    host.getSourceFile = (file, ...rest) =>
      file === name ? ts.createSourceFile(file, code, ts.ScriptTarget.ES2022, true) : getSourceFile(file, ...rest)
    host.readFile = (file) => (file === name ? code : readFile(file))
    host.fileExists = (file) => file === name || fileExists(file)
    const program = ts.createProgram([name], options, host)
    return new Linter({ configType: 'flat', cwd: root })
      .verify(
        code,
        [
          { files: ['**/*.ts'], languageOptions: { parser: parser as never, parserOptions: { programs: [program] } } },
          ...plugin.configs.strict.map((each) => ({ ...each, files: ['**/*.ts'] })),
        ] as never,
        { filename: name },
      )
      .map(({ ruleId, message }) => ruleId ?? message)
  }

  it('knows a pool by its type, whatever its name', () => {
    const code = `import type { Pool } from 'pg'\nexport async function f(db: Pool) { const c = await db.connect(); await c.query('x') }`
    expect(typed(code)).toContain('millpond/require-release')
  })

  it('knows what only has the name of a pool', () => {
    const code = `interface Swimming { connect(): Promise<{ query(text: string): void }> }\nexport async function f(pool: Swimming) { const c = await pool.connect(); c.query('x') }`
    expect(typed(code)).toEqual([])
  })

  it('knows a subclass, and a pool of mysql2', () => {
    const sub = `import pg from 'pg'\nclass Own extends pg.Pool {}\nexport async function f(db: Own) { await db.query('BEGIN') }`
    expect(typed(sub)).toContain('millpond/no-transaction-on-pool')
    const mysql = `import type { Pool } from 'mysql2/promise'\nexport async function f(db: Pool) { const c = await db.getConnection(); await c.query('x') }`
    expect(typed(mysql)).toContain('millpond/require-release')
  })
})
