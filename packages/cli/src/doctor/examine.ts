import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { targetOf, targetsIn, type Target } from '../servers/target.ts'
import { examineSizes } from './bounds.ts'
import { examineConfigs } from './config-files.ts'
import { examineEnvironment, surroundingsOf, type Surroundings } from './environment.ts'
import { sortFindings, type Finding } from './finding.ts'
import { driverVersions, examinePackages } from './packages.ts'
import { readProject } from './project.ts'
import { examineServers, type PoolInFile } from './servers.ts'
import { examineSource } from './source.ts'

export interface ExamineOptions {
  /** The folder of the project. */
  readonly root: string
  /** @defaultValue `process.env` */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Only these files and folders. @defaultValue all */
  readonly paths?: readonly string[]
  /** @defaultValue false */
  readonly includeTests?: boolean
  /** Mend what is mechanical, on disk. @defaultValue false */
  readonly fix?: boolean
  /** Ask the servers that the environment and `.env` files name. @defaultValue false: none of them hears of it */
  readonly connect?: boolean
  /** Ask these servers, whatever `connect` says. @defaultValue none */
  readonly urls?: readonly string[]
  /** How many copies of the program run. @defaultValue what the deployment's files say, else 1 */
  readonly instances?: number
  /** After how long the network forgets a silent connection. @defaultValue Infinity */
  readonly natTimeoutMillis?: number
  /** Told what is being done. */
  readonly progress?: (text: string) => void
}

export interface Examination {
  readonly root: string
  readonly findings: readonly Finding[]
  readonly pools: readonly PoolInFile[]
  readonly files: number
  /** Files that were mended. */
  readonly fixed: readonly string[]
  readonly asked: readonly string[]
  readonly unreachable: number
}

/** Those that were given by hand, and those that the surroundings name besides. */
function targetsOf(urls: readonly string[], surroundings: readonly Surroundings[]): Target[] {
  const given = [...new Set(urls)].map((url) => targetOf(url))
  return [...targetsIn(surroundings).filter(({ url }) => !urls.includes(url)), ...given]
}

/**
 * Looks at a project: source, packages, configuration files, environment, and the servers when they may be asked.
 *
 * @throws {UsageError} on a folder or a URL that cannot be used
 */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const { root, env = process.env, fix = false, connect = false, urls = [], progress = () => undefined } = options
  const project = readProject(root, options)
  const findings: Finding[] = []
  const pools: PoolInFile[] = []
  const fixed: string[] = []
  const versions = driverVersions(root)
  for (const [index, file] of project.sources.entries()) {
    if (index % 20 === 0) progress(`reading ${index} of ${project.sources.length} files`)
    const report = examineSource(file, project.read(file), { fix, versions })
    findings.push(...report.findings)
    pools.push(...report.pools.map((pool) => ({ ...pool, file })))
    if (report.fixed !== undefined) {
      writeFileSync(join(root, file), report.fixed)
      fixed.push(file)
    }
  }
  findings.push(...examineSizes(pools, findings))
  const surroundings = surroundingsOf(project, env)
  const configs = examineConfigs(project, env)
  findings.push(...configs.findings, ...examineEnvironment(project, surroundings))
  // Who names some files does not ask for the packages of all.
  if ((options.paths ?? []).length === 0) findings.push(...examinePackages(project))
  const targets = targetsOf(urls, connect ? surroundings : [])
  const replicas = configs.replicas.toSorted((a, b) => b.count - a.count)[0]
  const servers = await examineServers(
    root,
    targets,
    {
      pools,
      instances: options.instances ?? replicas?.count ?? 1,
      instancesNote:
        options.instances !== undefined
          ? 'as given'
          : replicas === undefined
            ? 'one, as nothing says otherwise (`--instances`)'
            : `${replicas.file}:${replicas.line}`,
      natTimeoutMillis: options.natTimeoutMillis ?? Infinity,
    },
    progress,
  )
  findings.push(...servers.findings)
  return {
    root,
    findings: sortFindings(findings),
    pools,
    files: project.sources.length + project.configs.length + project.environments.length,
    fixed,
    asked: targets.map(({ shown }) => shown),
    unreachable: servers.unreachable,
  }
}
