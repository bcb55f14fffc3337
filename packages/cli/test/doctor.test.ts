import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Finding } from '../src/doctor/finding.ts'
import { STORY_IDS } from '../src/doctor/stories.ts'
import { project, removeProjects } from './project.ts'
import { GUIDE, millpond } from './run.ts'

interface Report {
  readonly findings: readonly (Finding & { readonly link: string })[]
  readonly pools: readonly { file: string; driver: string; max?: number }[]
  readonly summary: { errors: number; warnings: number; notes: number; files: number }
}

afterEach(removeProjects)

async function report(root: string, ...args: string[]): Promise<Report> {
  const { out } = await millpond(['doctor', '--root', root, '--json', ...args])
  return JSON.parse(out) as Report
}

const idsOf = ({ findings }: Report): string[] => findings.map(({ id }) => id)

describe('millpond doctor', () => {
  it('finds every fault of the guide, each at its place', async () => {
    const { findings } = await report(GUIDE)
    expect(findings.map(({ file, line, id }) => `${file ?? ''}:${line ?? ''} ${id}`)).toEqual([
      '.env.production:2 url-parameter-ignored',
      '.env.production:2 url-parameter-ignored',
      '.env.production:2 tls-off',
      '.env.production:3 variable-ignored',
      'config/database.php:6 laravel-pool-ignored',
      'config/database.php:7 laravel-pool-ignored',
      'package.json:8 driver-unmaintained',
      'src/app.js:8 no-client-per-request',
      'src/app.js:17 require-release',
      'src/cache.js:4 no-duplicate-options',
      'src/clients.js:9 no-ignored-options',
      'src/clients.js:14 no-ignored-options',
      'src/clients.js:15 no-ignored-options',
      'src/db.js:3 require-error-listener',
      'src/db.js:3 require-connection-timeout',
      'src/db.js:4 no-oversized-pool',
      'src/db.js:5 no-oversized-pool',
      'src/db.js:10 require-release',
      'src/db.js:19 require-sigterm',
      'src/metrics.js:13 no-percent-comparison',
      'src/metrics.js:15 no-private-driver-fields',
      'src/metrics.js:15 no-private-driver-fields',
      'src/mysql.js:6 no-ignored-options',
      'src/orders.js:12 no-masking-rollback',
    ])
  })

  it('shows no secret, in no format', async () => {
    for (const format of ['pretty', 'json', 'sarif', 'github']) {
      const { out, err } = await millpond(['doctor', '--root', GUIDE, '--format', format])
      expect(out + err).not.toContain('hunter2')
    }
  })

  it('has a story and a link for everything that it finds', async () => {
    for (const { id, link } of (await report(GUIDE)).findings) {
      expect(STORY_IDS).toContain(id)
      expect(link).toContain(id)
    }
  })

  it('exits with 1 on errors, with 0 below the limit that is set', async () => {
    expect((await millpond(['doctor', '--root', GUIDE])).code).toBe(1)
    const root = project({ '.env': 'PGCONNECT_TIMEOUT=3', 'package.json': '{"dependencies":{"pg":"8"}}' })
    expect((await millpond(['doctor', '--root', root])).code).toBe(0)
    expect((await millpond(['doctor', '--root', root, '--fail-on', 'warning'])).code).toBe(1)
  })

  it('says that nothing was found, and nothing else on the error stream', async () => {
    const root = project({ 'a.ts': 'export const a: number = 1', 'package.json': '{}' })
    const { code, out, err } = await millpond(['doctor', '--root', root])
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('✓ nothing found')
  })

  it('says that nobody was asked where nobody is named', async () => {
    const root = project({ 'package.json': '{}' })
    const { code, err } = await millpond(['doctor', '--root', root, '--connect'])
    expect([code, err]).toEqual([0, expect.stringContaining('No server was asked')])
  })

  it('shows the line that each finding is about', async () => {
    const { out } = await millpond(['doctor', '--root', GUIDE, 'src/mysql.js'])
    expect(out).toBe(`
src/mysql.js

  ✗ no-ignored-options  6:3
    6 │ acquireTimeout: 10000,
      │ ~~~~~~~~~~~~~~~~~~~~~
    mysql2 drops \`acquireTimeout\`: mysql2 has no deadline for waiting callers; it prints a warning
    and drops the option. Remove it; \`mysqlPool\` of Millpond has \`acquireTimeoutMillis\`.

1 error in 1 file, 1 pool or client

  millpond explain no-ignored-options

`)
  })

  it('paints only where the terminal wants it', async () => {
    expect((await millpond(['doctor', '--root', GUIDE])).out).not.toContain('\u001b')
    expect((await millpond(['doctor', '--root', GUIDE], { color: true })).out).toContain('\u001b[31m')
  })

  it('mends what is mechanical, and only that', async () => {
    const root = project({})
    cpSync(GUIDE, root, { recursive: true })
    writeFileSync(
      join(root, 'src/mongo.js'),
      `import { MongoClient } from 'mongodb'\nexport const client = new MongoClient(process.env.URI, { poolSize: 5, waitQueueTimeoutMS: 5000 })\n`,
    )
    const before = await report(root)
    expect(before.findings.filter(({ fixable }) => fixable).map(({ file }) => file)).toEqual(['src/mongo.js'])
    const { fixed, findings } = (await report(root, '--fix')) as Report & { fixed: string[] }
    expect(fixed).toEqual(['src/mongo.js'])
    expect(findings.length).toBe(before.findings.length - 1)
    expect(readFileSync(join(root, 'src/mongo.js'), 'utf8')).toContain('maxPoolSize: 5')
    expect(readFileSync(join(root, 'src/db.js'), 'utf8')).toBe(readFileSync(join(GUIDE, 'src/db.js'), 'utf8'))
  })

  it('counts the pools that the source makes', async () => {
    const { pools } = await report(GUIDE)
    expect(pools.map(({ file, driver, max }) => [file, driver, max])).toEqual([
      ['src/app.js', 'pg', undefined],
      ['src/cache.js', 'ioredis', undefined],
      ['src/clients.js', 'http-agent', 100],
      ['src/clients.js', 'grpc', undefined],
      ['src/db.js', 'pg', 1000],
      ['src/mysql.js', 'mysql2', 20],
    ])
  })

  it('leaves tests, dependencies and what is built alone, unless told', async () => {
    const bad = `import pg from 'pg'\nnew pg.Pool()`
    const root = project({ 'test/a.test.js': bad, 'node_modules/x/a.js': bad, 'dist/a.js': bad, 'src/a.js': bad })
    expect(new Set((await report(root)).findings.map(({ file }) => file))).toEqual(new Set(['src/a.js']))
    expect(new Set((await report(root, '--include-tests')).findings.map(({ file }) => file))).toEqual(
      new Set(['src/a.js', 'test/a.test.js']),
    )
  })

  it('reads TypeScript and JSX, heeds disabling comments, and says what it cannot read', async () => {
    const root = project({
      'a.tsx': `import pg from 'pg'\nexport const pool: pg.Pool = new pg.Pool({ connectionTimeoutMillis: 5 } as pg.PoolConfig)\nexport const A = () => <p>{1}</p>`,
      'b.js': `import pg from 'pg'\n// eslint-disable-next-line millpond/require-connection-timeout, millpond/require-error-listener\nnew pg.Pool()\n// eslint-disable-next-line no-console, other/rule\nconsole.log(1)`,
      'c.js': 'this is no source',
    })
    expect((await report(root)).findings.map(({ file, id }) => `${file ?? ''} ${id}`)).toEqual([
      'a.tsx require-error-listener',
      'c.js source-unreadable',
    ])
  })

  it('checks the files of Millpond as the library does', async () => {
    const root = project({
      'millpond.yaml':
        'pools:\n  orders:\n    kind: postgres\n    max: 20\n    idelTimeout: 30s\n  cache:\n    kind: redis\n',
    })
    const { findings } = await report(root)
    expect(findings).toMatchObject([{ id: 'config-invalid', severity: 'error', file: 'millpond.yaml', line: 2 }])
    expect(findings[0]?.message).toContain('idleTimeout')
  })

  it('goes by the versions that are installed', async () => {
    const source = `import { MongoClient } from 'mongodb'\nexport const client = new MongoClient(process.env.URI, { useNewUrlParser: true, waitQueueTimeoutMS: 5000 })\n`
    const messages = async (version: string): Promise<string[]> => {
      const root = project({
        'package.json': '{"dependencies":{"mongodb":"*"}}',
        'node_modules/mongodb/package.json': JSON.stringify({ name: 'mongodb', version }),
        'db.js': source,
      })
      return (await report(root)).findings.filter(({ id }) => id === 'no-ignored-options').map(({ message }) => message)
    }
    expect((await messages('7.9.0'))[0]).toContain('refuses `useNewUrlParser`')
    expect((await messages('6.12.0'))[0]).toContain('ignores `useNewUrlParser`')
    expect(await messages('3.7.4')).toEqual([])
  })

  it('knows two copies of a driver', async () => {
    const version = (text: string): string => JSON.stringify({ name: 'mongodb', version: text })
    const root = project({
      'package.json': JSON.stringify({ dependencies: { mongodb: '7', mongoose: '9' } }),
      'node_modules/mongodb/package.json': version('7.9.0'),
      'node_modules/mongoose/package.json': '{}',
      'node_modules/mongoose/node_modules/mongodb/package.json': version('7.8.0'),
    })
    expect(idsOf(await report(root))).toEqual(['driver-twice'])
  })
})

