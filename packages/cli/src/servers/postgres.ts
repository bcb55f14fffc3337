import type { ServerFacts } from './facts.ts'
import { probePooler, type ClientWish, type PgClient, type Pooler } from './pooler.ts'
import { SERVER_TIMEOUT_MILLIS, type Target } from './target.ts'

/** The little of `pg` that is used. */
interface PgModule {
  readonly Client: new (options: object) => PgClient & {
    readonly connection?: { readonly stream?: { readonly localPort?: number } }
  }
}

const QUESTION = `
  SELECT current_setting('max_connections')::int AS max,
         current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
         (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
         (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
         (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
         (SELECT client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS client_port,
         (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
         (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_session_timeout') AS idle_millis,
         (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS transaction_millis,
         current_setting('server_version') AS version`

/** Asks a PostgreSQL server, on one connection of its own. */
export async function askPostgres(module: unknown, { url }: Target): Promise<ServerFacts> {
  const { Client } = module as PgModule
  const make = ({ database, ...options }: ClientWish = {}): InstanceType<PgModule['Client']> =>
    new Client({
      connectionString: database === undefined ? url : withDatabase(url, database),
      connectionTimeoutMillis: SERVER_TIMEOUT_MILLIS,
      query_timeout: SERVER_TIMEOUT_MILLIS,
      application_name: 'millpond doctor',
      ...options,
    })
  const client = make()
  client.on('error', () => undefined)
  const startedAt = performance.now()
  await client.connect()
  const connectMillis = performance.now() - startedAt
  try {
    const pingedAt = performance.now()
    await client.query('SELECT 1')
    const pingMillis = performance.now() - pingedAt
    const row = (await client.query(QUESTION)).rows[0] ?? {}
    const number = (name: string): number => Number(row[name] ?? 0)
    const limits = [number('max') - number('reserved'), number('role_limit'), number('database_limit')]
    const localPort = client.connection?.stream?.localPort
    // What the server sees as our port is not ours, or a socket (-1) though we came by TCP: something stands between.
    const isProxied = localPort !== undefined && row['client_port'] != null && number('client_port') !== localPort
    const pooler = isProxied ? await probePooler(make) : undefined
    return {
      version: `PostgreSQL ${String(row['version'])}`,
      connectMillis,
      pingMillis,
      ...limitBehind(pooler, {
        limit: Math.min(...limits.map((limit) => (limit < 0 ? Infinity : limit))),
        limitNote: `max_connections ${number('max')}, of which ${number('reserved')} are reserved`,
      }),
      used: number('used'),
      idleLimitMillis: number('idle_millis') || Infinity,
      idleLimitName: 'idle_session_timeout',
      tls: row['tls'] === true,
      ...(pooler === undefined ? {} : { pooler }),
      transactionsUnbounded: number('transaction_millis') === 0,
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

function withDatabase(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}

/** What our pools may have is what the pooler lets in; the server's limit is the pooler's affair. */
function limitBehind(
  pooler: Pooler | undefined,
  server: Pick<ServerFacts, 'limit' | 'limitNote'>,
): Pick<ServerFacts, 'limit' | 'limitNote'> {
  if (pooler?.name !== 'PgBouncer') return server
  const { settings } = pooler
  return settings === undefined
    ? { limit: Infinity, limitNote: 'PgBouncer does not tell us its max_client_conn' }
    : { limit: settings.maxClients, limitNote: `max_client_conn ${settings.maxClients} of PgBouncer` }
}
