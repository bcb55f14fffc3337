// Checks what users will install: the packed tarball, its exports and types, and the size of each door.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The most that a door may load, in kB of plain files: comments included, as they are published. */
const BUDGET_KB = {
  '.': 255,
  './config': 160,
  './dashboard': 400,
  './grpc': 280,
  './http': 360,
  './mysql': 325,
  './health': 70,
  './opentelemetry': 110,
  './mongodb': 160,
  './observe': 200,
  './pg': 300,
  './redis': 365,
  './prometheus': 90,
  './watch': 90,
  './sizing': 300,
  './testing': 250,
}

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const folder = mkdtempSync(join(tmpdir(), 'millpond-pack-'))
let failed = false

function check(name, program, args) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  console.log(`${status === 0 ? '✓' : '✗'} ${name}`)
  if (status !== 0) {
    failed = true
    console.log(stdout, stderr)
  }
}

try {
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]
  npmRun(pack)
  const tarball = join(folder, readdirSync(folder)[0])
  check('publint', process.execPath, ['node_modules/publint/src/cli.js', tarball, '--strict'])
  check('are the types wrong', process.execPath, [
    'node_modules/@arethetypeswrong/cli/dist/index.js',
    tarball,
    '--profile',
    'esm-only',
  ])

  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const [door, target] of Object.entries(exports)) {
    const file = typeof target === 'string' ? target : target.import
    if (!file?.endsWith('.js')) continue
    const kilobytes = reachable(file) / 1000
    const budget = BUDGET_KB[door]
    const ok = budget !== undefined && kilobytes <= budget
    failed ||= !ok
    console.log(`${ok ? '✓' : '✗'} door ${door}: ${kilobytes.toFixed(0)} kB of ${budget ?? 'no budget given'}`)
  }

  for (const name of ['eslint-plugin', 'cli']) {
    const into = mkdtempSync(join(folder, `${name}-`))
    npmRun([...pack.slice(0, -1), into, '--workspace', `packages/${name}`])
    const [file] = readdirSync(into)
    check(`publint ${name}`, process.execPath, ['node_modules/publint/src/cli.js', join(into, file), '--strict'])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)

function npmRun(args) {
  const npm = process.env.npm_execpath
  if (npm === undefined) execFileSync('npm', args, { stdio: 'pipe', shell: process.platform === 'win32' })
  else execFileSync(process.execPath, [npm, ...args], { stdio: 'pipe' })
}

/** The bytes of a file and of everything it imports. */
function reachable(entry) {
  const seen = new Set()
  const visit = (file) => {
    if (seen.has(file)) return 0
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    let bytes = Buffer.byteLength(text)
    for (const [, specifier] of text.matchAll(/(?:from|import)\s+['"](\.[^'"]+)['"]/g))
      bytes += visit(resolve(dirname(file), specifier))
    return bytes
  }
  return visit(resolve(entry))
}