describe('the formats of the doctor', () => {
  it('has SARIF that names rules, levels and places', async () => {
    const { out } = await millpond(['doctor', '--root', GUIDE, '--format', 'sarif'])
    const { version, runs } = JSON.parse(out) as {
      version: string
      runs: { tool: { driver: { rules: { id: string; helpUri: string }[] } }; results: Record<string, unknown>[] }[]
    }
    expect(version).toBe('2.1.0')
    const [run] = runs
    expect(run?.results).toHaveLength(24)
    const found = run?.results.findLast(({ ruleId }) => ruleId === 'no-ignored-options')
    expect(found).toMatchObject({
      level: 'error',
      locations: [
        { physicalLocation: { artifactLocation: { uri: 'src/mysql.js' }, region: { startLine: 6, startColumn: 3 } } },
      ],
    })
    expect(run?.tool.driver.rules[found?.['ruleIndex'] as number]?.id).toBe('no-ignored-options')
    expect(run?.tool.driver.rules.every(({ helpUri }) => URL.canParse(helpUri))).toBe(true)
  })

  it('has GitHub’s commands, one line each, escaped', async () => {
    const { out } = await millpond(['doctor', '--root', GUIDE, '--format', 'github', 'src/mysql.js'])
    const [first] = out.split('\n')
    expect(first).toMatch(
      /^::error file=src\/mysql\.js,line=6,col=3,endLine=6,endColumn=24,title=millpond no-ignored-options::mysql2 drops/,
    )
    expect(
      out
        .trim()
        .split('\n')
        .every((line) => line.startsWith('::')),
    ).toBe(true)
  })
})

