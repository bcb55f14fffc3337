import mysql from 'mysql2/promise'

export interface MariaDbThread {
  /** What `connection.threadId` says. */
  readonly id: number
  /** `Sleep`, `Query`, `Execute`, … */
  readonly command: string
  /** The statement at work. */
  readonly statement: string | null
  readonly database: string | null
}

/** Any server, with whom to look at, and a superuser's login. */
interface ViewedServer {
  readonly user: string
  readonly rootConfig: mysql.ConnectionOptions
}

/** What the *server* sees of one user, that of the rig being `app`, over a superuser's connection that it does not count. */
export class MariaDbView implements AsyncDisposable {
  readonly #server: ViewedServer
  #connection: mysql.Connection | undefined
  #mark = 0

  constructor(server: ViewedServer) {
    this.#server = server
  }

  /** Runs a statement as the superuser. */
  async query<R>(statement: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      this.#connection ??= await this.#connect()
      return (await this.#connection.query(statement, [...values]))[0] as R[]
    } catch (error) {
      if ((error as { errno?: number }).errno !== undefined && !(error as { fatal?: boolean }).fatal) throw error
      // The server was restarted meanwhile: once more over a new connection.
      this.#connection = await this.#connect()
      return (await this.#connection.query(statement, [...values]))[0] as R[]
    }
  }

  async #connect(): Promise<mysql.Connection> {
    const connection = await mysql.createConnection(this.#server.rootConfig)
    connection.on('error', () => {
      this.#connection = undefined
    })
    return connection
  }

  /** The connections of that user that the server holds, oldest first. */
  async threads(): Promise<MariaDbThread[]> {
    return await this.query<MariaDbThread>(
      `SELECT ID AS id, COMMAND AS command, INFO AS statement, DB AS \`database\`
       FROM information_schema.PROCESSLIST WHERE USER = ? ORDER BY ID`,
      [this.#server.user],
    )
  }

  async count(): Promise<number> {
    return (await this.threads()).length
  }

  /** Ends connections from the server's side; tells how many. */
  async terminate(which: number | ((thread: MariaDbThread) => boolean) = () => true): Promise<number> {
    const ids = typeof which === 'number' ? [which] : (await this.threads()).filter(which).map(({ id }) => id)
    for (const id of ids) {
      try {
        await this.query(`KILL ${id}`)
      } catch (error) {
        // 1094: it has ended by itself meanwhile.
        if ((error as { errno?: number }).errno !== 1094) throw error
      }
    }
    return ids.length
  }

  /** A counter of the server: `Prepared_stmt_count`, `Com_reset_connection`, … */
  async status(name: string): Promise<number> {
    const [row] = await this.query<{ Value: string }>('SHOW GLOBAL STATUS LIKE ?', [name])
    return Number(row?.Value)
  }

  /** Counts logins from here on. */
  async markLogins(): Promise<void> {
    this.#mark = await this.#allLogins()
  }

  /** Successful logins of that user since the mark. */
  async logins(): Promise<number> {
    return (await this.#allLogins()) - this.#mark
  }

  async #allLogins(): Promise<number> {
    const [row] = await this.query<{ n: number | string }>(
      'SELECT TOTAL_CONNECTIONS AS n FROM information_schema.USER_STATISTICS WHERE USER = ?',
      [this.#server.user],
    )
    return Number(row?.n ?? 0)
  }

  async close(): Promise<void> {
    this.#connection?.destroy()
    this.#connection = undefined
    await Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
