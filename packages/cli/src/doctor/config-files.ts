import { parseAllDocuments, LineCounter, isScalar, visit, type Document } from 'yaml'
import { readConfigFile, poolConfig } from 'millpond/config'
import { examineConfigured } from './bounds.ts'
import type { Finding } from './finding.ts'
import type { Project } from './project.ts'

/** How many copies of a program a deployment starts, and where it says so. */
export interface Replicas {
  readonly file: string
  readonly line: number
  readonly count: number
}

export interface ConfigReport {
  readonly findings: readonly Finding[]
  readonly replicas: readonly Replicas[]
}

/** What the configuration files of a project say: pools of Millpond, replicas of deployments, Laravel's connections. */
export function examineConfigs(project: Project, env: Readonly<Record<string, string | undefined>>): ConfigReport {
  const findings: Finding[] = []
  const replicas: Replicas[] = []
  for (const file of project.configs) {
    const text = project.read(file)
    if (file.endsWith('.php')) findings.push(...examineLaravel(file, text))
    else if (/(^|\/)millpond/.test(file)) findings.push(...examineMillpond(project.root, file, text, env))
    else replicas.push(...replicasIn(file, text))
  }
  return { findings, replicas }
}

/** Keys of tutorials that PDO has never heard of: PHP ends its connections with the request, or keeps one per worker. */
export const LARAVEL_KEYS =
  /^\s*['"](pool|pool_\w+|min_connections|max_connections|connection_limit|idle_timeout|wait_timeout|acquire_timeout)['"]\s*=>/

function examineLaravel(file: string, text: string): Finding[] {
  return text.split('\n').flatMap((line, index): Finding[] => {
    const option = LARAVEL_KEYS.exec(line)?.[1]
    if (option === undefined) return []
    return [
      {
        id: 'laravel-pool-ignored',
        severity: 'warning',
        file,
        line: index + 1,
        message: `\`${option}\` does nothing: Laravel hands its connections to PDO, which has no pool. Every PHP worker has one connection of its own.`,
        mend: 'Remove it, and put a pooler such as PgBouncer in front of the server.',
      },
    ]
  })
}

function examineMillpond(
  root: string,
  file: string,
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Finding[] {
  const lines = new LineCounter()
  let entries: Readonly<Record<string, unknown>>
  try {
    entries = readConfigFile(
      `${root}/${file}`,
      (content) =>
        parseAllDocuments(content, { lineCounter: lines }).map((each) => (each as Document).toJS() as unknown)[0],
    )
  } catch (error) {
    return [{ id: 'config-invalid', severity: 'error', file, message: (error as Error).message }]
  }
  return Object.entries(entries).flatMap(([name, settings]): Finding[] => {
    try {
      const config = poolConfig({ name, env, file: { name: file, settings } })
      const place = { file, line: lineOfKey(text, name) }
      const notices = config.notices.map(({ message }): Finding => ({
        id: 'config-notice',
        severity: 'info',
        ...place,
        message,
      }))
      const { preset } = settings as { readonly preset?: unknown }
      return [...notices, ...examineConfigured(config, preset).map((each) => ({ ...each, ...place }))]
    } catch (error) {
      return [
        {
          id: 'config-invalid',
          severity: 'error',
          file,
          line: lineOfKey(text, name),
          message: (error as Error).message,
        },
      ]
    }
  })
}

function lineOfKey(text: string, key: string): number {
  const index = text.split('\n').findIndex((line) => new RegExp(`^\\s*["']?${key}["']?\\s*:`).test(line))
  return index < 0 ? 1 : index + 1
}

/** `replicas: 4` of a Kubernetes deployment or of a compose service. Templates of Helm are no YAML yet and say nothing. */
export function replicasIn(file: string, text: string): Replicas[] {
  const lineCounter = new LineCounter()
  const found: Replicas[] = []
  let documents: readonly Document[]
  try {
    documents = parseAllDocuments(text, { lineCounter })
  } catch {
    return []
  }
  for (const document of documents) {
    if (document.errors.length > 0) continue
    visit(document, {
      Pair(_, pair) {
        if (!isScalar(pair.key) || !/^(replicas|maxReplicas)$/.test(String(pair.key.value)) || !isScalar(pair.value))
          return
        const count = Number(pair.value.value)
        const at = pair.key.range?.[0]
        if (Number.isInteger(count) && count > 0 && at !== undefined)
          found.push({ file, line: lineCounter.linePos(at).line, count })
      },
    })
  }
  return found
}
