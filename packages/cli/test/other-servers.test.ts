// `millpond doctor --connect` and `millpond check` on MariaDB, MongoDB (a test server that speaks its protocol) and Redis.
import { startMariaDb, startMongoWire, startRedis, tryStart } from '@millpond/rig'
import { afterAll, describe, expect, it } from 'vitest'
import { judge } from '../src/doctor/servers.ts'
import type { ServerFacts } from '../src/servers/facts.ts'
import { targetOf } from '../src/servers/target.ts'
import { project as projectOf, removeProjects } from './project.ts'
import { millpond } from './run.ts'

/** A project of these files, with drivers of its own. */
const project = (drivers: readonly string[], files: Readonly<Record<string, string>> = {}): string =>
  projectOf({ 'package.json': JSON.stringify({ name: 'shop', dependencies: {} }), ...files }, drivers)
afterAll(removeProjects)

interface Found {
  readonly id: string
  readonly severity: string
  readonly message: string
  readonly mend?: string
}

async function doctor(root: string, url: string, ...args: string[]): Promise<Map<string, Found>> {
  const { out, err } = await millpond(['doctor', '--root', root, '--json', '--url', url, ...args])
  expect(err).toBe('')
  const { findings } = JSON.parse(out) as { findings: Found[] }
  return new Map(findings.map((finding) => [finding.id, finding]))
}

const mariadb = await tryStart('MariaDB', () => startMariaDb({ settings: { max_connections: 60, wait_timeout: 90 } }))
const redis = await tryStart('Redis', () => startRedis({ settings: { maxclients: 80, timeout: 120 } }))
const mongo = await startMongoWire({ maxConnections: 100 })
afterAll(async () => {
  await mariadb?.stop()
  await redis?.stop()
  await mongo.stop()
})

describe.skipIf(mariadb === undefined)('MariaDB', () => {
  const { host = '', port = 0, user = '', password = '', database = '' } = mariadb?.config ?? {}
  const url = `mysql://${user}:${password}@${host}:${port}/${database}`
  const source = `import mysql from 'mysql2'\nexport const pool = mysql.createPool({ connectionLimit: 20 })\n`

  it('is compared with its limit and its `wait_timeout`, with evidence and mend', async () => {
    const root = project(['mysql2'], { 'db.js': source })
    const found = await doctor(root, url, '--instances', '4')
    expect(found.get('fleet-exceeds-server')).toMatchObject({
      severity: 'error',
      message: expect.stringMatching(/^4 × 20 = 80 .* grants 60 \(max_connections 60; \d+ in use now\)/) as string,
      mend: expect.stringContaining('At most 12 for each instance') as string,
    })
    expect(found.get('server-ends-idle-first')).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('ends them after 90 s (`wait_timeout`)') as string,
      mend: expect.stringContaining('Set `idleTimeout` below 90 s, and `maxIdle` below `connectionLimit`') as string,
    })
    expect([...found.values()].every(({ message }) => !message.includes(password))).toBe(true)
  })

  it('has nothing to say where all fits', async () => {
    const fits = source.replace('20 }', '5, maxIdle: 2, idleTimeout: 60_000 }')
    const found = await doctor(project(['mysql2'], { 'db.js': fits }), url, '--instances', '4')
    expect([...found.keys()].filter((id) => /fleet|idle|tls/.test(id))).toEqual([])
  })

  it('counts `mysqlPool`', async () => {
    const ours = `import mysql from 'mysql2'\nimport { mysqlPool } from 'millpond/mysql'\nexport const pool = mysqlPool(mysql, { max: 30 })\n`
    const found = await doctor(project(['mysql2'], { 'db.js': ours }), url, '--instances', '3')
    expect(found.get('fleet-exceeds-server')?.message).toMatch(/^3 × 30 = 90/)
    expect(found.has('server-ends-idle-first')).toBe(false)
  })

  it('is checked', async () => {
    const { code, out } = await millpond(['check', '--root', project(['mysql2']), '--json', url])
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      [{ ok: true, kind: 'mysql', limit: 60, tls: false, version: expect.stringContaining('MariaDB') as string }],
    ])
  })
})

