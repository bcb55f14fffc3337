import type { PoolSite } from 'eslint-plugin-millpond/analysis'
import { askServer, reasonOf } from '../servers/ask.ts'
import type { ServerFacts } from '../servers/facts.ts'
import type { ServerKind, Target } from '../servers/target.ts'
import type { Finding } from './finding.ts'

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

/** Which drivers talk to which server; those that never pool count one connection. */
const KIND_OF: Readonly<Record<string, ServerKind>> = {
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
  const pools = fleet.pools.filter(({ driver }) => KIND_OF[driver] === target.kind)
  return [
    ...judgeSize(target, facts, pools, fleet),
    ...judgeIdle(target, facts, pools, fleet),
    ...judgePath(target, facts),
  ]
}

const count = (pool: PoolInFile): number =>
  pool.role === 'connection' || (pool.driver.includes('redis') && pool.max === undefined)
    ? 1
    : (pool.max ?? pool.defaultMax ?? 1)

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

const seconds = (millis: number): string => (millis % 60_000 === 0 ? `${millis / 60_000} min` : `${millis / 1_000} s`)

/** How long each driver keeps an idle connection unless it is told. */
const IDLE: Readonly<Record<string, { readonly option: string; readonly fallback: number }>> = {
  pg: { option: 'idleTimeoutMillis', fallback: 10_000 },
  mysql2: { option: 'idleTimeout', fallback: Infinity },
  mongodb: { option: 'maxIdleTimeMS', fallback: Infinity },
  mongoose: { option: 'maxIdleTimeMS', fallback: Infinity },
}

/** Who closes first must be the pool: a connection that the server or the network ended fails the query that finds out. */
function judgeIdle(
  { shown }: Target,
  facts: ServerFacts,
  pools: readonly PoolInFile[],
  { natTimeoutMillis }: Fleet,
): Finding[] {
  return pools.flatMap((pool): Finding[] => {
    const idle = IDLE[pool.driver]
    if (idle === undefined || pool.role === 'connection') return []
    const given = pool.options[idle.option]
    const stated = typeof given === 'number' ? given : undefined
    // 0 is "never" to all of them; mysql2 closes none at all unless maxIdle is below the limit.
    const kept =
      stated === 0 || (pool.driver === 'mysql2' && pool.options['maxIdle'] === undefined)
        ? Infinity
        : (stated ?? idle.fallback)
    const place = { file: pool.file, line: pool.line, column: pool.column }
    const keeps = kept === Infinity ? 'for ever' : `for ${seconds(kept)}`
    const found: Finding[] = []
    if (kept >= facts.idleLimitMillis && facts.idleLimitMillis < 3_600_000) {
      found.push({
        id: 'server-ends-idle-first',
        severity: 'warning',
        ...place,
        message: `This pool keeps idle connections ${keeps}, but ${shown} ends them after ${seconds(facts.idleLimitMillis)} (\`${facts.idleLimitName}\`): the next query on one fails.`,
        mend: `Set \`${idle.option}\` below ${seconds(facts.idleLimitMillis)}${pool.driver === 'mysql2' ? ', and `maxIdle` below `connectionLimit`, without which it does nothing' : ''}.`,
      })
    }
    // The other drivers send keepalives unless they are told not to.
    if (kept >= natTimeoutMillis && pool.driver === 'pg' && pool.options['keepAlive'] !== true) {
      found.push({
        id: 'network-forgets-idle',
        severity: 'warning',
        ...place,
        message: `This pool keeps idle connections ${keeps}, but the network forgets silent ones after ${seconds(natTimeoutMillis)}, and \`pg\` sends no TCP keepalives by default: the next query on one hangs.`,
        mend: `Set \`keepAlive: true\`, or \`${idle.option}\` below ${seconds(natTimeoutMillis)}.`,
      })
    }
    return found
  })
}

function judgePath(target: Target, facts: ServerFacts): Finding[] {
  const found: Finding[] = []
  const isRemote = !/\/\/(localhost|127\.|\[::1\])/.test(target.shown)
  if (!facts.tls && isRemote) {
    found.push({
      id: 'tls-off-on-wire',
      severity: 'warning',
      message: `The connection to ${target.shown} is not encrypted: password and data can be read on the way.`,
    })
  }
  if (facts.proxied === true) {
    found.push({
      id: 'pooler-in-front',
      severity: 'info',
      message: `Something stands between this program and ${target.shown}: the server sees another port than ours. If it is PgBouncer in transaction mode, each transaction may run on another connection: named prepared statements need \`max_prepared_statements\`, and \`SET\`, \`LISTEN\` and advisory locks do not hold.`,
      mend: 'Count its `default_pool_size` against the server, and what it accepts against these pools.',
    })
  }
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
