import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '@millpond/rig'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { serveDashboard, type ServedDashboard } from 'millpond/dashboard'
import { renderPrometheus } from 'millpond/prometheus'
import { FakeFactory } from 'millpond/testing'
import type { MeasuredSize } from '../src/reports/size.ts'
import { millpond } from './run.ts'

describe('millpond size', () => {
  it('computes the guide’s example, with reasons', async () => {
    const { code, out } = await millpond(['size', '--cores', '4', '--wait', '10ms', '--service', '10ms'])
    expect(code).toBe(0)
    expect(out).toContain('max 8')
    expect(out).toContain('min 2')
  })

  it('tells programs the same, and refuses to guess', async () => {
    const { out } = await millpond(['size', '--cores', '4', '--instances', '2', '--server-limit', '100', '--json'])
    expect((JSON.parse(out) as { max: number }).max).toBeGreaterThan(0)
    const { code, err } = await millpond(['size'])
    expect(code).toBe(2)
    expect(err).toContain(
      'Say at least --cores, or --throughput, or --rate with --use, or --server-limit; see millpond size --help',
    )
  })

  it('goes by what was measured of a server', async () => {
    const { out } = await millpond(['size', '--throughput', '1:100,2:195,4:360,8:600,16:640', '--json'])
    expect(JSON.parse(out)).toMatchObject({ decidedBy: 'usl', reasons: [{ name: 'usl', role: 'knee' }] })
    const few = await millpond(['size', '--throughput', '1:100,2:195'])
    expect([few.code, few.err]).toEqual([
      2,
      expect.stringContaining('Expected --throughput to have at least three sizes'),
    ])
  })

  it.each([
    [['size', '--throughput', '4'], 'expected connections and what they get done'],
    [['size', '--pool', 'shop', '--cores', '4'], '--pool goes with --from'],
    [['size', '--from', 'ftp://example'], 'no address of the web'],
    [['size', '--from', 'http://ada:hunter2@127.0.0.1'], 'without user and password'],
    [['size', '--from', '127.0.0.1:9464', '--for', '10'], 'expected a number with a unit'],
  ])('%j is told in one line, with exit code 2', async (argv, message) => {
    const { code, err } = await millpond(argv)
    expect([code, err.includes('hunter2')]).toEqual([2, false])
    expect(err).toContain(message)
  })
})

describe('millpond size --from', () => {
  const registry = new PoolRegistry()
  const shop = registry.register(new Pool(new FakeFactory(), { name: 'shop', max: 40 }))
  const calls = registry.register(new Pool(new FakeFactory(), { name: 'calls', max: 2, maxLeasesPerResource: 10 }))
  registry.register(new Pool(new FakeFactory(), { name: 'silent', max: Infinity }))
  let metrics: Server
  let board: ServedDashboard
  let metricsAddress = ''
  let works = true
  let work: Promise<unknown>

  /** Callers one after the other, each of whom keeps what it gets for a moment. */
  const caller = async (pool: Pool<unknown>): Promise<void> => {
    while (works) await pool.use(() => new Promise((resolve) => setTimeout(resolve, 5)))
  }

  beforeAll(async () => {
    metrics = createServer((request, response) => {
      if (request.url === '/metrics') response.end(renderPrometheus(registry))
      else response.writeHead(404).end('not here')
    })
    await new Promise<void>((resolve) => metrics.listen(0, '127.0.0.1', resolve))
    metricsAddress = `127.0.0.1:${(metrics.address() as AddressInfo).port}`
    board = await serveDashboard(registry)
    work = Promise.all([shop, shop, shop, calls, calls, calls].map(caller))
  })
  afterAll(async () => {
    works = false
    await work
    metrics.close()
    await board.close()
    await registry.close()
  })

  it.each(['the metrics', 'the dashboard'])('measures what the pools do, by %s', async (what) => {
    const address = what === 'the metrics' ? metricsAddress : board.url
    const { code, out } = await millpond(['size', '--from', address, '--for', '300ms', '--json', '--cores', '64'])
    expect(code).toBe(0)
    const sizes = JSON.parse(out) as MeasuredSize[]
    const [first, second, third] = ['shop', 'calls', 'silent'].map((name) => sizes.find(({ pool }) => pool === name))
    expect([first?.max, first?.multiplexed, second?.multiplexed, third?.max]).toEqual([40, false, true, null])
    // Three callers who keep it for 5 ms each and come back at once: three at work, however slow the machine is.
    expect(first?.measured.useMillis).toBeGreaterThan(3)
    expect(first?.measured.busy).toBeGreaterThan(1)
    expect(first?.measured.busy).toBeLessThan(5)
    expect(first?.answer?.decidedBy).toMatch(/erlang-c|allen-cunneen/)
    expect(first?.answer?.max).toBeGreaterThanOrEqual(2)
    expect(third?.answer).toBeNull()
  })

  it('tells people, and takes the others of the fleet to be alike', async () => {
    const argv = ['size', '--from', metricsAddress, '--for', '200ms', '--pool', 'shop', '--instances', '3', '--server-limit', '9'] // prettier-ignore
    const { code, out } = await millpond(argv)
    expect(code).toBe(0)
    expect(out).toMatch(/shop {2}fake, max 40 now\n {2}[\d.]+ a second × [\d.]+ ms = [\d.]+ at work; /)
    expect(out).toContain('max 2, min 1 for each instance, decided by budget')
    expect(out).toContain('40 are more than this load needs')
    const whole = (await millpond(['size', '--from', metricsAddress, '--for', '100ms'])).out
    expect(whole).toContain('Nothing was asked of it meanwhile')
    expect(whole).toContain('the numbers count leases')
  })

  it('says what it cannot find', async () => {
    expect(await millpond(['size', '--from', metricsAddress, '--pool', 'shopp'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean "shop"?') as string,
    })
    expect(await millpond(['size', '--from', `${metricsAddress}/other`])).toMatchObject({
      code: 3,
      err: expect.stringContaining('answered 404') as string,
    })
    expect(await millpond(['size', '--from', `127.0.0.1:${await freePort()}`])).toMatchObject({
      code: 3,
      err: expect.stringContaining('cannot be reached (ECONNREFUSED)') as string,
    })
  })
})
