/**
 * `npm run bench:mysql -- [--rounds N] [--scenario query] [--subject promise]`: queries against mysql2's own pools at equal connections, on MariaDB. Writes the
 * raw figures to `bench/results/mysql.json`, and the tables made of them into `bench/README.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import mysql from 'mysql2/promise'
import { startMariaDb } from '@millpond/rig'
import { writeSection } from '../lib/report.mjs'
import { circumstances, runRounds } from '../lib/rounds.mjs'
import { SUBJECTS } from './subjects.mjs'
import { tables } from './tables.mjs'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    scenario: { type: 'string', default: '' },
    subject: { type: 'string', default: '' },
    'report-only': { type: 'boolean', default: false },
  },
})
const results = fileURLToPath(new URL('../results/mysql.json', import.meta.url))

if (!values['report-only']) {
  await using server = await startMariaDb()
  const setup = await mysql.createConnection(server.config)
  await setup.query('CREATE TABLE bench_items (id int PRIMARY KEY, name varchar(50)) ENGINE=InnoDB')
  await setup.query("INSERT INTO bench_items SELECT seq, CONCAT('item ', seq) FROM seq_0_to_999")
  await setup.end()
  const rounds = await runRounds({
    subjects: Object.keys(SUBJECTS).filter((name) => name.includes(values.subject)),
    rounds: Number(values.rounds),
    program: fileURLToPath(new URL('child.mjs', import.meta.url)),
    args: (subject: string) => [subject, JSON.stringify(server.config), values.scenario],
  })
  writeFileSync(results, `${JSON.stringify({ circumstances: circumstances(), rounds }, null, 1)}\n`)
}
const text = tables(JSON.parse(readFileSync(results, 'utf8')) as Parameters<typeof tables>[0])
writeSection('mysql', text)
console.log(text)
process.exit(0)
