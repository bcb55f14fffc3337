import { activeQuery, run, type DriverClient } from './driver.ts'

/** What `resetSession` may be. */
export type ResetSession = 'auto' | 'always' | 'never'

/** Everything of DISCARD ALL but its DEALLOCATE ALL: the statements that `pg` has prepared stay, and so does its knowledge of them. */
const RESET_SESSION =
  'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES'

/** Statements that say SET and outlive no transaction. */
const SET_FOR_TRANSACTION = /^\s*SET\s+(LOCAL|TRANSACTION|CONSTRAINTS)\b/i

/**
 * What the server says that a session took on, read from the command tags of its replies: no statement is parsed and
 * no round trip is made. What tags cannot show (`set_config()`, advisory locks, a SET inside a function) goes unseen.
 */
export class SessionState {
  readonly #client: DriverClient
  /** Settings, cursors, temporary tables, LISTEN: to be reset before the next borrower. */
  marked = false
  /** Statements prepared in SQL: they cannot be told from the driver's own, so the connection ends with its borrower. */
  tainted = false
  /** The session LISTENs: it is meant to be held for long. */
  listening = false
  /** While the adapter itself sets the session up, nothing is marked. */
  #quiet = 0

  constructor(client: DriverClient) {
    this.#client = client
    client.connection?.on('commandComplete', (message: { readonly text?: unknown }) => {
      this.#note(message.text)
    })
  }

  #note(tag: unknown): void {
    if (typeof tag !== 'string' || this.#quiet > 0) return
    // Most replies are SELECT, INSERT, UPDATE, DELETE, BEGIN or COMMIT: told by the first letters.
    switch (tag.charCodeAt(0)) {
      case 83 /* S */:
        if (tag === 'SET' && !this.#isForTransaction()) this.marked = true
        break
      case 82 /* R */:
        if (tag === 'RESET') this.marked = true
        break
      case 76 /* L */:
        if (tag === 'LISTEN') this.marked = this.listening = true
        else if (tag === 'LOAD') this.tainted = true
        break
      case 80 /* P */:
        if (tag === 'PREPARE') this.tainted = true
        break
      case 68 /* D */:
        if (tag === 'DECLARE CURSOR') this.marked = true
        else if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') this.tainted = true
        break
      case 67 /* C */:
        if (tag.startsWith('CREATE ')) this.marked = true
        break
    }
  }

  #isForTransaction(): boolean {
    const text = activeQuery(this.#client)?.text
    return typeof text === 'string' && SET_FOR_TRANSACTION.test(text)
  }

  /** Runs something of the adapter's own, of which no borrower is to be accused. */
  async quietly<R>(fn: () => Promise<R>): Promise<R> {
    this.#quiet++
    try {
      return await fn()
    } finally {
      this.#quiet--
    }
  }

  /** Gives the session back its first state, in one round trip. */
  async reset(): Promise<void> {
    await this.quietly(() => run(this.#client, RESET_SESSION))
    this.marked = false
    this.listening = false
  }
}

/** Whether the last reply left the connection inside a transaction; undefined where the driver cannot tell. */
export function inTransaction(client: DriverClient): boolean | undefined {
  const status = client.getTransactionStatus?.()
  if (status === undefined || status === null) return undefined
  return status !== 'I'
}
