/** A client of `pg`, as far as a pooler is probed with it. */
export interface PgClient {
  connect(): Promise<unknown>
  query(query: string | { readonly name: string; readonly text: string }): Promise<{
    readonly rows: readonly Record<string, unknown>[]
  }>
  end(): Promise<void>
  on(event: 'error', listener: () => void): void
}

/** What stands between us and a PostgreSQL server, by how it behaves. */
export interface Pooler {
  /** `PgBouncer` by its own words; anything else that was noticed is a proxy. */
  readonly name: 'PgBouncer' | 'a proxy'
  /** Whether two of our connections were served by one of the server's: a pool of transactions. */
  readonly sharesConnections: boolean | undefined
  /** Whether a named statement is still there at its second use; undefined where that could not be tried. */
  readonly keepsStatements: boolean | undefined
  /** What its console tells; undefined where our user may not ask. */
  readonly settings: PoolerSettings | undefined
}

export interface PoolerSettings {
  readonly mode: string
  readonly maxClients: number
  readonly poolSize: number
}

/** What a client is to have beside the address of the target. */
export interface ClientWish {
  readonly options?: string
  readonly database?: string
}

export type MakeClient = (wish?: ClientWish) => PgClient

/** A statement of this name was never prepared on this connection of the server. */
const NO_SUCH_STATEMENT = '26000'

/** Finds out what a pooler does, with two clients of our own and no privileges. */
export async function probePooler(make: MakeClient): Promise<Pooler> {
  const isPgBouncer = await refusesStartup(make)
  const settings = isPgBouncer ? await askConsole(make) : undefined
  return { name: isPgBouncer ? 'PgBouncer' : 'a proxy', settings, ...(await shareOneConnection(make)) }
}

/** PgBouncer refuses parameters that it does not know; PostgreSQL takes any name that has a dot. */
async function refusesStartup(make: MakeClient): Promise<boolean> {
  try {
    await withClient(make, { options: '-c millpond.probe=1' }, () => Promise.resolve())
    return false
  } catch (error) {
    return /unsupported (startup parameter|options)/i.test((error as Error).message)
  }
}

async function askConsole(make: MakeClient): Promise<PoolerSettings | undefined> {
  try {
    const rows = await withClient(make, { database: 'pgbouncer' }, async (client) => {
      return (await client.query('SHOW CONFIG')).rows
    })
    const of = (key: string): unknown => rows.find((row) => row['key'] === key)?.['value']
    return {
      mode: of('pool_mode') as string,
      maxClients: Number(of('max_client_conn')),
      poolSize: Number(of('default_pool_size')),
    }
  } catch {
    return undefined
  }
}

/**
 * The first client prepares a statement and lets go; the second one begins a transaction. Where that runs on the same
 * connection of the server, transactions are pooled, and the first one's statement is out of its reach now.
 */
async function shareOneConnection(make: MakeClient): Promise<Pick<Pooler, 'sharesConnections' | 'keepsStatements'>> {
  try {
    return await withClient(make, {}, (first) =>
      withClient(make, {}, async (second) => {
        const statement = { name: 'millpond_doctor', text: 'SELECT pg_backend_pid() AS pid' }
        const before = (await first.query(statement)).rows[0]?.['pid']
        await second.query('BEGIN')
        const pid = (await second.query('SELECT pg_backend_pid() AS pid')).rows[0]?.['pid']
        const keepsStatements = await first.query(statement).then(
          () => true,
          (error: unknown) => ((error as { code?: unknown }).code === NO_SUCH_STATEMENT ? false : undefined),
        )
        await second.query('ROLLBACK')
        return { sharesConnections: before === pid, keepsStatements }
      }),
    )
  } catch {
    // It lets in no second client, or has no second connection for it.
    return { sharesConnections: undefined, keepsStatements: undefined }
  }
}

async function withClient<R>(make: MakeClient, wish: ClientWish, work: (client: PgClient) => Promise<R>): Promise<R> {
  const client = make(wish)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}
