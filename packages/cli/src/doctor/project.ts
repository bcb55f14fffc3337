import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { UsageError } from '../io.ts'

/** A project on disk, as far as the doctor looks at it. */
export interface Project {
  readonly root: string
  /** Paths relative to the root, with forward slashes. */
  readonly sources: readonly string[]
  /** JSON and YAML files that may configure something, PHP files of a Laravel configuration. */
  readonly configs: readonly string[]
  /** `.env` and its variants. */
  readonly environments: readonly string[]
  readonly manifest: Manifest | undefined
  read(file: string): string
}

export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly name: string | undefined
}

const SOURCE = /\.[cm]?[jt]sx?$/
const CONFIG =
  /(^|\/)(millpond(\.[\w-]+)?\.(json|ya?ml)|docker-compose(\.[\w-]+)?\.ya?ml|compose\.ya?ml)$|(^|\/)(k8s|kubernetes|deploy|manifests|charts?|helm)\/.*\.ya?ml$|(^|\/)config\/database\.php$/
const ENVIRONMENT = /(^|\/)\.env(\.[\w-]+)*$/
const SKIPPED = new Set(['node_modules', 'dist', 'build', 'out', 'coverage', 'vendor', 'target', 'bower_components'])
const TESTS = /(^|\/)(tests?|__tests__|__mocks__|spec|e2e|fixtures?)\/|\.(test|spec|e2e)\.[cm]?[jt]sx?$/
/** What a person does not write, and nobody mends. */
const TOO_LARGE = 1_000_000

export interface ProjectOptions {
  /** Look at tests too. @defaultValue false */
  readonly includeTests?: boolean
  /** Only these files and folders, relative to the root. @defaultValue the whole project */
  readonly paths?: readonly string[]
}

/** Reads which files a project has. Hidden folders, dependencies and what is built are left out. */
export function readProject(root: string, { includeTests = false, paths = [] }: ProjectOptions = {}): Project {
  if (!existsSync(root)) throw new UsageError(`no such folder: ${root}`)
  const sources: string[] = []
  const configs: string[] = []
  const environments: string[] = []
  const see = (file: string, isNamed: boolean): void => {
    if (ENVIRONMENT.test(file)) environments.push(file)
    else if (CONFIG.test(file)) configs.push(file)
    else if (SOURCE.test(file) && !file.endsWith('.d.ts') && (isNamed || includeTests || !TESTS.test(file)))
      sources.push(file)
  }
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !SKIPPED.has(entry.name)) walk(path)
      } else if (entry.isFile() && statSync(join(root, path)).size < TOO_LARGE) see(path, false)
    }
  }
  for (const path of paths.length === 0 ? [''] : paths) {
    const absolute = join(root, path)
    if (!existsSync(absolute)) throw new UsageError(`there is no ${path} in ${root}`)
    const name = relative(root, absolute).replaceAll('\\', '/')
    if (statSync(absolute).isDirectory()) walk(name)
    else see(name, true)
  }
  const read = (file: string): string => readFileSync(join(root, file), 'utf8')
  return {
    root,
    sources: sources.sort(),
    configs: configs.sort(),
    environments: environments.sort(),
    manifest: manifestOf(root),
    read,
  }
}

function manifestOf(root: string): Manifest | undefined {
  if (!existsSync(join(root, 'package.json'))) return undefined
  try {
    const { name, dependencies, devDependencies, peerDependencies } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<string, unknown>
    const all = { ...(peerDependencies as object), ...(devDependencies as object), ...(dependencies as object) }
    return { dependencies: all, name: typeof name === 'string' ? name : undefined }
  } catch (cause) {
    throw new UsageError(`${join(root, 'package.json')} is not JSON: ${(cause as Error).message}`)
  }
}

/** The version of a package that the project has installed. */
export function installedVersion(root: string, name: string, from = ''): string | undefined {
  for (const base of from === '' ? [root] : [join(root, 'node_modules', from), root]) {
    const file = join(base, 'node_modules', name, 'package.json')
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version
  }
  // In a workspace the package lies further up.
  try {
    const found = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)
    return (JSON.parse(readFileSync(found, 'utf8')) as { version?: string }).version
  } catch {
    return undefined
  }
}
