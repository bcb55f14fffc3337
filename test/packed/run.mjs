// npm run test:packed: what users install, in the programs that they write: CommonJS, Jest, NestJS, ESM, and TypeScript;
// the command line and the linter by their own packages, on a program with faults.
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

function check(name, args, { exits = 0, says = [], ...options } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    ...options,
  })
  const isRight = status === exits && says.every((text) => stdout.includes(text))
  if (isRight) passed++
  else failed++
  console.log(`${isRight ? '✓' : '✗'} ${name}`)
  if (!isRight) console.log(`exit code ${status}, expected ${exits} and`, says, stdout, stderr)
}

try {
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' })
  const packages = ['--workspace', 'eslint-plugin-millpond', '--workspace', '@millpond/cli', '--include-workspace-root']
  runNpm(root, 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder, ...packages)
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  if (tarballs.length !== 3) throw new Error(`expected three packages, got ${tarballs.join(', ')}`)
  cpSync(join(here, 'programs'), folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, name: 'a-users-project' }))
  runNpm(
    folder,
    'install',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    ...tarballs.map((tarball) => `./${tarball}`),
    'eslint@10.15.0',
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

  const faulty = join(folder, 'faulty')
  // Not a file of the repository: ESLint takes the nearest configuration, also when it looks at all of us.
  writeFileSync(
    join(faulty, 'eslint.config.mjs'),
    "import millpond from 'eslint-plugin-millpond'\n\nexport default [...millpond.configs.recommended]\n",
  )
  const rules = ['no-client-per-request', 'require-connection-timeout', 'require-release']
  const millpond = join(folder, 'node_modules/.bin/millpond')
  check('millpond doctor', [millpond, 'doctor', '--root', faulty], { exits: 1, says: rules })
  check('millpond explain', [millpond, 'explain', 'require-release'], { says: ['Wrong', 'Right'] })
  check('millpond size', [millpond, 'size', '--cores', '4'], { says: ['max 9'] })
  check('millpond config', [millpond, 'config'], {
    env: { ...process.env, DATABASE_URL: 'postgres://app:hush@db/app' },
    says: ['postgres://app:***@db/app', 'DATABASE_URL'],
  })
  const eslint = join(folder, 'node_modules/eslint/bin/eslint.js')
  check('ESLint with the plugin', [eslint, 'src'], {
    cwd: faulty,
    exits: 1,
    says: rules.map((rule) => `millpond/${rule}`),
  })

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
