/** A connection string in its parts, decoded. `host` is a list where the string names several servers. */
export interface ConnectionUrl {
  readonly scheme: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly database: string | undefined
  /** What stands behind the `?`, as it was written. */
  readonly query: string | undefined
}

// Not WHATWG's `URL`: it knows neither several hosts (mongodb, libpq) nor an empty one (sockets), and quotes passwords.
const SHAPE = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?]*)@)?([^/?@]*)(?:\/([^?@]*))?(?:\?(.*))?$/i

const SECRET_KEY = /pass|secret|token|key|authmechanismproperties/i

/** Says why a text is no connection string, without quoting it: it may hold a password. */
function complain(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return 'it does not begin with `scheme://`'
  if (/\s/.test(text)) return 'it has a space; write it as `%20`'
  return 'its host is none; `/`, `?`, `:` and `@` in a password are written as `%2F`, `%3F`, `%3A`, `%40`'
}

/**
 * Takes a connection string apart.
 * @returns the parts, or a sentence that says what is wrong, without any of the text
 */
export function parseConnectionUrl(text: string): ConnectionUrl | string {
  if (text.includes('#')) return 'it has a `#`, where it would end; in a password write it as `%23`'
  const [, scheme, userInfo, authority = '', path, query] = /\s/.test(text) ? [] : (SHAPE.exec(text) ?? [])
  if (scheme === undefined) return complain(text)
  const [, user, password] = /^([^:]*)(?::(.*))?$/.exec(userInfo ?? '') ?? []
  const several = authority.includes(',')
  const [, host, port] = several
    ? [undefined, authority, undefined]
    : (/^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority) ?? [])
  if (host === undefined) return complain(text)
  if (Number(port) > 65_535) return `its port ${port} is above 65535`
  try {
    return {
      scheme: scheme.toLowerCase(),
      user: decoded(user),
      password: decoded(password),
      host: several ? host : decoded(host.replace(/^\[(.*)\]$/, '$1')),
      port: port === undefined || port === '' ? undefined : Number(port),
      database: decoded(path),
      query: query === '' ? undefined : query,
    }
  } catch {
    return 'it has a `%` that begins no code; write the sign itself as `%25`'
  }
}

function decoded(part: string | undefined): string | undefined {
  return part === undefined || part === '' ? undefined : decodeURIComponent(part)
}

/** Puts the parts together again. */
export function formatConnectionUrl({ scheme, user, password, host, port, database, query }: ConnectionUrl): string {
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`
  const userInfo = user === undefined && password === undefined ? '' : `${encodeURIComponent(user ?? '')}${secret}@`
  const place = host === undefined ? '' : formatHost(host)
  const path = database === undefined ? '' : `/${encodeURIComponent(database)}`
  const behind = query === undefined ? '' : `?${query}`
  return `${scheme}://${userInfo}${place}${port === undefined ? '' : `:${port}`}${path === '' && behind !== '' ? '/' : path}${behind}`
}

function formatHost(host: string): string {
  if (host.includes(',')) return host
  return host.includes(':') ? `[${host}]` : encodeURIComponent(host)
}

/** The text with `***` for its password (also one that is not encoded as it must be) and for whatever its query names like a secret. */
export function maskUrl(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:/?@]*):.*@/is, '$1:***@')
    .replace(/([?&])([^=&]+)=([^&]*)/g, (whole, sign: string, key: string) =>
      SECRET_KEY.test(key) ? `${sign}${key}=***` : whole,
    )
}
