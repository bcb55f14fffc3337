import { execFileSync } from 'node:child_process'
import { cpSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, parse } from 'node:path'
import { isHidden, isRoot, NOBODY } from './child.ts'
import { NotInstalledError } from './not-installed.ts'

export type PostgresMajor = 16 | 18
export const POSTGRES_MAJORS = [18, 16] as const satisfies readonly PostgresMajor[]

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/** The folder of the npm package that carries PostgreSQL for this platform. */
function packageFolder(major: PostgresMajor): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `pg${major}-${platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  for (const folder of isHidden('postgres') ? [] : (require.resolve.paths(name) ?? [])) {
    if (existsSync(join(folder, name, 'package.json'))) return join(folder, name)
  }
  throw new NotInstalledError(
    `PostgreSQL ${major} for ${platform}-${process.arch} is not installed (npm package ${name}); run npm install`,
  )
}

/** The package links its libraries in an install script, which some installs leave out. */
function healLinks(folder: string): void {
  if (process.platform === 'win32') return
  execFileSync(process.execPath, [join(folder, 'scripts', 'hydrate-symlinks.js')], { cwd: folder, stdio: 'ignore' })
}

function works(postgres: string, asNobody: boolean): boolean {
  try {
    execFileSync(postgres, ['--version'], { stdio: 'ignore', ...(asNobody ? NOBODY : {}), cwd: parse(postgres).root })
    return true
  } catch {
    return false
  }
}

function programsIn(folder: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return { initdb: join(folder, 'bin', `initdb${suffix}`), postgres: join(folder, 'bin', `postgres${suffix}`) }
}

/**
 * The programs that npm installed.
 * @throws {NotInstalledError} where there are none for this platform; an error where they do not run
 */
export function checkPostgres(major: PostgresMajor): PostgresBinaries {
  const folder = packageFolder(major)
  const found = programsIn(join(folder, 'native'))
  if (!works(found.postgres, false)) healLinks(folder)
  if (!works(found.postgres, false))
    throw new Error(`PostgreSQL ${major} does not start from its npm package in ${dirname(folder)}`)
  return found
}

/**
 * The programs of one major version. PostgreSQL refuses to run as root, so for root they must work as `nobody`; where
 * that user may not go (a checkout below a private home), they are copied into the server's own folder.
 */
export function findPostgres(major: PostgresMajor, serverFolder: string): PostgresBinaries {
  const found = checkPostgres(major)
  if (!isRoot || works(found.postgres, true)) return found
  const copy = join(serverFolder, 'native')
  cpSync(join(packageFolder(major), 'native'), copy, { recursive: true, verbatimSymlinks: true })
  return programsIn(copy)
}
