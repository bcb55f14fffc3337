// npm start: installs what is missing, builds the library, and runs the demo service on it.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
ensureInstalled()
console.log('Building the library …')
const built = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  { cwd: root, stdio: 'inherit' },
)
if (built.status !== 0 || !existsSync(join(root, 'dist/index.js'))) process.exit(built.status || 1)

const demo = spawn(process.execPath, ['--import', 'tsx', join(root, 'demo/src/main.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
})
// A terminal sends Ctrl-C to both; the demo decides what it means, and this waits for it. A signal to this one alone is passed on.
let signals = 0
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (!process.stdin.isTTY || signals++ > 0) demo.kill(signal)
  })
}
demo.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))
