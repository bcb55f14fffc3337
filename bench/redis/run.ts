/** npm run bench:redis -- --rounds 21: makes bench/results/redis.json and the tables of bench/redis/README.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { startRedis } from '@millpond/rig'
import * as statistics from '../lib/statistics.mjs'
import { PAIRS, type Subject } from './subjects.ts'

const { median, medianInterval } = statistics as unknown as {
  readonly median: (values: readonly number[]) => number
  readonly medianInterval: (values: readonly number[]) => readonly [number, number]
}

interface Figures {
  readonly perSecond: number
  /** Client CPU, user and system, for one command. */
  readonly cpuMicros: number
  readonly p50: number
  readonly p99: number
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const index = process.argv.indexOf('--rounds')
const rounds = index === -1 ? 21 : Number(process.argv[index + 1])
const COMMANDS: Readonly<Record<number, number>> = { 1: 1_500, 100: 15_000 }
const SIDES = ['alone', 'pooled'] as const

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN

/** So many callers, each of which asks again as soon as it is answered. */
async function load(subject: Subject, callers: number, commands: number): Promise<Figures> {
  const latencies: number[] = []
  let left = commands
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      const startedAt = performance.now()
      await subject.get('k')
      latencies.push(performance.now() - startedAt)
    }
  }
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: callers }, caller))
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  return {
    perSecond: commands / seconds,
    cpuMicros: (user + system) / commands,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }
}

/** GETs one after the other, while somebody blocks on an empty list again and again. */
async function besideBlocking(subject: Subject): Promise<{ readonly p50: number; readonly p99: number }> {
  let over = false
  const blocker = (async () => {
    while (!over) await subject.block('nothing', 0.2)
  })()
  const latencies: number[] = []
  for (let n = 0; n < 60; n++) {
    const startedAt = performance.now()
    await subject.get('k')
    latencies.push(performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  over = true
  await blocker
  latencies.sort((a, b) => a - b)
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) }
}

await using server = await startRedis()
await server.ask('SET', 'k', 'x'.repeat(100))

const results: Record<string, Record<(typeof SIDES)[number], Figures[]>> = {}
const blocking: Record<string, Record<(typeof SIDES)[number], { p50: number; p99: number }>> = {}
for (const [name, pair] of Object.entries(PAIRS)) {
  const subjects = { alone: await pair.alone(server.port), pooled: await pair.pooled(server.port) }
  for (const [callers, commands] of Object.entries(COMMANDS)) {
    const figures: Record<(typeof SIDES)[number], Figures[]> = { alone: [], pooled: [] }
    for (const side of SIDES) await load(subjects[side], Number(callers), commands * 2)
    for (let round = 0; round < rounds; round++) {
      // The other one begins every round, so that whatever else the machine does hits both alike.
      for (const side of round % 2 === 0 ? SIDES : [...SIDES].reverse())
        figures[side].push(await load(subjects[side], Number(callers), commands))
    }
    results[`${name}, ${callers} ${callers === '1' ? 'caller' : 'callers'}`] = figures
    process.stderr.write('.')
  }
  blocking[name] = { alone: await besideBlocking(subjects.alone), pooled: await besideBlocking(subjects.pooled) }
  await Promise.all(Object.values(subjects).map((subject) => subject.close()))
}
process.stderr.write('\n')

const ratio = (figures: Record<(typeof SIDES)[number], Figures[]>, key: keyof Figures): string => {
  const ratios = figures.pooled.map((own, round) => own[key] / (figures.alone[round] as Figures)[key])
  const [low, high] = medianInterval(ratios)
  return `${median(ratios).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`
}
const figure = (figures: readonly Figures[], key: keyof Figures, digits: number): string =>
  median(figures.map((each) => each[key])).toFixed(digits)
const both = (figures: Record<(typeof SIDES)[number], Figures[]>, key: keyof Figures, digits: number): string =>
  `${figure(figures.alone, key, digits)} → ${figure(figures.pooled, key, digits)}`

const commands = [
  '| driver alone → Millpond on it | commands/s | × | client CPU µs/command | × | p50 ms | p99 ms |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
  ...Object.entries(results).map(
    ([name, each]) =>
      `| ${name} | ${both(each, 'perSecond', 0)} | ${ratio(each, 'perSecond')} | ${both(each, 'cpuMicros', 1)} | ${ratio(each, 'cpuMicros')} | ${both(each, 'p50', 2)} | ${both(each, 'p99', 2)} |`,
  ),
].join('\n')
const waits = [
  '| a GET beside a BLPOP that waits 200 ms, again and again | p50 ms | p99 ms |',
  '| --- | ---: | ---: |',
  ...Object.entries(blocking).map(
    ([name, { alone, pooled }]) =>
      `| ${name} | ${alone.p50.toFixed(2)} → ${pooled.p50.toFixed(2)} | ${alone.p99.toFixed(2)} → ${pooled.p99.toFixed(2)} |`,
  ),
].join('\n')
const when = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores, load ${loadavg()
  .map((each) => each.toFixed(1))
  .join(
    ' / ',
  )} at the end; medians of ${rounds} interleaved rounds, ratios of pairs with the 95 % bootstrap interval of their median.`

writeFileSync(here('../results/redis.json'), `${JSON.stringify({ when, results, blocking }, undefined, 1)}\n`)
const readme = here('./README.md')
const [head] = readFileSync(readme, 'utf8').split('<!-- tables -->')
writeFileSync(readme, `${head}<!-- tables -->\n\n${when}\n\n${commands}\n\n${waits}\n`)
console.log(`${commands}\n\n${waits}`)
