// Every finding of the doctor that no rule of the linter makes, provoked; and one for each rule, by the code of its own page.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { plugin } from 'eslint-plugin-millpond'
import { afterEach, describe, expect, it } from 'vitest'
import type { Finding } from '../src/doctor/finding.ts'
import { judge, type PoolInFile } from '../src/doctor/servers.ts'
import { examineSource } from '../src/doctor/source.ts'
import { OWN_IDS, STORY_IDS } from '../src/doctor/stories.ts'
import type { ServerFacts } from '../src/servers/facts.ts'
import { targetOf } from '../src/servers/target.ts'
import { millpond } from './run.ts'
import { project, removeProjects } from './project.ts'

afterEach(removeProjects)

const FACTS: ServerFacts = {
  version: '', connectMillis: 1, pingMillis: 1, limit: 100, limitNote: 'max_connections 100', used: 1,
  idleLimitMillis: Infinity, idleLimitName: 'idle_session_timeout', tls: true,
} // prettier-ignore

const pool = (about: Partial<PoolInFile> = {}): PoolInFile => ({
  file: 'db.js', driver: 'pg', maker: 'Pool', role: 'pool', line: 1, column: 1, max: 20, options: {}, ...about,
}) // prettier-ignore

/** What is said of pools and a server of these facts. */
function judged(
  facts: Partial<ServerFacts>,
  pools: readonly PoolInFile[] = [],
  natTimeoutMillis = Infinity,
): Finding[] {
  const fleet = { pools, instances: 1, instancesNote: 'as given', natTimeoutMillis }
  return judge(targetOf('postgres://db.example/shop'), { ...FACTS, ...facts }, fleet)
}

/** What the doctor says of a project. */
async function found(files: Readonly<Record<string, string>>, ...args: string[]): Promise<Finding[]> {
  const { out } = await millpond(['doctor', '--root', project(files), '--json', ...args])
  return (JSON.parse(out) as { findings: Finding[] }).findings
}

const dependencies = (...names: string[]): string =>
  JSON.stringify({ dependencies: Object.fromEntries(names.map((name) => [name, '*'])) })
const version = (text: string): string => JSON.stringify({ version: text })
const behindPooler = {
  name: 'PgBouncer',
  settings: undefined,
  sharesConnections: true,
  keepsStatements: false,
} as const

/** How each finding is brought about. */
const PROVOKED: Readonly<Record<string, () => Finding[] | Promise<Finding[]>>> = {
  'config-invalid': () => found({ 'millpond.json': '{"pools":{"orders":{"kind":"postgres","mx":3}}}' }),
  'config-notice': () =>
    found({ 'millpond.json': '{"pools":{"orders":{"kind":"postgres","host":"one","url":"postgres://other/shop"}}}' }),
  'driver-twice': () =>
    found({
      'package.json': dependencies('mongodb', 'mongoose'),
      'node_modules/mongodb/package.json': version('7.9.0'),
      'node_modules/mongoose/package.json': '{}',
      'node_modules/mongoose/node_modules/mongodb/package.json': version('7.8.0'),
    }),
  'driver-unmaintained': () => found({ 'package.json': dependencies('mysql') }),
  'fleet-exceeds-server': () => judged({}, [pool({ max: 101 })]),
  'fleet-near-server-limit': () => judged({}, [pool({ max: 81 })]),
  'laravel-pool-ignored': () => found({ 'config/database.php': "<?php return [\n'pool_max' => 20,\n];" }),
  'network-forgets-idle': () => judged({}, [pool({ options: { idleTimeoutMillis: 900_000 } })], 350_000),
  'pooler-in-front': () => judged({ pooler: behindPooler }),
  'pooler-loses-statements': () => judged({ pooler: behindPooler }),
  'server-ends-idle-first': () => judged({ idleLimitMillis: 5_000 }, [pool()]),
  'server-unreachable': async () => {
    const root = project({ 'package.json': '{}' }, ['pg'])
    const { out } = await millpond(['doctor', '--root', root, '--json', '--url', 'postgres://127.0.0.1:1/shop'])
    return (JSON.parse(out) as { findings: Finding[] }).findings
  },
  'size-unusual': () => found({ 'millpond.json': '{"pools":{"cache":{"kind":"redis","max":80}}}' }),
  'source-unreadable': () => found({ 'a.js': 'this is no source' }),
  'sslmode-replaces-ssl': () =>
    found({ 'package.json': dependencies('pg'), '.env': 'DATABASE_URL=postgres://db/shop?sslmode=require' }),
  'tls-off': () => found({ '.env.production': 'DATABASE_URL=postgres://ada:hunter2@db.example/shop' }),
  'tls-off-on-wire': () => judged({ tls: false }),
  'transactions-unbounded': () => judged({ transactionsUnbounded: true }),
  'undici-not-of-fetch': () =>
    found({ 'package.json': dependencies('undici'), 'node_modules/undici/package.json': version('999.0.0') }),
  'url-parameter-ignored': () =>
    found({ 'package.json': dependencies('pg'), '.env': 'DATABASE_URL=postgres://db/shop?pool_timeout=5' }),
  'variable-ignored': () => found({ 'package.json': dependencies('pg'), '.env': 'PGCONNECT_TIMEOUT=5' }),
}

