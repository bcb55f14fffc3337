import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// The same program runs on the lowest undici, and on undici 8 with a Node that it loads on: `npm run test:matrix`.
it('the pool on undici, in a program of its own that ends by itself', async () => {
  const undici = dirname(createRequire(import.meta.url).resolve('undici/package.json'))
  const args = ['--no-warnings', '--import', import.meta.resolve('tsx'), here('../support/undici-program.mjs'), undici]
  const door = here('../../src/adapters/http/index.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [...args, door], { timeout: 60_000 })
  expect(stdout).toBe('all well\n')
}, 60_000)
