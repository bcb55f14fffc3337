// npm run coverage: every line and branch of the engine runs in a test that needs no server, or has a reason why not.
// The reasons stand in test/coverage-exceptions.json, by file and line of code; one that was not needed is told of. What
// was counted goes to test/coverage.md.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const folder = mkdtempSync(join(tmpdir(), 'millpond-coverage-'))
const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--coverage.enabled',
    `--coverage.reportsDirectory=${folder}`,
    '--coverage.reporter=json',
    '--reporter=dot',
    ...['unit', 'spec', 'property', 'regression', 'chaos/simulated'].map((name) => `test/${name}/`),
  ],
  { stdio: 'inherit' },
)
if (status !== 0) process.exit(status ?? 1)
const report = JSON.parse(readFileSync(join(folder, 'coverage-final.json'), 'utf8'))
rmSync(folder, { recursive: true, force: true })

// What adapters share is part of no pool's loop, and runs in their tests on real servers.
const ELSEWHERE = [
  'caller-context.ts',
  'drop-in.ts',
  'foreign-pool.ts',
  'ledger.ts',
  'library-shapes.ts',
  'stand-in.ts',
  'together.ts',
]
const exceptions = JSON.parse(readFileSync('test/coverage-exceptions.json', 'utf8'))
/** Of each kind: how many there are, and how many ran. */
const noCounts = () => ({ statements: [0, 0], functions: [0, 0], branches: [0, 0] })
const [counts, elsewhere] = [noCounts(), noCounts()]
const missed = []
for (const [path, { s, f, b, statementMap, fnMap, branchMap }] of Object.entries(report)) {
  const file = relative(join(root, 'src/core'), path)
  const isElsewhere = ELSEWHERE.includes(file)
  const lines = readFileSync(path, 'utf8').split('\n')
  const note = (kind, hits, line) => {
    const count = (isElsewhere ? elsewhere : counts)[kind]
    count[0]++
    if (hits > 0) count[1]++
    else if (!isElsewhere) missed.push({ file, line, code: lines[line - 1].trim() })
  }
  for (const [id, hits] of Object.entries(s)) note('statements', hits, statementMap[id].start.line)
  for (const [id, hits] of Object.entries(f)) note('functions', hits, fnMap[id].loc.start.line)
  for (const [id, each] of Object.entries(b))
    for (const [index, hits] of each.entries())
      note('branches', hits, branchMap[id].locations[index].start.line ?? branchMap[id].loc.start.line)
}

const isExcused = ({ file, code }) => exceptions.some((each) => each.file === file && each.code === code)
const open = missed.filter((each) => !isExcused(each))
const stale = exceptions.filter(({ file, code }) => !missed.some((each) => each.file === file && each.code === code))
const share = ([all, hit]) => `${hit} of ${all} (${((100 * hit) / all).toFixed(1)} %)`
const byReason = new Map()
for (const { reason } of exceptions) byReason.set(reason, (byReason.get(reason) ?? 0) + 1)
const excused = missed.length - open.length
console.log(`\nCoverage of src/core by tests without a server, without ${ELSEWHERE.join(', ')}`)
for (const [kind, count] of Object.entries(counts)) console.log(`  ${kind.padEnd(10)} ${share(count)}`)
for (const [reason, count] of byReason) console.log(`  ${String(count).padStart(2)} lines excused: ${reason}`)
console.log(`  ${missed.length} not run in all, ${excused} of them excused, ${open.length} without a reason`)
writeFileSync('test/coverage.md', page())
for (const { file, line, code } of open) console.log(`    ${file}:${line}  ${code}`)
for (const { file, code } of stale) console.log(`  an exception that was not needed this time: ${file}  ${code}`)
process.exit(open.length > 0 ? 1 : 0)

function page() {
  const rows = Object.keys(counts).map((kind) => `| ${kind} | ${share(counts[kind])} | ${share(elsewhere[kind])} |`)
  const reasons = [...byReason].sort(([, a], [, b]) => b - a).map(([reason, count]) => `| ${count} | ${reason} |`)
  return `# Which lines of the engine run

Written by \`npm run coverage\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}: the tests of \`src/core\` that need no server. It is
not a part of \`npm test\`, which runs the same tests without counting.

| | the engine | the ${ELSEWHERE.length} files that only adapters use |
| --- | ---: | ---: |
${rows.join('\n')}

Of the engine ${missed.length} statements, functions and branches did not run: ${excused} stand with their reason in
[the list of exceptions](coverage-exceptions.json), ${open.length} have none. The second column fails nobody: ${ELSEWHERE.map((file) => `\`${file}\``).join(', ')}
run in the tests of the adapters on real servers, which are not counted here.

| lines excused | why |
| ---: | --- |
${reasons.join('\n')}
`
}
