import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { POSTGRES_MAJORS, ServerView, startPostgres, waitFor, certificateOf, type PostgresServer } from '@millpond/rig'

async function connected(server: PostgresServer, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...server.config, ...config })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Its end, also where an error comes before it. */
async function endOf(client: pg.Client): Promise<void> {
  await new Promise<void>((resolve) => {
    client.once('end', () => resolve())
  })
}

describe.each(POSTGRES_MAJORS)('PostgreSQL %i', (major) => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ major })
  })
  afterAll(async () => {
    await server.stop()
  })

  it('answers as the version it is', async () => {
    const client = await connected(server)
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    expect(rows[0]?.server_version).toMatch(new RegExp(`^${major}\\.`))
    await client.end()
  })

  it('is killed without a goodbye and starts again on its port', async () => {
    const client = await connected(server)
    const ended = endOf(client)
    await server.kill()
    await ended
    expect(await server.listens()).toBe(false)
    await server.start()
    const again = await connected(server)
    await again.end()
  })

  it('answers nobody while it is paused, and everybody afterwards', async () => {
    const client = await connected(server)
    server.pause()
    let answered = false
    const answer = client.query('SELECT 1').then(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(answered).toBe(false)
    server.resume()
    await answer
    await client.end()
  })

  it('restarts in order', async () => {
    const client = await connected(server)
    const ended = endOf(client)
    await server.restart()
    await ended
    const again = await connected(server)
    await again.end()
  })
})

describe('the view on a server', () => {
  it('counts backends and logins, and ends them', async () => {
    await using server = await startPostgres()
    await using view = new ServerView(server)
    expect(await view.count()).toBe(0)
    view.markLogins()
    const clients = [
      await connected(server, { application_name: 'one' }),
      await connected(server, { application_name: 'two' }),
    ]
    expect((await view.backends()).map(({ applicationName }) => applicationName)).toEqual(['one', 'two'])
    await waitFor(() => view.logins() === 2, { what: 'two logins are logged' })
    const ended = endOf(clients[0] as pg.Client)
    expect(await view.terminate(({ applicationName }) => applicationName === 'one')).toBe(1)
    await ended
    await waitFor(async () => (await view.count()) === 1, { what: 'one backend is left' })
    await clients[1]?.end()
  })
})

describe('a server', () => {
  it('asks for its password over TLS', async () => {
    await using server = await startPostgres({ auth: 'scram-sha-256', password: 'secret word', tls: true })
    const client = await connected(server, { ssl: { ca: certificateOf(server) } })
    const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    expect(rows[0]?.ssl).toBe(true)
    await client.end()
    await expect(connected(server, { password: 'wrong' })).rejects.toMatchObject({ code: '28P01' })
  })

  it('does not outlive a runner that is killed', async () => {
    const script = fileURLToPath(new URL('./runner.ts', import.meta.url))
    const runner = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(runner.stdout, 'data')) as [Buffer]
    const { pid, folder } = JSON.parse(line.toString()) as { pid: number; folder: string }
    process.kill(pid, 0)
    runner.kill('SIGKILL')
    await waitFor(() => !runs(pid), { what: 'the server ends' })
    rmSync(folder, { recursive: true, force: true })
    expect(existsSync(folder)).toBe(false)
  })
})

/** A dead process that nobody has waited for yet is a zombie, not a running one. */
function runs(pid: number): boolean {
  try {
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .startsWith('Z')
  } catch {
    return false
  }
}