describe('millpond explain', () => {
  it('tells every story that there is', async () => {
    for (const id of STORY_IDS) {
      const { code, out } = await millpond(['explain', id])
      expect(code).toBe(0)
      expect(out).toContain(id)
      expect(out.split('\n').length).toBeGreaterThan(5)
      expect(
        Math.max(
          ...out
            .split('\n')
            .filter((line) => !/^ {4}|https:/.test(line))
            .map(({ length }) => length),
        ),
      ).toBeLessThanOrEqual(100)
    }
  })

  it('lists them, for people and for programs', async () => {
    const { out } = await millpond(['explain'])
    for (const id of STORY_IDS) expect(out).toContain(id)
    expect((JSON.parse((await millpond(['explain', '--json'])).out) as unknown[]).length).toBe(STORY_IDS.length)
  })

  it('knows what was meant', async () => {
    const { code, err } = await millpond(['explain', 'require-relase'])
    expect(code).toBe(2)
    expect(err).toContain('did you mean "require-release"?')
  })
})

describe('wrong usage', () => {
  it.each([
    [['docter'], 'Did you mean doctor?'],
    [['doctor', '--instances', 'many'], 'expected a whole number from 1'],
    [['doctor', '--nat-timeout', '350'], 'expected a number with a unit'],
    [['doctor', '--format', 'xml'], 'Allowed choices are pretty, json, sarif, github'],
    [['doctor', 'nowhere'], 'there is no nowhere in'],
    [['check', 'ftp://a'], 'a server is given as a URL'],
    [['check', '--root', '/nowhere/at/all'], 'no such folder'],
  ])('%j is told in one line, with exit code 2', async (argv, message) => {
    const { code, out, err } = await millpond(argv)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(message)
  })

  it('documents its exit codes in its help', async () => {
    const { code, out } = await millpond(['--help'])
    expect(code).toBe(0)
    expect(out).toContain('Exit codes: 0 all is well · 1 findings · 2 wrong usage · 3 a server could not be reached')
    for (const name of ['doctor', 'explain', 'config', 'check']) expect(out).toContain(name)
  })
})
