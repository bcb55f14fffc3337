import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '@millpond/rig'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Pool, PoolRegistry } from 'millpond'
import { serveDashboard } from 'millpond/dashboard'
import { alertRules, renderPrometheus } from 'millpond/prometheus'
import { FakeFactory } from 'millpond/testing'
import { parse } from 'yaml'
import { addressOf, metricsUrl, parseMetrics, poolsOf } from '../src/watch/scrape.ts'
import { rowsOf, sorted } from '../src/watch/table.ts'
import { run } from '../src/program.ts'
import { millpond } from './run.ts'

const shop = new Pool(new FakeFactory(), { name: 'shop', max: 4 })
const cache = new Pool(new FakeFactory(), { name: 'cache "1"', max: Infinity })
const server: Server = createServer((request, response) => {
  if (request.url === '/metrics') response.end(renderPrometheus([shop, cache]))
  else if (request.url === '/') response.setHeader('content-type', 'application/json').end('{"hello":"world"}')
  else if (request.url === '/page/') response.setHeader('content-type', 'text/html').end('<h1>Hello</h1>')
  else response.writeHead(404).end()
})
let address = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  await shop.acquire()
  await shop.acquire()
})
afterAll(async () => {
  server.close()
  await Promise.all([shop.close({ timeoutMillis: 10 }), cache.close()])
})

