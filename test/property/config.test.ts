import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatConnectionUrl, parseConnectionUrl, type ConnectionUrl } from '../../src/config/connection-url.ts'
import { formatDuration, maskUrl, parseDuration, poolConfig } from 'millpond/config'
import pgConnectionString from 'pg-connection-string'

/** All that somebody sees of an answer, or of the error in its place. */
function shown(ask: () => unknown): string {
  try {
    return JSON.stringify(ask())
  } catch (error) {
    return (error as Error).message
  }
}

const millis = fc.oneof(fc.integer({ min: 0, max: 10 ** 10 }), fc.constant(Infinity))

describe('a duration', { retry: 0 }, () => {
  it('is read as it is written', () => {
    fc.assert(fc.property(millis, (value) => parseDuration(formatDuration(value)) === value))
  })

  it('is the sum of its parts, in any order and spacing', () => {
    const part = fc.tuple(
      fc.integer({ min: 0, max: 10_000 }),
      fc.constantFrom(['ms', 1], ['s', 1_000], ['m', 60_000], ['h', 3_600_000], ['d', 86_400_000] as const),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.constantFrom('', ' '), (parts, gap) => {
        const text = parts.map(([count, [unit]]) => `${count}${gap}${unit}`).join(gap)
        expect(parseDuration(text)).toBe(parts.reduce((sum, [count, [, size]]) => sum + count * size, 0))
      }),
    )
  })

  it('has a unit: no bare number, no other text is one', () => {
    fc.assert(fc.property(fc.integer({ min: 1 }), (value) => parseDuration(String(value)) === undefined))
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseDuration(text)
        expect(parsed === undefined || parsed >= 0).toBe(true)
      }),
    )
  })
})

const word = fc.string({ minLength: 1, unit: 'grapheme' })
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const connection: fc.Arbitrary<ConnectionUrl> = fc
  .record({
    scheme: fc.constantFrom('postgres', 'mysql', 'mongodb+srv', 'redis'),
    user: word,
    password: optional(word),
    host: fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().filter((ip) => !ip.includes('.')),
      fc.constant('/var/run/postgresql'),
      fc.constant('a:1,b:2'),
    ),
    port: optional(fc.integer({ min: 1, max: 65_535 })),
    database: optional(word),
    query: optional(fc.constantFrom('a=1', 'replicaSet=rs&w=majority')),
  })
  .map((parts) => (parts.host === 'a:1,b:2' ? { ...parts, port: undefined } : parts))

describe('a connection URL', { retry: 0 }, () => {
  it('is read as it is written, whatever signs its parts hold', () => {
    fc.assert(
      fc.property(connection, (parts) => {
        expect(parseConnectionUrl(formatConnectionUrl(parts))).toEqual(parts)
      }),
    )
  })

  it('says to pg what it says to us', () => {
    const plain = connection.filter(
      ({ host, scheme }) => scheme === 'postgres' && host !== 'a:1,b:2' && host?.includes(':') === false,
    )
    fc.assert(
      fc.property(plain, (parts) => {
        const { user, password, host, port, database } = pgConnectionString.parse(formatConnectionUrl(parts))
        expect({ user, password, host, port }).toEqual({
          user: parts.user,
          password: parts.password ?? '',
          host: parts.host,
          port: String(parts.port ?? ''),
        })
        // pg decodes with decodeURI, which leaves the codes of `/`, `?` and their like, and loses a path of dots.
        const { database: ours } = parts
        if (ours === undefined || (encodeURI(ours) === encodeURIComponent(ours) && !/^\.{1,2}$/.test(ours)))
          expect(database).toBe(ours ?? null)
      }),
    )
  })

  it('never throws, and never shows its password', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9@:/?#%& ]{1,12}$/), (noise) => {
        const url = `postgres://user:hush${noise}hush@host/db`
        expect(maskUrl(url)).not.toContain('hush')
        const parsed = parseConnectionUrl(url)
        if (typeof parsed === 'string') expect(parsed).not.toContain('hush')
        expect(shown(() => poolConfig({ name: 'postgres', env: { DATABASE_URL: url } }))).not.toContain('hush')
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => void parseConnectionUrl(text)))
  })
})
