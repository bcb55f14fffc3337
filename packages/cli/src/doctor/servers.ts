import type { PoolSite } from 'eslint-plugin-millpond/analysis'
import { askServer, reasonOf } from '../servers/ask.ts'
import type { ServerFacts } from '../servers/facts.ts'
import type { Pooler } from '../servers/pooler.ts'
import type { ServerKind, Target } from '../servers/target.ts'
import type { Finding } from './finding.ts'
import { judgeIdle } from './idle.ts'

/** A pool that the source makes, and the file where. */
export interface PoolInFile extends PoolSite {
  readonly file: string
}

export interface Fleet {
  readonly pools: readonly PoolInFile[]
  /** How many copies of the program run. */
  readonly instances: number
  /** Where that number comes from. */
  readonly instancesNote: string
  /** After how long the network forgets a silent connection; Infinity where nobody said. */
  readonly natTimeoutMillis: number
}

/** Which drivers, and which pools of Millpond, talk to which server. */
const KIND_OF: Readonly<Record<string, ServerKind>> = {
  pgPool: 'postgres',
  mysqlPool: 'mysql',
  redisPool: 'redis',
  redisClusterPool: 'redis',
  pg: 'postgres',
  mysql2: 'mysql',
  mariadb: 'mysql',
  mongodb: 'mongodb',
  mongoose: 'mongodb',
  ioredis: 'redis',
  redis: 'redis',
}

/** Asks servers what they grant, and compares it with what the pools may take. */
export async function examineServers(
  root: string,
  targets: readonly Target[],
  fleet: Fleet,
  progress: (text: string) => void,
): Promise<{ findings: Finding[]; unreachable: number }> {
  const findings: Finding[] = []
  let unreachable = 0
  for (const target of targets) {
    progress(`asking ${target.shown}`)
    try {
      findings.push(...judge(target, await askServer(root, target), fleet))
    } catch (error) {
      unreachable++
      findings.push({
        id: 'server-unreachable',
        severity: 'error',
        message: `${target.shown} could not be asked: ${reasonOf(error, target)}.`,
      })
    }
  }
  return { findings, unreachable }
}

/** What follows from a server's facts for the pools of this program. */
export function judge(target: Target, facts: ServerFacts, fleet: Fleet): Finding[] {
  const pools = fleet.pools.filter(
    ({ driver, maker = '' }) => KIND_OF[driver === 'millpond' ? maker : driver] === target.kind,
  )
  return [
    ...judgeSize(target, facts, pools, fleet),
    ...judgeIdle(target, facts, pools, fleet),
    ...judgePath(target, facts),
  ]
}

/** How many connections a pool may open; drivers that never pool have one. */
function count({ driver, maker, role, max, defaultMax, options }: PoolInFile): number {
  if (role === 'connection' || (driver.includes('redis') && max === undefined)) return 1
  // `mysqlPool` takes the driver's name for it and Millpond's.
  const size = max ?? (typeof options['max'] === 'number' ? options['max'] : defaultMax) ?? 1
  // All plain commands share one more.
  return maker === 'redisPool' ? size + 1 : size
}

function judgeSize(
  { shown }: Target,
  facts: ServerFacts,
  pools: readonly PoolInFile[],
  { instances, instancesNote }: Fleet,
): Finding[] {
  const first = pools[0]
  if (first === undefined || !Number.isFinite(facts.limit)) return []
  const each = pools.reduce((sum, pool) => sum + count(pool), 0)
  const all = each * instances
  if (all <= facts.limit * 0.8) return []
  const places = pools.map((pool) => `${pool.file}:${pool.line} (${count(pool)})`).join(', ')
  const isOver = all > facts.limit
  return [
    {
      id: isOver ? 'fleet-exceeds-server' : 'fleet-near-server-limit',
      severity: isOver ? 'error' : 'warning',
      file: first.file,
      line: first.line,
      column: first.column,
      message: `${instances} × ${each} = ${all} connections may be asked of ${shown}, which grants ${facts.limit} (${facts.limitNote}; ${facts.used} in use now). The pools: ${places}. Instances: ${instancesNote}.`,
      mend: `At most ${Math.max(1, Math.floor((facts.limit * 0.8) / instances))} for each instance leaves a fifth for deploys, jobs and people; or put a pooler in front.`,
    },
  ]
}

const TLS_ON: Readonly<Record<ServerKind, string>> = {
  postgres: 'Add `?sslmode=verify-full` to the URL, or give `ssl` in code.',
  mysql: 'Give `ssl` in code; on the server, `require_secure_transport` lets nobody in without.',
  mongodb: 'Add `?tls=true` to the URL.',
  redis: 'Use `rediss://`.',
}

function judgePath(target: Target, facts: ServerFacts): Finding[] {
  const found: Finding[] = []
  const isRemote = !/\/\/(localhost|127\.|\[::1\])/.test(target.shown)
  if (!facts.tls && isRemote) {
    found.push({
      id: 'tls-off-on-wire',
      severity: 'warning',
      message: `The connection to ${target.shown} is not encrypted: password and data can be read on the way.`,
      mend: TLS_ON[target.kind],
    })
  }
  if (facts.pooler !== undefined) found.push(...judgePooler(target, facts.pooler))
  if (facts.transactionsUnbounded === true) {
    found.push({
      id: 'transactions-unbounded',
      severity: 'info',
      message: `${target.shown} lets a transaction stay open and idle for ever (\`idle_in_transaction_session_timeout\` is 0): one forgotten COMMIT holds its locks, and a connection, until somebody notices.`,
      mend: 'Set it for the role or in the pool: `idle_in_transaction_session_timeout: 60_000`.',
    })
  }
  return found
}

/** What a pooler in front means, by what was seen of it. */
function judgePooler({ shown }: Target, { name, settings, sharesConnections, keepsStatements }: Pooler): Finding[] {
  const found: Finding[] = []
  const shares =
    sharesConnections === true
      ? ' Two connections of ours were served by one of the server’s: transactions are pooled, and `SET`, `LISTEN`, temporary tables and advisory locks of the session do not hold from one to the next.'
      : sharesConnections === false
        ? ' Each of our connections had one of the server’s to itself.'
        : ''
  const sizes =
    settings === undefined
      ? 'Count its `default_pool_size` against the server, and what it accepts against these pools.'
      : `It is in ${settings.mode} mode, opens ${settings.poolSize} connections to the server for each pair of user and database (\`default_pool_size\`), and lets in ${settings.maxClients} clients (\`max_client_conn\`).`
  found.push({
    id: 'pooler-in-front',
    severity: 'info',
    message: `${name === 'PgBouncer' ? 'PgBouncer' : 'Something'} stands between this program and ${shown}: the server sees another port than ours.${shares}`,
    mend: sizes,
  })
  if (keepsStatements === false)
    found.push({
      id: 'pooler-loses-statements',
      severity: 'warning',
      message: `A named prepared statement was gone at its second use (SQLSTATE 26000) by way of ${shown}: it had been prepared on another connection of the server.`,
      mend: 'Give queries no `name`; or use PgBouncer 1.21 or later with `max_prepared_statements`.',
    })
  return found
}