describe('millpond watch', () => {
  it('shows the pools of a running process once, where no terminal is', async () => {
    const { code, out } = await millpond(['watch', address, '--interval', '0.05', '--sort', 'utilization'])
    expect(code).toBe(0)
    const [head, first, second] = out.split('\n')
    expect(head?.trim().split(/ {2,}/)).toEqual(['pool', 'kind', 'util', 'used', 'max', 'idle', 'opening', 'waiting', 'oldest', 'acq/s', 'p99 wait', 'timeouts']) // prettier-ignore
    expect(first?.trim().split(/ {2,}/)).toEqual([
      'shop',
      'fake',
      '50 %',
      '2',
      '4',
      '0',
      '0',
      '0',
      '0 ms',
      '0.0',
      '–',
      '0',
    ])
    expect(second).toContain('cache "1"')
  })

  it('tells programs the same', async () => {
    const { code, out } = await millpond(['watch', `http://${address}/metrics`, '--interval', '0.05', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject([
      { pool: 'cache "1"', used: 0 },
      { pool: 'shop', used: 2, max: 4, utilization: 0.5, acquiresPerSecond: 0 },
    ])
  })

  it.each([
    [['watch', 'ftp://example'], 2, 'no address of the web'],
    [['watch', 'http://'], 2, 'no address'],
    [['watch', '127.0.0.1:1', '--interval', '0.05'], 3, 'cannot be reached (bad port)'],
    [['watch', '127.0.0.1:1', '--interval', 'soon'], 2, '--interval takes seconds'],
    [['watch', '127.0.0.1:1', '--sort', 'size'], 2, 'there is no column "size"'],
  ])('says what is wrong with %j', async (args, expected, message) => {
    const { code, err } = await millpond(args)
    expect(code).toBe(expected)
    expect(err).toContain(message)
  })

  it('says when nobody listens', async () => {
    const { code, err } = await millpond(['watch', `127.0.0.1:${await freePort()}`, '--once'])
    expect(code).toBe(3)
    expect(err).toContain('cannot be reached (ECONNREFUSED)')
  })

  it('says when the address tells of no pool', async () => {
    expect(await millpond(['watch', `${address}/other`, '--once'])).toMatchObject({ code: 3, err: expect.stringContaining('answered 404') as string }) // prettier-ignore
    expect((await millpond(['watch', `${address}/page/`, '--once'])).err).toContain('with a page that is no dashboard')
    expect((await millpond(['watch', address, '--once', '--prefix', 'x_'])).err).toContain(
      'no metric that begins with x_',
    )
  })

  it('goes on in a terminal, and heeds its keys', async () => {
    const terminal = inTerminal(['watch', address, '--interval', '0.02'])
    await expect.poll(() => terminal.screens.length, { timeout: 15_000 }).toBeGreaterThan(2)
    expect(terminal.first()).toBe('cache')
    terminal.press('u')
    expect(terminal.first()).toBe('shop')
    terminal.press('r')
    expect(terminal.first()).toBe('cache')
    terminal.press('q')
    expect(await terminal.running).toBe(0)
    expect(terminal.stopped()).toBe(true)
  })
})

/** The command as somebody at a terminal sees it. */
function inTerminal(args: readonly string[]) {
  const screens: string[] = []
  let press: (key: string) => void = () => undefined
  let stopped = false
  const running = run(args, {
    cwd: '.',
    env: {},
    out: (text) => screens.push(text),
    err: () => undefined,
    color: false,
    width: 120,
    progress: false,
    keys: (pressed) => {
      press = pressed
      return () => {
        stopped = true
      }
    },
  })
  return {
    screens,
    running,
    press: (key: string) => press(key),
    stopped: () => stopped,
    /** The pool that stands first. */
    first: () => /shop|cache|stock/.exec(screens.at(-1) ?? '')?.[0] ?? '',
  }
}

describe('millpond watch, at a dashboard', () => {
  const here = new PoolRegistry()
  const there = new PoolRegistry()
  const authorize = (request: Request): boolean => request.headers.get('authorization') === 'Bearer of-the-operator'
  const header = ['--header', 'authorization: Bearer of-the-operator']
  const opened: { close(): Promise<unknown> }[] = []
  let url = ''
  beforeAll(async () => {
    here.register(shop)
    here.register(cache)
    there.register(new Pool(new FakeFactory(), { name: 'stock', max: 1 }))
    const options = { enabled: true, intervalMillis: 100, authorize }
    const other = await serveDashboard(there, { ...options, instance: 'there' })
    const headers = { authorization: 'Bearer of-the-operator' }
    const served = await serveDashboard(here, {
      ...options,
      instance: 'here',
      instances: [{ url: other.url, headers }],
    })
    url = served.url
    opened.push(served, other, there)
  })
  afterAll(async () => {
    for (const each of opened) await each.close()
  })

  it('shows the pools of all its processes', async () => {
    const args = ['watch', url, '--interval', '0.3', '--json', '--sort', 'utilization', ...header]
    // The dashboard asks the others only while somebody looks.
    const rows = async (): Promise<unknown[]> => {
      const { code, out, err } = await millpond(args)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      return JSON.parse(out) as unknown[]
    }
    await expect.poll(async () => (await rows()).length, { timeout: 15_000 }).toBe(3)
    expect(await rows()).toMatchObject([
      { pool: 'here shop', used: 2, max: 4, utilization: 0.5, acquiresPerSecond: 0, up: true },
      { pool: 'there stock', used: 0, max: 1, utilization: 0 },
      { pool: 'here cache "1"', used: 0 },
    ])
  })

  it('goes on as the dashboard tells, also after it was away, and sorts by its keys', async () => {
    const address = new URL(url)
    const terminal = inTerminal(['watch', `${address.host}/`, '--interval', '0.02', ...header])
    await expect.poll(() => terminal.screens.at(-1), { timeout: 15_000 }).toContain('there stock')
    expect(terminal.first()).toBe('cache')
    terminal.press('u')
    expect(terminal.first()).toBe('shop')
    await opened.shift()?.close()
    await expect.poll(() => terminal.screens.at(-1), { timeout: 15_000 }).toContain('cannot be reached')
    const again = await serveDashboard(here, {
      enabled: true,
      intervalMillis: 100,
      authorize,
      port: Number(address.port),
    })
    opened.unshift(again)
    await expect.poll(() => terminal.screens.at(-1), { timeout: 15_000 }).not.toContain('cannot be reached')
    expect(terminal.first()).toBe('shop')
    terminal.press('q')
    expect(await terminal.running).toBe(0)
  })

  it('says who is not let in, and what no header is', async () => {
    const { code, err } = await millpond(['watch', url, '--once'])
    expect([code, err]).toEqual([3, `${url} answered 403\n`])
    expect(await millpond(['watch', url, '--header', 'very-secret'])).toMatchObject({ code: 2, err: expect.not.stringContaining('very-secret') as string }) // prettier-ignore
  })
})

describe('a scrape', () => {
  const pools = (text: string) => poolsOf(parseMetrics(text), 'millpond_')
  const text = (acquired: number, slow: number): string =>
    [
      `millpond_acquires_total{pool="a",kind="x",outcome="acquired"} ${acquired}`,
      `millpond_acquire_wait_seconds_bucket{pool="a",kind="x",le="0.1"} ${acquired - slow}`,
      `millpond_acquire_wait_seconds_bucket{pool="a",kind="x",le="1"} ${acquired}`,
      `millpond_acquire_wait_seconds_bucket{pool="a",kind="x",le="+Inf"} ${acquired}`,
    ].join('\n')

  it('gives rates and percentiles of the time between two', () => {
    const before = { at: 0, pools: pools(text(1_000, 0)) }
    const now = { at: 2_000, pools: pools(text(1_100, 50)) }
    const [row] = rowsOf(now, before)
    expect(row?.acquiresPerSecond).toBe(50)
    expect(row?.waitP99Seconds).toBeCloseTo(0.98, 1)
    // Restarted meanwhile: there is nothing to compare with.
    expect(rowsOf(before, { ...now, at: -1 })[0]?.acquiresPerSecond).toBeUndefined()
  })

  it('reads what labels are escaped, and passes over what it does not know', () => {
    expect(parseMetrics('# HELP x y\nnonsense\nx{a="1\\"2\\\\\\n",b="c"} +Inf 123\n')).toEqual([
      { name: 'x', labels: { a: '1"2\\\n', b: 'c' }, value: Infinity },
    ])
    expect(pools('up{job="x"} 1')).toEqual([])
    expect(addressOf('localhost:9464')).toBe('http://localhost:9464/')
    expect(metricsUrl('localhost:9464')).toBe('http://localhost:9464/metrics')
    expect(addressOf('https://a.example/pools?x=1')).toBe('https://a.example/pools?x=1')
  })

  it('sorts greatest first, names alphabetically', () => {
    const rows = rowsOf({ at: 0, pools: pools(`${text(1, 0)}\n${text(2, 0).replaceAll('"a"', '"b"')}`) }, undefined)
    expect(sorted(rows, 'n').map(({ pool }) => pool)).toEqual(['a', 'b'])
    expect(sorted(rows, 'n', true).map(({ pool }) => pool)).toEqual(['b', 'a'])
  })
})

describe('millpond alerts', () => {
  it('prints the rules as YAML, as JSON, and the dashboard', async () => {
    const { out } = await millpond(['alerts'])
    expect((parse(out) as { groups: { rules: unknown[] }[] }).groups[0]?.rules).toEqual(alertRules())
    expect(JSON.parse((await millpond(['alerts', '--json'])).out)).toEqual(alertRules())
    const dashboard = await millpond(['alerts', '--dashboard', '--prefix', 'pool_'])
    expect(JSON.parse(dashboard.out)).toMatchObject({ uid: 'millpond-pools' })
    expect(dashboard.out).not.toContain('millpond_')
    const renamed = await millpond(['alerts', '--names', 'otel', '--json'])
    expect(JSON.parse(renamed.out)).toEqual(alertRules({ naming: 'otel' }))
    expect((await millpond(['alerts', '--dashboard', '--names', 'otel'])).out).toContain('db_client_connection_max')
    expect(await millpond(['alerts', '--names', 'hikari'])).toMatchObject({ code: 2, err: expect.stringContaining('native or otel') as string }) // prettier-ignore
  })
})