describe('every finding', () => {
  it('is one that a test provokes', () => {
    expect(Object.keys(PROVOKED).sort()).toEqual([...OWN_IDS].sort())
    expect([...OWN_IDS, ...Object.keys(plugin.rules ?? {})].sort()).toEqual(STORY_IDS)
  })

  it.each(Object.entries(PROVOKED))('%s comes with its reason, and with the mend', async (id, provoke) => {
    const finding = (await provoke()).find((each) => each.id === id)
    expect(finding?.message).toMatch(/^\S+ \S+ \S+/)
    expect(JSON.stringify(finding)).not.toContain('hunter2')
  })

  it.each(Object.keys(plugin.rules ?? {}))('%s comes of the code on the page of the rule', (rule) => {
    const file = createRequire(import.meta.url).resolve(`eslint-plugin-millpond/docs/rules/${rule}.md`)
    const [wrong = ''] = readFileSync(file, 'utf8').split('\n## Right\n')
    const codes = Array.from(wrong.matchAll(/^```js\n(.*?)^```/gms), ([, code = '']) => code)
    expect(codes.flatMap((code) => examineSource('a.js', code).findings.map(({ id }) => id))).toContain(rule)
  })
})

describe('a project that takes its pools from loadPools', () => {
  const env = 'DATABASE_URL=postgres://db/shop?poolSize=5&application_name=a&pool_timeout=5\nPGCONNECT_TIMEOUT=5\n'
  const own = `import pg from 'pg'\nexport const pool = new pg.Pool({ connectionTimeoutMillis: 5000 })\npool.on('error', console.error)\n`
  const ours = `import pg from 'pg'\nimport { loadPools } from 'millpond/config'\nimport { pgPool } from 'millpond/pg'\nexport const { pools } = loadPools({ make: { postgres: (options) => pgPool(pg, options) } })\n`
  const ids = async (source: string): Promise<string[]> =>
    (await found({ 'package.json': dependencies('pg', 'millpond'), '.env': env, 'db.js': source })).map(({ id, message }) => `${id} ${/`\w+`/.exec(message)?.[0] ?? ''}`) // prettier-ignore

  it('is not told that its variables and parameters do nothing, for there they do', async () => {
    expect(await ids(own)).toEqual([
      'url-parameter-ignored `poolSize`',
      'url-parameter-ignored `pool_timeout`',
      'variable-ignored `PGCONNECT_TIMEOUT`',
    ])
    // What nobody reads is nobody's there either.
    expect(await ids(ours)).toEqual(['url-parameter-ignored `pool_timeout`'])
  })
})

