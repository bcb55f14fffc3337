/** One subject in one scenario, or in all of them: `child.mjs SUBJECT [SCENARIO…]`; prints the figures as JSON. */
import { SCENARIOS, TIMEOUT_MILLIS } from './scenarios.mjs'
import { SUBJECTS } from './subjects.mjs'

/** Those that are no pool: nobody can wait for them. */
const POOLLESS = {
  harness: ['uncontended', 'contended 100', 'contended 1,000', 'contended 10,000', 'aborts'],
  'harness (callback)': ['uncontended', 'contended 100', 'contended 1,000', 'contended 10,000'],
  floor: ['uncontended'],
}
/** Without a timeout for those who wait. */
const TIMELESS = new Set(['mysql2 (promise)', 'mysql2 (callback)'])

const [name = '', ...wanted] = process.argv.slice(2)
const figures = {}
for (const [scenario, run] of Object.entries(SCENARIOS)) {
  if (wanted.length > 0 && !wanted.includes(scenario)) continue
  if (POOLLESS[name]?.includes(scenario) === false) continue
  if (scenario === 'timeouts' && TIMELESS.has(name)) {
    figures[scenario] = { supported: false }
    continue
  }
  const settings = scenario === 'timeouts' ? { timeoutMillis: TIMEOUT_MILLIS } : {}
  figures[scenario] = await run(await SUBJECTS[name](settings))
}
process.stdout.write(JSON.stringify(figures), () => process.exit(0))
