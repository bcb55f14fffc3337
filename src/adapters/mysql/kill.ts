import type { PooledConnection } from './pooled-connection.ts'

const GIVE_UP_MILLIS = 1_000
const LONGEST_PREFIX = 100

interface Thread {
  readonly INFO: string | null
}

/**
 * Ends, on the server, the statement of a connection that is destroyed in the middle of it: a server does not notice
 * that the socket of a statement at work is gone, and would work on for nobody. Over another connection, which takes at
 * most 1 s; only when the server still sees the same user run the same statement under that number there, so that
 * nothing else is hit behind a balancer or a proxy.
 */
export async function killStatement(
  connection: PooledConnection,
  open: (signal: AbortSignal) => Promise<PooledConnection>,
): Promise<void> {
  const { threadId } = connection
  const statement = statementOf(connection)
  if (threadId === null || statement === undefined) return
  const signal = AbortSignal.timeout(GIVE_UP_MILLIS)
  let other: PooledConnection | undefined
  try {
    other = await open(signal)
    const killer = other
    signal.addEventListener('abort', () => killer.stream.destroy(), { once: true })
    const rows = await asked<Thread[]>(
      killer,
      "SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = ? AND USER = SUBSTRING_INDEX(USER(), '@', 1)",
      [threadId],
    )
    if (rows[0]?.INFO?.trimStart().startsWith(statement) === true) await asked(killer, 'KILL ?', [threadId])
  } catch {
    // A server that takes no connection more, or does not answer: the socket is closed all the same.
  } finally {
    other?.close()
    other?.stream.destroy()
  }
}

/** How the statement under way begins, up to its first value. */
function statementOf(connection: PooledConnection): string | undefined {
  const { sql } = (connection._command ?? {}) as { readonly sql?: unknown }
  if (typeof sql !== 'string') return undefined
  const [prefix = ''] = sql.trimStart().split('?', 1)
  return prefix === '' ? undefined : prefix.slice(0, LONGEST_PREFIX)
}

function asked<R>(connection: PooledConnection, sql: string, values: unknown[]): Promise<R> {
  return new Promise((resolve, reject) => {
    connection.query(sql, values, (error: unknown, rows: unknown) => {
      if (error) reject(error)
      else resolve(rows as R)
    })
  })
}
