import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const find = (name: string): string => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
const folders = { latest: process.env['MILLPOND_TEST_UNDICI'] ?? find('undici'), lowest: find('undici-low') }

// Undici 8, with a Node that it loads on, and all tests of HTTP on the lowest one: `npm run test:matrix`.
it.concurrent.each([
  ['the pool', 'latest', 'undici-program', 'adapters/http'],
  ['a view', 'latest', 'observe-undici-program', 'observe'],
  ['the pool', 'lowest', 'undici-program', 'adapters/http'],
  ['a view', 'lowest', 'observe-undici-program', 'observe'],
] as const)('%s on the %s undici, in a program of its own that ends by itself', async (_, version, program, folder) => {
  const undici = folders[version]
  const args = ['--no-warnings', '--import', import.meta.resolve('tsx'), here(`../support/${program}.mjs`), undici]
  const door = here(`../../src/${folder}/index.ts`)
  const { stdout } = await promisify(execFile)(process.execPath, [...args, door], { timeout: 60_000 })
  expect(stdout).toBe('all well\n')
})
