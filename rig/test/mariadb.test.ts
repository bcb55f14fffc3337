import mysql from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { checkMariaDb, MariaDbView, startMariaDb, tryStart, waitFor, type MariaDbServer } from '@millpond/rig'

const programs = await tryStart('MariaDB', () => Promise.resolve(checkMariaDb()))

async function connected(server: MariaDbServer, config: mysql.ConnectionOptions = {}): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({ ...server.config, ...config })
  connection.on('error', () => undefined)
  return connection
}

describe.skipIf(programs === undefined)('MariaDB', () => {
  it('is seen, paused, killed and restarted on its port', async () => {
    await using server = await startMariaDb()
    await using view = new MariaDbView(server)
    const [{ version } = { version: '' }] = await view.query<{ version: string }>('SELECT VERSION() AS version')
    const [major = 0, minor = 0] = version.split('.').map(Number)
    // 10.11, which is kept up for long, or later.
    expect(version).toMatch(/MariaDB/)
    expect(major * 100 + minor).toBeGreaterThanOrEqual(1_011)
    expect(await view.count()).toBe(0)
    await view.markLogins()
    const connections = [await connected(server), await connected(server)]
    expect((await view.threads()).map(({ id }) => id)).toEqual(connections.map(({ threadId }) => threadId))
    await waitFor(async () => (await view.logins()) === 2, { what: 'two logins are counted' })
    expect(await view.terminate(connections[0]?.threadId)).toBe(1)
    await waitFor(async () => (await view.count()) === 1, { what: 'one thread is left' })

    server.pause()
    let answered = false
    const answer = connections[1]?.query('SELECT 1').then(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    server.resume()
    await answer

    await server.kill()
    await expect(connected(server)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await server.start()
    await (await connected(server)).end()
    await server.restart()
    await (await connected(server)).end()
    expect(await view.count()).toBe(0)
  })

  it('asks for its password over TLS', async () => {
    await using server = await startMariaDb({ password: "it's secret", tls: true })
    const connection = await connected(server, { ssl: { ca: server.certificate() } })
    const [rows] = await connection.query("SHOW STATUS LIKE 'Ssl_version'")
    expect(rows).toMatchObject([{ Value: expect.stringMatching(/^TLSv1/) as string }])
    await connection.end()
    await expect(connected(server, { password: 'wrong' })).rejects.toMatchObject({ errno: 1045 })
  })
})
