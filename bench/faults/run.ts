/**
 * `npm run bench:faults -- [--rounds N] [--only WORDS]`: pools on a real server that is killed, frozen, cut off, full.
 * `--only` measures the faults anew whose name has these words, and keeps the rest. Writes `bench/results/faults.json`,
 * tables into `bench/README.md`, and `bench/results/faults.svg`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sleep, startFaultProxy } from '@millpond/rig'
import { circumstances } from '../lib/rounds.mjs'
import { writeSection } from '../lib/report.mjs'
import { startMariaDbBackend, startPostgresBackend, type StartBackend } from './backends.ts'
import { FAULTS, STEADY, type Fault, type Stage } from './faults.ts'
import { picture } from './picture.ts'
import { summary } from './summary.ts'

export interface Seen {
  /** Asked at, waited for a connection, took in all, and the code of the error or nothing; milliseconds, since the fault began. */
  readonly calls: readonly (readonly [askedAt: number, waited: number, took: number, failure?: string])[]
  /** When each connection was tried and, where it was, closed; since the fault began. */
  readonly sockets: readonly (readonly [triedAt: number, closedAt?: number])[]
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

const HEALTHY_MILLIS = 1_500
const AFTERWARDS_MILLIS = 6_000
const MAX = 10
interface Subject {
  readonly start: StartBackend
  /** Which faults it has something to tell about. @defaultValue all */
  readonly needs?: (fault: Fault) => boolean
}
const SUBJECTS: Readonly<Record<string, Subject>> = {
  millpond: { start: startPostgresBackend },
  'pg.Pool': { start: startPostgresBackend },
  'pg.Pool, no error listener': { start: startPostgresBackend, needs: ({ ends }) => ends === true },
  'knex (tarn)': { start: startPostgresBackend },
  'generic-pool': { start: startPostgresBackend },
  'millpond, MariaDB': { start: startMariaDbBackend },
  'mysql2, MariaDB': { start: startMariaDbBackend },
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
  const before = JSON.parse(readFileSync(file, 'utf8')) as Results
  const faults = Object.keys(FAULTS).filter((fault) => fault.includes(values.only))
  const rounds = before.rounds.map((runs) => runs.filter(({ fault }) => fault in FAULTS && !faults.includes(fault)))
  const circumstancesOf: Record<string, Record<string, unknown>> = { ...before.circumstances }
  const faultMillis = Object.fromEntries(Object.entries(FAULTS).map(([name, { millis }]) => [name, millis]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const fault of faults) {
      rounds[round] = [...(rounds[round] ?? []), ...(await runFault(fault, round))]
      circumstancesOf[fault] = circumstances()
      // After each: what was measured is kept, whatever becomes of the rest.
      writeFileSync(file, JSON.stringify({ circumstances: circumstancesOf, faultMillis, rounds }))
    }
  }
}
const results = JSON.parse(readFileSync(file, 'utf8')) as Results
const text = summary(results)
writeSection('faults', text)
writeFileSync(fileURLToPath(new URL('../results/faults.svg', import.meta.url)), await picture(results))
console.log(text)

async function runFault(fault: string, round: number): Promise<Run[]> {
  const what = FAULTS[fault] as Fault
  const subjects = Object.entries(SUBJECTS).filter(([, { needs }]) => needs?.(what) ?? true)
  const runs: Run[] = []
  for (let index = 0; index < subjects.length; index++) {
    const [subject, { start }] = subjects[(index + round) % subjects.length] as (typeof subjects)[number]
    runs.push({ fault, subject, seen: await endure(subject, start, what) })
    console.error(`round ${round + 1}: ${fault}: ${subject}`)
  }
  return runs
}

/** A server and a proxy of its own for every run, so that nothing of the last one is left. */
async function endure(subject: string, start: StartBackend, fault: Fault): Promise<Seen> {
  await using backend = await start(fault.granted ?? Infinity)
  await using proxy = await startFaultProxy(backend.address)
  const config = JSON.stringify({ ...backend.config, port: proxy.port })
  const program = fileURLToPath(new URL('child.mjs', import.meta.url))
  const { max = MAX, statementMillis } = fault
  const args = [program, subject, config, JSON.stringify({ max, statementMillis }), JSON.stringify(STEADY)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'ignore', 'pipe'] })
  // One that has crashed is told nothing any more.
  child.stdin?.on('error', () => undefined)
  const ended = once(child, 'exit')
  let output = ''
  const told = child.stdio[3] as Readable
  told.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  while (!output.includes('ready\n')) await Promise.race([once(told, 'data'), ended])
  const stage: Stage = { backend, proxy, load: (load) => child.stdin?.write(`${JSON.stringify(load)}\n`) }
  await sleep(HEALTHY_MILLIS)
  const beganAt = Date.now()
  await fault.begin(stage)
  await sleep(fault.millis)
  await fault.end(stage)
  await sleep(AFTERWARDS_MILLIS)
  const crashed = child.exitCode !== null || child.signalCode !== null
  if (crashed) return { calls: [], sockets: [], neverAnswered: 0, crashed }
  child.stdin?.end()
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(timer)
  const seen = JSON.parse(output.slice(output.indexOf('\n') + 1)) as Omit<Seen, 'crashed'>
  return {
    calls: seen.calls.map(([askedAt, ...rest]) => [askedAt - beganAt, ...rest] as const),
    sockets: seen.sockets.map(([triedAt, closedAt]) =>
      closedAt === undefined ? ([triedAt - beganAt] as const) : ([triedAt - beganAt, closedAt - beganAt] as const),
    ),
    neverAnswered: seen.neverAnswered,
    crashed,
  }
}
process.exit(0)
