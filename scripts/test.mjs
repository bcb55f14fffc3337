// npm test: everything that a change must pass, with a summary. `npm test -- NAME…` runs only the tests so named.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'
import { installServers } from './install-servers.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()
installServers()

const bin = (name) => join(root, 'node_modules', name)
const node = (script, ...args) => [process.execPath, [script, ...args]]
const reports = mkdtempSync(join(tmpdir(), 'millpond-test-'))
const report = join(reports, 'vitest.json')

const filters = process.argv.slice(2)
const vitest = node(
  bin('vitest/vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...filters,
)

// Each line one after the other; the chains of a line beside each other, as long as none of them needs all cores.
const lines = [
  [[['build', ...node('scripts/build.mjs')]]],
  [
    [['lint', ...node(bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0')]],
    [
      ['types', ...node(bin('typescript/bin/tsc'), '-p', 'tsconfig.json')],
      ['format', ...node(bin('prettier/bin/prettier.cjs'), '--check', '.', '--log-level', 'warn')],
      ['package', ...node('scripts/check-package.mjs')],
    ],
  ],
  [[['tests', ...vitest]]],
  [[['users', ...node('--import', 'tsx', 'test/packed/run.mjs')]]],
]
// The build comes first in any case: tests of the package and of the demo run on it.
const wanted = filters.length === 0 ? lines : [lines[0], lines[2]]

const results = []
for (const chains of wanted) {
  await Promise.all(chains.map((chain) => runChain(chain, chains.length > 1)))
  if (results.some(({ name, ok }) => name === 'build' && !ok)) break
}

let [passed, failed, skipped] = [0, 0, 0]
for (const { name, ok } of results) {
  if (name === 'tests') continue
  if (ok) passed++
  else failed++
}
const tests = readTests()
passed += tests.passed
// An error outside of all tests fails the run as well.
failed += Math.max(tests.failed, results.some(({ name, ok }) => name === 'tests' && !ok) ? 1 : 0)
skipped += tests.skipped
rmSync(reports, { recursive: true, force: true })

console.log('\nSummary')
for (const { name, ok, seconds } of results) {
  const detail = name === 'tests' ? `  ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped` : ''
  console.log(`  ${ok ? '✓' : '✗'} ${name.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s${detail}`)
}
for (const file of tests.broken)
  console.log(`  ✗ ${file} could not be loaded, or its process ended in the middle of it`)
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 || results.some(({ ok }) => !ok) ? 1 : 0)

async function runChain(chain, besideOthers) {
  for (const [name, program, args] of chain) {
    const title = `\n── ${name} ──`
    if (!besideOthers) console.log(title)
    const startedAt = Date.now()
    const { ok, output } = await run(program, args, besideOthers)
    if (besideOthers) console.log(`${title}\n${output}`.trimEnd())
    results.push({ name, ok, seconds: (Date.now() - startedAt) / 1000 })
  }
}

/** What is written by several at once is kept until its end, so that it can be read. */
function run(program, args, keepOutput) {
  const env = { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' }
  const child = spawn(program, args, { stdio: keepOutput ? ['ignore', 'pipe', 'pipe'] : 'inherit', env })
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ ok: status === 0, output: Buffer.concat(chunks).toString() }))
  })
}

function readTests() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
    // A file that cannot be loaded, or whose process ended, counts no failed test, but it has failed.
    const broken = testResults.filter(
      ({ status, assertionResults }) =>
        (status === 'failed' && !assertionResults.some((each) => each.status === 'failed')) ||
        assertionResults.some((each) => each.status === 'pending'),
    )
    return {
      passed: numPassedTests,
      failed: numFailedTests + broken.length,
      skipped: numPendingTests,
      broken: broken.map(({ name }) => relative(root, name)),
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0, broken: [] }
  }
}
