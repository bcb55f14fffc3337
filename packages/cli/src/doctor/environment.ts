import { parseEnv } from 'node:util'
import { KIND_NAMES, optionsOf, rowOf } from 'millpond/config'
import type { Finding } from './finding.ts'
import type { Project } from './project.ts'

/** Variables with a value, and where they were set. */
export interface Surroundings {
  readonly name: string
  readonly variables: Readonly<Record<string, string | undefined>>
  /** The file, and the line of a variable in it; none for the process's own environment. */
  readonly file?: string
  lineOf(variable: string): number | undefined
}

/** The environments that a project is started with: its `.env` files, and the process's own. */
export function surroundingsOf(project: Project, env: Surroundings['variables']): Surroundings[] {
  const files = project.environments.map((file): Surroundings => {
    const text = project.read(file)
    const lines = text.split('\n')
    return {
      name: file,
      file,
      variables: parseEnv(text),
      lineOf: (variable) => {
        const index = lines.findIndex((line) => line.replace(/^\s*(export\s+)?/, '').startsWith(`${variable}=`))
        return index < 0 ? undefined : index + 1
      },
    }
  })
  return [...files, { name: 'the environment', variables: env, lineOf: () => undefined }]
}

/** Query parameters of PostgreSQL URLs that other programs read, and `pg` does not: each tried on `pg` itself. */
export const FOREIGN_PARAMETERS: Readonly<Record<string, string>> = {
  max: 'give `max` to the pool in code',
  pool_max: 'give `max` to the pool in code',
  poolSize: 'give `max` to the pool in code',
  connection_limit: 'it is of Prisma’s former engine; give `max` to the pool',
  pool_timeout: 'it is of Prisma’s former engine; give `connectionTimeoutMillis` to the pool',
  pgbouncer: 'it is of Prisma’s former engine; `pg` uses unnamed statements unless a query has a `name`',
  connect_timeout: 'only libpq reads it; give `connectionTimeoutMillis` to the pool',
}

/** Variables that libpq reads, and `pg` does not: each tried on `pg` itself. */
export const FOREIGN_VARIABLES: Readonly<Record<string, Pick<Finding, 'message' | 'mend'>>> = {
  PGCONNECT_TIMEOUT: {
    message: '`PGCONNECT_TIMEOUT` is read by libpq, not by `pg`: its callers wait for ever all the same.',
    mend: 'Give `connectionTimeoutMillis` to the pool in code.',
  },
}

