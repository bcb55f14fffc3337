/**
 * `npm run bench:faults -- [--rounds N] [--only WORDS]`: pools on a real PostgreSQL that is killed, frozen, cut off.
 * `--only` measures the faults anew whose name has these words, and keeps the rest. Writes `bench/results/faults.json`, a table into `bench/README.md`, and `bench/results/faults.svg`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ServerView, sleep, startFaultProxy, startPostgres, type FaultProxy, type PostgresServer } from '@millpond/rig'
import { circumstances } from '../lib/rounds.mjs'
import { writeSection } from '../lib/report.mjs'
import { picture } from './picture.ts'
import { summary } from './summary.ts'

export interface Seen {
  /** Asked at, took, and the code of the error or nothing; milliseconds, since the fault began. */
  readonly calls: readonly (readonly [number, number, string?])[]
  /** When a connection was tried, since the fault began. */
  readonly connects: readonly number[]
  readonly neverAnswered: number
  /** The process had ended before it was told to. */
  readonly crashed: boolean
}

export interface Run {
  readonly fault: string
  readonly subject: string
  readonly seen: Seen
}

export interface Results {
  /** By fault, as each may have been measured at another time. */
  readonly circumstances: Readonly<Record<string, Record<string, unknown>>>
  readonly faultMillis: Readonly<Record<string, number>>
  readonly rounds: readonly (readonly Run[])[]
}

interface Stage {
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  readonly view: ServerView
}

interface Fault {
  /** How long it lasts. */
  readonly millis: number
  begin(stage: Stage): unknown
  end(stage: Stage): unknown
}

const HEALTHY_MILLIS = 1_500
const AFTERWARDS_MILLIS = 5_000
const SUBJECTS = ['millpond', 'pg.Pool', 'pg.Pool, no error listener', 'knex (tarn)', 'generic-pool']

const FAULTS: Readonly<Record<string, Fault>> = {
  'server killed, back after 4 s': {
    millis: 4_000,
    begin: ({ server }) => server.kill(),
    end: ({ server }) => server.start(),
  },
  'server frozen for 4 s': {
    millis: 4_000,
    begin: ({ server }) => server.pause(),
    end: ({ server }) => server.resume(),
  },
  'black hole for 4 s': {
    millis: 4_000,
    begin: ({ proxy }) => proxy.blackHole(),
    async end({ proxy }) {
      proxy.cutAll('reset')
      await proxy.clear()
    },
  },
  'every connection reset': { millis: 0, begin: ({ proxy }) => proxy.cutAll('reset'), end: () => undefined },
  'one backend terminated': {
    millis: 0,
    async begin({ view }) {
      const [first] = await view.backends()
      if (first !== undefined) await view.terminate(first.pid)
    },
    end: () => undefined,
  },
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    'report-only': { type: 'boolean', default: false },
  },
})
const file = fileURLToPath(new URL('../results/faults.json', import.meta.url))

if (!values['report-only']) {
  const before = values.only === '' ? undefined : (JSON.parse(readFileSync(file, 'utf8')) as Results)
  const isMeasured = (fault: string): boolean => fault.includes(values.only)
  const rounds: Run[][] = (before?.rounds ?? []).map((runs) => runs.filter(({ fault }) => !isMeasured(fault)))
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds[round] = [...(rounds[round] ?? []), ...(await runRound(round, isMeasured))]
  }
  const now = circumstances() as unknown as Record<string, unknown>
  const measured = Object.fromEntries(
    Object.keys(FAULTS).map((fault) => [fault, isMeasured(fault) ? now : before?.circumstances[fault]]),
  )
  const faultMillis = Object.fromEntries(Object.entries(FAULTS).map(([name, { millis }]) => [name, millis]))
  writeFileSync(file, JSON.stringify({ circumstances: measured, faultMillis, rounds }))
}
const results = JSON.parse(readFileSync(file, 'utf8')) as Results
const text = summary(results)
writeSection('faults', text)
writeFileSync(fileURLToPath(new URL('../results/faults.svg', import.meta.url)), await picture(results))
console.log(text)

async function runRound(round: number, isMeasured: (fault: string) => boolean): Promise<Run[]> {
  const runs: Run[] = []
  for (const [fault, what] of Object.entries(FAULTS)) {
    if (!isMeasured(fault)) continue
    for (let index = 0; index < SUBJECTS.length; index++) {
      const subject = SUBJECTS[(index + round) % SUBJECTS.length] ?? ''
      runs.push({ fault, subject, seen: await endure(subject, what) })
      console.error(`round ${round + 1}: ${fault}: ${subject}`)
    }
  }
  return runs
}

/** A server and a proxy of its own for every run, so that nothing of the last one is left. */
async function endure(subject: string, fault: Fault): Promise<Seen> {
  await using server = await startPostgres()
  await using proxy = await startFaultProxy(server)
  await using view = new ServerView(server)
  const stage = { server, proxy, view }
  const config = JSON.stringify({ ...server.config, port: proxy.port })
  const program = fileURLToPath(new URL('child.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, subject, config], {
    stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'exit')
  let output = ''
  const told = child.stdio[3] as Readable
  told.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  while (!output.includes('ready\n')) await once(told, 'data')
  await sleep(HEALTHY_MILLIS)
  const beganAt = Date.now()
  await fault.begin(stage)
  await sleep(fault.millis)
  await fault.end(stage)
  await sleep(AFTERWARDS_MILLIS)
  const crashed = child.exitCode !== null || child.signalCode !== null
  if (crashed) return { calls: [], connects: [], neverAnswered: 0, crashed }
  child.stdin?.end()
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(timer)
  const seen = JSON.parse(output.slice(output.indexOf('\n') + 1)) as Omit<Seen, 'crashed'>
  return {
    calls: seen.calls.map(([askedAt, took, ...failure]) => [askedAt - beganAt, took, ...failure] as const),
    connects: seen.connects.map((at) => at - beganAt),
    neverAnswered: seen.neverAnswered,
    crashed,
  }
}
process.exit(0)