describe.skipIf(redis === undefined)('Redis', () => {
  const url = `redis://127.0.0.1:${redis?.port ?? 0}`

  it.each([
    [
      'ioredis',
      `import { Redis } from 'ioredis'\nexport const cache = new Redis()\n`,
      'Set `timeout 0` on the server.',
    ],
    [
      'redis',
      `import { createClient } from 'redis'\nexport const cache = createClient()\n`,
      '`pingInterval` below it here',
    ],
  ])('is asked with %s: its `timeout`, and its clients', async (driver, source, mend) => {
    const root = project([driver], { 'cache.js': source })
    const found = await doctor(root, url, '--instances', '90')
    expect(found.get('server-ends-idle-first')).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('ends one that is silent for 2 min (`timeout`)') as string,
      mend: expect.stringContaining(mend) as string,
    })
    expect(found.get('fleet-exceeds-server')?.message).toMatch(
      /^90 × 1 = 90 .* grants 80 \(maxclients 80; \d+ in use now\)/,
    )
    const { out } = await millpond(['check', '--root', root, '--json', url])
    expect(JSON.parse(out)).toMatchObject([{ ok: true, kind: 'redis', limit: 80, version: expect.stringContaining('Redis') as string }]) // prettier-ignore
  })

  it('counts the lanes of `redisPool`', async () => {
    const ours = `import { Redis } from 'ioredis'\nimport { redisPool } from 'millpond/redis'\nexport const pool = redisPool(Redis, { max: 20 })\n`
    const found = await doctor(project(['ioredis'], { 'cache.js': ours }), url, '--instances', '4')
    expect(found.get('fleet-exceeds-server')?.message).toMatch(/^4 × 21 = 84/)
  })

  it('says what it could not reach, for either driver', async () => {
    for (const driver of ['ioredis', 'redis']) {
      const found = await doctor(project([driver]), 'redis://:hunter2@127.0.0.1:1')
      expect(found.get('server-unreachable')?.message).toMatch(/ECONNREFUSED/)
      expect(JSON.stringify([...found])).not.toContain('hunter2')
    }
  })
})

describe('MongoDB', () => {
  it('is compared with what it has left', async () => {
    const source = `import { MongoClient } from 'mongodb'\nexport const client = new MongoClient(process.env.URI, { maxPoolSize: 40, waitQueueTimeoutMS: 5000 })\n`
    const root = project(['mongodb'], { 'db.js': source })
    const found = await doctor(root, `mongodb://127.0.0.1:${mongo.port}/shop`, '--instances', '3')
    expect(found.get('fleet-exceeds-server')).toMatchObject({
      message: expect.stringMatching(
        /^3 × 40 = 120 .* grants 100 \(100 connections in all; \d+ in use now\)/,
      ) as string,
      mend: expect.stringContaining('At most 26') as string,
    })
  })

  it('is asked with the driver that Mongoose brings', async () => {
    const { code, out } = await millpond(['check', '--root', project(['mongoose']), '--json', `mongodb://127.0.0.1:${mongo.port}/shop`]) // prettier-ignore
    expect([code, JSON.parse(out)]).toMatchObject([0, [{ ok: true, kind: 'mongodb', limit: 100 }]])
  })
})

describe('a server elsewhere', () => {
  const facts: ServerFacts = {
    version: '',
    connectMillis: 1,
    pingMillis: 1,
    limit: 100,
    limitNote: '',
    used: 1,
    idleLimitMillis: Infinity,
    idleLimitName: '',
    tls: false,
  }
  const fleet = { pools: [], instances: 1, instancesNote: '', natTimeoutMillis: Infinity }

  it.each(['postgres', 'mysql', 'mongodb', 'redis'])('of kind %s is told to speak TLS', (kind) => {
    const target = targetOf(`${kind}://ada:hunter2@db.example/shop`)
    const [found] = judge(target, facts, fleet)
    expect(found).toMatchObject({ id: 'tls-off-on-wire', mend: expect.any(String) as string })
    expect(JSON.stringify(found)).not.toContain('hunter2')
    expect(judge(target, { ...facts, tls: true }, fleet)).toEqual([])
  })
})
