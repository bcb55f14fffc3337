import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { plugin } from 'eslint-plugin-millpond'

/** The whole story of a finding, in Markdown. */
export interface Story {
  readonly id: string
  readonly title: string
  readonly text: string
}

/** Findings that are none of a rule of the linter. Those tell their story on the rule's page. */
const OWN: Readonly<Record<string, readonly [title: string, text: string]>> = {
  'config-invalid': [
    'A configuration file that Millpond refuses',
    'Millpond checks names, units and values when a program starts, and refuses what it cannot mean: better at the start than in the night. The message says what was expected and what was found.',
  ],
  'config-notice': [
    'A configuration that holds, though somebody may not expect it',
    'Two sources say different things of one option. The order is the same for all drivers: code, a URL in code, the variables of the pool, a URL variable, field variables, the file, the preset, the profile, the default. `millpond config --print` shows each value with its source.',
  ],
  'driver-twice': [
    'Two copies of one driver',
    'Drivers recognise their own objects by class. A client of one copy is refused by the other, or quietly replaced by a new one, and each copy has a pool of its own: the server sees twice the connections that you counted.',
  ],
  'driver-unmaintained': [
    'A driver that nobody keeps',
    'A driver without releases follows neither the protocol of its server nor the security reports of its language. `mysql2` was made to take the place of `mysql`: the same functions, prepared statements, promises, and the authentication of today.',
  ],
  'fleet-exceeds-server': [
    'All pools together may ask for more than the server grants',
    'Each copy of a program opens up to `max` connections in each of its pools. The server counts all of them: at its limit it refuses the next one, whoever asks: `FATAL: sorry, too many clients already` on PostgreSQL, `Too many connections` on MySQL. It happens when all copies are busy at once, which is under load, or during a rolling deploy, when old and new copies run side by side.\n\nTake `max = limit × 0.8 / instances`, and count what deploys, cron jobs and people need. Smaller pools are seldom slower: a server works on a few statements per core at once, and what waits in the pool waits cheaper than what waits in the server. Where that is too small for a program, a pooler in front (PgBouncer, ProxySQL) shares the server’s connections between copies.',
  ],
  'fleet-near-server-limit': [
    'All pools together may come near to what the server grants',
    'A rolling deploy runs old and new copies side by side, and people and jobs need connections too. Leave a fifth of the limit. See `millpond explain fleet-exceeds-server`.',
  ],
  'laravel-pool-ignored': [
    'Options of a pool that PHP does not have',
    'Tutorials show `pool_max`, `pool_min` and the like in `config/database.php`. Laravel hands the entry to PDO, and PDO knows host, port, name, user, password and its own `options`: the rest is read by nobody. A PHP worker has one connection, for one request at a time. The number of connections is the number of workers, and a pool has to stand outside: PgBouncer, ProxySQL, RDS Proxy. `PDO::ATTR_PERSISTENT` keeps a worker’s connection between requests, with everything that its session took on.',
  ],
  'network-forgets-idle': [
    'The network forgets a connection that the pool keeps',
    'NAT gateways and load balancers drop a connection on which nothing is said, without a word to either side: 350 s on AWS, 4 min on Azure, 10 min on Google Cloud. The next query on it is sent into the void, and waits until TCP gives up, which takes a quarter of an hour.\n\nClose idle connections earlier than that, or keep them known by TCP keepalives, with a delay: a driver that asks for keepalives and gives none (`keepAlive: true` of `pg`, mysql2 by default) leaves it to the system, which waits two hours for the first.',
  ],
  'pooler-in-front': [
    'A pooler or a proxy stands in front of the server',
    'The server sees another port than the one that this machine uses: somebody else speaks to it. In PgBouncer’s transaction mode, each transaction may run on another connection of the server. Then `SET`, `LISTEN`, session advisory locks and temporary tables do not hold; named prepared statements need PgBouncer 1.21 with `max_prepared_statements`; and the size that counts for the server is the pooler’s. Pools in the program can then be small, and are still needed: the pooler is a hop away.',
  ],
  'pooler-loses-statements': [
    'A named prepared statement does not survive the pooler',
    'A statement is prepared on one connection of the server and known by its name only there. Behind a pooler of transactions the next transaction runs on another one, which has never heard of it (`prepared statement "…" does not exist`), or has one of that name already. PgBouncer keeps track of names from version 1.21 on, where `max_prepared_statements` is above 0. `pg` names a statement only where a query has a `name`; some ORMs do it for all (Prisma, postgres.js, asyncpg in Python), and have a setting against it.',
  ],
  'server-ends-idle-first': [
    'The server ends idle connections before the pool does',
    'A pool believes that its idle connections live. When the server has ended one, the next borrower finds out: the first query fails, with `Connection terminated unexpectedly` or `PROTOCOL_CONNECTION_LOST`. The pool must close first: set its idle time well below the server’s, or let it validate what has been idle before it lends it, as Millpond does.',
  ],
  'server-unreachable': [
    'A server could not be asked',
    'The message has what the driver said. `ECONNREFUSED`: nothing listens there. `ENOTFOUND`: the name is unknown here, as names of a compose file are outside of it. A timeout: a firewall. `millpond check` tries again and shows where the time goes.',
  ],
  'size-unusual': [
    'A pool that is larger, or otherwise, than its sort usually is',
    'The presets of Millpond have bounds: 10 to 100 connections for a database, up to 50 for Redis and gRPC, up to 100 for an HTTP service, a few that are kept open, and how long idle ones live. Nothing breaks outside of them. But a size that nobody measured is a guess, and a large one costs where it is not seen: memory on the server, and as many again for every copy of the program. `millpond size` computes one with its reasons, `millpond bench <url>` measures what a server does with each.',
  ],
  'source-unreadable': [
    'A file that could not be read',
    'The parser did not understand it, so nothing in it was looked at.',
  ],
  'sslmode-replaces-ssl': [
    '`sslmode` in a URL replaces the `ssl` object',
    '`pg` turns `sslmode=require` in a URL into its own TLS options, and they take the place of an `ssl` object in code, with its certificate authority and key. The connection works, and is not checked as you meant. Say it in one place.',
  ],
  'tls-off': [
    'A URL that asks for no TLS',
    'The password of the URL, and all data, go over the network in the clear, unless the code turns TLS on. Servers of clouds offer it at no cost.',
  ],
  'tls-off-on-wire': [
    'A connection that is not encrypted',
    'This was asked of the server itself: it speaks with us in the clear.',
  ],
  'transactions-unbounded': [
    'A transaction may stay open for ever',
    'A transaction that a program forgot holds its locks, keeps dead rows from being cleaned up, and keeps a connection from everybody else. `idle_in_transaction_session_timeout` ends it; a minute is generous for a service.',
  ],
  'undici-not-of-fetch': [
    'An agent that the built-in fetch does not take',
    'Node’s `fetch` is that of the undici inside of Node. An `Agent` of a newer undici speaks another interface, and the request fails with `invalid onRequestStart method`. Take `fetch` and `Agent` from the same package, or set the agent by `setGlobalDispatcher`, which adapts it.',
  ],
  'url-parameter-ignored': [
    'A parameter of a URL that the driver does not read',
    '`?connection_limit=5&pool_timeout=10&pgbouncer=true` is the dialect of Prisma’s former engine. The pool of `pg` takes its size and deadlines from its options in code, and lets these pass: there is no limit and no deadline, though the URL says so.',
  ],
  'variable-ignored': [
    'A variable that the driver does not read',
    '`PGCONNECT_TIMEOUT` belongs to libpq, the C library, and to what is built on it (psql, pg-native). The JavaScript client does not read it.',
  ],
}

