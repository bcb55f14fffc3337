import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPrometheus, tryStart, waitFor } from '@millpond/rig'
import type { PoolDetail } from 'millpond/dashboard'
import { describe, expect, it } from 'vitest'

const POOLS = ['orders', 'cache', 'ledger', 'events', 'prices', 'shipping']
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** Runs the demo as npm start does, without its build. */
function start(...args: string[]): Demo {
  return startWith({}, ...args)
}

interface Demo {
  output: () => string
  ended: Promise<number | null>
  child: ReturnType<typeof spawn>
  saw: (text: string) => Promise<void>
}

function startWith(env: NodeJS.ProcessEnv, ...args: string[]): Demo {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const note = (chunk: Buffer): void => {
    output += chunk.toString()
    child.emit('text')
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  return {
    child,
    output: () => output,
    ended: once(child, 'exit').then(([code]) => code as number | null),
    async saw(text) {
      while (!output.includes(text)) await once(child, 'text')
    },
  }
}

/** Its exit code, and all that it printed. */
async function endOf(demo: Demo): Promise<{ code: number | null; text: string }> {
  const code = await demo.ended
  return { code, text: demo.output() }
}

/** What the health of a service was, asked again and again; ends with the service. */
function keepAsking(url: string): () => readonly Health[] {
  const answers: Health[] = []
  const ask = async (): Promise<void> => {
    for (;;) {
      const answer = await fetch(url)
      answers.push({ code: answer.status, ...((await answer.json()) as Omit<Health, 'code'>) })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  ask().catch(() => undefined)
  return () => answers
}

interface Health {
  readonly code: number
  readonly healthy: boolean
  readonly status: string
  readonly pools: readonly { readonly name: string; readonly status: string }[]
}

const addressIn = (text: string, label: string): string => new RegExp(`${label}\\s+(\\S+)`).exec(text)?.[1] ?? ''

const numberAfter = (text: string, label: string): number => Number(new RegExp(`${label}\\s+(\\d+)`).exec(text)?.[1])

describe('npm start', () => {
  it(
    'shows pools that survive a restart of their database and a service that is away, and what they save',
    { timeout: 180_000 },
    async () => {
      const demo = start('--seconds', '8')
      await demo.saw('Its metrics')
      const healths = keepAsking(`${addressIn(demo.output(), 'Its health')}/ready?details`)
      expect(await demo.ended).toBe(0)
      // While its prices are away the shop takes orders: it warns, and stays in the load balancer.
      const away = healths().filter(({ pools }) =>
        pools.some(({ name, status }) => name === 'prices' && status !== 'pass'),
      )
      expect(away.length).toBeGreaterThan(0)
      for (const { code, status, healthy } of away) expect([code, status, healthy]).toEqual([200, 'warn', true])
      const text = demo.output()
      const requests = numberAfter(text, 'requests')
      expect(requests).toBeGreaterThan(200)
      // Only statements that were running when the database was killed may fail: one for each of its connections at most.
      expect(Number(/of which (\d+) failed/.exec(text)?.[1])).toBeLessThanOrEqual(20)
      const opened = numberAfter(text, 'connections opened')
      for (const pool of POOLS) expect(text, pool).toMatch(new RegExp(`^  ${pool} .* (open|paused)$`, 'm'))
      expect(numberAfter(text, 'prices away')).toBeGreaterThan(0)
      expect(opened).toBeGreaterThan(0)
      expect(opened).toBeLessThanOrEqual(80)
      expect(text).toContain('paused')
      expect(text).toMatch(/first answer \d+ ms after it was back/)
      expect(text).toMatch(/\d+\.\d times as much work with the pool/)
      expect(text).toMatch(/6 pools closed: \d+ connections in order, 0 cut/)
    },
  )

  it('is scraped and looked at while it runs, drains and ends on Ctrl-C', { timeout: 120_000 }, async () => {
    const demo = start('--seconds', '60')
    await demo.saw('quiet')
    const addressAfter = (label: string): string => addressIn(demo.output(), label)
    const { host: target } = new URL(addressAfter('Its metrics'))
    const prometheus = await tryStart('Prometheus', () => startPrometheus({ target }))
    if (prometheus !== undefined) {
      const values = async (query: string, label: string): Promise<Record<string, number>> =>
        Object.fromEntries((await prometheus.query(query)).map(({ metric, value }) => [metric[label] ?? '', value]))
      await waitFor(async () => (await prometheus.query('up == 1')).length > 0, { what: 'Prometheus has scraped it' })
      expect(await values('up', 'job')).toEqual({ app: 1 })
      expect(Object.keys(await values('millpond_up', 'pool')).sort()).toEqual([...POOLS].sort())
      await waitFor(async () => ((await values('rate(millpond_acquires_total{outcome="acquired"}[1m])', 'pool'))['orders'] ?? 0) > 0, { what: 'work is seen' }) // prettier-ignore
      await prometheus.stop()
    }
    const dashboard = addressAfter('Its dashboard')
    const { pools } = (await (await fetch(`${dashboard}snapshot`)).json()) as { pools: { key: string }[] }
    const key = pools.find((each) => each.key.endsWith('/orders'))?.key ?? ''
    const detail = (await (await fetch(`${dashboard}pool?key=${encodeURIComponent(key)}`)).json()) as PoolDetail
    const sources = Object.fromEntries(detail.settings.map(({ name, source }) => [name, source]))
    expect(sources).toMatchObject({ min: 'code', max: 'preset database', maxUses: 'default' })
    expect(detail.settings.find(({ name }) => name === 'url')?.value).not.toContain('millpond:')
    expect(detail.advice.length).toBeGreaterThan(0)
    demo.child.kill('SIGINT')
    expect(await demo.ended).toBe(130)
    expect(demo.output()).toMatch(/Draining[^]*6 pools closed/)
  })

  it('names what is not there, and does without it', { timeout: 120_000 }, async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), 'millpond-demo-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    // One that is installed, and does not start.
    writeFileSync(join(folder, 'redis-server'), '#!/bin/sh\necho "no memory is left" >&2\nexit 1\n', { mode: 0o755 })
    const [demo, nothing] = await Promise.all([
      endOf(
        startWith(
          { MILLPOND_RIG_WITHOUT: 'mariadbd', PATH: `${folder}${delimiter}${process.env['PATH']}` },
          '--seconds',
          '4',
        ),
      ),
      endOf(startWith({ MILLPOND_RIG_WITHOUT: 'postgres,mariadbd,redis-server' }, '--seconds', '4')),
    ])
    expect(demo.text).toMatch(/^MariaDB is not installed: orders are kept in PostgreSQL alone\.$/m)
    expect(demo.text).toMatch(/^Redis could not be started \(.+\): users are read from PostgreSQL each time\.$/m)
    expect(demo.text).toContain('`node scripts/install-servers.mjs` installs them')
    expect(demo.code).toBe(0)
    for (const pool of ['orders', 'events', 'prices', 'shipping'])
      expect(demo.text, pool).toMatch(new RegExp(`^  ${pool} .* (open|paused)$`, 'm'))
    for (const pool of ['cache', 'ledger']) expect(demo.text, pool).not.toMatch(new RegExp(`^  ${pool} `, 'm'))
    expect(numberAfter(demo.text, 'requests')).toBeGreaterThan(100)
    expect(demo.text).toMatch(/4 pools closed: \d+ connections in order, 0 cut/)
    // Without any database there is no shop, and it is said how to give it one.
    expect(nothing.code).toBe(1)
    expect(nothing.text).toMatch(/^PostgreSQL is not installed, .*npm start -- --url postgres:\/\//m)
  })

  it('says what is wrong with an option, and shows no password', { timeout: 120_000 }, async () => {
    const wrong = start('--seconds', 'many')
    expect(await wrong.ended).toBe(1)
    expect(wrong.output()).toContain("Expected --seconds to be a whole number from 4 to 600, got 'many'")
    const unreachable = start('--url', 'postgres://someone:very-secret@127.0.0.1:1/none')
    expect(await unreachable.ended).toBe(1)
    expect(unreachable.output()).toContain('ECONNREFUSED')
    expect(unreachable.output()).not.toContain('very-secret')
  })
})
