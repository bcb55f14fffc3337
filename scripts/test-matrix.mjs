// npm run test:matrix: what runs on real servers, on every supported server with the lowest and the latest driver, and
// with the native one where it can be built. `npm run test:matrix -- undici` runs what has that in its name. What came
// out last stands in test/matrix.md.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()

const filters = process.argv.slice(2)
const results = []
for (const server of ['18', '16']) {
  for (const driver of ['latest', 'lowest']) {
    // Libraries on top bring the driver that they need; some (Prisma) know a pool only by that driver's class.
    const without = driver === 'lowest' ? ['--exclude', 'test/integration/pg-consumers*'] : []
    check(`PostgreSQL ${server} with the ${driver} pg`, ['test/contract/pg', 'test/integration/pg', ...without], {
      MILLPOND_TEST_POSTGRES: server,
      MILLPOND_TEST_PG: driver,
    })
  }
}
// Its promises reject with copies of errors, which the other tests look at.
const onMysql = ['test/contract/mysql', 'test/integration/mysql-guide', 'test/integration/mysql-lowest']
check('MariaDB with the lowest mysql2', onMysql, { MILLPOND_TEST_MYSQL: 'lowest' })
// The lowest driver and mongoose run beside the latest in the same tests; nothing is left out here.
check(
  'MongoDB with the lowest and the latest mongodb and mongoose',
  ['test/contract/mongodb', 'test/integration/mongodb', 'test/types/mongodb'],
  {},
)
checkNative()
// The latest undici 7 is the one of this repository, which `npm test` runs on; the lowest one is installed beside it.
checkUndici('7.29.1')
checkUndici('8.13.1', '24.21.0')

publish()
console.log('')
for (const { name, ok } of results) console.log(`${ok ? '✓' : '✗'} ${name}`)
const failed = results.filter(({ ok }) => !ok).length
console.log(`\n${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)

function isWanted(name) {
  return filters.length === 0 || filters.some((filter) => name.toLowerCase().includes(filter.toLowerCase()))
}

function check(name, args, env, program = process.execPath) {
  if (!isWanted(name)) return
  console.log(`\n── ${name} ──`)
  const vitest = `${root}node_modules/vitest/vitest.mjs`
  const folder = mkdtempSync(join(tmpdir(), 'millpond-matrix-'))
  const report = join(folder, 'vitest.json')
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`]
  const { status } = spawnSync(program, [vitest, 'run', ...reporters, ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  results.push({ name, ok: status === 0, ...countsOf(report), node: versionOf(program) })
  rmSync(folder, { recursive: true, force: true })
}

function countsOf(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function versionOf(program) {
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim().replace(/^v/, '')
}

/** Writes what came out into test/matrix.md; what was not run this time keeps its line. */
function publish() {
  const file = `${root}test/matrix.md`
  const text = readFileSync(file, 'utf8')
  const [head] = text.split(/^\| (?!what|---)/m)
  const rows = new Map(
    text
      .slice(head.length)
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => [line.split(' | ')[0].slice(2), line]),
  )
  const today = new Date().toISOString().slice(0, 10)
  for (const { name, ok, passed, failed, skipped, node } of results) {
    rows.set(name, `| ${name} | ${ok ? 'yes' : '**no**'} | ${passed} | ${failed} | ${skipped} | ${node} | ${today} |`)
  }
  writeFileSync(file, `${head}${[...rows.values()].join('\n')}\n`)
}

/** The native client is compiled against libpq, so it is no dependency of this repository. */
function checkNative() {
  const name = 'the native pg'
  if (!isWanted(name)) return
  const folder = mkdtempSync(join(tmpdir(), 'millpond-native-'))
  try {
    const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error', 'pg-native@3.9.0']
    const { status } = spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' })
    if (status !== 0) {
      console.warn('\n  ⚠ pg-native cannot be built here (it needs a C++ compiler, and libpq with headers), SKIPPED\n')
      if (process.env.CI === 'true')
        results.push({ name, ok: false, passed: 0, failed: 1, skipped: 0, node: versionOf(process.execPath) })
      return
    }
    const found = [join(folder, 'node_modules'), process.env.NODE_PATH].filter(Boolean).join(delimiter)
    check(name, ['test/integration/pg-native'], { MILLPOND_TEST_PG: 'native', NODE_PATH: found })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Another undici than the one of this repository; undici 8 does not load on Node 20, so it brings a Node with it. */
function checkUndici(undici, node) {
  const name = `undici ${undici}`
  if (!isWanted(name)) return
  const folder = mkdtempSync(join(tmpdir(), 'millpond-undici-'))
  try {
    const binary = `node-${process.platform}-${process.arch}`
    const wanted = [`undici@${undici}`, ...(node === undefined ? [] : [`${binary}@${node}`])]
    const args = ['install', '--prefix', folder, '--ignore-scripts', '--engine-strict=false', '--no-audit', '--no-fund']
    const installed = spawnSync('npm', [...args, '--loglevel=error', ...wanted], {
      cwd: folder,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    })
    const program = node === undefined ? process.execPath : join(folder, 'node_modules', binary, 'bin', 'node')
    if (installed.status !== 0) {
      results.push({ name, ok: false, passed: 0, failed: 1, skipped: 0, node: node ?? '' })
      return
    }
    const suites = ['http-pool', 'http-retry', 'http2', 'http-options', 'http-faults', 'http-proxies', 'http-tls']
    const files = [...suites, 'http-undici', 'observe-http'].map((suite) => `test/integration/${suite}.test.ts`)
    const env = { MILLPOND_TEST_UNDICI: join(folder, 'node_modules', 'undici') }
    check(name, files, env, program)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
