/** npm run bench:grpc -- --rounds 5: makes bench/results/grpc.json and the tables of bench/grpc/README.md. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startGrpc } from '@millpond/rig'
import { SCENARIOS, SUBJECTS } from './subjects.ts'

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMicros: number
}

const run = promisify(execFile)
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const index = process.argv.indexOf('--rounds')
const rounds = index === -1 ? 5 : Number(process.argv[index + 1])
const BASE = 'one channel'

const results: Record<string, Record<string, Figures[]>> = {}
for (const [scenario, { streamLimit }] of Object.entries(SCENARIOS)) {
  await using server = await startGrpc(streamLimit === undefined ? {} : { maxConcurrentStreams: streamLimit })
  const names = Object.keys(SUBJECTS)
  const figures: Record<string, Figures[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    // Another one begins every round, so that whatever else the machine does hits all alike.
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      const args = ['--import', 'tsx', here('./child.ts'), name, scenario, server.target]
      const { stdout } = await run(process.execPath, args, { timeout: 60_000 })
      figures[name]?.push(JSON.parse(stdout) as Figures)
      process.stderr.write('.')
    }
  }
  results[scenario] = figures
}
process.stderr.write('\n')

const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN
const median = (figures: readonly Figures[], key: keyof Figures): number => middle(figures.map((each) => each[key]))

/** The 95 % bootstrap interval of the median of these ratios, from 2,000 resamplings. */
function interval(ratios: readonly number[]): readonly [number, number] {
  const medians = Array.from({ length: 2_000 }, () =>
    middle(ratios.map(() => ratios[Math.floor(Math.random() * ratios.length)] as number)),
  ).sort((a, b) => a - b)
  return [medians[50] as number, medians[1_949] as number]
}

const tables = Object.entries(results).map(([scenario, figures]) => {
  const base = figures[BASE] as Figures[]
  const rows = Object.entries(figures).map(([name, own]) => {
    const ratios = own.map(({ perSecond }, round) => perSecond / (base[round] as Figures).perSecond)
    const [low, high] = interval(ratios)
    const ratio = name === BASE ? '1' : `${middle(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
    const figure = (key: keyof Figures, digits: number): string => median(own, key).toFixed(digits)
    return `| ${name} | ${figure('perSecond', 0)} | ${ratio} | ${figure('p50', 1)} | ${figure('p99', 1)} | ${figure('cpuMicros', 0)} |`
  })
  return [
    `### ${scenario}`,
    '',
    '| | calls/s | × one channel (95 %) | p50 ms | p99 ms | client CPU µs/call |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n')
})
const when = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores, load ${loadavg()
  .map((load) => load.toFixed(1))
  .join(' / ')} at the end; medians of ${rounds} interleaved rounds.`

writeFileSync(here('../results/grpc.json'), `${JSON.stringify({ when, results }, undefined, 1)}\n`)
const readme = here('./README.md')
const [head] = readFileSync(readme, 'utf8').split('<!-- tables -->')
writeFileSync(readme, `${head}<!-- tables -->\n\n${when}\n\n${tables.join('\n\n')}\n`)
console.log(tables.join('\n\n'))
