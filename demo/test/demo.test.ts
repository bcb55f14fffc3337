import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** Runs the demo as npm start does, without its build. */
function start(...args: string[]): {
  output: () => string
  ended: Promise<number | null>
  child: ReturnType<typeof spawn>
  saw: (text: string) => Promise<void>
} {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
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

const numberAfter = (text: string, label: string): number => Number(new RegExp(`${label}\\s+(\\d+)`).exec(text)?.[1])

describe('npm start', () => {
  it(
    'shows pools that survive a restart of their database and a service that is away, and what they save',
    { timeout: 180_000 },
    async () => {
      const demo = start('--seconds', '8')
      expect(await demo.ended).toBe(0)
      const text = demo.output()
      const requests = numberAfter(text, 'requests')
      expect(requests).toBeGreaterThan(200)
      // Only statements that were running when the database was killed may fail.
      expect(Number(/of which (\d+) failed/.exec(text)?.[1])).toBeLessThanOrEqual(40)
      const opened = numberAfter(text, 'connections opened')
      for (const pool of ['orders', 'cache', 'ledger', 'events', 'prices', 'shipping'])
        expect(text, pool).toMatch(new RegExp(`^  ${pool} .* (open|paused)$`, 'm'))
      expect(numberAfter(text, 'prices away')).toBeGreaterThan(0)
      expect(opened).toBeGreaterThan(0)
      expect(opened).toBeLessThanOrEqual(80)
      expect(text).toContain('paused')
      expect(text).toMatch(/first answer \d+ ms after it was back/)
      expect(text).toMatch(/\d+\.\d times as much work with the pool/)
      expect(text).toMatch(/6 pools closed: \d+ connections in order, 0 cut/)
    },
  )

  it('drains and ends on Ctrl-C', { timeout: 120_000 }, async () => {
    const demo = start('--seconds', '60')
    await demo.saw('quiet')
    demo.child.kill('SIGINT')
    expect(await demo.ended).toBe(130)
    expect(demo.output()).toMatch(/Draining[^]*6 pools closed/)
  })

  it('says what is wrong with an option, and shows no password', { timeout: 120_000 }, async () => {
    const wrong = start('--seconds', 'many')
    expect(await wrong.ended).toBe(1)
    expect(wrong.output()).toContain("Expected --seconds to be a whole number from 8 to 600, got 'many'")
    const unreachable = start('--url', 'postgres://someone:very-secret@127.0.0.1:1/none')
    expect(await unreachable.ended).toBe(1)
    expect(unreachable.output()).toContain('ECONNREFUSED')
    expect(unreachable.output()).not.toContain('very-secret')
  })
})
