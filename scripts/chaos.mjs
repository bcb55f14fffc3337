// npm run chaos: every chaos scenario at its full length, one file after the other, and the figures of all at the end.
// `npm run chaos -- NAME…` runs only the files so named. The figures are also written to `chaos-figures.jsonl` in the
// folder that CHAOS_RESULTS names.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()

const kept = process.env['CHAOS_RESULTS']
const folder = kept ?? mkdtempSync(join(tmpdir(), 'millpond-chaos-'))
mkdirSync(folder, { recursive: true })
const file = join(folder, 'chaos-figures.jsonl')
rmSync(file, { force: true })

const names = process.argv.slice(2)
const filters = names.length === 0 ? ['test/chaos/', 'test/regression/'] : names
// One file at a time: what is measured is the pool, not the other scenarios.
const args = ['node_modules/vitest/vitest.mjs', 'run', '--maxWorkers=1', ...filters]
const { status } = spawnSync(process.execPath, args, {
  stdio: 'inherit',
  env: { ...process.env, CHAOS: 'full', CHAOS_FIGURES: file },
})

const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
console.log(`\nFigures of ${lines.length} runs`)
for (const line of lines) {
  const { scenario, ...values } = JSON.parse(line)
  const shown = Object.entries(values).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`,
  )
  console.log(`  ${scenario}\n      ${shown.join(' · ')}`)
}
if (kept === undefined) rmSync(folder, { recursive: true, force: true })
else console.log(`\nwritten to ${file}`)
process.exit(status ?? 1)
