import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { figure, table, writeSection } from './report.mjs'
import { circumstances } from './rounds.mjs'
import { median, medianInterval } from './statistics.mjs'

/**
 * @typedef {import('./block.mjs').Figures} Figures
 * @typedef {import('./block.mjs').Client} Client
 * @typedef {{ ours: Figures, theirs: Figures }} Round
 * @typedef {Record<string, Record<string, Round[]>>} PairResults by the pair's name, and the number of callers
 * @typedef {object} Pair
 * @property {(target: any) => Client | Promise<Client>} ours
 * @property {(target: any) => Client | Promise<Client>} theirs what it is in place of
 * @property {readonly number[]} callers
 * @property {number} operations of one block
 */

const PROGRAM = fileURLToPath(new URL('side.mjs', import.meta.url))

/**
 * A benchmark of pairs: measures, writes the raw figures to `results/<name>.json`, and the table made of them into the
 * section of that name of `README.md`. Takes `--rounds N`, `--only <part of a name>`, whose table is shown and kept
 * nowhere, and `--report-only`.
 *
 * @param {object} plan
 * @param {string} plan.name
 * @param {string} plan.head of the table's first column
 * @param {string} plan.module URL of the module that exports the pairs as `PAIRS`
 * @param {Readonly<Record<string, Pair>>} plan.pairs
 * @param {(run: (target: object) => Promise<PairResults>) => Promise<{ pairs: PairResults, besides?: any }>} plan.measure
 *   starts what the clients talk to and has them run on it
 * @param {(besides: any) => string} [plan.more] the Markdown of what was measured besides
 */
export async function pairBench({ name, head, module, pairs, measure, more = () => '' }) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '21' },
      only: { type: 'string', default: '' },
      'report-only': { type: 'boolean', default: false },
    },
  })
  const { only, rounds } = values
  const file = fileURLToPath(new URL(`../results/${name}.json`, import.meta.url))
  const results = values['report-only']
    ? JSON.parse(readFileSync(file, 'utf8'))
    : {
        ...(await measure((target) => runPairs({ module, pairs, target, rounds: Number(rounds), only }))),
        ...circumstances(),
        rounds,
      }
  const { date, node, cores, loadAverage } = results
  const text = [
    `${date.slice(0, 10)}, Node ${node}, ${cores} cores shared with the server, load ${loadAverage.join(' / ')} at the end; medians of ${results.rounds} rounds in ${PROCESSES} pairs of processes.`,
    pairTable(results.pairs, head),
    results.besides === undefined ? '' : more(results.besides),
  ].join('\n\n')
  if (only === '') {
    writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
    writeSection(name, text)
  }
  console.log(text)
}

/** How long each side runs before anything is measured: what is still being compiled is not what a service runs. */
const WARM_UP_MILLIS = 1_500

/** So often both begin anew, as what the compiler makes of the same program is not the same in every process. */
const PROCESSES = 3

/** Runs the pairs whose names contain the text. */
async function runPairs(
  /** @type {{ module: string, pairs: Readonly<Record<string, Pair>>, target: object, rounds: number, only: string }} */
  { module, pairs, target, rounds, only },
) {
  /** @type {PairResults} */
  const results = {}
  for (const [name, pair] of Object.entries(pairs)) {
    if (!name.includes(only)) continue
    results[name] = Object.fromEntries(pair.callers.map((callers) => [callers, []]))
    for (let time = 0; time < PROCESSES; time++) {
      const sides = ['ours', 'theirs'].map((side) => startSide([module, name, side, JSON.stringify(target)]))
      const [ours, theirs] = await Promise.all(sides)
      await takeTurns({ ours, theirs }, pair, Math.ceil(rounds / PROCESSES), results[name])
      await Promise.all([ours.end(), theirs.end()])
    }
    process.stderr.write(`${name}\n`)
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
 */
async function takeTurns(sides, { callers, operations }, rounds, results) {
  for (const count of callers) {
    const run = (/** @type {'ours' | 'theirs'} */ side) => sides[side].run({ callers: count, operations })
    const warmUntil = performance.now() + 2 * WARM_UP_MILLIS
    while (performance.now() < warmUntil) {
      await run('ours')
      await run('theirs')
    }
    for (let round = 0; round < rounds; round++) {
      const [first, second] = /** @type {const} */ (round % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'])
      const figures = { [first]: await run(first), [second]: await run(second) }
      results[count].push(/** @type {Round} */ (figures))
    }
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

function pairTable(/** @type {PairResults} */ results, /** @type {string} */ head) {
  const rows = Object.entries(results).flatMap(([name, byCallers]) =>
    Object.entries(byCallers).map(([callers, rounds]) => {
      const both = (/** @type {keyof Figures} */ key) =>
        [rounds.map(({ theirs }) => theirs[key]), rounds.map(({ ours }) => ours[key])]
          .map((each) => figure(median(each)))
          .join(' → ')
      const ratio = (/** @type {keyof Figures} */ key) =>
        withInterval(rounds.map(({ ours, theirs }) => ours[key] / theirs[key]))
      return [name, callers, both('cpuMicros'), ratio('cpuMicros'), both('perSecond'), both('p50'), both('p99')]
    }),
  )
  return table([head, 'callers', 'client CPU, µs', 'ratio (95 %)', 'a second', 'p50, ms', 'p99, ms'], rows)
}

/** The median and its 95 % bootstrap interval. */
function withInterval(/** @type {number[]} */ values) {
  const [low = NaN, high = NaN] = medianInterval(values)
  return `${median(values).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`
}
