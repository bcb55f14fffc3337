import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { figure, table, writeSection } from './report.mjs'
import { circumstances } from './rounds.mjs'
import { median, medianInterval } from './statistics.mjs'

/**
 * @typedef {import('./block.mjs').Figures} Figures
 * @typedef {import('./block.mjs').Client} Client
 * @typedef {{ ours: Figures, theirs: Figures }} Round
 * @typedef {object} Results what was measured of each pair, and on what machine; rounds by the number of callers
 * @property {Record<string, { date: string, node: string, cores: number, apart?: boolean, loadAverage: number[], rounds: Record<string, Round[]> }>} pairs
 * @typedef {object} Pair
 * @property {(target: any) => Client | Promise<Client>} ours
 * @property {(target: any) => Client | Promise<Client>} theirs what it is in place of
 * @property {readonly number[]} callers
 * @property {number} operations of one block
 */

const PROGRAM = fileURLToPath(new URL('side.mjs', import.meta.url))

/**
 * A benchmark of pairs: measures, writes the raw figures to `results/<name>.json` as they come, and the table made of
 * them into the section of that name of `README.md`. Takes `--rounds N`, `--only <part of a name>`, which leaves the
 * figures of the others as they are, and `--report-only`.
 *
 * @param {object} plan
 * @param {string} plan.name
 * @param {string} plan.head of the table's first column
 * @param {string} plan.module URL of the module that exports the pairs as `PAIRS`
 * @param {Readonly<Record<string, Pair>>} plan.pairs
 * @param {(run: (target: object) => Promise<unknown>) => Promise<any>} plan.measure
 *   starts what the clients talk to, has them run on it, and gives what it has measured besides
 * @param {(besides: any) => string} [plan.more] the Markdown of what was measured besides
 */
export async function pairBench({ name, head, module, pairs, measure, more = () => '' }) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '27' },
      only: { type: 'string', default: '' },
      'report-only': { type: 'boolean', default: false },
    },
  })
  // The rig ends its servers when the process exits, not when it is killed.
  process.once('SIGTERM', () => process.exit(1))
  const file = fileURLToPath(new URL(`../results/${name}.json`, import.meta.url))
  const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  const apart = keepTo(process.pid, others)
  const keep = () => writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
  const run = async (/** @type {object} */ target) => {
    for (const [each, pair] of Object.entries(pairs)) {
      if (!each.includes(values.only)) continue
      const rounds = await runPair([module, each, JSON.stringify(target)], pair, Number(values.rounds))
      results.pairs = { ...results.pairs, [each]: { ...circumstances(), apart, rounds } }
      keep()
      process.stderr.write(`${each}\n`)
    }
  }
  if (!values['report-only']) {
    results.besides = (await measure(run)) ?? results.besides
    keep()
  }
  const text = report(Object.keys(pairs), results, head)
  const besides = results.besides === undefined ? '' : more(results.besides)
  writeSection(name, `${text}\n\n${besides}`)
  console.log(`${text}\n\n${besides}`)
}

/**
 * Blocks of each side, with each number of callers, before anything is measured: what is still being compiled is not what a
 * service runs.
 */
const WARM_UP_BLOCKS = 25

/** So often both begin anew, as what the compiler makes of the same program is not the same in every process. */
const PROCESSES = 9

const CORES = cpus().length
/** Either side runs on the last core, alone with its threads; this process, and the servers that it starts, on the others. */
const [own, others] = [`${CORES - 1}`, `0-${CORES - 2}`]