/** Whether a project takes its pools from `loadPools`, which reads more of URLs and variables than the drivers do. */
const loadsPools = (project: Project): boolean =>
  project.sources.some((file) => /['"]millpond\/config['"]/.test(project.read(file)))

const readByMillpond = {
  parameter: (name: string): boolean =>
    optionsOf('postgres').some((option) => option !== 'url' && rowOf(option).drivers?.postgres?.includes(name)),
  variable: (name: string): boolean => Object.values(KIND_NAMES.postgres.fields).some((names) => names.includes(name)),
}

/** What the variables of a project say that its drivers do not understand, or that is dangerous. */
export function examineEnvironment(project: Project, surroundings: readonly Surroundings[]): Finding[] {
  const dependencies = project.manifest?.dependencies ?? {}
  const uses = (name: string): boolean => name in dependencies
  const findings: Finding[] = []
  let loaded: boolean | undefined
  const isLoaded = (): boolean => (loaded ??= loadsPools(project))
  for (const each of surroundings) {
    const add = (variable: string, finding: Omit<Finding, 'file' | 'line'>): void => {
      const line = each.lineOf(variable)
      const place = each.file === undefined ? {} : { file: each.file, ...(line === undefined ? {} : { line }) }
      findings.push({ ...finding, ...place })
    }
    for (const [variable, about] of Object.entries(uses('pg') ? FOREIGN_VARIABLES : {})) {
      if (each.variables[variable] === undefined || (readByMillpond.variable(variable) && isLoaded())) continue
      add(variable, { id: 'variable-ignored', severity: 'warning', ...about })
    }
    for (const [variable, text] of Object.entries(each.variables)) {
      const url = text === undefined ? undefined : connectionUrl(text)
      if (url === undefined) continue
      if (/^postgres(ql)?:$/.test(url.protocol) && uses('pg')) checkPostgres(variable, url, isLoaded, add)
      checkTransport(variable, url, each, add)
    }
  }
  return findings
}

type Add = (variable: string, finding: Omit<Finding, 'file' | 'line'>) => void

function checkPostgres(variable: string, url: URL, isLoaded: () => boolean, add: Add): void {
  for (const [parameter] of url.searchParams) {
    const mend = Object.hasOwn(FOREIGN_PARAMETERS, parameter) ? FOREIGN_PARAMETERS[parameter] : undefined
    if (mend === undefined || (readByMillpond.parameter(parameter) && isLoaded())) continue
    add(variable, {
      id: 'url-parameter-ignored',
      severity: 'warning',
      message: `\`${parameter}\` in the URL of \`${variable}\` does nothing: the pool of \`pg\` does not read it.`,
      mend: `Remove it; ${mend}.`,
    })
  }
  const mode = url.searchParams.get('sslmode')
  if (mode !== null && mode !== 'disable') {
    add(variable, {
      id: 'sslmode-replaces-ssl',
      severity: 'info',
      message: `\`sslmode=${mode}\` in the URL of \`${variable}\` replaces an \`ssl\` object given in code, with its certificates, without a word.`,
      mend: 'Say it in one place: in the URL, or in code.',
    })
  }
}

const LOCAL = /^(localhost|127(\.\d+){3}|\[?::1\]?|0\.0\.0\.0|host\.docker\.internal|[\w-]+)$/
const PRODUCTION = /^\.env\.(prod|production|live)$/

/** A password that goes over the network in the clear. Hosts without a dot are those of a compose file or a cluster. */
function checkTransport(variable: string, url: URL, { file, variables }: Surroundings, add: Add): void {
  const isProduction = variables['NODE_ENV'] === 'production' || PRODUCTION.test(file ?? '')
  if (!isProduction || url.password === '' || LOCAL.test(url.hostname)) return
  const isOff =
    (/^postgres(ql)?:$/.test(url.protocol) && ['disable', null].includes(url.searchParams.get('sslmode'))) ||
    url.protocol === 'redis:' ||
    (url.protocol === 'mongodb:' && url.searchParams.get('tls') !== 'true' && url.searchParams.get('ssl') !== 'true') ||
    (/^(mysql|mariadb):$/.test(url.protocol) && !url.searchParams.has('ssl'))
  if (!isOff) return
  add(variable, {
    id: 'tls-off',
    severity: 'warning',
    message: `The URL of \`${variable}\` asks for no TLS: password and data go to ${url.hostname} in the clear, unless the code turns TLS on.`,
    mend: TLS_ON[url.protocol] ?? 'Turn TLS on.',
  })
}

const POSTGRES_TLS = 'Add `?sslmode=verify-full`, or give `ssl` in code.'
const TLS_ON: Readonly<Record<string, string>> = {
  'postgres:': POSTGRES_TLS,
  'postgresql:': POSTGRES_TLS,
  'redis:': 'Use `rediss://`.',
  'mongodb:': 'Add `?tls=true`.',
  'mysql:': 'Give `ssl` in code.',
  'mariadb:': 'Give `ssl` in code.',
}

const SCHEMES = /^(postgres(ql)?|mysql|mariadb|mongodb(\+srv)?|rediss?):\/\//

/** A URL of a server for which there is a driver; undefined for all other text. */
export function connectionUrl(text: string): URL | undefined {
  if (!SCHEMES.test(text)) return undefined
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** A URL as it may be shown: without user and password. */
export const shownUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname === '/' ? '' : url.pathname}`
