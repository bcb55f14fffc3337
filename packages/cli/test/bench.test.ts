import { startMongoWire, startPostgres, startRedis, tryStart } from '@millpond/rig'
import { afterAll, describe, expect, it } from 'vitest'
import { bestOf, type Run } from '../src/bench/load.ts'
import { project, removeProjects } from './project.ts'
import { millpond } from './run.ts'

const root = project({ 'package.json': '{"name":"shop"}' }, ['pg', 'mongodb', 'ioredis'])
const postgres = await tryStart('PostgreSQL', () => startPostgres())
const redis = await tryStart('Redis', () => startRedis())
const mongo = await startMongoWire()
afterAll(async () => {
  await Promise.all([postgres?.stop(), redis?.stop(), mongo.stop()])
  removeProjects()
})

interface Report {
  readonly runs: readonly Run[]
  readonly best: number | null
  readonly failure: { readonly size: number; readonly reason: string } | null
}

async function bench(url: string, ...args: string[]): Promise<Report & { readonly code: number }> {
  const { code, out, err } = await millpond(['bench', url, '--root', root, '--json', ...args])
  expect(err).toBe('')
  return { code, ...(JSON.parse(out) as Report) }
}

describe('millpond bench', () => {
  it.skipIf(postgres === undefined)('shows that a server which works on one thing at a time is not helped by more', async () => {
    const url = postgres?.connectionString ?? ''
    // Who sleeps costs the server nothing: four get four times as much done as one, and four callers need no more.
    const { code, runs, best, failure } = await bench(url, '--query', 'SELECT pg_sleep(0.02)', '--sizes', '4,1,8', '--callers', '4', '--for', '600ms') // prettier-ignore
    expect([code, failure, runs.map(({ size }) => size)]).toEqual([0, null, [1, 4, 8]])
    const [one, four] = runs
    expect(one?.throughput).toBeGreaterThan(5)
    expect(one?.throughput).toBeLessThanOrEqual(50)
    expect(four?.throughput).toBeGreaterThan((one?.throughput ?? 0) * 1.5)
    expect(one?.waitMillis.p50).toBeGreaterThan(20)
    expect(one?.useMillis.p50).toBeGreaterThanOrEqual(20)
    expect(best).toBeGreaterThanOrEqual(4)
    expect(runs.every(({ errors }) => errors === 0)).toBe(true)
  }) // prettier-ignore

  it.skipIf(postgres === undefined)('tells people which size is enough, and where the server says no', async () => {
    const url = postgres?.connectionString ?? ''
    const argv = ['bench', url, '--root', root, '--sizes', '2,9999', '--for', '100ms', '--callers', '2']
    const { code, out, err } = await millpond(argv, { progress: true })
    expect(code).toBe(0)
    expect(out).toMatch(/connections +a second +wait p50/)
    expect(out).toMatch(/2 connections get done what the server can do/)
    expect(out).toMatch(/9999 connections: .*too many clients/s)
    expect(err).toContain('2 connections to postgres://')
    expect(out + err).not.toMatch(/\/\/\w+:\w+@/)
  })

  it.skipIf(redis === undefined)('asks Redis', async () => {
    const { runs } = await bench(`redis://127.0.0.1:${redis?.port ?? 0}`, '--sizes', '1', '--for', '100ms', '--query', 'GET a') // prettier-ignore
    expect(runs[0]?.throughput).toBeGreaterThan(10)
  })

  it('asks MongoDB', async () => {
    const url = `mongodb://127.0.0.1:${mongo.port}/shop`
    const { runs } = await bench(url, '--sizes', '2', '--for', '100ms', '--callers', '2')
    expect(runs[0]?.throughput).toBeGreaterThan(5)
    const { code, err } = await millpond(['bench', url, '--root', root, '--query', 'x'])
    expect([code, err]).toEqual([2, expect.stringContaining('takes no --query')])
  })

  it('says who cannot be reached, with exit code 3 and no secret', async () => {
    const { code, failure } = await bench('postgres://ada:hunter2@127.0.0.1:1/shop', '--sizes', '1')
    expect([code, failure?.reason]).toEqual([3, expect.stringContaining('ECONNREFUSED')])
    expect(JSON.stringify(failure)).not.toContain('hunter2')
    expect((await millpond(['bench', 'redis://a', '--sizes', '1,x'])).err).toContain('expected whole numbers from 1')
  })

  it('takes the smallest of those that are as good', () => {
    const run = (size: number, throughput: number): Run => ({ size, throughput, waitMillis: { p50: 0, p99: 0 }, useMillis: { p50: 0, p99: 0 }, errors: 0, ownShare: 0 }) // prettier-ignore
    expect(bestOf([run(1, 10), run(4, 40), run(16, 41), run(8, 39)])?.size).toBe(4)
    expect(bestOf([])).toBeUndefined()
  })
})

describe('millpond demo', () => {
  it('serves a page on which pools are at work, and ends', async () => {
    let url = ''
    let page: Promise<[string, unknown]> | undefined
    const out = (text: string): void => {
      url = /http:\S+(?=")/.exec(text)?.[0] ?? url
      page ??= Promise.all([
        fetch(url).then((answer) => answer.text()),
        fetch(`${url}snapshot`).then((answer) => answer.json()),
      ])
      said.push(text)
    }
    const said: string[] = []
    expect((await millpond(['demo', '--for', '700ms', '--json'], { out })).code).toBe(0)
    const [html, snapshot] = (await page) ?? []
    expect(html).toContain('<title>Millpond</title>')
    const pools = (snapshot as { pools: { stats: { name: string } }[] }).pools
    expect(pools.map(({ stats }) => stats.name)).toEqual(['orders', 'reports', 'cache'])
    const stats = JSON.parse(said.at(-1) ?? '') as { name: string; acquired: number }[]
    expect(stats.reduce((sum, { acquired }) => sum + acquired, 0)).toBeGreaterThan(0)
    await expect(fetch(url)).rejects.toThrow()
    expect([process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]).toEqual(LISTENERS)
  })

  it('refuses a port that is none', async () => {
    expect((await millpond(['demo', '--port', 'x'])).err).toContain('expected a port')
  })
})

const LISTENERS = [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]