/** Keeps a process and all that it starts to these cores; false where the system cannot. */
function keepTo(/** @type {number | undefined} */ pid, /** @type {string} */ cores) {
  if (CORES === 1) return false
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, `${pid}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs one pair, in as many processes. */
async function runPair(/** @type {readonly string[]} */ args, /** @type {Pair} */ pair, /** @type {number} */ rounds) {
  /** @type {Record<string, Round[]>} */
  const results = Object.fromEntries(pair.callers.map((callers) => [callers, []]))
  for (let time = 0; time < PROCESSES; time++) {
    const [ours, theirs] = await Promise.all([startSide([...args, 'ours']), startSide([...args, 'theirs'])])
    await takeTurns({ ours, theirs }, pair, Math.ceil(rounds / PROCESSES), results, time)
    await Promise.all([ours.end(), theirs.end()])
  }
  return results
}

/**
 * Blocks in turns; which side begins changes with every round.
 *
 * @param {Readonly<Record<'ours' | 'theirs', Side>>} sides
 * @param {Pair} pair
 * @param {number} rounds
 * @param {Record<string, Round[]>} results
 * @param {number} first odd where theirs begins
 */
async function takeTurns(sides, { callers, operations }, rounds, results, first) {
  const both = async (/** @type {number} */ count, /** @type {number} */ turn) => {
    const [one, other] = /** @type {const} */ (turn % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'])
    const run = (/** @type {'ours' | 'theirs'} */ side) => sides[side].run({ callers: count, operations })
    return /** @type {Round} */ ({ [one]: await run(one), [other]: await run(other) })
  }
  for (let block = 0; block < WARM_UP_BLOCKS; block++) {
    for (const count of callers) await both(count, block)
  }
  for (const count of callers) {
    for (let round = 0; round < rounds; round++) results[count].push(await both(count, first + round))
  }
}

/**
 * @typedef {object} Side
 * @property {(block: { callers: number, operations: number }) => Promise<Figures>} run
 * @property {() => Promise<unknown>} end
 */

/**
 * A process that does nothing but what it is told to, so that one of two that take turns has the machine for itself.
 *
 * @param {readonly string[]} args
 * @returns {Promise<Side>}
 */
async function startSide(args) {
  const child = fork(PROGRAM, args, { execArgv: [] })
  keepTo(child.pid, own)
  const ended = once(child, 'exit')
  const answer = async () => {
    const [message] = await Promise.race([
      once(child, 'message'),
      ended.then(([code]) => Promise.reject(new Error(`${args.join(' ')} ended with ${code}`))),
    ])
    return message
  }
  await answer()
  return {
    run(block) {
      child.send(block)
      return answer()
    },
    end() {
      child.send({ callers: 0, operations: 0 })
      return ended
    },
  }
}

/**
 * The Markdown of what was measured.
 *
 * @param {readonly string[]} names
 * @param {Results} results
 * @param {string} head
 */
function report(names, { pairs }, head) {
  const measured = names.filter((name) => name in pairs)
  const rows = measured.flatMap((name) =>
    Object.entries(pairs[name].rounds).map(([callers, rounds]) => {
      const both = (/** @type {keyof Figures} */ key) =>
        [rounds.map(({ theirs }) => theirs[key]), rounds.map(({ ours }) => ours[key])]
          .map((each) => figure(median(each)))
          .join(' → ')
      const ratio = withInterval(rounds.map(({ ours, theirs }) => ours.cpuMicros / theirs.cpuMicros))
      return [name, callers, both('cpuMicros'), ratio, both('perSecond'), both('p50'), both('p99')]
    }),
  )
  const [{ date, node, cores, apart, rounds: first }] = measured.map((name) => pairs[name])
  const loads = measured.map((name) => pairs[name].loadAverage[0])
  const count = Object.values(first)[0].length
  return [
    `${date.slice(0, 10)}, Node ${node}, ${cores} cores ${apart ? 'of which the client has one' : 'shared with the server'}, load ${Math.min(...loads)} to ${Math.max(...loads)}; medians of ${count} rounds.`,
    table([head, 'callers', 'client CPU, µs', 'ratio (95 %)', 'a second', 'p50, ms', 'p99, ms'], rows),
  ].join('\n\n')
}

/** The median and its 95 % bootstrap interval. */
export function withInterval(/** @type {number[]} */ values) {
  const [low = NaN, high = NaN] = medianInterval(values)
  return `${median(values).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`
}
