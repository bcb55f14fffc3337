// npm run chaos: every chaos scenario at its full length, one file after the other, each test once. What passed and the
// figures of all go to `bench/results/chaos.json`, and as tables to `test/chaos/README.md`. `npm run chaos -- NAME…` runs
// only the files so named, and keeps what there is of the others; `-- --tables-only` writes the tables again.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()

const RESULTS = 'bench/results/chaos.json'
const PAGE = 'test/chaos/README.md'
const names = process.argv.slice(2).filter((name) => name !== '--tables-only')
const files = process.argv.includes('--tables-only') ? [] : testFiles().filter(isWanted)

const before = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {}
const results = Object.fromEntries(Object.entries(before).filter(([file]) => existsSync(file)))
let ok = true
for (const file of files) {
  results[file] = run(file)
  ok &&= results[file].failed === 0
  // After each: a run of half an hour that is ended has not been in vain.
  writeFileSync(RESULTS, `${JSON.stringify(sorted(results), undefined, 2)}\n`)
}
writeTables(sorted(results))
for (const file of files) console.log(`${results[file].failed === 0 ? '✓' : '✗'} ${summaryOf(file, results[file])}`)
console.log(`written to ${RESULTS} and ${PAGE}`)
process.exit(ok ? 0 : 1)

function testFiles() {
  return ['chaos/simulated', 'chaos', 'regression'].flatMap((folder) =>
    readdirSync(`test/${folder}`)
      .filter((name) => name.endsWith('.test.ts'))
      .sort()
      .map((name) => `test/${folder}/${name}`),
  )
}

function isWanted(file) {
  return names.length === 0 || names.some((name) => file.includes(name))
}

/** One file at a time, and no test twice: what is measured is the pool, not the other scenarios, nor luck. */
function run(file) {
  const folder = mkdtempSync(join(tmpdir(), 'millpond-chaos-'))
  const [figures, report] = [join(folder, 'figures.jsonl'), join(folder, 'vitest.json')]
  const startedAt = new Date()
  spawnSync(
    process.execPath,
    [
      ...['node_modules/vitest/vitest.mjs', 'run', '--maxWorkers=1', '--retry=0'],
      ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`, file],
    ],
    { stdio: 'inherit', env: { ...process.env, CHAOS: 'full', CHAOS_FIGURES: figures } },
  )
  const lines = existsSync(figures) ? readFileSync(figures, 'utf8').trim().split('\n') : []
  const tests = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}
  rmSync(folder, { recursive: true, force: true })
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, success = false } = tests
  return {
    at: startedAt.toISOString(),
    minutes: Math.round((Date.now() - startedAt.getTime()) / 6_000) / 10,
    node: process.version,
    cores: cpus().length,
    loadAtEnd: Math.round((loadavg()[1] ?? 0) * 10) / 10,
    passed,
    // A file that cannot even be loaded counts no failed test, but it has failed.
    failed: failed === 0 && !success ? 1 : failed,
    failures: (tests.testResults ?? [])
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => fullName),
    figures: lines.map((line) => JSON.parse(line)),
  }
}

function sorted(values) {
  const order = testFiles()
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)))
}

function summaryOf(file, { passed, failed, minutes, at, loadAtEnd }) {
  const outcome = failed === 0 ? `${passed} passed` : `${passed} passed, ${failed} FAILED`
  return `${file}: ${outcome}; ${minutes} minutes, begun ${at.slice(0, 16).replace('T', ' ')} UTC, load ${loadAtEnd}`
}

function writeTables(all) {
  const sections = Object.entries(all).map(([file, result]) => {
    const rows = result.figures.map(({ scenario, ...values }) => `| ${cell(scenario)} | ${cell(shown(values))} |`)
    const table = rows.length === 0 ? [] : ['', '| scenario | figures |', '| --- | --- |', ...rows]
    const failures = result.failures.map((name) => `\n- FAILED: ${name}`)
    return [`### ${file.replace('test/', '')}`, '', summaryOf(file, result), ...failures, ...table].join('\n')
  })
  const { passed, failed } = Object.values(all).reduce(
    (sum, each) => ({ passed: sum.passed + each.passed, failed: sum.failed + each.failed }),
    { passed: 0, failed: 0 },
  )
  const total = `${passed} tests passed, ${failed} failed, in ${Object.keys(all).length} files.`
  const page = readFileSync(PAGE, 'utf8')
  const [begin, end] = ['<!-- figures -->', '<!-- /figures -->']
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  const text = `${page.slice(0, from + begin.length)}\n\n${[total, ...sections].join('\n\n')}\n\n${page.slice(to)}`
  writeFileSync(PAGE, text)
}

function shown(values) {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`)
    .join(' · ')
}

/** Text for a cell: no line break, no bar. */
function cell(text) {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
