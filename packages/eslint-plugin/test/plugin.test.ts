import { createRequire } from 'node:module'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { ESLint as ESLint10 } from 'eslint'
import { ESLint as ESLint9 } from 'eslint-9'
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
