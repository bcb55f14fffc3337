import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { startRedis, startRedisCluster, startRedisSentinel, tryStart, waitFor } from '@millpond/rig'

const probe = await tryStart('Redis', () => startRedis())
await probe?.stop()

describe.skipIf(probe === undefined)('a Redis server', () => {
  it('answers, is killed and starts again on its port, and restarts in order', async () => {
    await using server = await startRedis()
    const version = /redis_version:(\d+)/.exec(String(await server.ask('INFO', 'server')))?.[1]
    expect(Number(version)).toBeGreaterThanOrEqual(7)
    await server.kill()
    expect(await server.listens()).toBe(false)
    await server.start()
    await server.restart()
    expect(await server.ask('PING')).toBe('PONG')
  })

  it('that does not start is told of at once, with its own words', async () => {
    const starting = startRedis({ settings: { 'no-such-setting': 'yes' } })
    await expect(starting).rejects.toThrow(/^Redis ended while it started:[^]*no-such-setting/)
  })

  it('answers nobody while it is paused, and everybody afterwards', async () => {
    await using server = await startRedis()
    server.pause()
    let answered = false
    const answer = server.ask('PING').then(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(answered).toBe(false)
    server.resume()
    await answer
  })

  it('asks for a password, over TLS, and keeps users to what they may', async () => {
    await using server = await startRedis({
      password: 'secret-word',
      tls: true,
      users: ['user reader on >reader-word ~* +@read +@connection'],
    })
    expect(await server.ask('PING')).toBe('PONG')
    expect(server.certificate).toContain('BEGIN CERTIFICATE')
    const login = ['AUTH', 'reader', 'reader-word']
    await expect(server.askAll([login, ['SET', 'k', 'v']])).rejects.toThrow(/NOPERM/)
    expect(await server.askAll([login, ['GET', 'k']])).toBe(null)
  })

  it('takes no more clients than `maxclients`, and tells who they are', async () => {
    await using server = await startRedis({ settings: { maxclients: 1 } })
    const holding = server.ask('BLPOP', 'nothing', '1')
    await new Promise((resolve) => setTimeout(resolve, 100))
    await expect(server.ask('PING')).rejects.toThrow(/max number of clients/)
    await holding
    expect(await server.clients()).toEqual([])
  })

  it('does not outlive a runner that is killed', async () => {
    const script = fileURLToPath(new URL('./redis-runner.ts', import.meta.url))
    const runner = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(runner.stdout, 'data')) as [Buffer]
    const { pid, folder } = JSON.parse(line.toString()) as { pid: number; folder: string }
    process.kill(pid, 0)
    runner.kill('SIGKILL')
    await waitFor(() => !runs(pid), { what: 'the server ends' })
    rmSync(folder, { recursive: true, force: true })
  })
})

describe.skipIf(probe === undefined)('several Redis servers', () => {
  it('make a cluster of three whose slots move', async () => {
    await using cluster = await startRedisCluster()
    const owner = await cluster.ownerOf(42)
    const other = cluster.masters.find((server) => server !== owner)
    if (other === undefined) throw new Error('there is only one master')
    await cluster.moveSlot(42, other)
    expect(await cluster.ownerOf(42)).toBe(other)
  })

  it('make a cluster of six in which a replica takes over', async () => {
    await using cluster = await startRedisCluster({ replicas: 1 })
    const [first] = cluster.masters
    await first?.kill()
    await waitFor(async () => cluster.replicas.includes(await cluster.ownerOf(0)), {
      what: 'a replica serves the slot',
      timeoutMillis: 15_000,
      everyMillis: 100,
    })
  })

  it('are watched by sentinels, which promote the replica', async () => {
    await using servers = await startRedisSentinel()
    const master = await servers.master()
    await master.kill()
    await waitFor(async () => (await servers.master()) !== master, {
      what: 'the replica is promoted',
      timeoutMillis: 15_000,
      everyMillis: 50,
    })
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
