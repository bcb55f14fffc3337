import { readFileSync } from 'node:fs'
import { nearestName } from '../core/option-check.ts'
import { configError } from './pool-config.ts'
import type { ConfigIssue } from './settings.ts'

/** Turns the text of a file into what it says; for YAML, `YAML.parse` of the `yaml` package. */
export type ParseFile = (text: string) => unknown

export type PoolEntries = Readonly<Record<string, unknown>>

const TOP_KEYS = ['pools', '$schema'] as const

/**
 * Reads the pools of a file: `{ "pools": { "orders": { "kind": "postgres", "max": 20, "idleTimeout": "30s" } } }`.
 * @throws {OptionError} when it cannot be read, is no JSON (or what `parse` takes), or has unknown keys
 */
export function readConfigFile(path: string, parse: ParseFile = parseJson): PoolEntries {
  return poolsIn(parsed(path, textOf(path), parse), path)
}

export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw fileError(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}

export function parsed(path: string, text: string, parse: ParseFile = parseJson): unknown {
  try {
    return parse(text)
  } catch (error) {
    // Parsers quote what they did not understand, which may be a password: a position says as much.
    const { message } = error as Error
    const place = /(?:line \d+,? ?(?:column|col)? ?\d*|position \d+)/i.exec(message)?.[0]
    throw fileError(path, `cannot be parsed${place === undefined ? '' : `, at ${place}`}${yamlHint(path, parse)}`)
  }
}

function yamlHint(path: string, parse: ParseFile): string {
  return parse === parseJson && /\.ya?ml$/i.test(path)
    ? '; it is read as JSON: hand in `parse: YAML.parse` of the package `yaml`'
    : ''
}

export const parseJson: ParseFile = (text) => JSON.parse(text) as unknown

/** The pools in the content of a file. @throws {OptionError} when it has another shape */
export function poolsIn(content: unknown, path: string): PoolEntries {
  if (!isObject(content)) throw fileError(path, 'is to be an object with the key `pools`')
  const issues: ConfigIssue[] = []
  for (const key of Object.keys(content)) {
    if ((TOP_KEYS as readonly string[]).includes(key)) continue
    const nearest = nearestName(key, TOP_KEYS)
    issues.push({
      path: [key],
      message: `Unknown key \`${key}\`${nearest === undefined ? '; pools stand under `pools`' : `; did you mean \`${nearest}\`?`}`,
    })
  }
  const pools = content['pools'] ?? {}
  if (!isObject(pools))
    issues.push({
      path: ['pools'],
      message: 'Expected `pools` to be an object: the name of each pool, and its options',
    })
  if (issues.length > 0) throw configError(path, issues)
  return pools as PoolEntries
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fileError(path: string, what: string): Error {
  return configError(path, [{ path: ['file'], message: `The file ${path} ${what}` }])
}
