// npm run test:matrix: what runs on real servers, on every supported server with the lowest and the latest driver, and
// with the native one where it can be built.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
ensureInstalled()

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
checkUndici('7.0.0')
checkUndici('8.13.1', '24.21.0')

console.log('')
for (const { name, ok } of results) console.log(`${ok ? '✓' : '✗'} ${name}`)
const failed = results.filter(({ ok }) => !ok).length
console.log(`\n${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)

function check(name, args, env) {
  console.log(`\n── ${name} ──`)
  const vitest = `${root}node_modules/vitest/vitest.mjs`
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--reporter=dot', ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  results.push({ name, ok: status === 0 })
}

/** The native client is compiled against libpq, so it is no dependency of this repository. */
function checkNative() {
  const folder = mkdtempSync(join(tmpdir(), 'millpond-native-'))
  try {
    const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error', 'pg-native@3.9.0']
    const { status } = spawnSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' })
    if (status !== 0) {
      console.warn('\n  ⚠ pg-native cannot be built here (it needs a C++ compiler, and libpq with headers), SKIPPED\n')
      if (process.env.CI === 'true') results.push({ name: 'the native pg', ok: false })
      return
    }
    const found = [join(folder, 'node_modules'), process.env.NODE_PATH].filter(Boolean).join(delimiter)
    check('the native pg', ['test/integration/pg-native'], { MILLPOND_TEST_PG: 'native', NODE_PATH: found })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Another undici than the one of this repository; undici 8 does not load on Node 20, so it brings a Node with it. */
function checkUndici(undici, node) {
  const name = `undici ${undici}${node === undefined ? '' : ` on Node ${node}`}`
  console.log(`\n── ${name} ──`)
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
    if (installed.status !== 0) {
      results.push({ name, ok: false })
      return
    }
    const program = node === undefined ? process.execPath : join(folder, 'node_modules', binary, 'bin', 'node')
    for (const [what, door] of [
      ['undici-program', 'adapters/http'],
      ['observe-undici-program', 'observe'],
    ]) {
      const args = [join(folder, 'node_modules', 'undici'), `${root}src/${door}/index.ts`]
      const { status } = spawnSync(
        program,
        ['--import', import.meta.resolve('tsx'), `test/support/${what}.mjs`, ...args],
        { stdio: 'inherit' },
      )
      results.push({ name: `${name}, ${door}`, ok: status === 0 })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