/** Those of findings that no rule of the linter makes. */
export const OWN_IDS: readonly string[] = Object.keys(OWN)

/** All identifiers that a finding may have. */
export const STORY_IDS: readonly string[] = [...Object.keys(OWN), ...Object.keys(plugin.rules ?? {})].sort()

/** The story of a finding; undefined for an identifier that there is not. */
export function storyOf(id: string): Story | undefined {
  const own = Object.hasOwn(OWN, id) ? OWN[id] : undefined
  if (own !== undefined) return { id, title: own[0], text: own[1] }
  if (plugin.rules === undefined || !Object.hasOwn(plugin.rules, id)) return undefined
  const page = readFileSync(
    createRequire(import.meta.url).resolve(`eslint-plugin-millpond/docs/rules/${id}.md`),
    'utf8',
  )
  const [, , title = '', , , , ...text] = page.split('\n')
  return { id, title: title.replace(/\.$/, ''), text: text.join('\n') }
}

/** Where a finding is told in full. */
export function linkOf(id: string): string {
  return plugin.rules !== undefined && Object.hasOwn(plugin.rules, id)
    ? `https://unpkg.com/eslint-plugin-millpond/docs/rules/${id}.md`
    : `https://unpkg.com/@millpond/cli/docs/findings.md#${id}`
}

/** The page of the findings that are none of a rule's. */
export function findingsPage(): string {
  const stories = Object.entries(OWN).map(([id, [title, text]]) => `## ${id}\n\n**${title}.**\n\n${text}\n`)
  return `# Findings of millpond doctor\n\nWhat the doctor finds outside of the source. What it finds in the source are the rules of [eslint-plugin-millpond](../../eslint-plugin/README.md).\n\n${stories.join('\n')}`
}
