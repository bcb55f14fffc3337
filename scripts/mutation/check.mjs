// npm run mutation:check: which changes of the engine no test noticed, in the last `npm run mutation`, and has each a reason
// in `test/mutation-survivors/`? With `--write` it brings the rows of that run's
// files in `test/mutation.md` up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { scoreOf, survivorsOf, table } from './report.mjs'

const place = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const read = (name) => JSON.parse(readFileSync(place(name), 'utf8'))

if (!existsSync(place('coverage/mutation.json'))) {
  console.error('Expected the report of a run in coverage/mutation.json; npm run mutation makes it')
  process.exit(1)
}
const report = read('coverage/mutation.json')
const reasons = readdirSync(place('test/mutation-survivors')).flatMap((name) =>
  read(`test/mutation-survivors/${name}`).flatMap(({ survivors: explained }) =>
    explained.map((survivor) => ({ file: name.replace('.json', '.ts'), ...survivor })),
  ),
)

// The same change of the same words is one survivor, wherever in its file it stands.
const keyOf = ({ file, code, change }) => [file, code, change].join('\n')
const known = new Set(reasons.map(keyOf))
const survivors = survivorsOf(report)
const unexplained = survivors.filter((survivor) => !known.has(keyOf(survivor)))
const present = new Set(survivors.map(keyOf))
const gone = reasons.filter(
  (survivor) => report.files[`src/core/${survivor.file}`] !== undefined && !present.has(keyOf(survivor)),
)

for (const { file, line, code, change, isReached } of unexplained)
  console.log(`${file}:${line}  ${code}\n    ${change}${isReached ? '' : '  (no test goes there)'}`)
for (const { file, code, change } of gone) console.log(`${file}: survives no longer: ${code}\n    ${change}`)
const { score, detected, all } = scoreOf(Object.values(report.files))
console.log(`${detected} of ${all} noticed (${score}), ${unexplained.length} without a reason, ${gone.length} outdated`)

if (process.argv.includes('--write')) {
  const path = place('test/mutation.md')
  const [, above, before, below] = /^([^]*<!-- table -->\n)([^]*)(<!-- end -->[^]*)$/.exec(readFileSync(path, 'utf8'))
  const after = table(report, (survivor) => known.has(keyOf(survivor)), before)
  const formatted = await format(after, { ...(await resolveConfig(path)), filepath: path })
  writeFileSync(path, `${above}\n${formatted}\n${below}`)
}
process.exitCode = unexplained.length === 0 && gone.length === 0 ? 0 : 1
