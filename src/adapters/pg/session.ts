import { activeQuery, hasQueue, run, type DriverClient } from './driver.ts'

/** What `resetSession` may be. */
export type ResetSession = 'auto' | 'always' | 'never'

/**
 * Everything of DISCARD ALL but its DEALLOCATE ALL and DISCARD PLANS: the statements that `pg` has prepared stay, and
 * so does its knowledge of them. One simple query, so one round trip and all or nothing.
 */
const RESET_SESSION =
  'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES'

/** Statements that say SET and outlive no transaction. */
const SET_FOR_TRANSACTION = /^\s*SET\s+(LOCAL|TRANSACTION|CONSTRAINTS)\b/i

const SESSION = Symbol('millpond.session')

/** What is known of a client's session; it stands on the client itself, for it is asked for with every query. */
export function sessionOf(client: DriverClient): Session | undefined {
  return (client as { readonly [SESSION]?: Session })[SESSION]
}

/**
 * What the server says of a session: its transaction status, and the state that it took on, read from the command tags
 * of its replies. No statement is parsed and no round trip is made. What tags cannot show goes unseen: `set_config()`,
 * advisory locks, `SELECT … INTO TEMP`. The native client has no tags and no status of its own kind.
 */
export class Session {
  readonly #client: DriverClient
  #status: string | undefined
  /** Settings, cursors, temporary tables, LISTEN: to be reset before the next borrower. */
  marked = false
  /** Statements were prepared or deallocated in SQL: the driver's own knowledge of them may be wrong by now. */
  tainted = false
  /** The session LISTENs: it is meant to be held for long. */
  listening = false
  /** Somebody has the client, who hears of its errors through what runs on it. */
  held = false
  /** What the server said last before it ended the session. */
  fatal: Error | undefined
  /** While the adapter itself sets the session up, nothing is marked. */
  #quiet = 0
  #whenReady: (() => void) | undefined

  constructor(client: DriverClient) {
    this.#client = client
    Object.defineProperty(client, SESSION, { value: this })
    const { connection } = client
    if (connection === undefined) return
    connection.on('commandComplete', (message: { readonly text?: unknown }) => {
      this.#note(message.text)
    })
    connection.on('readyForQuery', (message: { readonly status?: string }) => {
      this.#status = message.status
      const whenReady = this.#whenReady
      this.#whenReady = undefined
      whenReady?.()
    })
    connection.on('errorMessage', (message: Error & { readonly severity?: string }) => {
      if (message.severity === 'FATAL' || message.severity === 'PANIC') this.fatal ??= message
    })
    // A server that goes down at once, or after a crash, says so in a notice; it never does for a single backend.
    connection.on('notice', (message: Error & { readonly code?: string }) => {
      if (message.code === '57P01' || message.code === '57P02') {
        this.fatal = Object.assign(new Error(message.message), { code: '57P02' })
      }
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
        if (tag === 'DECLARE CURSOR' || tag === 'DO') this.marked = true
        else if (tag.startsWith('DEALLOCATE') || tag === 'DISCARD ALL') this.tainted = true
        else if (tag.startsWith('DISCARD')) this.marked = true
        break
      case 67 /* C */:
        if (tag.startsWith('CREATE ') || tag === 'CALL') this.marked = true
        break
    }
  }

  #isForTransaction(): boolean {
    const text = activeQuery(this.#client)?.text
    return typeof text === 'string' && SET_FOR_TRANSACTION.test(text)
  }

  /** Whether the connection is inside a transaction, as of the server's last word. */
  get inTransaction(): boolean {
    const status = this.#status ?? this.#client.getTransactionStatus?.() ?? 'I'
    return status !== 'I'
  }

  /**
   * A statement failed and the server's word that it is ready again is still on its way: errors come before it, often
   * in a packet of their own. Until then the transaction status is that of before.
   */
  get settling(): boolean {
    return this.#client.readyForQuery === false && activeQuery(this.#client) === null && !hasQueue(this.#client)
  }

  /** Waits for the server's word that it is ready; the pool bounds it. */
  async settle(): Promise<void> {
    if (!this.settling) return
    await new Promise<void>((resolve) => {
      this.#whenReady = resolve
    })
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

  /** Ends an open transaction and, where asked, gives the session back its first state; one round trip. */
  async reset(whole: boolean): Promise<void> {
    const texts = [...(this.inTransaction ? ['ROLLBACK'] : []), ...(whole ? [RESET_SESSION] : [])]
    if (texts.length > 0) await this.quietly(() => run(this.#client, texts.join('; ')))
    if (!whole) return
    this.marked = false
    this.listening = false
  }
}
