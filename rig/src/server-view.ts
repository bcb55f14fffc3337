import pg from 'pg'
import type { PostgresServer } from './postgres.ts'

export interface Backend {
  readonly pid: number
  readonly state: string | null
  readonly query: string
  readonly applicationName: string
}

/** What the *server* sees, over a connection of its own that it does not count. */
export class ServerView implements AsyncDisposable {
  readonly #server: PostgresServer
  #client: pg.Client | undefined
  #mark = 0

  constructor(server: PostgresServer) {
    this.#server = server
  }

  async #query<R extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    this.#client ??= await this.#connect()
    try {
      const { rows } = await this.#client.query<R>(text, [...values])
      return rows
    } catch (error) {
      // The server was restarted meanwhile: once more over a new connection.
      if ((error as { code?: string }).code?.startsWith('42')) throw error
      this.#client = await this.#connect()
      const { rows } = await this.#client.query<R>(text, [...values])
      return rows
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#server.config, application_name: 'millpond-rig-view' })
    client.on('error', () => {
      this.#client = undefined
    })
    await client.connect()
    return client
  }

  /** Client connections that the server holds, oldest first. */
  async backends(): Promise<Backend[]> {
    return await this.#query<{ pid: number; state: string | null; query: string; applicationName: string }>(
      `SELECT pid, state, query, application_name AS "applicationName" FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND application_name <> 'millpond-rig-view' ORDER BY backend_start, pid`,
    )
  }

  async count(): Promise<number> {
    return (await this.backends()).length
  }

  /** Ends backends from the server's side; tells how many. */
  async terminate(which: number | ((backend: Backend) => boolean) = () => true): Promise<number> {
    const pids = typeof which === 'number' ? [which] : (await this.backends()).filter(which).map(({ pid }) => pid)
    for (const pid of pids) await this.#query('SELECT pg_terminate_backend($1)', [pid])
    return pids.length
  }

  /** Counts logins from here on. */
  markLogins(): void {
    this.#mark = this.#server.logText().length
  }

  /** Successful logins since the mark, those of the rig left out. */
  logins(): number {
    const text = this.#server.logText().slice(this.#mark)
    return text
      .split('\n')
      .filter((line) => line.includes('connection authorized') && !line.includes('millpond-rig-view')).length
  }

  async close(): Promise<void> {
    await this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
