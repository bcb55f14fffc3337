// Before `npm run mutation`: the engine, mutated, and its tests that need no server as one file, `coverage/engine.test.cjs`,
// which the runner beside this loads anew in milliseconds where a mutant has left it in disorder.
import { build } from 'esbuild'
import { readdirSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { doors } from '../doors.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Also `property`: random histories, which take a minute for each mutant that nothing else notices.
const FOLDERS = (
  process.env['MUTATION_TESTS'] ?? 'unit/core,unit/registry,unit/health,unit/monitoring,unit/testing,spec,regression'
).split(',')
// Random histories that are the same ones for every mutant, and need not be made short where one fails.
const SAME_EVERY_TIME = `import fc from 'fast-check'; fc.configureGlobal({ seed: 11, endOnFailure: true })`
const tests = FOLDERS.flatMap((folder) =>
  readdirSync(`${root}test/${folder}`)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `./test/${folder}/${file}`),
)

await build({
  stdin: { contents: [SAME_EVERY_TIME, ...tests.map((test) => `import '${test}'`)].join('\n'), resolveDir: root },
  outfile: `${root}coverage/engine.test.cjs`,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  // package.json says that nothing has side effects; tests are nothing else.
  ignoreAnnotations: true,
  plugins: [
    {
      name: 'doors and places',
      setup({ onResolve, onLoad }) {
        for (const [door, source] of Object.entries(doors()))
          onResolve({ filter: new RegExp(`^${door}$`) }, () => ({ path: source }))
        onLoad({ filter: /\.ts$/ }, ({ path }) => ({ contents: placed(path), loader: 'ts' }))
      },
    },
  ],
})

/** Each file keeps its own place, since some tests read what lies beside them, and a test file's hooks are its own. */
function placed(path) {
  const text = readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
  const name = relative(`${root}test`, path)
  if (name.startsWith('..')) return text
  const file = path.endsWith('.test.ts') ? name : ''
  return `import { inFile as inFile__ } from 'vitest'; inFile__('${file}'); ${text}`
}
