import { Environment, type Env } from './environment.ts'
import { KIND_NAMES, kindOfUrl, type Kind } from './kinds.ts'

/** What Laravel's `DB_CONNECTION` calls them. */
const CONNECTIONS: Readonly<Record<string, Kind>> = {
  pgsql: 'postgres',
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
}

/**
 * The kinds of which the environment names a server: for programs that configure nothing but `DATABASE_URL`.
 * `DB_HOST` alone may mean PostgreSQL or MySQL: then `DB_CONNECTION`, or the port, says which.
 */
export function kindsInEnvironment(env: Env, kinds: readonly Kind[]): Kind[] {
  const environment = new Environment(env, () => '')
  const isSet = (names: readonly string[]): boolean => environment.all(names, true).length > 0
  const named = kinds.filter((kind) => {
    const { urls, fields } = KIND_NAMES[kind]
    const own = urls.filter((name) => name !== 'DATABASE_URL')
    return (
      isSet(own) ||
      kindOfUrl(env['DATABASE_URL'] ?? '') === kind ||
      isSet((fields.host ?? []).filter((name) => name !== 'DB_HOST'))
    )
  })
  if (named.some((kind) => kind === 'postgres' || kind === 'mysql') || !isSet(['DB_HOST'])) return named
  const possible = kinds.filter((kind) => KIND_NAMES[kind].fields.host?.includes('DB_HOST'))
  const said =
    CONNECTIONS[env['DB_CONNECTION'] ?? ''] ?? possible.find((kind) => String(KIND_NAMES[kind].port) === env['DB_PORT'])
  const meant = possible.length === 1 ? possible[0] : said
  return meant === undefined || !possible.includes(meant) ? named : [...named, meant]
}
