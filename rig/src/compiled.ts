import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const sources = fileURLToPath(new URL('.', import.meta.url))
/** Beside the sources, so that what they find by their own place, and packages, are found from here too. */
const folder = fileURLToPath(new URL('../dist/', import.meta.url))

/**
 * The file of a program of this folder, as Node runs it. A suite starts its programs a hundred times, each of which would
 * be compiled while it starts: it is done once instead, and again when a source has changed.
 */
export function compiled(program: string): string {
  const changedAt = Math.max(...sourceFiles().map((file) => statSync(file).mtimeMs))
  const name = program.replace(/\.ts$/, '').replaceAll('/', '-')
  const file = join(folder, `${name}.${Math.round(changedAt)}.js`)
  if (existsSync(file)) return file
  // By another name first: others may do the same at this moment, and must not start half a program.
  const draft = `${file}.${process.pid}`
  buildSync({
    entryPoints: [join(sources, program)],
    outfile: draft,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    logLevel: 'warning',
  })
  renameSync(draft, file)
  for (const other of readdirSync(folder)) {
    if (other.startsWith(`${name}.`) && join(folder, other) < file) rmSync(join(folder, other), { force: true })
  }
  return file
}

function sourceFiles(): string[] {
  const names = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(sources, name))
}
