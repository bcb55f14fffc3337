// Builds the library: ES modules into dist/, and the same as CommonJS into dist/cjs/ for those who cannot load them.
// Then the packages beside it, each after those that it uses.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PACKAGES = ['eslint-plugin', 'cli']

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
for (const folder of ['dist', ...PACKAGES.map((name) => `packages/${name}/dist`)])
  rmSync(folder, { recursive: true, force: true })
for (const project of [
  'tsconfig.build.json',
  'tsconfig.cjs.json',
  ...PACKAGES.map((name) => `packages/${name}/tsconfig.build.json`),
]) {
  const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n')
