// npm run test:packed: what users install, in the programs that they write: CommonJS, Jest, NestJS, ESM, and TypeScript.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const here = fileURLToPath(new URL('.', import.meta.url))
const npm = process.env.npm_execpath
const [npmProgram, npmArgs] = npm === undefined ? ['npm', []] : [process.execPath, [npm]]
const runNpm = (cwd, ...args) =>
  execFileSync(npmProgram, [...npmArgs, ...args], {
    cwd,
    stdio: 'pipe',
    shell: npm === undefined && process.platform === 'win32',
  })

const folder = mkdtempSync(join(tmpdir(), 'millpond-packed-'))
let [passed, failed] = [0, 0]

function check(name, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    ...options,
  })
  if (status === 0) passed++
  else failed++
  console.log(`${status === 0 ? '✓' : '✗'} ${name}`)
  if (status !== 0) console.log(stdout, stderr)
}

try {
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' })
  runNpm(root, 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  cpSync(join(here, 'programs'), folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, name: 'a-users-project' }))
  runNpm(
    folder,
    'install',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    `./${tarball}`,
    'pg@8.23.1',
    '@types/pg@8',
    '@types/node@20',
    'jest@30',
    'typescript@~6.0.3',
    '@nestjs/common@11',
    '@nestjs/core@11',
    '@nestjs/platform-express@11',
    'reflect-metadata',
    'rxjs@7',
  )

  // The servers are the rig's; the programs are told where one is.
  const { startPostgres } = await import('@millpond/rig')
  const server = await startPostgres()
  try {
    const env = { ...process.env, DATABASE_URL: server.connectionString, NODE_OPTIONS: '' }
    check('a CommonJS program', ['plain.cjs'], { env })
    check('an ES module', ['plain.mjs'], { env })
    check('a Jest test', ['node_modules/jest/bin/jest.js', '--rootDir', '.', '--testMatch', '**/pool.jest.cjs'], {
      env,
    })
    check('a NestJS module compiles', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.nest.json'], { env })
    check('a NestJS module runs', ['nest-built/nest.js'], { env })
  } finally {
    await server.stop()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
