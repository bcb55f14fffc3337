import { createServer, type AddressInfo } from 'node:net'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  startFaultProxy,
  startPgBouncer,
  startPostgres,
  tryStart,
  type FaultProxy,
  type PostgresServer,
} from '@millpond/rig'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { millpond } from './run.ts'

let server: PostgresServer
let proxy: FaultProxy
let root: string

beforeAll(async () => {
  server = await startPostgres()
  proxy = await startFaultProxy({ host: '127.0.0.1', port: server.config.port })
  root = mkdtempSync(join(tmpdir(), 'millpond-servers-'))
  // The project's own driver.
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(new URL('../../../node_modules/pg', import.meta.url).pathname, join(root, 'node_modules/pg'))
  writeFileSync(join(root, 'package.json'), '{"name":"shop","dependencies":{"pg":"8"}}')
  writeFileSync(
    join(root, 'db.js'),
    `import pg from 'pg'\nexport const pool = new pg.Pool({ max: 60, connectionTimeoutMillis: 5000, idleTimeoutMillis: 900_000 })\npool.on('error', console.error)\n`,
  )
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
  rmSync(root, { recursive: true, force: true })
})

/** Somebody who counts who comes, and sends them away. */
async function listen(): Promise<{ readonly url: string; connections(): number } & AsyncDisposable> {
  let connections = 0
  const listener = createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return {
    url: `postgres://127.0.0.1:${(listener.address() as AddressInfo).port}/shop`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

interface Found {
  readonly id: string
  readonly severity: string
  readonly message: string
  readonly mend?: string
}

async function doctor(url: string, ...args: string[]): Promise<{ code: number; findings: Found[] }> {
  const { code, out } = await millpond(['doctor', '--root', root, '--json', '--connect', ...args], {
    env: { DATABASE_URL: url },
  })
  return { code, findings: (JSON.parse(out) as { findings: Found[] }).findings }
}

describe('millpond doctor --connect', () => {
  it('compares instances × max with what the server grants', async () => {
    const { code, findings } = await doctor(server.connectionString, '--instances', '4')
    expect(code).toBe(1)
    const found = findings.find(({ id }) => id === 'fleet-exceeds-server')
    expect(found?.message).toMatch(
      /^4 × 60 = 240 connections may be asked of postgres:\/\/.*, which grants \d+ \(max_connections \d+, of which 3 are reserved; \d+ in use now\)/,
    )
    expect((await doctor(server.connectionString, '--instances', '1')).findings.map(({ id }) => id)).not.toContain(
      'fleet-exceeds-server',
    )
  })

  it('compares idle times with those of the network', async () => {
    const { findings } = await doctor(server.connectionString, '--nat-timeout', '350s')
    expect(findings.find(({ id }) => id === 'network-forgets-idle')?.message).toContain(
      'keeps idle connections for 15 min, but the network forgets silent ones after 350 s',
    )
    expect((await doctor(server.connectionString)).findings.map(({ id }) => id)).not.toContain('network-forgets-idle')
  })

  it('notices what stands between', async () => {
    const through = new URL(server.connectionString)
    through.port = String(proxy.port)
    expect((await doctor(through.href)).findings.map(({ id }) => id)).toContain('pooler-in-front')
    expect((await doctor(server.connectionString)).findings.map(({ id }) => id)).not.toContain('pooler-in-front')
  })

  it('counts the pools of Millpond too', async () => {
    writeFileSync(
      join(root, 'millpond.js'),
      `import pg from 'pg'\nimport { pgPool } from 'millpond/pg'\nexport const pool = pgPool(pg, { max: 50 })\n`,
    )
    const { findings } = await doctor(server.connectionString, '--instances', '1')
    expect(findings.find(({ id }) => id === 'fleet-exceeds-server')?.message).toMatch(
      /^1 × 110 = 110 connections .*db\.js:2 \(60\), millpond\.js:3 \(50\)/,
    )
    rmSync(join(root, 'millpond.js'))
  })

  it('says what it could not reach, without the secret, and exits with 3', async () => {
    const { code, findings } = await doctor('postgres://ada:hunter2@127.0.0.1:1/shop')
    expect(code).toBe(3)
    const found = findings.find(({ id }) => id === 'server-unreachable')
    expect(found?.message).toMatch(/^postgres:\/\/127\.0\.0\.1:1\/shop could not be asked: .*ECONNREFUSED/)
    expect(JSON.stringify(findings)).not.toContain('hunter2')
  })

  it('asks nobody without being told', async () => {
    await using listener = await listen()
    const env = { DATABASE_URL: listener.url }
    expect((await millpond(['doctor', '--root', root], { env })).code).toBe(0)
    expect((await millpond(['check', '--root', root], { env })).code).toBe(2)
    expect(listener.connections()).toBe(0)
  })

  it('asks only the server that is given, whatever else the environment and the files name', async () => {
    await using fromEnvironment = await listen()
    await using fromFile = await listen()
    writeFileSync(join(root, '.env'), `REPORTS_URL=${fromFile.url}\n`)
    try {
      const argv = ['doctor', '--root', root, '--json', '--url', server.connectionString]
      const surroundings = { env: { DATABASE_URL: fromEnvironment.url } }
      const { code, out } = await millpond(argv, surroundings)
      const { host, port } = new URL(server.connectionString)
      expect([code, (JSON.parse(out) as { asked: string[] }).asked]).toEqual([0, [expect.stringContaining(host)]])
      expect([fromEnvironment.connections(), fromFile.connections(), port === '']).toEqual([0, 0, false])

      // Both together ask all, and one that is named twice once.
      const all = await millpond([...argv, fromFile.url, '--connect'], surroundings)
      expect((JSON.parse(all.out) as { asked: string[] }).asked).toHaveLength(3)
      expect([fromEnvironment.connections() > 0, fromFile.connections() > 0]).toEqual([true, true])
    } finally {
      rmSync(join(root, '.env'))
    }
  })
})

describe('millpond check', () => {
  it('connects, and shows what it takes and what is granted', async () => {
    const { code, out } = await millpond(['check', '--root', root, server.connectionString])
    expect(code).toBe(0)
    expect(out).toMatch(/✓ +postgres:\/\/\S+ +PostgreSQL 1\d\S* +[\d.]+ ms +[\d.]+ ms +\d+ of \d+ +no/)
  })

  it('tells programs the same', async () => {
    const { out } = await millpond(['check', '--root', root, '--json', '--connect'], {
      env: { DATABASE_URL: server.connectionString },
    })
    expect(JSON.parse(out)).toMatchObject([{ ok: true, kind: 'postgres', variable: 'DATABASE_URL', tls: false }])
  })

  it('names the driver that is missing', async () => {
    const { code, err } = await millpond(['check', '--root', root, 'mongodb://127.0.0.1:1'], {})
    expect(code).toBe(2)
    expect(err).toContain('npm install mongodb')
  })
})

const pgBouncer = await tryStart('PgBouncer', async () => {
  const upstream = await startPostgres()
  const { host, port, user, database } = upstream
  const options = { upstream: { host, port, user, database }, poolSize: 5 }
  const pooling = await startPgBouncer(options)
  return { upstream, pooling, telling: await startPgBouncer({ ...options, poolMode: 'session', console: true }) }
})
afterAll(async () => {
  await pgBouncer?.pooling.stop()
  await pgBouncer?.telling.stop()
  await pgBouncer?.upstream.stop()
})

describe.skipIf(pgBouncer === undefined)('PgBouncer in front', () => {
  it('is known by its words and by what it does, and does not have the server’s limit', async () => {
    const { findings } = await doctor(pgBouncer?.pooling.connectionString ?? '', '--instances', '40')
    const found = findings.find(({ id }) => id === 'pooler-in-front')
    expect(found?.message).toMatch(
      /^PgBouncer stands between .* Two connections of ours were served by one of the server’s/,
    )
    expect(findings.find(({ id }) => id === 'pooler-loses-statements')).toMatchObject({
      severity: 'warning',
      message: expect.stringContaining('SQLSTATE 26000') as string,
    })
    expect(findings.map(({ id }) => id)).not.toContain('fleet-exceeds-server')
  })

  it('is asked for its own settings where we may, and counted by them', async () => {
    const { findings } = await doctor(pgBouncer?.telling.connectionString ?? '', '--instances', '2')
    const found = findings.find(({ id }) => id === 'pooler-in-front')
    expect(found?.message).toContain('Each of our connections had one of the server’s to itself')
    expect(found?.mend).toContain('It is in session mode, opens 5 connections to the server')
    expect(findings.map(({ id }) => id)).not.toContain('pooler-loses-statements')
    expect(findings.find(({ id }) => id === 'fleet-exceeds-server')?.message).toContain(
      '2 × 60 = 120 connections may be asked of',
    )
    expect(findings.find(({ id }) => id === 'fleet-exceeds-server')?.message).toContain(
      'max_client_conn 100 of PgBouncer',
    )
  })
})
