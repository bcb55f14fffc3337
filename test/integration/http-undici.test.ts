import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// The same programs run on the lowest undici, and on undici 8 with a Node that it loads on: `npm run test:matrix`.
it.each([
  ['the pool', 'undici-program', 'adapters/http'],
  ['a view', 'observe-undici-program', 'observe'],
])('%s on undici, in a program of its own that ends by itself', { timeout: 60_000 }, async (_, program, folder) => {
  const undici = dirname(createRequire(import.meta.url).resolve('undici/package.json'))
  const args = ['--no-warnings', '--import', import.meta.resolve('tsx'), here(`../support/${program}.mjs`), undici]
  const door = here(`../../src/${folder}/index.ts`)
  const { stdout } = await promisify(execFile)(process.execPath, [...args, door], { timeout: 60_000 })
  expect(stdout).toBe('all well\n')
})
