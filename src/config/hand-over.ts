import { inspect } from 'node:util'
import { formatConnectionUrl, maskUrl, parseConnectionUrl, type ConnectionUrl } from './connection-url.ts'
import { optionOfQuery } from './gather.ts'
import { KIND_NAMES, type Field, type Kind } from './kinds.ts'
import { optionsOf, rowOf, type OptionName } from './option-table.ts'
import type { Setting } from './settings.ts'
import type { Value } from './values.ts'

type Settings = ReadonlyMap<OptionName, Setting>

const FIELDS = ['host', 'port', 'user', 'password', 'database'] as const satisfies readonly Field[]

/**
 * What the adapter is told: only what somebody has set, so that its driver's defaults hold where nobody has. Drivers
 * do not agree on whether a URL or an option wins; here every part has been decided before, and each is said once.
 */
export function adapterOptions(
  name: string,
  kind: Kind,
  settings: Settings,
  driver: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const options: Record<string, unknown> = {
    [kind === 'redis' ? 'poolName' : 'name']: name,
    ...address(kind, settings, driver),
  }
  for (const option of optionsOf(kind)) {
    const { group, as } = rowOf(option)
    const setting = settings.get(option)
    if (group !== 'connection' && isSet(setting)) options[as?.[kind] ?? option] = setting.value
  }
  const applicationName = settings.get('applicationName')
  if (isSet(applicationName)) options[rowOf('applicationName').as?.[kind] ?? 'applicationName'] = applicationName.value
  return withoutSecrets({ ...options, ...driver })
}

function isSet(setting: Setting | undefined): setting is Setting {
  return setting?.value !== undefined && setting.source.from !== 'default'
}

function address(kind: Kind, settings: Settings, driver: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const url = settings.get('url')?.value as string | undefined
  const key = rowOf('url').as?.[kind] ?? 'url'
  const parts = url === undefined ? undefined : parseConnectionUrl(url)
  if (kind === 'http' || kind === 'grpc' || typeof parts === 'string') return url === undefined ? {} : { [key]: url }
  const takesFields = kind === 'postgres' || kind === 'mysql'
  // What a password function of pg answers is overwritten by a URL, also by one without a password.
  if (takesFields && (parts === undefined || (kind === 'postgres' && typeof driver['password'] === 'function')))
    return { ...Object.fromEntries(foreignQuery(kind, parts?.query)), ...fieldsOf(settings), ...sslOf(settings) }
  if (parts === undefined && !FIELDS.some((field) => isSet(settings.get(field)))) return {}
  return { [key]: formatConnectionUrl(merged(kind, parts, settings)) }
}

function fieldsOf(settings: Settings): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const field of FIELDS) {
    const setting = settings.get(field)
    if (isSet(setting)) fields[field] = setting.value
  }
  return fields
}

/** What pg makes of `sslmode`. */
function sslOf(settings: Settings): { ssl?: boolean | { rejectUnauthorized: boolean } } {
  const mode = settings.get('sslMode')?.value
  if (mode === undefined) return {}
  return { ssl: mode === 'no-verify' ? { rejectUnauthorized: false } : mode !== 'disable' }
}

/** The connection string with every part as it was decided. */
function merged(kind: Kind, parts: ConnectionUrl | undefined, settings: Settings): ConnectionUrl {
  const field = (name: Field): Value | undefined => settings.get(name)?.value
  const scheme = parts?.scheme ?? KIND_NAMES[kind].schemes[0] ?? kind
  const query = new URLSearchParams(foreignQuery(kind, parts?.query))
  const sslMode = settings.get('sslMode')?.value
  if (sslMode !== undefined) query.set('sslmode', String(sslMode))
  return {
    // The drivers know these servers by the names of those they came from.
    scheme: scheme.replace(/^valkey/, 'redis').replace(/^mariadb$/, 'mysql'),
    user: field('user') as string | undefined,
    password: field('password') as string | undefined,
    host: field('host') as string | undefined,
    port: field('port') as number | undefined,
    database: field('database') as string | undefined,
    query: query.size === 0 ? undefined : query.toString(),
  }
}

/** What the query says to the driver alone, in its order; the rest is among the options. MongoDB's may say one thing several times. */
function foreignQuery(kind: Kind, query: string | undefined): [name: string, value: string][] {
  return [...new URLSearchParams(query ?? '')].filter(([name]) => optionOfQuery(kind, name) === undefined)
}

/** The options as they are, but not as they are shown: spreading and driving see the secrets, printing does not. */
function withoutSecrets(options: Record<string, unknown>): Record<string, unknown> {
  const shown = (): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(options).map(([key, value]) => [
        key,
        key === 'password' ? '***' : typeof value === 'string' ? maskUrl(value) : value,
      ]),
    )
  return Object.defineProperties(options, {
    [inspect.custom]: { value: shown, enumerable: false },
    toJSON: { value: shown, enumerable: false },
  })
}