describe('idle times', () => {
  const idle = (about: Partial<PoolInFile>, { limit = Infinity, nat = Infinity } = {}): string[] =>
    judged({ idleLimitMillis: limit }, [pool({ max: 5, ...about })], nat).map(({ id, severity }) => `${severity} ${id}`)
  const ended = ['warning server-ends-idle-first']
  const forgotten = ['warning network-forgets-idle']

  it('are bounded by the age that a connection may have', () => {
    expect(idle({ options: { idleTimeoutMillis: 900_000 } }, { limit: 600_000 })).toEqual(ended)
    expect(idle({ options: { idleTimeoutMillis: 900_000, maxLifetimeSeconds: 300 } }, { limit: 600_000 })).toEqual([])
    expect(idle({ options: { idleTimeoutMillis: 900_000, maxLifetimeSeconds: 300 } }, { nat: 350_000 })).toEqual([])
    expect(idle({ options: { idleTimeoutMillis: 0, maxLifetimeSeconds: 600 } }, { nat: 350_000 })).toEqual(forgotten)
  })

  it('are none where `min` of pg keeps connections', () => {
    expect(idle({}, { limit: 600_000 })).toEqual([])
    expect(idle({ options: { min: 2 } }, { limit: 600_000 })).toEqual(ended)
    expect(judged({ idleLimitMillis: 600_000 }, [pool({ options: { min: 2 } })])[0]?.mend).toContain('leave `min` out')
  })

  it('count keepalives only where they come in time: without a delay the system waits two hours', () => {
    const options = { idleTimeoutMillis: 900_000, keepAlive: true }
    expect(idle({ options }, { nat: 350_000 })).toEqual(forgotten)
    expect(idle({ options: { ...options, keepAliveInitialDelayMillis: 60_000 } }, { nat: 350_000 })).toEqual([])
  })

  it('of Millpond’s pools are told as a note, for they look before they lend', () => {
    const ours = { driver: 'millpond', maker: 'pgPool' }
    expect(idle(ours, { limit: 600_000, nat: 350_000 })).toEqual([])
    expect(idle({ ...ours, options: { idleTimeoutMillis: 900_000 } }, { limit: 600_000 })).toEqual([
      'info server-ends-idle-first',
    ])
    const silent = { ...ours, options: { idleTimeoutMillis: 900_000, keepAlive: false } }
    expect(idle(silent, { nat: 350_000 })).toEqual(['info network-forgets-idle'])
    expect(idle({ ...ours, options: { idleTimeoutMillis: 900_000, maxLifetimeMillis: 60_000 } }, { limit: 600_000 })).toEqual([]) // prettier-ignore
  })

  it.each<[string, Partial<PoolInFile>, { limit?: number; nat?: number }, string[]]>([
    ['mysql2 closes none without maxIdle', { driver: 'mysql2', options: { idleTimeout: 1_000 } }, { limit: 90_000 }, ended],
    ['mysql2 with maxIdle', { driver: 'mysql2', options: { idleTimeout: 1_000, maxIdle: 2 } }, { limit: 90_000 }, []],
    ['mysql2 asks after two hours', { driver: 'mysql2' }, { nat: 350_000 }, forgotten],
    ['mysql2 told to ask earlier', { driver: 'mysql2', options: { keepAliveInitialDelay: 60_000 } }, { nat: 350_000 }, []],
    ['mariadb closes none without minimumIdle, but looks', { driver: 'mariadb' }, { limit: 90_000 }, ['info server-ends-idle-first']],
    ['mariadb counts in seconds', { driver: 'mariadb', options: { idleTimeout: 60, minimumIdle: 1 } }, { limit: 90_000 }, []],
    ['mysqlPool', { driver: 'millpond', maker: 'mysqlPool', options: { idleTimeout: 120_000 } }, { limit: 90_000 }, ['info server-ends-idle-first']],
  ])('%s', (_, about, times, expected) => {
    const fleet = { pools: [pool({ max: 5, ...about })], instances: 1, instancesNote: '', natTimeoutMillis: times.nat ?? Infinity }
    const facts = { ...FACTS, idleLimitMillis: times.limit ?? Infinity }
    expect(judge(targetOf('mysql://db.example/shop'), facts, fleet).map(({ id, severity }) => `${severity} ${id}`)).toEqual(expected)
  }) // prettier-ignore
})

describe('sizes', () => {
  it('beside the bounds of a preset are told in a configuration, and otherwise only what is large', async () => {
    const pools = { a: { kind: 'postgres', preset: 'database', max: 5, idleTimeout: '1h' }, b: { kind: 'postgres', max: 5 }, c: { kind: 'grpc', max: 60 } } // prettier-ignore
    const messages = (await found({ 'millpond.json': JSON.stringify({ pools }) })).map(({ message }) => message)
    expect(messages).toEqual([
      '`max` is 5, and the preset `database` is for a database, where 10 to 100 is usual.',
      '`idleTimeout` is 1h, and the preset `database` is for a database, where 10m to 30m is usual.',
      expect.stringContaining('A pool of 60 is larger than is usual for a gRPC service: 10, at most 50.') as string,
    ])
  })

  it('in the source are told where the linter has not said so', async () => {
    const source = `import { Redis } from 'ioredis'\nimport { redisPool } from 'millpond/redis'\nimport { pgPool } from 'millpond/pg'\nredisPool(Redis, { max: 80 })\npgPool(pg, { max: 90 })\npgPool(pg, { max: 500 })\n`
    expect((await found({ 'a.js': source })).map(({ id, line }) => [id, line])).toEqual([
      ['size-unusual', 4],
      ['no-oversized-pool', 6],
    ])
  })
})
