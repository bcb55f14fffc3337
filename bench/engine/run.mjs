/**
 * `npm run bench:engine -- [--rounds N]`: the engine without I/O against the pools of the Node field. Writes the raw
 * figures to `bench/results/engine.json`, and the tables made of them into `bench/README.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { circumstances, runRounds } from '../lib/rounds.mjs'
import { writeSection } from '../lib/report.mjs'
import { tables } from './tables.mjs'
import { SUBJECTS } from './subjects.mjs'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, 'report-only': { type: 'boolean', default: false } },
})
const results = fileURLToPath(new URL('../results/engine.json', import.meta.url))

if (!values['report-only']) {
  const rounds = await runRounds({
    subjects: Object.keys(SUBJECTS),
    rounds: Number(values.rounds),
    program: fileURLToPath(new URL('child.mjs', import.meta.url)),
    args: (subject) => [subject],
  })
  writeFileSync(results, `${JSON.stringify({ circumstances: circumstances(), rounds }, null, 1)}\n`)
}
const text = tables(JSON.parse(readFileSync(results, 'utf8')))
writeSection('engine', text)
console.log(text)
process.exit(0)
