// Whether the doctor sees that a connection is encrypted: by what the servers themselves say, with TLS off and on.
import { startMariaDb, startPostgres, startRedis, tryStart } from '@millpond/rig'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { judge } from '../src/doctor/servers.ts'
import { askServer } from '../src/servers/ask.ts'
import { targetOf } from '../src/servers/target.ts'
import { project, removeProjects } from './project.ts'

const root = project({ 'package.json': '{"name":"shop"}' }, ['pg', 'mysql2', 'ioredis'])
afterAll(removeProjects)
afterEach(() => vi.unstubAllEnvs())

/** What is found on the way to a server, as if it stood elsewhere: on this machine nobody can read along. */
async function foundOn(url: string): Promise<string[]> {
  const target = targetOf(url)
  const facts = await askServer(root, target)
  const fleet = { pools: [], instances: 1, instancesNote: '', natTimeoutMillis: Infinity }
  expect(judge(target, facts, fleet).map(({ id }) => id)).not.toContain('tls-off-on-wire')
  return judge({ ...target, shown: `${target.kind}://db.example/shop` }, facts, fleet)
    .map(({ id }) => id)
    .filter((id) => id.startsWith('tls'))
}

const postgres = await tryStart('PostgreSQL', () => startPostgres({ tls: true }))
const mariadb = await tryStart('MariaDB', () => startMariaDb({ tls: true }))
const [redis, secureRedis] = [
  await tryStart('Redis', () => startRedis()),
  await tryStart('Redis', () => startRedis({ tls: true })),
]
afterAll(async () => {
  for (const server of [postgres, mariadb, redis, secureRedis]) await server?.stop()
})

describe('TLS on the wire', () => {
  it.skipIf(postgres === undefined)('of PostgreSQL', async () => {
    const url = postgres?.connectionString ?? ''
    expect(await foundOn(url)).toEqual(['tls-off-on-wire'])
    expect(await foundOn(`${url}?sslmode=no-verify`)).toEqual([])
  })

  it.skipIf(mariadb === undefined)('of MariaDB', async () => {
    const { host = '', port = 0, user = '', password = '', database = '' } = mariadb?.config ?? {}
    const url = `mysql://${user}:${password}@${host}:${port}/${database}`
    expect(await foundOn(url)).toEqual(['tls-off-on-wire'])
    expect(await foundOn(`${url}?ssl=${encodeURIComponent('{"rejectUnauthorized":false}')}`)).toEqual([])
  })

  it.skipIf(redis === undefined || secureRedis === undefined)('of Redis', async () => {
    expect(await foundOn(`redis://127.0.0.1:${redis?.port ?? 0}`)).toEqual(['tls-off-on-wire'])
    // The certificate was made for the occasion, and nobody knows it.
    const said = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    expect(await foundOn(`rediss://127.0.0.1:${secureRedis?.port ?? 0}`)).toEqual([])
    said.mockRestore()
  })
})
