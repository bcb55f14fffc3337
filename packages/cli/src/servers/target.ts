import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { connectionUrl, shownUrl, type Surroundings } from '../doctor/environment.ts'
import { UsageError } from '../io.ts'

export type ServerKind = 'postgres' | 'mysql' | 'mongodb' | 'redis'

/** A server that may be asked. The URL is a secret; `shown` is what goes to the screen. */
export interface Target {
  readonly kind: ServerKind
  readonly url: string
  readonly shown: string
  /** The variable that named it; undefined when it was given by hand. */
  readonly variable?: string
}

/** How long a server may take to answer anything. */
export const SERVER_TIMEOUT_MILLIS = 5_000

const KINDS: readonly (readonly [RegExp, ServerKind])[] = [
  [/^postgres(ql)?:/, 'postgres'],
  [/^(mysql|mariadb):/, 'mysql'],
  [/^mongodb(\+srv)?:/, 'mongodb'],
  [/^rediss?:/, 'redis'],
]

/** @throws {UsageError} on a text that is no URL of a server that is known */
export function targetOf(text: string, variable?: string): Target {
  const url = connectionUrl(text)
  const kind = KINDS.find(([scheme]) => scheme.test(text))?.[1]
  if (url === undefined || kind === undefined)
    throw new UsageError(
      'a server is given as a URL: postgres://, mysql://, mongodb:// or redis://, with host and port',
    )
  return { kind, url: text, shown: shownUrl(url), ...(variable === undefined ? {} : { variable }) }
}

/** The servers that the variables of a project name, each once. */
export function targetsIn(surroundings: readonly Surroundings[]): Target[] {
  const found = new Map<string, Target>()
  // What the process has been given comes after the files, and wins.
  for (const { variables } of surroundings) {
    for (const [variable, text] of Object.entries(variables)) {
      if (text !== undefined && connectionUrl(text) !== undefined) found.set(text, targetOf(text, variable))
    }
  }
  return [...found.values()]
}

const DRIVERS: Readonly<Record<ServerKind, readonly string[]>> = {
  postgres: ['pg'],
  mysql: ['mysql2'],
  mongodb: ['mongodb', 'mongoose'],
  redis: ['ioredis', 'redis'],
}

/** A driver of the project, and its name. The command line brings none of its own. */
export async function loadDriver(
  root: string,
  kind: ServerKind,
): Promise<{ readonly name: string; readonly module: Readonly<Record<string, unknown>> }> {
  const require = createRequire(join(root, 'package.json'))
  for (const name of DRIVERS[kind]) {
    let path: string
    try {
      path = require.resolve(name)
    } catch {
      continue
    }
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>
    // CommonJS packages have everything in their default export.
    return { name, module: { ...(module['default'] as object | undefined), ...module } }
  }
  throw new UsageError(`asking a ${kind} server takes the project's own driver: npm install ${DRIVERS[kind][0] ?? ''}`)
}
