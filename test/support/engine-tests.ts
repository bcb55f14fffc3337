/**
 * The tests of the engine that need no server, as one file for `npm run mutation`: modules are then loaded once for a
 * mutant and not once for every file. `MUTATION_TESTS` names the folders.
 */
import { readdirSync } from 'node:fs'

const folders = (process.env['MUTATION_TESTS'] ?? 'unit/core,spec,regression').split(',')
for (const folder of folders) {
  const url = new URL(`../${folder}/`, import.meta.url)
  for (const file of readdirSync(url)) {
    if (file.endsWith('.test.ts')) await import(/* @vite-ignore */ new URL(file, url).pathname)
  }
}
