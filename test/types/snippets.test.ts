import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { complaintsOf } from './compile.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = ['README.md', ...readdirSync(`${root}docs/guide`).map((name) => `docs/guide/${name}`)]

/** A client as generators write it; on one line, like all that goes before a snippet. */
const USER_SERVICE = [
  "import('@grpc/grpc-js').Client & { getUser(request: { id: number }, callback: ",
  "(error: import('@grpc/grpc-js').ServiceError | null, user: { name: string }) => void): ",
  "import('@grpc/grpc-js').ClientUnaryCall; ",
  "listUsers(request: object): import('@grpc/grpc-js').ClientReadableStream<{ name: string }> }",
].join('')

/** What a reader has at hand already: used by a snippet that does not bring it itself. */
const AT_HAND: Readonly<Record<string, string>> = {
  connect: "import { connect } from 'node:net'",
  once: "import { once } from 'node:events'",
  pg: "import pg from 'pg'",
  pgPool: "import { pgPool } from 'millpond/pg'",
  Pool: "import { Pool } from 'millpond'",
  registry: "declare const registry: import('millpond').PoolRegistry",
  UserServiceClient: `declare const UserServiceClient: new (address: string, credentials: import('@grpc/grpc-js').ChannelCredentials, options?: object) => (${USER_SERVICE})`,
  userService: `declare const userService: import('millpond/grpc').GrpcPool<${USER_SERVICE}>`,
}
const POOL = 'declare const pool: pg.Pool & import("millpond/pg").PgPoolExtras<import("pg").PoolClient>'

function snippetsOf(page: string): Record<string, string> {
  const blocks = readFileSync(`${root}${page}`, 'utf8').matchAll(/^```ts\n(.*?)^```/gms)
  return Object.fromEntries(
    Array.from(blocks, ([, code = ''], index) => [
      `${page.replaceAll(/[/.]/g, '-')}-${index + 1}.ts`,
      // On one line, so that a complaint names the line of the snippet.
      `${preludeOf(code)};${code}\nexport {}\n`,
    ]),
  )
}

function preludeOf(code: string): string {
  const isOwn = (name: string): boolean =>
    new RegExp(`(import|const|let|using|function|class)[^\\n=(]*\\b${name}\\b`).test(code)
  const needsPool = /\bpool[.,)]/.test(code) && !isOwn('pool')
  const lines = Object.entries(AT_HAND)
    .filter(([name]) => (new RegExp(`\\b${name}\\b`).test(code) || (name === 'pg' && needsPool)) && !isOwn(name))
    .map(([, line]) => line)
  if (needsPool) lines.push(POOL)
  return lines.join(';')
}

it.each(pages)('the TypeScript of %s compiles', (page) => {
  const snippets = snippetsOf(page)
  if (Object.keys(snippets).length > 0) expect(complaintsOf(snippets)).toEqual([])
})

/** Blocks of JavaScript that begin with the name of an example, and are taken from it. */
const QUOTES = pages.flatMap((page) =>
  Array.from(
    readFileSync(`${root}${page}`, 'utf8').matchAll(/^```js\n\/\/ (examples\/\S+)\n(.*?)\n```/gms),
    (found) => {
      const [, file = '', code = ''] = found
      return [page, file, code] as const
    },
  ),
)

it.each(QUOTES)('what %s shows of %s stands there', (_, file, code) => {
  expect(readFileSync(`${root}${file}`, 'utf8')).toContain(`${code}\n`)
})

it('finds the snippets of the README', () => {
  expect(Object.keys(snippetsOf('README.md')).length).toBeGreaterThan(1)
  expect(QUOTES.length).toBeGreaterThan(10)
})
