// Before `npm run mutation`: the engine, mutated, and its tests without a server as one file, `coverage/engine.test.mjs`.
// Each mutant is run by a worker of its own, which would otherwise load the engine's sixty files, and the tests', anew.
import { build } from 'esbuild'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { doors } from './doors.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = (process.env['MUTATION_TESTS'] ?? 'unit/core,spec,regression').split(',')
// They collect garbage again and again, or start processes: left out unless their own files are mutated.
const SLOW = ['abandonment.test.ts', 'mistakes.test.ts']
const takesSlow = process.env['MUTATION_SLOW'] === 'true'
const tests = folders.flatMap((folder) =>
  readdirSync(`${root}test/${folder}`)
    .filter((file) => file.endsWith('.test.ts') && (takesSlow || !SLOW.includes(file)))
    .map((file) => `./test/${folder}/${file}`),
)

await build({
  stdin: { contents: tests.map((test) => `import '${test}'`).join('\n'), resolveDir: root },
  outfile: `${root}coverage/engine.test.mjs`,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  // package.json says that nothing has side effects; tests are nothing else.
  ignoreAnnotations: true,
  sourcemap: 'inline',
  plugins: [
    {
      name: 'doors and places',
      setup({ onResolve, onLoad }) {
        for (const [door, source] of Object.entries(doors()))
          onResolve({ filter: new RegExp(`^${door}$`) }, () => ({ path: source }))
        // Each file keeps its own place: some tests read what lies beside them.
        onLoad({ filter: /\.ts$/ }, ({ path }) => ({
          contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
          loader: 'ts',
        }))
      },
    },
  ],
})
