// What the command line does to a terminal: colour, width, progress, and where each of them goes.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { processIo, type Process } from '../src/io.ts'
import { GUIDE, millpond } from './run.ts'

interface Streams {
  readonly isTTY?: boolean
  readonly columns?: number
}

/** A process of which streams are terminals, or are not. */
function processOf(env: Record<string, string>, out: Streams, err: Streams = {}, input: Streams = {}) {
  const written = { out: '', err: '' }
  const stream = (name: 'out' | 'err', about: Streams) => ({ ...about, write: (text: string) => { written[name] += text } }) // prettier-ignore
  const process = { cwd: () => '/here', env, stdin: input, stdout: stream('out', out), stderr: stream('err', err) }
  return { io: processIo(process as unknown as Process), written }
}

const TTY = { isTTY: true, columns: 80 }

describe('colour', () => {
  it.each<[string, Record<string, string>, Streams, boolean]>([
    ['is for terminals', {}, TTY, true],
    ['is not for pipes', {}, {}, false],
    ['is not for terminals that cannot', { TERM: 'dumb' }, TTY, false],
    ['is off by NO_COLOR', { NO_COLOR: '1' }, TTY, false],
    ['is off by NO_COLOR, whatever it says', { NO_COLOR: '0' }, TTY, false],
    ['is not off by a NO_COLOR that is empty', { NO_COLOR: '' }, TTY, true],
    ['is on by FORCE_COLOR', { FORCE_COLOR: '1' }, {}, true],
    ['is off by FORCE_COLOR=0', { FORCE_COLOR: '0' }, TTY, false],
    ['is the terminal’s affair where FORCE_COLOR is empty', { FORCE_COLOR: '' }, {}, false],
    ['is off where both are set', { NO_COLOR: '1', FORCE_COLOR: '1' }, TTY, false],
  ])('%s', (_, env, out, color) => {
    expect(processOf(env, out).io.color).toBe(color)
  })

  it('reaches what is printed', async () => {
    for (const [env, painted] of [
      [{ FORCE_COLOR: '1' }, true],
      [{ NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    ] as const) {
      // prettier-ignore
      const { io, written } = processOf(env, {})
      await millpond(['explain', 'require-release'], { color: io.color, out: (text) => { io.out(text) } }) // prettier-ignore
      expect(written.out.includes('\u001b[')).toBe(painted)
    }
  })
})

describe('the surroundings of a process', () => {
  it('are as wide as the terminal, within reason', () => {
    expect([{}, { isTTY: true, columns: 20 }, TTY, { isTTY: true, columns: 300 }].map((out) => processOf({}, out).io.width)).toEqual([100, 50, 80, 120]) // prettier-ignore
  })

  it('have progress where somebody looks, and not in CI', () => {
    expect(processOf({}, {}, TTY).io.progress).toBe(true)
    expect(processOf({}, TTY, {}).io.progress).toBe(false)
    expect(processOf({ CI: 'true' }, TTY, TTY).io.progress).toBe(false)
  })

  it('have keys only where somebody sits there', () => {
    expect(processOf({}, TTY, TTY, {}).io.keys).toBeUndefined()
    expect(processOf({}, {}, TTY, TTY).io.keys).toBeUndefined()
    expect(processOf({}, TTY, TTY, TTY).io.keys).toBeDefined()
  })

  it('have data on one stream and the rest on the other', () => {
    const { io, written } = processOf({}, {})
    io.out('data')
    io.err('said')
    expect([written, io.cwd]).toEqual([{ out: 'data', err: 'said' }, '/here'])
  })
})

describe('progress', () => {
  it('goes to the error stream, is wiped at the end, and leaves the data alone', async () => {
    const { out, err } = await millpond(['doctor', '--root', GUIDE, '--json'], { progress: true })
    expect(JSON.parse(out)).toHaveProperty('findings')
    expect(err).toMatch(/reading 0 of \d+ files …/)
    expect(err.endsWith('\r\u001b[2K')).toBe(true)
  })

  it('names the server that is asked, without its secret', async () => {
    const { err } = await millpond(
      ['doctor', '--root', REPOSITORY, 'packages/cli/src/version.ts', '--url', 'postgres://ada:hunter2@127.0.0.1:1/shop', '--json'],
      { progress: true },
    ) // prettier-ignore
    expect(err).toContain('asking postgres://127.0.0.1:1/shop …')
    expect(err).not.toContain('hunter2')
  })

  it('is silent where nobody looks', async () => {
    expect((await millpond(['doctor', '--root', GUIDE])).err).toBe('')
  })
})

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millpond-terminal-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const hasScript = spawnSync('script', ['--version']).status === 0

// A real terminal, by the program `script`, which gives its child one.
describe.skipIf(!hasScript)('on a terminal', () => {
  it('paints, and does not when NO_COLOR is set or the data goes to a file', async () => {
    const program = join(folder, 'io.ts')
    writeFileSync(
      program,
      `import { processIo } from ${JSON.stringify(join(REPOSITORY, 'packages/cli/src/io.ts'))}\nconst { color, width, progress } = processIo()\nprocess.stderr.write(JSON.stringify({ color, width, progress }))\n`,
    )
    const run = async (redirect: string, env: Record<string, string> = {}): Promise<unknown> => {
      const inherited = { ...process.env }
      for (const name of ['NO_COLOR', 'FORCE_COLOR', 'CI']) Reflect.deleteProperty(inherited, name)
      const command = `stty cols 90; node --import tsx ${program} ${redirect}`
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        cwd: REPOSITORY,
        env: { ...inherited, TERM: 'xterm', ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let text = ''
      child.stdout.on('data', (data: Buffer) => (text += data.toString()))
      await once(child, 'close')
      return JSON.parse(/\{.*\}/.exec(text)?.[0] ?? 'null')
    }
    expect(
      await Promise.all([run(''), run('', { NO_COLOR: '1' }), run('> /dev/null'), run('', { CI: 'true' })]),
    ).toEqual([
      { color: true, width: 90, progress: true },
      { color: false, width: 90, progress: true },
      { color: false, width: 100, progress: true },
      { color: true, width: 90, progress: false },
    ])
  })
})
