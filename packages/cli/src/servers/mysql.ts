import { SERVER_TIMEOUT_MILLIS, type Target } from './target.ts'
import type { ServerFacts } from './facts.ts'

/** The little of `mysql2` that is used. */
interface MysqlModule {
  createConnection(options: object): {
    connect(done: (error: Error | null) => void): void
    query(
      options: { sql: string; timeout: number },
      done: (error: Error | null, rows: readonly Record<string, unknown>[]) => void,
    ): void
    end(done: () => void): void
    destroy(): void
    on(event: 'error', listener: () => void): void
  }
}

/** Asks a MySQL or MariaDB server, on one connection of its own. */
export async function askMysql(module: unknown, { url }: Target): Promise<ServerFacts> {
  const connection = (module as MysqlModule).createConnection({
    uri: url.replace(/^mariadb:/, 'mysql:'),
    connectTimeout: SERVER_TIMEOUT_MILLIS,
  })
  connection.on('error', () => undefined)
  const ask = (sql: string): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      connection.query({ sql, timeout: SERVER_TIMEOUT_MILLIS }, (error, rows) => {
        if (error === null) resolve(rows[0] ?? {})
        else reject(error)
      })
    })
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
    const connectMillis = performance.now() - startedAt
    const pingedAt = performance.now()
    await ask('SELECT 1')
    const pingMillis = performance.now() - pingedAt
    const row = await ask(
      'SELECT @@global.max_connections AS max, @@global.max_user_connections AS user_max, @@session.wait_timeout AS wait, @@version AS version',
    )
    const used = await ask("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    const cipher = await ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    const [max, userMax] = [Number(row['max']), Number(row['user_max'])]
    return {
      version: `${String(row['version']).includes('MariaDB') ? 'MariaDB' : 'MySQL'} ${String(row['version'])}`,
      connectMillis,
      pingMillis,
      // One more is kept for an administrator, on top of the limit.
      limit: userMax > 0 ? Math.min(max, userMax) : max,
      limitNote: userMax > 0 && userMax < max ? `max_user_connections ${userMax}` : `max_connections ${max}`,
      used: Number(used['Value']),
      idleLimitMillis: Number(row['wait']) * 1_000,
      idleLimitName: 'wait_timeout',
      tls: typeof cipher['Value'] === 'string' && cipher['Value'] !== '',
    }
  } finally {
    connection.destroy()
  }
}
